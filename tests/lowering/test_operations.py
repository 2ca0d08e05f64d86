"""Every operation against torch, at the values where implementations differ."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import twinml as tw
from tests.lowering.models import OneFunction, OneVector, computed

EDGES = [
    math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1e-310, 2.2e-308, 1e-8, 0.5e-8,
    -1e-9, 0.25, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, 2.5, -2.5, 3.0, -3.0, 6.0, 19.999, 20.0,
    20.001, -20.5, 100.0, -710.0, 709.5, 711.0, -746.0, 1e16, -1e16, 1e200, -1e300, math.pi,
]  # fmt: skip

UNARY = {
    "neg": lambda x: -x, "pos": lambda x: +x, "abs": torch.abs, "abs operator": abs,
    "sign": torch.sign, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "x.sqrt": lambda x: x.sqrt(),
    "reciprocal": torch.reciprocal, "1/x": lambda x: 1 / x, "square": torch.square,
    "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1, "log": torch.log,
    "log2": torch.log2, "log10": torch.log10, "log1p": torch.log1p,
    "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "asin": torch.asin, "acos": torch.acos,
    "atan": torch.atan, "arctan": torch.arctan, "sinh": torch.sinh, "cosh": torch.cosh,
    "tanh": torch.tanh, "asinh": torch.asinh, "acosh": torch.acosh, "atanh": torch.atanh,
    "sigmoid": torch.sigmoid, "F.sigmoid": torch.special.expit, "relu": torch.relu,
    "F.relu": F.relu, "relu6": F.relu6, "nn.ReLU": torch.nn.ReLU(), "nn.Tanh": torch.nn.Tanh(),
    "leaky_relu": F.leaky_relu, "leaky_relu 0.2": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu, "elu 0.5": lambda x: F.elu(x, alpha=0.5),
    "softplus": F.softplus, "softplus 3": lambda x: F.softplus(x, beta=3.0, threshold=10.0),
    "nn.Softplus": torch.nn.Softplus(beta=2.0), "silu": F.silu, "mish": F.mish,
    "gelu": F.gelu, "gelu tanh": lambda x: F.gelu(x, approximate="tanh"), "erf": torch.erf,
    "logsigmoid": F.logsigmoid, "softsign": F.softsign, "hardtanh": F.hardtanh,
    "tanhshrink": F.tanhshrink, "logit": torch.logit,
    "sinc": torch.sinc, "frac": torch.frac, "deg2rad": torch.deg2rad,
    "floor": torch.floor, "ceil": torch.ceil, "trunc": torch.trunc, "round": torch.round,
    "round 2": lambda x: torch.round(x, decimals=2),
    "sqrt0": tw.sqrt0, "x**2": lambda x: x**2, "x**3": lambda x: x**3, "x**7": lambda x: x**7,
    "x**0": lambda x: x**0, "x**1": lambda x: x**1, "x**-1": lambda x: x**-1,
    "x**-2": lambda x: x**-2, "x**0.5": lambda x: x**0.5, "x**-0.5": lambda x: x**-0.5,
    "x**1.5": lambda x: x**1.5, "x**11": lambda x: x**11, "2**x": lambda x: 2.0**x,
    "pow": lambda x: torch.pow(x, 2.5), "0.3**x": lambda x: torch.pow(0.3, x),
    "x/4": lambda x: x / 4, "x/3": lambda x: x / 3, "x-0": lambda x: x - 0.0,
    "x+0": lambda x: x + 0.0, "0*x": lambda x: 0.0 * x, "x*1": lambda x: x * 1.0,
    "clamp": lambda x: torch.clamp(x, -1.0, 2.0), "clamp min": lambda x: x.clamp(min=0.5),
    "clamp max": lambda x: x.clamp(max=0.5), "clip": lambda x: x.clip(0.0, 1.0),
    "clamp_min": lambda x: torch.clamp_min(x, 1.0),
    "isnan": lambda x: torch.where(torch.isnan(x), 1.0, 2.0),
    "isinf": lambda x: torch.isinf(x).to(x.dtype), "isfinite": lambda x: torch.isfinite(x) * 2.0,
    "signbit": lambda x: torch.where(torch.signbit(x), 1.0, 0.0),
    "nan_to_num": lambda x: torch.nan_to_num(x, nan=3.0, posinf=9.0, neginf=-9.0),
    "heaviside": lambda x: torch.heaviside(x, torch.tensor(0.5, dtype=x.dtype)),
    "zeros_like": lambda x: torch.zeros_like(x), "ones_like": lambda x: torch.ones_like(x) + x,
    "full_like": lambda x: torch.full_like(x, 2.5), "new_full": lambda x: x.new_full(x.shape, 2.0),
    "new_zeros": lambda x: x.new_zeros(x.shape), "zeros": lambda x: torch.zeros(x.shape) + x,
    "tensor": lambda x: x * torch.tensor(0.1), "tensor64": lambda x: x + x.new_tensor(0.1),
    "mask": lambda x: (x > 0) * x, "mask float": lambda x: (x > 0).float() * x,
    "mask double": lambda x: (x >= 0).double(), "~": lambda x: torch.where(~(x > 0), x, -x),
    "bool or": lambda x: torch.where((x > 1) | (x < -1), 1.0, x),
    "bool and": lambda x: torch.where((x > -1) & (x < 1) & (x != 0.5), 1.0, x),
    "xor": lambda x: torch.where((x > -1) ^ (x < 1), 1.0, x),
    "logical": lambda x: torch.where(torch.logical_and(x, x > -1), 1.0, x),
    "not": lambda x: torch.where(torch.logical_not(x), 1.0, x),
    "eq bools": lambda x: torch.where((x > 0) == (x > 1), 1.0, x),
    "masked_fill": lambda x: x.masked_fill(x < 0, 7.0), "to": lambda x: x.to(x.dtype),
    "where tensor": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    "where method": lambda x: x.where(x > 0, -x), "pi": lambda x: x * torch.pi,
    "numpy number": lambda x: np.float64(2.0) * x, "int": lambda x: 3 * x - 1,
    "unsqueeze": lambda x: x.unsqueeze(-1).squeeze(-1), "sub alpha": lambda x: x.sub(1.0, alpha=2),
}  # fmt: skip

BINARY = {
    "+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y,
    "/": lambda x, y: x / y, "add alpha": lambda x, y: torch.add(x, y, alpha=2.0),
    "div floor": lambda x, y: torch.div(x, y, rounding_mode="floor"), "//": lambda x, y: x // y,
    "div trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "%": lambda x, y: x % y, "remainder": torch.remainder, "fmod": torch.fmod,
    "**": lambda x, y: x**y, "minimum": torch.minimum, "maximum": torch.maximum,
    "max": lambda x, y: torch.max(x, y), "fmax": torch.fmax, "fmin": torch.fmin,
    "atan2": torch.atan2, "hypot": torch.hypot, "copysign": torch.copysign,
    "<": lambda x, y: (x < y) * 1.0, "<=": lambda x, y: torch.le(x, y) * 1.0,
    ">": lambda x, y: x.gt(y).to(x.dtype), ">=": lambda x, y: (x >= y) * 1.0,
    "==": lambda x, y: (x == y) * 1.0, "!=": lambda x, y: (x != y) * 1.0,
    "clamp tensor": lambda x, y: torch.clamp(x, min=y),
    "clamp both": lambda x, y: x.clamp(y, 1 + y),
    "lerp": lambda x, y: torch.lerp(x, y, 0.3), "lerp tensor": lambda x, y: torch.lerp(x, 2 * x, y),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.5),
    "addcdiv": lambda x, y: torch.addcdiv(x, x, y, value=0.5),
    "logaddexp": torch.logaddexp, "isclose": lambda x, y: torch.isclose(x, y) * 1.0,
    "x*x - y*y": lambda x, y: x * x - y * y, "-x - -y": lambda x, y: -x - -y,
}  # fmt: skip

# Differences of nearly equal parts, which torch's own vector and scalar paths share no digits of.
REMAINDERS = ("%", "remainder", "fmod", "//", "div floor")
LOOSE = {"gelu": 1e-12, "gelu tanh": 1e-10, "mish": 1e-13, "lerp": 1e-13, "lerp tensor": 1e-13,
         "addcmul": 1e-12, "tanhshrink": 1e-12, "x**11": 1e-14, "x**7": 1e-14}  # fmt: skip


def agree(found, expected, rtol):
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(all="ignore"):
        # Subnormal results may lose digits.
        near = np.abs(found - expected) <= rtol * np.abs(expected) + 1e-307
    return same | near


def points(*columns: np.ndarray) -> np.ndarray:
    return np.stack([*columns, *[np.zeros_like(columns[0])] * (3 - len(columns))])


@pytest.mark.parametrize("name", UNARY)
def test_an_operation_of_one_value_is_torchs(name):
    function = UNARY[name]
    x = np.array(EDGES + np.random.default_rng(0).normal(0, 3, 200).tolist())
    expected = torch.as_tensor(function(torch.from_numpy(x))).expand(len(x)).double().numpy()
    found = computed(OneFunction(lambda x, y, z: function(x)), points(x))[0]
    good = agree(found, expected, LOOSE.get(name, 2e-15))
    assert good.all(), list(zip(x[~good], found[~good], expected[~good], strict=True))[:5]


@pytest.mark.parametrize("name", BINARY)
def test_an_operation_of_two_values_is_torchs(name):
    function = BINARY[name]
    x, y = np.array(list(itertools.product(EDGES, EDGES))).T
    more = np.random.default_rng(0).normal(0, 3, (2, 200))
    x, y = np.concatenate([x, more[0]]), np.concatenate([y, more[1]])
    with np.errstate(all="ignore"):
        # torch's own vector code gives nan for remainders of larger ratios.
        large = np.isfinite(x) & (y != 0) & (np.abs(x / y) > 1e15)
        known = ~large | (name not in REMAINDERS)
    x, y = x[known], y[known]
    expected = function(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    found = computed(OneFunction(lambda x, y, z: function(x, y)), points(x, y))[0]
    good = agree(found, expected, LOOSE.get(name, 2e-15))
    assert good.all(), list(zip(x[~good], y[~good], found[~good], expected[~good], strict=True))[:5]


VECTOR = {
    "stack": lambda m, v, a: torch.stack([a, 2 * a, v[..., 0], -a], dim=-1),
    "cat": lambda m, v, a: torch.cat([v[..., 2:], v[..., :2]], dim=-1),
    "unbind": lambda m, v, a: torch.stack([p * a for p in v.unbind(-1)], -1),
    "movedim": lambda m, v, a: torch.stack([p + a for p in v.movedim(-1, 0).unbind(0)], dim=1),
    "index": lambda m, v, a: v[:, [3, 2, 1, 0]] * v[:, 1:2],
    "index tensor": lambda m, v, a: v[:, torch.tensor([1, 1, 0, 3])],
    "column": lambda m, v, a: v * a.unsqueeze(-1),
    "none": lambda m, v, a: v + a[:, None],
    "sum": lambda m, v, a: v * v.sum(-1, keepdim=True),
    "mean": lambda m, v, a: v - v.mean(dim=-1, keepdim=True),
    "prod": lambda m, v, a: v + v.prod(-1).unsqueeze(-1),
    "amax": lambda m, v, a: v - v.amax(-1, keepdim=True),
    "norm": lambda m, v, a: v / torch.linalg.norm(v, dim=-1, keepdim=True),
    "norm method": lambda m, v, a: v / v.norm(dim=-1, keepdim=True),
    "softmax": lambda m, v, a: torch.softmax(v, dim=-1),
    "cumsum": lambda m, v, a: torch.cumsum(v, -1),
    "roll": lambda m, v, a: torch.roll(v, 1, -1) - 2 * v + torch.roll(v, -1, dims=-1),
    "flip": lambda m, v, a: v.flip(-1),
    "diff": lambda m, v, a: F.pad(torch.diff(v), (0, 1)),
    "pad": lambda m, v, a: F.pad(v, (1, 0))[..., :4] + F.pad(v, (0, 1), value=2.0)[..., 1:],
    "matmul": lambda m, v, a: v @ m.weight,
    "matmul T": lambda m, v, a: v @ m.weight.T,
    "linear": lambda m, v, a: F.linear(v, m.weight),
    "mv": lambda m, v, a: (m.weight @ v.unsqueeze(-1)).squeeze(-1),
    "linear bias": lambda m, v, a: F.linear(v, m.weight, m.weight[0]),
    "two by four": lambda m, v, a: F.pad(torch.tanh(F.linear(v, m.matrix)), (0, 2)),
    "deep": lambda m, v, a: F.linear(torch.tanh(F.linear(v, m.weight)) + v, m.weight) * 0.5,
    "dot": lambda m, v, a: v * (v * m.weight[1]).sum(-1, keepdim=True),
    "weights": lambda m, v, a: v * m.weight[2] + m.weight[0, 1],
    "weight functions": lambda m, v, a: v * torch.exp(m.weight).sum(0) / m.weight.abs().mean(),
    "shared": lambda m, v, a: m.weight[3],
    "number": lambda m, v, a: 0.25,
    "expand": lambda m, v, a: a.unsqueeze(-1).expand(-1, 4) + v,
    "expand_as": lambda m, v, a: m.weight[0].expand_as(v),
    "reshape": lambda m, v, a: v.reshape(-1, 2, 2).transpose(1, 2).reshape(v.shape),
    "view": lambda m, v, a: v.view(v.shape[0], 2, 2).flatten(1),
    "constant": lambda m, v, a: v * torch.tensor([1.0, 2.0, 3.0, 4.0]),
    "arange": lambda m, v, a: v * torch.arange(4),
    "shape": lambda m, v, a: v / v.shape[-1],
    "chosen": lambda m, v, a: torch.where(v > 0.5, v, a.unsqueeze(-1)),
    "cross": lambda m, v, a: F.pad(torch.linalg.cross(v[..., :3], v[..., 1:]), (0, 1)),
    "double T": lambda m, v, a: (v.T * a).T,
    "swap": lambda m, v, a: v.T.permute(1, 0),
    "zeros": lambda m, v, a: torch.cat([torch.zeros(v.shape[0], 2, dtype=v.dtype), v[:, :2]], -1),
}


@pytest.mark.parametrize("name", VECTOR)
def test_an_operation_on_components_is_torchs(name):
    model = OneVector(VECTOR[name])
    y = np.random.default_rng(1).normal(0, 2, (5, 64))
    values = {"v": torch.from_numpy(y[:4]).T, "a": torch.from_numpy(y[4])}
    with torch.no_grad():
        expected = model.derivatives(values, torch.from_numpy(y)).numpy()
    assert agree(computed(model, y), expected, 1e-13).all()
