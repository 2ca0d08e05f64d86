"""``export``: from a fitted surrogate to a verified artifact on disk."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch

from twinml.errors import ArgumentError, ExportError
from twinml.export.artifact import DESCRIPTION_FILE, GOLDEN_FILE, Artifact
from twinml.export.description import OUTPUTS, Description, versions
from twinml.export.folder import check_place, put_in_place
from twinml.export.golden import make_golden
from twinml.export.manifest import FILE, make_manifest
from twinml.export.readme import make_readme
from twinml.export.targets import find_target
from twinml.export.triton import make_config
from twinml.export.verification import check_parity
from twinml.surrogate.surrogate import Surrogate

_NEEDED = (
    "module",
    "predict",
    "inputs",
    "targets",
    "input_units",
    "target_units",
    "level",
    "kind",
    "seed",
)
_DTYPES = (torch.float32, torch.float64)


def export(
    surrogate: Surrogate, path: str | Path, target: str = "torchscript", overwrite: bool = False
) -> Artifact:
    """Write a surrogate as an artifact that needs only torch.

    The folder appears at ``path`` whole and verified, or not at all. The same surrogate gives the
    same bytes in every file.

    Args:
        surrogate: Fitted; its ``module()`` maps x (B, k) to mean, lower, upper (B, m), in_domain
            (B, 1) bool and std (B, m), and has buffers ``x_low``, ``x_high`` and ``x_center``: the
            lowest, highest and mean inputs of its training.
        path: Folder to make.
        target: Format; see ``TARGETS``.
        overwrite: Replace an artifact that is already there, and nothing else.

    Returns:
        The artifact.

    Raises:
        ArgumentError: ``surrogate``, ``target`` or ``path`` cannot be used.
        ExportError: The module cannot be expressed in the format, or the disk refused.
        ParityError: The written model computes other numbers than ``surrogate.predict``.
    """
    chosen = find_target(target)
    folder = Path(path)
    check_place(folder, overwrite)
    _check_surrogate(surrogate)
    module = copy.deepcopy(surrogate.module()).cpu().eval()
    description = _describe(surrogate, module)
    golden = make_golden(surrogate, description, _values(module.get_buffer("x_center")))
    model = chosen.pack(
        module, {DESCRIPTION_FILE: description.to_json(), GOLDEN_FILE: golden.to_json()}
    )
    files = {
        chosen.file: model,
        "config.pbtxt": make_config(description).encode(),
        "README.md": make_readme(description).encode(),
    }
    manifest = make_manifest(chosen.name, chosen.file, files)
    artifact = Artifact(folder, chosen.name, description, golden, manifest.all_files(), model)
    check_parity(artifact)
    put_in_place(folder, {**files, FILE: manifest.to_json()})
    return artifact


def _check_surrogate(surrogate: Surrogate) -> None:
    missing = [name for name in _NEEDED if not hasattr(surrogate, name)]
    if missing:
        raise ArgumentError(
            f"export got a {type(surrogate).__name__} without {', '.join(missing)}; expected a "
            "fitted surrogate, as twinml.fit returns it."
        )


def _training_box(module: torch.nn.Module, k: int) -> np.ndarray:
    """Lowest and highest value of each input in training, shape (k, 2)."""
    buffers = dict(module.named_buffers(recurse=False))
    missing = [name for name in ("x_low", "x_high", "x_center") if name not in buffers]
    if missing:
        raise ArgumentError(
            f"{type(module).__name__} has no buffer {', '.join(missing)}; expected the lowest, "
            "highest and mean inputs of its training, from which the artifact's range is told."
        )
    shapes = {name: tuple(buffers[name].shape) for name in ("x_low", "x_high", "x_center")}
    box = np.stack([_values(buffers["x_low"]), _values(buffers["x_high"])], axis=-1)
    if (
        set(shapes.values()) != {(k,)}
        or not np.isfinite(box).all()
        or (box[:, 0] > box[:, 1]).any()
    ):
        raise ArgumentError(
            f"{type(module).__name__} tells its training range by {shapes}; expected ({k},) each, "
            "finite, x_low no larger than x_high. Fit the surrogate again."
        )
    return box


def _values(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to(torch.float64).numpy()


def _describe(surrogate: Surrogate, module: torch.nn.Module) -> Description:
    inputs, targets = tuple(surrogate.inputs), tuple(surrogate.targets)
    box = _training_box(module, len(inputs))
    dtype = _input_dtype(module)
    return Description(
        inputs=inputs,
        targets=targets,
        input_units={name: str(surrogate.input_units[name]) for name in inputs},
        target_units={name: str(surrogate.target_units[name]) for name in targets},
        level=float(surrogate.level),
        guard={
            name: (float(low), float(high)) for name, (low, high) in zip(inputs, box, strict=True)
        },
        kind=str(surrogate.kind),
        seeds={} if surrogate.seed is None else {"fit": int(surrogate.seed)},
        dtype=_name(dtype),
        output_dtypes=_output_dtypes(module, torch.from_numpy(box.mean(axis=1)).to(dtype), targets),
        versions=versions(),
    )


def _input_dtype(module: torch.nn.Module) -> torch.dtype:
    """The type in which the module takes rows: what it says, else that of its training range."""
    said = getattr(module, "dtype", None)
    dtype = said if isinstance(said, torch.dtype) else module.get_buffer("x_low").dtype
    if dtype not in _DTYPES:
        raise ArgumentError(
            f"The surrogate computes in {dtype}; expected torch.float32 or torch.float64, which "
            "every target supports."
        )
    return dtype


def _output_dtypes(
    module: torch.nn.Module, middle: torch.Tensor, targets: tuple[str, ...]
) -> dict[str, str]:
    """Types of the five outputs, from one call with three equal rows; ExportError if not five."""
    try:
        with torch.no_grad():
            values = module(middle.repeat(3, 1))
    except RuntimeError as error:
        raise ExportError(
            f"{type(module).__name__}.forward fails for x of shape (3, {len(middle)}) and type "
            f"{_name(middle.dtype)}: {error}"
        ) from error
    m = len(targets)
    found = (
        [tuple(value.shape) for value in values if isinstance(value, torch.Tensor)]
        if isinstance(values, tuple)
        else type(values).__name__
    )
    expected = [(3, 1 if output == "in_domain" else m) for output in OUTPUTS]
    if found != expected:
        raise ExportError(
            f"{type(module).__name__}.forward returns {found} for 3 rows; expected a tuple "
            f"{', '.join(OUTPUTS)} with shapes {expected}."
        )
    dtypes = dict(zip(OUTPUTS, (value.dtype for value in values), strict=True))
    wrong = [
        f"{output} of {_name(dtype)}"
        for output, dtype in dtypes.items()
        if dtype not in ((torch.bool,) if output == "in_domain" else _DTYPES)
    ]
    if wrong:
        raise ExportError(
            f"{type(module).__name__}.forward returns {', '.join(wrong)}; expected bool for "
            "in_domain and float32 or float64 for the others."
        )
    return {output: _name(dtype) for output, dtype in dtypes.items()}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
