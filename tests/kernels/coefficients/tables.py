"""Every set of coefficients in kernels/math*.h.

``python -m tests.kernels.coefficients.tables [name...]`` prints them.
"""

from __future__ import annotations

import sys

from mpmath import mp, mpf

from tests.kernels.coefficients.fit import Fit, fitted, parts, text

HALF_LN2 = mp.log(2) / 2 * mpf("1.001")


def exp_rest(x: mpf) -> mpf:
    """(exp(x) - 1 - x) / x^2."""
    if abs(x) < mpf("1e-25"):
        return mpf(1) / 2 + x / 6
    return (mp.expm1(x) - x) / x**2


def sin_rest(z: mpf) -> mpf:
    """(sin(r) - r) / r^3 with z = r^2."""
    if z < mpf("1e-25"):
        return -mpf(1) / 6 + z / 120
    r = mp.sqrt(z)
    return (mp.sin(r) - r) / r**3


def cos_rest(z: mpf) -> mpf:
    """(cos(r) - 1 + r^2 / 2) / r^4 with z = r^2."""
    if z < mpf("1e-20"):
        return mpf(1) / 24 - z / 720
    r = mp.sqrt(z)
    return (mp.cos(r) - 1 + z / 2) / z**2


def log_rest(z: mpf) -> mpf:
    """(log((1 + s) / (1 - s)) - 2 s) / s^3 with z = s^2."""
    if z < mpf("1e-25"):
        return mpf(2) / 3 + 2 * z / 5
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def pow_rest(z: mpf) -> mpf:
    """(atanh(s) / s - 1 - z / 3) / z^2 with z = s^2."""
    if z < mpf("1e-20"):
        return mpf(1) / 5 + z / 7
    s = mp.sqrt(z)
    return (mp.atanh(s) / s - 1 - z / 3) / z**2


def asin_rest(z: mpf) -> mpf:
    """(asin(s) - s) / s^3 with z = s^2."""
    s = mp.sqrt(z)
    return (mp.asin(s) - s) / s**3


def atan_rest(z: mpf) -> mpf:
    """(atan(t) - t) / t^3 with z = t^2."""
    t = mp.sqrt(z)
    return (mp.atan(t) - t) / t**3


def erf_rest(z: mpf) -> mpf:
    """erf(x) / x - 1 with z = x^2."""
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def erfcx(x: mpf) -> mpf:
    """exp(x^2) erfc(x)."""
    if x < 50:
        return mp.exp(x * x) * mp.erfc(x)
    term = total = mpf(1)  # Abramowitz and Stegun 7.1.23
    for k in range(1, 40):
        term *= -(2 * k - 1) / (2 * x * x)
        total += term
        if abs(term) < mpf("1e-40"):
            break
    return total / (x * mp.sqrt(mp.pi))


def erfcx_even(t: mpf) -> mpf:
    """(1 + 9/8 x) erfcx(x) with t = (x - 4) / (x + 4): from 1 to 0.63, flat at x = 0."""
    x = 4 * (1 + t) / (1 - t)
    return (1 + 9 * x / 8) * erfcx(x)


ERFCX_MIDDLE = erfcx_even(mpf(0))


def erfcx_rest(t: mpf) -> mpf:
    """(erfcx_even(t) - erfcx_even(0)) / t."""
    return (erfcx_even(t) - ERFCX_MIDDLE) / t


SMALL_S = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.001")
QUARTER = (mp.pi / 4 * mpf("1.001")) ** 2
HALF_PI = (mp.pi / 2 * mpf("1.001")) ** 2

FITS = [
    # The error that counts is the one of exp(x), near 1.
    Fit("exp", exp_rest, lambda x: x * x, -HALF_LN2, HALF_LN2, {64: 9, 32: 4}),
    # The same where the result may be as small as x.
    Fit("expm1", exp_rest, lambda x: abs(x), -HALF_LN2, HALF_LN2, {64: 10, 32: 5}),
    Fit("sin", sin_rest, lambda z: z, mpf(0), HALF_PI, {64: 8, 32: 3}),
    Fit("sin_quarter", sin_rest, lambda z: z, mpf(0), QUARTER, {64: 5, 32: 2}),
    Fit("cos_quarter", cos_rest, lambda z: z * z, mpf(0), QUARTER, {64: 5, 32: 2}),
    Fit("log", log_rest, lambda z: z / 2, mpf(0), SMALL_S, {64: 6, 32: 3}),
    Fit("pow", pow_rest, lambda z: z * z, mpf(0), SMALL_S, {64: 7, 32: 3}),
    Fit("asin", asin_rest, lambda z: z, mpf("1e-9"), mpf("0.2501"), {64: 12, 32: 5}),
    Fit("atan", atan_rest, lambda z: z, mpf("1e-9"), mpf("0.1717"), {64: 11, 32: 4}),
    Fit("erf", erf_rest, lambda z: mpf(1), mpf("1e-9"), mpf("1.001"), {64: 12, 32: 6}),
    # Shabat, Wolfe and Juffa's variable; x from 0 to 28 and to 10.28.
    Fit("erfcx", erfcx_rest, abs, mpf(-1), mpf("0.7501"), {64: 21}),
    Fit("erfcx", erfcx_rest, abs, mpf(-1), mpf("0.4401"), {32: 10}),
]


