"""The emitted text of three models. Write the files anew by ``python -m tests.lowering.golden``."""

from __future__ import annotations

from pathlib import Path

from tests.lowering.models import Hybrid
from twinml.library import CascadedTanks, Lorenz
from twinml.lowering import lower, print_function

FOLDER = Path(__file__).parent / "golden"
MODELS = {"cascaded_tanks": CascadedTanks, "lorenz": Lorenz, "hybrid": Hybrid}


def text(name: str) -> str:
    """All functions of a model, in the order of its programs."""
    programs = lower(MODELS[name]()).programs
    return "\n".join(print_function(program, key) for key, program in programs.items())


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for model in MODELS:
        (FOLDER / f"{model}.h").write_text(text(model))
