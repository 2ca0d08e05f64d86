"""Operations on fields: kernels over the cells of a grid, as functions that torch differentiates."""

from twinml.fields.op import FieldOp, field_op

__all__ = ["FieldOp", "field_op"]
