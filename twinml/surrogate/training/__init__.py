"""Training of networks with lightning, imported on use."""
