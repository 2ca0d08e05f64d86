"""Methods as data, step control, and what a simulation returns."""
