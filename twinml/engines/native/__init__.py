"""The native engine: generated kernels, compiled and run on the CPU."""
