"""Kernels over the cells of a grid, as functions that torch differentiates."""

from twinml.fields.op import FieldOp, field_op
from twinml.fields.transport import Transport, transport

__all__ = ["FieldOp", "Transport", "field_op", "transport"]
