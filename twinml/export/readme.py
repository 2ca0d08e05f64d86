"""``README.md`` of an artifact: what goes in, what comes out, and how to call it."""

from __future__ import annotations

from twinml.export.description import MEANING, OUTPUTS, Description

_PYTHON = """\
import torch

model = torch.jit.load("model.pt")                     # torch only; it marks torch.jit deprecated
x = torch.tensor([[{middle}]], dtype=torch.{dtype})    # one row per sample, columns as above
with torch.inference_mode():
    mean, lower, upper, in_domain, std = model(x)
print(mean[0].tolist(), lower[0].tolist(), upper[0].tolist(), bool(in_domain[0, 0]))
"""

_CPP = """\
#include <torch/script.h>
#include <iostream>

int main() {{
  torch::jit::Module model = torch::jit::load("model.pt");
  c10::InferenceMode guard;
  torch::Tensor x = torch::tensor({{{middle}}}, torch::{cpp}).reshape({{1, {k}}});
  auto outputs = model.forward({{x}}).toTuple();
  std::cout << "mean\\n" << outputs->elements()[0].toTensor() << "\\n";
}}
"""


def make_readme(description: Description) -> str:
    """The text of ``README.md``; it depends on the surrogate only."""
    middle = ", ".join(
        _number((low + high) / 2)
        for low, high in (description.guard[n] for n in description.inputs)
    )
    inputs = "\n".join(
        f"| {column} | `{name}` | {description.input_units[name]} "
        f"| {_number(description.guard[name][0])} to {_number(description.guard[name][1])} |"
        for column, name in enumerate(description.inputs)
    )
    targets = "\n".join(
        f"| {column} | `{name}` | {description.target_units[name]} |"
        for column, name in enumerate(description.targets)
    )
    m = len(description.targets)
    outputs = "\n".join(
        f"| {position} | `{output}` | (B, {1 if output == 'in_domain' else m}) "
        f"{description.output_dtypes[output]} | {MEANING[output]} |"
        for position, output in enumerate(OUTPUTS)
    )
    seeds = ", ".join(f"{name} {seed}" for name, seed in description.seeds.items()) or "none"
    versions = ", ".join(f"{name} {version}" for name, version in description.versions.items())
    return f"""# Surrogate of {", ".join(description.targets)}

Kind: {description.kind}. Intervals hold {description.level:.0%} of outcomes. Seeds: {seeds}.
Written by {versions}.

`twinml verify .` checks that no bit has changed and that this machine computes the stored answers.
`model.pt` alone is enough to run and to verify: names, units and golden rows are inside it.

## What goes in

One tensor `(B, {len(description.inputs)})` of type {description.dtype}, physical values in this
order. Nothing needs scaling. Outside the training range `in_domain` warns.

| column | name | unit | training range |
|---|---|---|---|
{inputs}

## What comes out

| position | name | shape and type | meaning |
|---|---|---|---|
{outputs}

Columns of `mean`, `lower`, `upper` and `std`:

| column | name | unit |
|---|---|---|
{targets}

Use a row only where `in_domain` is true. `lower` to `upper` is meant to hold a new outcome with
probability {description.level:g}.

## Python, with torch only

```python
{_PYTHON.format(middle=middle, dtype=description.dtype)}```

## C++, with LibTorch

```cpp
{_CPP.format(middle=middle, k=len(description.inputs), cpp=_CPP_TYPES[description.dtype])}```

## Triton

`config.pbtxt` describes the model. Place the two files as `MODELS/NAME/config.pbtxt` and
`MODELS/NAME/1/model.pt`, where NAME is of your choosing.
"""


_CPP_TYPES = {"float32": "kFloat32", "float64": "kFloat64"}


def _number(value: float) -> str:
    """Six digits, always with a point or an exponent: C++ would read ``12`` as an integer."""
    text = f"{value:.6g}"
    return text if "." in text or "e" in text else f"{text}.0"