# A number in several parts, with how many bits each.
CONSTANTS = {
    64: {
        "log(2)": (mp.log(2), (53, 53)),
        "log(2), to multiply": (mp.log(2), (42, 53)),
        "1 / log(2)": (1 / mp.log(2), (53, 53)),
        "1 / log(10)": (1 / mp.log(10), (53, 53)),
        "1/3": (mpf(1) / 3, (53, 53)),
        "pi / 2": (mp.pi / 2, (53, 53)),
        "pi / 2, to multiply": (mp.pi / 2, (53, 33, 53)),
        "pi / 4": (mp.pi / 4, (53, 53)),
        "1 / pi": (1 / mp.pi, (53,)),
        "2 / pi": (2 / mp.pi, (53,)),
        "tan(pi / 8)": (mp.tan(mp.pi / 8), (53,)),
        "sqrt(1/2)": (mp.sqrt(mpf("0.5")), (53, 53)),
        "2 sqrt(2 / pi)": (2 * mp.sqrt(2 / mp.pi), (53, 53)),
        "2 sqrt(2 / pi) 0.044715": (2 * mp.sqrt(2 / mp.pi) * mpf(0.044715), (53, 53)),
        "erfcx_even(0)": (ERFCX_MIDDLE, (53, 53)),
    },
    32: {
        "log(2)": (mp.log(2), (24, 24)),
        "log(2), to multiply": (mp.log(2), (14, 24)),
        "1 / log(2)": (1 / mp.log(2), (24, 24)),
        "1 / log(10)": (1 / mp.log(10), (24, 24)),
        "1/3": (mpf(1) / 3, (24, 24)),
        "pi / 2": (mp.pi / 2, (24, 24)),
        "pi / 2, to multiply": (mp.pi / 2, (24, 10, 10, 24)),
        "pi / 4": (mp.pi / 4, (24, 24)),
        "1 / pi": (1 / mp.pi, (24,)),
        "2 / pi": (2 / mp.pi, (24,)),
        "tan(pi / 8)": (mp.tan(mp.pi / 8), (24,)),
        "sqrt(1/2)": (mp.sqrt(mpf("0.5")), (24, 24)),
        "2 sqrt(2 / pi)": (2 * mp.sqrt(2 / mp.pi), (24, 24)),
        "2 sqrt(2 / pi) 0.044715": (2 * mp.sqrt(2 / mp.pi) * mpf(0.044715), (24, 24)),
        "erfcx_even(0)": (ERFCX_MIDDLE, (24, 24)),
    },
}


def two_over_pi(words: int) -> list[int]:
    """The bits of 2 / pi after the point, 32 at a time."""
    with mp.workprec(32 * words + 64):
        bits = int(mp.floor(2 / mp.pi * 2 ** (32 * words)))
    return [(bits >> (32 * (words - 1 - i))) & 0xFFFFFFFF for i in range(words)]


def constant(bits: int, name: str) -> list[str]:
    value, lengths = CONSTANTS[bits][name]
    return [text(part, bits) for part in parts(value, lengths)]


def main() -> None:
    only = sys.argv[1:]
    for fit in FITS:
        if only and not any(word in fit.name for word in only):
            continue
        for bits in sorted(fit.degree, reverse=True):
            c, worst = fitted(fit, bits)
            print(f"{fit.name} {bits}: error 2^{float(mp.log(worst, 2)):.1f}")
            print("  " + ", ".join(text(value, bits) for value in c))
    for bits, names in CONSTANTS.items():
        for name in names:
            print(f"{name} {bits}: {', '.join(constant(bits, name))}")
    print("2 / pi: " + " ".join(f"0x{word:08x}u," for word in two_over_pi(40)))


if __name__ == "__main__":
    main()
