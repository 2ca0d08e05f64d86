from __future__ import annotations

import pytest

from twinml.expression import parse
from twinml.scenario.quantity_unit import quantity_unit

UNITS = {"level": "cm", "flow": "cm^3/s", "share": "1", "k": "1/s", "rate": "1/h"}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("max(level)", "cm"),
        ("-final(level) - 3", "cm"),
        ("3 - final(level)", "cm"),
        ("time_above(level, 3)", "h"),
        ("first_time(level > 3) / 2", "h"),
        ("integral(flow)", "(cm^3/s)*h"),
        ("integral(share)", "h"),
        ("mean(level) / max(level)", "1"),
        ("max(level) / k", "cm/(1/s)"),
        ("max(level) * k", "cm/s"),
        ("integral(k * level) * at(t, 1)", "((cm/s)*h)*h"),
        ("integral(rate * level)", "cm"),
        ("integral(rate)", "1"),
        ("max(flow) > 3", "1"),
        ("log(max(level))", "1"),
        ("sqrt(max(level))", "(cm)^0.5"),
        ("max(0, final(level))", "cm"),
        ("max(level) ** 2", "(cm)^2"),
        ("at(t, 3)", "h"),
        ("7", "1"),
    ],
)
def test_the_unit_follows_the_arithmetic(text, unit):
    from twinml.units import check_unit

    assert quantity_unit(parse(text), UNITS, clock="h") == unit
    check_unit(unit, "quantity")
