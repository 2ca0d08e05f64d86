"""Standard normals from random words, the same bits on every machine.

Only + - * / sqrt and exact changes of exponent are used, all of which IEEE 754 rounds in one
way. A library's log or cos differs in the last bit between vector and scalar code, and a row
would then depend on its place in the batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Inverse of the normal distribution function, relative error 1e-16: algorithm AS 241 (PPND16),
# Wichura (1988), Appl. Stat. 37, 477-484. Numerators, then denominators, by rising powers.
_CENTRE = (
    (
        3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
        1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
        3.3430575583588128105e4, 2.5090809287301226727e3,
    ),
    (
        1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
        2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)  # fmt: skip
_TAIL = (
    (
        1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
        3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
        2.27238449892691845833e-2, 7.74545014278341407640e-4,
    ),
    (
        1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
        1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)  # fmt: skip
_FAR = (
    (
        6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
        2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7,
    ),
    (
        1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
        7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)  # fmt: skip
_CENTRE_WIDTH, _CENTRE_SQUARE = 0.425, 0.180625
_FAR_FROM = 5.0

# log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))), s = f / (2 + f): the minimax coefficients of R
# and the two parts of log 2 are those of fdlibm (Sun Microsystems 1993), e_log.c.
_LOG = (
    0.0, 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
    2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
    1.479819860511658591e-01,
)  # fmt: skip
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


def uniforms(high: Tensor, low: Tensor) -> Tensor:
    """Numbers strictly inside (0, 1) from pairs of words: (52 upper bits + 1/2) / 2^52, exact."""
    bits = (high << 20) | (low >> 12)
    return (bits.to(torch.float64) + 0.5) * 2.0**-52


def normals(uniform: Tensor) -> Tensor:
    """The normal whose distribution function is ``uniform``, float64; within 8.21 of zero."""
    q = uniform - 0.5
    r = _CENTRE_SQUARE - q * q
    value = q * _ratio(_CENTRE, r)
    outer = (q.abs() > _CENTRE_WIDTH).reshape(-1).nonzero()[:, 0]
    if outer.shape[0] == 0:
        return value
    u, side = uniform.reshape(-1)[outer], q.reshape(-1)[outer]
    r = _sqrt(-_log(torch.minimum(u, 1.0 - u)))
    size = torch.where(r <= _FAR_FROM, _ratio(_TAIL, r - 1.6), _ratio(_FAR, r - 5.0))
    tail = torch.where(side < 0, -size, size)
    return value.reshape(-1).index_copy(0, outer, tail).reshape(value.shape)


def _sqrt(x: Tensor) -> Tensor:
    """Rounded as IEEE 754 asks; torch on a CPU hands the root to a library that does not."""
    return torch.from_numpy(np.sqrt(x.numpy())) if x.device.type == "cpu" else torch.sqrt(x)


def _ratio(parts: tuple[tuple[float, ...], tuple[float, ...]], x: Tensor) -> Tensor:
    return _horner(parts[0], x) / _horner(parts[1], x)


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total.mul_(x).add_(coefficient)
    return total


def _log(x: Tensor) -> Tensor:
    """Natural logarithm of positive normal numbers to one rounding or so."""
    mantissa, exponent = torch.frexp(x)
    small = mantissa < 2.0**-0.5
    f = torch.where(small, 2.0 * mantissa, mantissa) - 1.0
    k = torch.where(small, exponent - 1, exponent).to(x.dtype)
    s = f / (2.0 + f)
    half = 0.5 * f * f
    rest = _horner(_LOG, s * s)
    return k * _LOG2_HIGH - ((half - (s * (half + rest) + k * _LOG2_LOW)) - f)
