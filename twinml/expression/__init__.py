"""The small language of quantities, thresholds and timed changes.

An expression is arithmetic on names, read by Python's own parser and then admitted node
by node; what is not on the list is refused by name and nothing is ever executed::

    population - final(susceptible)        time_above(in_bed, 250) / 30
    1 - effect                             first_time(level > 0.9 * capacity)

Grammar: numbers, names (dots allowed), ``+ - * / **``, unary minus, parentheses, single
comparisons, the elementwise functions ``min max abs exp log sqrt``, and functionals of a
path: ``final initial max min time_of_max time_of_min mean integral time_above first_time
at``. ``max`` and ``min`` of one argument are functionals, of two or more elementwise.
"""

from twinml.expression.reader import MAX_DEPTH, MAX_LENGTH, check_numbers, parse
from twinml.expression.tree import (
    ELEMENTWISE,
    FUNCTIONALS,
    Binary,
    Comparison,
    Elementwise,
    Expression,
    Functional,
    Name,
    Negate,
    Number,
    check_names,
)

__all__ = [
    "ELEMENTWISE",
    "FUNCTIONALS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "Binary",
    "Comparison",
    "Elementwise",
    "Expression",
    "Functional",
    "Name",
    "Negate",
    "Number",
    "check_names",
    "check_numbers",
    "parse",
]
