"""Learned terms for use inside a right-hand side."""

from twinml.nn.perceptron import Perceptron, mlp

__all__ = ["Perceptron", "mlp"]
