"""The command line: one program, thin tasks over the package's verbs, tools that only read."""
