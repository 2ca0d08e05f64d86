"""What is wrong with a scenario or twin file: all of it at once, with line numbers."""
