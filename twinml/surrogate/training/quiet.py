"""Lightning without its notes, folders and warnings."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from twinml.errors import MissingDependencyError

_LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities")


def import_lightning() -> Any:
    """The lightning package.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside other packages
            import lightning
            import lightning.pytorch.plugins.environments
    except ImportError as error:
        raise MissingDependencyError(
            f"The 'mlp' surrogate needs lightning, which cannot be imported ({error}). "
            'Install it: pip install "twinml[train]"'
        ) from error
    return lightning


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings and no log lines below errors from lightning; all globals as before afterwards.

    Its advice (more loader workers, a GPU that is not used, loggers to install) does not apply to
    a small network on tensors in memory.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    environment = dict(os.environ)
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
