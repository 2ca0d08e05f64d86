"""What is wrong with a header is said in the user's file and line."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

import twinml as tw
from tests.kernel_physics import models
from twinml.errors import DeclarationError, DerivativeError, KernelError

ARGUMENTS = "const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d"
HEAD = f"TW_FN void rhs({ARGUMENTS})"
T = torch.tensor([0.0, 1.0], dtype=torch.float64)


def model(folder, text: str, header: str = "decay.h", **more) -> tw.Physics:
    """x' = -k x with another header."""
    (folder / header).write_text(text)
    body = {
        "kernel": str(folder / header),
        "x": tw.State("1", initial=1.0),
        "k": tw.Parameter("1/s", default=2.0),
        **more,
    }
    return type("Decay", (tw.KernelPhysics,), body)()


def said(decay: tw.Physics, engine: str = "auto") -> str:
    with pytest.raises(KernelError) as caught:
        tw.simulate(decay, T, engine=engine)
    return str(caught.value)


BAD: dict[str, tuple[str, list[str]]] = {
    "no function": ("TW_FN void rsh() {}", ["decay.h has no function rhs", "Did you mean 'rsh'?"]),
    "no marker": ("\nvoid rhs(const Real t) {}", ["decay.h:2: ", "expected TW_FN before it"]),
    "arguments": (
        "\n\nTW_FN void rhs(const Real t, const State& y, Rates& d) {}",
        ["decay.h:3: rhs takes 3 arguments; expected 5"],
    ),
    "a misspelt member": (
        f"{HEAD}\n{{\n  d.x = -p.kk * y.x;\n}}\n",
        ["decay.h:3:12: error:", "Parameters", "has no member named 'kk'"],
    ),
    "a misspelt function": (f"{HEAD} {{ d.x = expo(y.x); }}", ["decay.h:1:", "expo"]),
    "a plain if": (
        f"{HEAD}\n{{\n  if (y.x > p.k) d.x = y.x;\n  d.x = -p.k;\n}}",
        ["decay.h:3:", "select(condition, a, b)"],
    ),
    "a plain number": (f"{HEAD} {{ d.x = -0.5 * y.x; }}", ["decay.h:1:", "Real(0.5)"]),
    "a standard header": (
        f"#include <cmath>\n{HEAD} {{ d.x = -p.k * y.x; }}",
        ["decay.h:1: #include <cmath> enters a standard header"],
    ),
    "a missing include": (
        f'\n#include "deacy.h"\n{HEAD} {{ d.x = -p.k * y.x; }}',
        ['decay.h:2: #include "deacy.h" names no file', "Did you mean 'decay.h'?"],
    ),
    "a circle": (f'#include "decay.h"\n{HEAD} {{ d.x = y.x; }}', ["without end"]),
    "a rate that is not set": (f"{HEAD} {{ }}", ["does not set d.x", "rhs of"]),
    "a wrong derivative": (
        f"{HEAD} {{ d.x = -p.k * y.x; }}\n"
        + HEAD.replace("rhs(", "rhs_jvp(").replace(
            ", Rates", ", const Real dt, const State& dy, const Parameters& dp, const Inputs& du"
            ", Rates"
        )
        + " { d.x = -p.k * dy.x; }",
        ["rhs_jvp of", "the rate of 'x' by 'k' is -0 by it and -"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_the_message_names_the_users_line(tmp_path, case):
    text, expected = BAD[case]
    message = said(model(tmp_path, text))
    for words in expected:
        assert words in message
    assert "unit.cpp" not in message and "report" not in message


def test_every_engine_says_the_same(tmp_path):
    decay = model(tmp_path, BAD["a misspelt member"][0])
    assert said(decay, "native") == said(decay, "eager") == said(decay, "auto")


def test_an_edited_header_is_compiled_again(tmp_path):
    text = f"{HEAD}\n{{\n  d.x = -p.k * y.x;\n}}\n"
    decay = model(tmp_path, text.replace("p.k", "p.kk"))
    assert "kk" in said(decay)
    ends = []
    for factor in ("", "Real(0.5) * "):
        (tmp_path / "decay.h").write_text(text.replace("-p.k", f"-{factor}p.k"))
        os.utime(tmp_path / "decay.h", ns=(len(ends), len(ends)))
        ends.append(float(tw.simulate(decay, T, keep="final", engine="native")["x"]))
    assert ends[0] == pytest.approx(0.135335, abs=1e-5)
    assert ends[1] == pytest.approx(0.367879, abs=1e-5)


def test_an_edit_of_an_included_header_is_seen(tmp_path):
    (tmp_path / "law.h").write_text("TW_FN Real law(const Real x) { return -x; }\n")
    decay = model(tmp_path, f'#include "law.h"\n{HEAD} {{ d.x = law(y.x); }}\n')
    first = tw.simulate(decay, T, keep="final", engine="native")["x"]
    (tmp_path / "law.h").write_text("TW_FN Real law(const Real x) { return x + x; }\n")
    second = tw.simulate(decay, T, keep="final", engine="native")["x"]
    assert float(second) == pytest.approx(float(torch.exp(torch.tensor(2.0))), rel=1e-5)
    assert float(first) == pytest.approx(0.367879, abs=1e-5)


def test_a_twin_that_disagrees_is_named_with_both_values(tmp_path):
    def rhs(self, x, k):
        return {"x": -k * x * (1 + 1e-9)}

    text = f"{HEAD} {{ d.x = -p.k * y.x; }}"
    message = said(model(tmp_path, text, rhs=rhs))
    assert "disagree on the rate of 'x'" in message and "decay.h gives -" in message
    assert "the method in torch -" in message and "k=" in message


def test_rounding_of_another_order_is_no_disagreement(tmp_path):
    def rhs(self, x, k):
        return {"x": (1e8 + k) * x - 1e8 * x - 2 * k * x}

    text = (
        f"{HEAD} {{ d.x = (Real(1e8) * y.x + p.k * y.x) - Real(1e8) * y.x - (p.k + p.k) * y.x; }}"
    )
    assert tw.simulate(model(tmp_path, text, rhs=rhs), T, engine="native").ok.all()


def test_a_missing_header_is_an_error_when_the_class_is_made(tmp_path):
    with pytest.raises(KernelError, match=r"Decay.kernel = .*none.h' is not in .* package data"):
        type("Decay", (tw.KernelPhysics,), {"kernel": "none.h", "x": tw.State("1")})
    with pytest.raises(DeclarationError, match="kernel=''; expected the name of the header"):
        type("Decay", (tw.KernelPhysics,), {"x": tw.State("1")})
    (tmp_path / "a.h").write_text("")
    for name in ("union", "TW_N", "état"):
        with pytest.raises(DeclarationError, match="member of a struct"):
            type("A", (tw.KernelPhysics,), {"kernel": str(tmp_path / "a.h"), name: tw.State("1")})
    with pytest.raises(DeclarationError, match="expected the name of the header"):
        type("A", (tw.KernelPhysics,), {"kernel": tw.State("1")})


def test_what_needs_a_derivative_that_is_not_there_is_refused_by_name():
    k1 = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    for engine in ("auto", "eager", "native"):
        with pytest.raises(DerivativeError, match=r"A gradient is asked for of Tanks.*tanks.h"):
            tw.simulate(models.Tanks(), T, parameters={"k1": k1}, engine=engine)
        with pytest.raises(DerivativeError, match="method='rodas5p' needs the Jacobian of Tanks"):
            tw.simulate(models.Tanks(), T, method="rodas5p", engine=engine)
    rho = torch.tensor(20.0, dtype=torch.float64, requires_grad=True)
    with pytest.raises(DerivativeError, match="takes second derivatives"):
        tw.simulate(models.Lorenz(), T, parameters={"rho": rho}, method="rodas5p")


def test_a_model_goes_through_pickle():
    again = pickle.loads(pickle.dumps(models.TwinTanks().set_defaults(k1=0.06)))
    found = tw.simulate(again, T, engine="native")
    assert again.default("k1") == 0.06 and found.ok.all()
