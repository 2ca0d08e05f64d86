"""The numbers in kernels/math*.h are those that tests/kernels/coefficients derives."""

from __future__ import annotations

import re

import pytest

from tests.kernels.coefficients.fit import fitted, text
from tests.kernels.coefficients.tables import CONSTANTS, FITS, constant, two_over_pi
from tests.kernels.compiled import KERNELS


def numbers() -> set[str]:
    """Hexadecimal literals of the headers, without sign."""
    found: set[str] = set()
    for header in KERNELS.glob("math*.h"):
        found |= set(re.findall(r"0x[0-9a-f.]+p-?\d+f?|0x[0-9a-f]{8}u", header.read_text()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fit", "bits"),
    [(fit, bits) for fit in FITS for bits in fit.degree],
    ids=lambda value: getattr(value, "name", value),
)
def test_coefficients_are_the_derived_ones(fit, bits):
    written = [text(value, bits).lstrip("-") for value in fitted(fit, bits)[0]]
    assert [word for word in written if word not in numbers()] == []


@pytest.mark.parametrize("bits", [64, 32])
def test_constants_are_the_derived_ones(bits):
    known = numbers()
    written = {name: [w.lstrip("-") for w in constant(bits, name)] for name in CONSTANTS[bits]}
    assert {name: w for name, w in written.items() if not known.issuperset(w)} == {}


def test_table_of_two_over_pi_is_the_derived_one():
    assert numbers().issuperset(f"0x{word:08x}u" for word in two_over_pi(40))
