"""What makes two sweeps the same: digests of model, inputs and arithmetic."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinml.physics import Physics
    from twinml.sweep.task import Task


def identity(task: Task) -> dict[str, Any]:
    """Everything that fixes the bits of a sample, by name.

    ``samples`` is among it only where sample i depends on the total.
    """
    from twinml.engines.arithmetic import arithmetic

    nested = task.scenario.rule.nested
    return {
        "scenario": task.scenario.digest,
        "model source": _source_digest(task.model),
        "parameter values": _value_digest(task.model),
        "inputs": _digest([(name, _plain(value)) for name, value in sorted(task.inputs.items())]),
        "calibration": None if task.posterior is None else task.posterior.digest,
        "seed": task.seed,
        "design": task.scenario.design,
        **task.settings.to_mapping(),
        "block_size": task.block,
        **({} if nested else {"samples": task.samples}),
        **({"noise": "philox4x32-10/1"} if task.model.has_noise else {}),
        **arithmetic(task.settings.engine),
        "kernel": task.kernel,
        "twinml": sys.modules["twinml"].__version__,
    }


def _source_digest(model: Physics) -> str:
    """Digest of the source files of the model's own classes, learned members included.

    Whole files, because a right-hand side may call functions beside it.
    """
    classes = {base for module in model.modules() for base in type(module).__mro__}
    from twinml.physics.kernel_physics import KernelPhysics, kernel_source

    texts = {}
    for kind in classes:
        if kind.__module__.partition(".")[0] in ("builtins", "torch"):
            continue
        if kind.__module__.startswith("twinml.") and not kind.__module__.startswith(
            "twinml.library"
        ):
            continue
        name = f"{kind.__module__}.{kind.__qualname__}"
        try:
            file = inspect.getsourcefile(kind)
            texts[name] = Path(file).read_text() if file else inspect.getsource(kind)
        except (OSError, TypeError):  # typed into a prompt: the compiled methods are what is left
            texts[name] = repr(
                [
                    (key, value.__code__.co_code, value.__code__.co_consts)
                    for key, value in sorted(vars(kind).items())
                    if inspect.isfunction(value)
                ]
            )
    for module in model.modules():
        if isinstance(module, KernelPhysics):
            texts[f"{type(module).__qualname__}.kernel"] = kernel_source(module).text
    return _digest(sorted(texts.items()))


def _value_digest(model: Physics) -> str:
    """Digest of defaults, weights, buffers and plain attributes of the instance."""
    content: list[Any] = [repr(model)]
    for name in model.declared.parameters:
        content.append((name, model.default(name)))
    content.extend((name, _plain(tensor)) for name, tensor in model.state_dict().items())
    for path, module in model.named_modules():
        for name, value in sorted(vars(module).items()):
            if not name.startswith("_") and isinstance(value, int | float | str | bool):
                content.append((f"{path}.{name}", value))
    return _digest(content)


def _plain(value: Any) -> Any:
    """Tensors and signals as text that equal values share."""
    import torch

    if isinstance(value, torch.Tensor):
        array = value.detach().cpu().contiguous().numpy()
        data = hashlib.sha256(array.tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), data]
    if hasattr(value, "times") and hasattr(value, "values"):
        return [_plain(value.times), _plain(value.values), value.kind]
    return repr(value)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()
