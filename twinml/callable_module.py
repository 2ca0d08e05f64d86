"""A subpackage that is also the verb of the same name.

``twinml.export`` is a package, and ``tw.export(...)`` is a verb of the public contract. Python
binds a subpackage to its parent's attribute of that name the first time anything below it is
imported, so a function put there by ``twinml/__init__.py`` would work or not depending on import
order. Here the module itself becomes callable and forwards to its own function: both readings
hold in any order. Use, as the last lines of the package's ``__init__.py``::

    from twinml.callable_module import make_callable

    make_callable(__name__, "export")
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module whose call forwards to the function named by ``__verb__``."""

    __verb__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__verb__)(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """The verb's signature, for ``help`` and ``inspect.signature``."""
        return inspect.signature(getattr(self, self.__verb__))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, so that a verb can be sent to a worker like any function."""
        return importlib.import_module, (self.__name__,)


def make_callable(module_name: str, verb: str) -> None:
    """Let the imported module ``module_name`` be called as its own function ``verb``."""
    module = sys.modules[module_name]
    module.__class__ = CallableModule
    module.__verb__ = verb  # pyright: ignore[reportAttributeAccessIssue]
