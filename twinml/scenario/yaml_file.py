"""The one way a YAML file is read: numbers are numbers, a key stands once.

YAML 1.1 takes ``1e-6`` for text because it has no dot; here it is a number, as in the
command line's own reader. A key given twice is an error with its line, not a silent loss.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from twinml.errors import ConfigError

_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read one YAML file that holds a mapping.

    Raises:
        ConfigError: No such file, not YAML, a key twice (with its line), or not a mapping.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(f"There is no file at {path}; expected a YAML file.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}, line {line}: the file is not UTF-8 text ({error.reason}). Save it as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, origin: str) -> dict[str, Any]:
    """Read YAML text; ``origin`` names it in messages.

    Raises:
        ConfigError: As ``load_yaml``.
    """
    import yaml

    try:
        data = yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}{_worded(error, text)}") from None
    except RecursionError:
        raise ConfigError(f"{origin}: nested too deeply to be read.") from None
    if not isinstance(data, dict):
        kinds = {type(None): "nothing", list: "a list", str: "a single word or text"}
        kind = kinds.get(type(data), repr(data))
        raise ConfigError(f"{origin} holds {kind}; expected keys and values, 'key: value'.")
    return data


def _worded(error: Any, text: str) -> str:
    """Place, problem and remedy of what the parser refused, in one sentence or two."""
    mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    place = f", line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if "stands twice" in problem:
        return f"{place}: {problem}."
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{place}: the line holds a tab, and YAML indents by spaces. Replace it by spaces."
    since = ""
    if begun and mark and begun.line != mark.line:
        since = f" in what begins in line {begun.line + 1}"
    remedy = "Check brackets, quotes and indentation there."
    if "${" in line:
        remedy = "Put a value that holds ${...} in quotes."
    return f"{place}: this is not valid YAML: {problem}{since}. {remedy}"


@lru_cache(maxsize=1)
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader with YAML 1.2's floats and without repeated keys."""

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = loader.construct_object(key_node, deep=True)
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key, str | int | float):
                continue
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice; keep one", key_node.start_mark
                )
            seen.add(key)
        loader.flatten_mapping(node)
        return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))

    Loader.yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:float"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return Loader
