"""The engine of kernels on NVIDIA GPUs; the one home of cupy and cuda.bindings."""
