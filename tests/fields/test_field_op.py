"""A pair of kernels as a function of tensors: values, derivatives, layouts, refusals."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import twinml as tw
from twinml.engines.native import compiler
from twinml.errors import ArgumentError, CompileError, NoCompilerError, ShapeError
from twinml.fields.kernel import library_for

# Torch itself warns of itself when its rules for forward mode are first used.
LOADS_FORWARD_MODE = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
SPREAD = """
Real around = at.u(-1) - Real(2) * at.u() + at.u(1);
out.du = at.d() * around + spring(at.u(), at.s());
"""
SPREAD_VJP = """
const Real around = at.u(-1) - Real(2) * at.u() + at.u(1);
const Real back = at.bar_du(-1) - Real(2) * at.bar_du() + at.bar_du(1);
const Real b = at.bar_du(), x = at.u() * at.s();
grad.u = at.d() * back + b * at.s() * cos(x);
grad.s = b * at.u() * cos(x);
grad.d = b * around;
"""
SPRING = """
template <class N> TW_FN N spring(N u, N s) { return sin(u * s); }
"""


@pytest.fixture(scope="module")
def spread() -> tw.fields.FieldOp:
    return tw.field_op(
        "spread", "u s", SPREAD, SPREAD_VJP, coefficients="d", results="du", header=SPRING,
        periodic=True,
    )  # fmt: skip


def in_torch(u, s, d):
    around = u.roll(1, -1) - 2 * u + u.roll(-1, -1)
    return d[..., None] * around + torch.sin(u * s)


def drawn(rows: int, cells: int, along_rows: bool = False, dtype=torch.float64):
    generator = torch.Generator().manual_seed(rows * 1000 + cells)
    shape = (cells, rows) if along_rows else (rows, cells)
    u, s = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    d = torch.rand(rows, generator=generator, dtype=torch.float64)
    if along_rows:
        u, s = u.T, s.T
    return tuple(x.to(dtype).requires_grad_() for x in (u, s, d))


# Fewer, as many and more than the lanes of a pack, a tile's end, and rows that fill no block.
SIZES = [(1, 1), (1, 2), (1, 9), (3, 37), (11, 1), (9, 13), (2, 8200), (300, 70)]


@pytest.mark.parametrize("along_rows", [False, True])
@pytest.mark.parametrize(("rows", "cells"), SIZES)
def test_values_and_gradients_are_those_of_torch(spread, rows, cells, along_rows):
    given = drawn(rows, cells, along_rows)
    found, want = spread(*given), in_torch(*given)
    assert torch.allclose(found, want, rtol=1e-13, atol=1e-13)
    seed = torch.randn(rows, cells, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad(found, given, seed), torch.autograd.grad(want, given, seed), strict=True
    ):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-11)


def test_float32_runs_in_float32(spread):
    given = drawn(4, 50, dtype=torch.float32)
    found = spread(*given)
    assert found.dtype == torch.float32
    assert torch.allclose(found, in_torch(*given), rtol=1e-5, atol=1e-5)
    gradient = torch.autograd.grad(found.sum(), given)
    want = torch.autograd.grad(in_torch(*given).sum(), given)
    assert all(
        torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(gradient, want, strict=True)
    )


@LOADS_FORWARD_MODE
@pytest.mark.parametrize("along_rows", [False, True])
def test_it_is_gradcheck_clean_backward_and_forward(spread, along_rows):
    assert torch.autograd.gradcheck(spread, drawn(9, 5, along_rows), check_forward_ad=True)


def test_any_batch_and_shared_arguments(spread):
    u, s, d = drawn(6, 7)
    s1, d0 = s[0].detach().requires_grad_(), d[0].detach().requires_grad_()
    for batch in ((6,), (2, 3), (3, 1, 2)):
        found = spread(u.reshape(*batch, 7), s=s1, d=d0)
        want = in_torch(u, s1.expand(6, 7), d0.expand(6))
        assert found.shape == (*batch, 7)
        assert torch.allclose(found.reshape(6, 7), want, rtol=1e-13, atol=1e-13)
        gradients = torch.autograd.grad(found.sum(), (u, s1, d0))
        wanted = torch.autograd.grad(want.sum(), (u, s1, d0))
        for a, b in zip(gradients, wanted, strict=True):
            assert a.shape == b.shape and torch.allclose(a, b, rtol=1e-12, atol=1e-12)
    assert torch.equal(spread(u[0], s[0], float(d[0].detach())), spread(u, s, d)[0])
    assert spread(u[:0], s[:0], d[:0]).shape == (0, 7)


@pytest.mark.parametrize("along_rows", [False, True])
def test_a_row_has_the_same_bits_alone_and_among_others(spread, along_rows):
    u, s, d = (x.detach() for x in drawn(37, 300, along_rows))
    together = spread(u, s, d)
    for row in (0, 7, 8, 36):
        assert torch.equal(spread(u[row : row + 1], s[row : row + 1], d[row : row + 1])[0],
                           together[row])  # fmt: skip


def test_threads_change_no_bit(spread):
    given = drawn(70, 4000)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            value = spread(*given)
            found.append([value, *torch.autograd.grad(value.square().sum(), given)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@LOADS_FORWARD_MODE
def test_a_product_with_cotangents_is_derived_by_them_and_no_further(spread):
    u, s, d = drawn(3, 7)
    seed = torch.zeros(3, 7, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((spread(u, s, d) * seed).sum(), u, create_graph=True)
    direction = torch.randn(3, 7, dtype=torch.float64)
    (along,) = torch.autograd.grad((gradient * direction).sum(), seed, retain_graph=True)
    want = torch.func.jvp(lambda x: in_torch(x, s, d), (u,), (direction,))[1]
    assert torch.allclose(along, want, rtol=1e-12, atol=1e-12)
    with pytest.raises(ArgumentError, match="second derivative of field_op 'spread'"):
        torch.autograd.grad(gradient.sum(), u)


def test_two_dimensions_edges_and_several_results():
    op = tw.field_op(
        "slopes", "u", results="across up", shape=(3, 5),
        forward="out.across = at.u(1, 0) - at.u(-1, 0); out.up = at.u(0, 1) - at.u(0, -1);"
        "if constexpr (!Cell::inside) out.up = select(at.last_y() & at.first(), Real(7), out.up);",
    )  # fmt: skip
    u = torch.randn(2, 15, dtype=torch.float64)
    across, up = op(u)
    grid = torch.nn.functional.pad(u.view(2, 1, 3, 5), (1, 1, 1, 1), mode="replicate")[:, 0]
    want = (grid[:, 2:, 1:-1] - grid[:, :-2, 1:-1]).clone()
    want[:, 2, 0] = 7.0
    assert torch.equal(across.view(2, 3, 5), grid[:, 1:-1, 2:] - grid[:, 1:-1, :-2])
    assert torch.equal(up.view(2, 3, 5), want)
    with pytest.raises(ShapeError, match=r"15\), one number for each of 15 cells, 3 lines of 5"):
        op(u[:, :10])
    with pytest.raises(ArgumentError, match="has no vjp"):
        op(u.requires_grad_())[0].sum().backward()


def test_what_lies_beyond_the_reach_and_what_is_left_unset_is_nan():
    op = tw.field_op("far", "u", results="a b", forward="out.a = at.u(2);")
    a, b = op(torch.ones(1, 40, dtype=torch.float64))
    assert a.isnan().all() and b.isnan().all()


def test_it_can_be_copied_and_sent_to_another_process(spread):
    u, s, d = (x.detach() for x in drawn(2, 5))
    for twin in (copy.deepcopy(spread), pickle.loads(pickle.dumps(spread))):
        assert torch.equal(twin(u, s, d), spread(u, s, d))


def test_refusals_name_what_arrived(spread):
    u, s, d = (x.detach() for x in drawn(3, 5))
    with pytest.raises(ShapeError, match=r"different batches: 'u' \(3,\), 's' \(3,\), 'd' \(2,\)"):
        spread(u, s, d[:2])
    with pytest.raises(ShapeError, match=r"'s' of shape \(3, 4\); expected \(\*batch, 5\)"):
        spread(u, s[:, :4], d)
    with pytest.raises(ArgumentError, match=r"'s' of torch\.float32 .* 'u' of torch\.float64"):
        spread(u, s.float(), d)
    with pytest.raises(ArgumentError, match=r"expected torch\.float64 or torch\.float32"):
        spread(u.long(), s, d)
    with pytest.raises(ArgumentError, match=r"given 'dd'.*Did you mean 'd'"):
        spread(u, s, dd=d)
    with pytest.raises(ArgumentError, match=r"not given \['d'\]"):
        spread(u, s)
    with pytest.raises(ShapeError, match="given float as 'u'"):
        spread(1.0, s, d)
    with pytest.raises(ArgumentError, match="an argument or result named 'double'"):
        tw.field_op("x", "double", "out.rate = Real(0);")
    with pytest.raises(ArgumentError, match="names 'u' twice"):
        tw.field_op("x", "u u", "out.rate = Real(0);")
    with pytest.raises(ArgumentError, match=r"shape=\(3,\); expected \(ny, nx\)"):
        tw.field_op("x", "u", "out.rate = Real(0);", shape=(3,))  # pyright: ignore


def test_a_compile_error_names_the_users_file_and_line(tmp_path):
    text = tmp_path / "kiln_field.h"
    text.write_text("// heat\nout.rate = at.u() * 2.0;\n")
    op = tw.field_op("kiln", "u", text)
    with pytest.raises(CompileError) as told:
        op(torch.zeros(1, 3, dtype=torch.float64))
    message = str(told.value)
    assert "field_op 'kiln' does not compile" in message and f"{text}:2:" in message
    assert "Real(0.5), not 0.5" in message and "report it" not in message
    inline = tw.field_op("kiln", "u", "\nout.rated = at.u();")
    with pytest.raises(CompileError, match=r"forward of 'kiln':2:.*rated"):
        inline(torch.zeros(1, 3, dtype=torch.float64))
    with pytest.raises(ArgumentError, match="cannot be read"):
        tw.field_op("kiln", "u", tmp_path / "none.h")


def test_without_a_compiler_it_says_what_to_install(spread, monkeypatch):
    def missing():
        raise NoCompilerError("none")

    monkeypatch.setattr("twinml.engines.native.library.find_compiler", missing)
    library_for.cache_clear()
    assert compiler.find_compiler is not missing
    with pytest.raises(NoCompilerError, match=r"field_op 'spread'.*apt-get install g"):
        spread(*drawn(1, 5))
