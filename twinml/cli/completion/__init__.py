"""What may follow on the command line, for the shell's TAB. Imports no torch."""
