"""What a record is worth before it is used: its clock, its columns, and all that is wrong."""
