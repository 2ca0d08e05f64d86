"""The engines that one statement is tested on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
import torch

import twinml as tw
from twinml.engines.cuda.engine import unavailable
from twinml.engines.native.compiler import find_compiler
from twinml.errors import NoCompilerError

ENGINES = ("eager", "native", "cuda")
# Slow as well: without a GPU they are all skipped, and the fast tests need not say so each time.
GPU = [pytest.mark.gpu, pytest.mark.slow]


def need_compiler() -> None:
    """Skip where kernels cannot be made."""
    try:
        find_compiler()
    except NoCompilerError as error:
        pytest.skip(str(error))


def need_gpu() -> None:
    """Skip where kernels cannot run on a GPU, and say why."""
    reason = unavailable()
    if reason is not None:
        pytest.skip(reason)


def on_every_engine(
    names: str, values: Iterable, quick: Sequence = ()
) -> pytest.MarkDecorator:  # fmt: skip
    """Parametrise by engine and something else; a test takes ``engine`` and what ``names`` names.

    A kernel takes seconds to compile, so natively only the values in ``quick`` are part of the
    fast tests; the others are slow ones.
    """
    cases = []
    for engine in ENGINES:
        for value in values:
            slow = engine == "native" and value not in quick
            marks = GPU if engine == "cuda" else [pytest.mark.slow] if slow else []
            name = value if isinstance(value, str) else getattr(value[0], "name", None)
            case = pytest.param(engine, value, marks=marks, id=name and f"{engine}-{name}")
            cases.append(case)
    return pytest.mark.parametrize(("engine", names), cases, indirect=["engine"])


def work(model: Any, sol: tw.Solution) -> int:
    """Evaluations that torch counted; a kernel's cannot be seen, so its attempted steps."""
    return model.calls if sol.engine == "eager" else int(sol.steps.max())


def scale_of(values: torch.Tensor) -> torch.Tensor:
    """Largest finite size of each row, (B, 1) or (B,); at least the smallest normal number."""
    sizes = torch.where(torch.isfinite(values), values.abs(), 0.0)
    largest = sizes.amax(-1, keepdim=True) if values.ndim > 1 else sizes
    return largest.clamp(min=1e-300 if values.dtype == torch.float64 else 1e-30)


def assert_same_meaning(
    found: tw.Solution,
    want: tw.Solution,
    rtol: float,
    spare: int = 0,
    apart: Mapping[str, float] | None = None,
) -> None:
    """Two engines' solutions agree: values to ``rtol`` of each row's largest, the rest exactly.

    Args:
        found, want: The solutions; want is the reference's.
        rtol: Of values.
        spare: By how many steps rows may differ. The first steps of an adaptive row are chosen
            from errors that are rounding themselves, so sizes differ a little from there on.
        apart: Another ``rtol`` for values, by name, that have fewer digits than the rest.
    """
    assert found.names == want.names and found.units == want.units
    assert torch.equal(found.t, want.t)
    assert found.status.tolist() == want.status.tolist()
    assert list(found.method) == list(want.method)
    for name in ("steps", "rejected"):
        difference = (getattr(found, name) - getattr(want, name)).abs()
        assert int(difference.max()) <= spare, name
    assert torch.equal(found.state.t[want.ok], want.state.t[want.ok])
    # Where a row fails hangs on the sizes of its steps.
    assert torch.allclose(found.fail_time, want.fail_time, rtol=1e-2, atol=0, equal_nan=True)
    for name in want.names:
        a, b = found[name], want[name]
        assert a.dtype == b.dtype and a.shape == b.shape, name
        assert torch.equal(torch.isnan(a), torch.isnan(b)), name
        error = torch.nan_to_num((a - b).abs() / scale_of(b), nan=0.0)
        bound = (apart or {}).get(name, rtol)
        assert float(error.max()) <= bound, (name, float(error.max()))


def same_bits(a: tw.Solution, b: tw.Solution, rows: Sequence[int] | None = None) -> None:
    """Two solutions are equal in every bit; ``rows``: those of ``b`` that ``a`` has."""
    pick = slice(None) if rows is None else torch.as_tensor(rows)
    for name in a.names:
        one, two = a[name], b[name][pick]
        assert torch.equal(one.nan_to_num(nan=-7e77), two.nan_to_num(nan=-7e77)), name
        assert torch.equal(torch.isnan(one), torch.isnan(two)), name
        assert torch.equal(torch.signbit(one) & (one == 0), torch.signbit(two) & (two == 0)), name
    for name in ("status", "steps", "rejected"):
        assert torch.equal(getattr(a, name), getattr(b, name)[pick]), name
    for one, two in (
        (a.fail_time, b.fail_time[pick]),
        (a.state.t, b.state.t[pick]),
        (a.state.h, b.state.h[pick]),
        (a.state.y, b.state.y[:, pick]),
    ):
        assert torch.equal(one.nan_to_num(nan=-7e77), two.nan_to_num(nan=-7e77))
    for name, log in a.events.items():
        assert torch.equal(log.count, b.events[name].count[pick])
        one, two = log.time, b.events[name].time[pick]
        width = min(one.shape[-1], two.shape[-1])
        assert torch.equal(one[:, :width].nan_to_num(), two[:, :width].nan_to_num())
