"""``config.pbtxt``: what the Triton inference server must know of the model file.

TorchScript files carry no tensor names, so Triton's PyTorch backend reads position from names of
the form NAME__INDEX. Source: Triton documentation, PyTorch (LibTorch) backend, naming convention.
"""

from __future__ import annotations

from twinml.export.description import OUTPUTS, Description

_TYPES = {"float32": "TYPE_FP32", "float64": "TYPE_FP64", "bool": "TYPE_BOOL"}
MAX_BATCH = 4096


def make_config(description: Description) -> str:
    """The text of ``config.pbtxt``; the model's name is left to the folder it stands in."""
    k, m = len(description.inputs), len(description.targets)
    outputs = [
        _tensor(
            f"OUTPUT__{index}",
            description.output_dtypes[output],
            1 if output == "in_domain" else m,
            output if output == "in_domain" else f"{output} of {', '.join(description.targets)}",
        )
        for index, output in enumerate(OUTPUTS)
    ]
    return "\n".join(
        [
            "# Written by twinml export. Place the files of this folder as",
            "#   MODELS/NAME/config.pbtxt and MODELS/NAME/1/model.pt",
            'backend: "pytorch"',
            'platform: "pytorch_libtorch"',
            f"max_batch_size: {MAX_BATCH}",
            "input [",
            _tensor("INPUT__0", description.dtype, k, ", ".join(description.inputs)),
            "]",
            "output [",
            ",\n".join(outputs),
            "]",
            "dynamic_batching { }",
            "",
        ]
    )


def _tensor(name: str, dtype: str, size: int, comment: str) -> str:
    return f'  # {comment}\n  {{ name: "{name}", data_type: {_TYPES[dtype]}, dims: [ {size} ] }}'
