"""Generated kernels on the CPU: the one home of the host compiler and of ctypes."""
