"""Names of local variables in the text of a TorchScript class or function.

torch makes names unique with a number that goes on counting over everything it prints into one
file, so they depend on what else was scripted. Here each local variable of a method gets its base
name and its place in the order of assignment: ``_6 = torch.ge(x, low)`` becomes ``__0 = ...``.
"""

from __future__ import annotations

import re

_FUNCTION = re.compile(r"^ *def \w+\(", re.MULTILINE)
_SIGNATURE_END = re.compile(r":\n")
_ASSIGNED = re.compile(r"^ +((?:\w+, )*\w+),?(?: : [^=\n]+)? = |^ +for (\w+) in ", re.MULTILINE)
_WORD = re.compile(r"\w+")
# A string, kept, or an identifier that is neither an attribute nor the name of an argument.
_TOKEN = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<![\w.])([A-Za-z_]\w*)(?!=|\w)""")


def renumber(block: str) -> str:
    """The same class or function with local variables numbered anew in each method."""
    starts = [match.start() for match in _FUNCTION.finditer(block)]
    if not starts:
        return block
    ends = [*starts[1:], len(block)]
    return block[: starts[0]] + "".join(
        _renumber_function(block[start:end]) for start, end in zip(starts, ends, strict=True)
    )


def _renumber_function(text: str) -> str:
    end = _SIGNATURE_END.search(text)
    if end is None:
        return text
    signature, body = text[: end.end()], text[end.end() :]
    taken = set(_WORD.findall(signature))
    names: dict[str, str] = {}
    for match in _ASSIGNED.finditer(body):
        for old in _WORD.findall(match[1] or match[2]):
            if old not in taken and old not in names:
                names[old] = f"{old.rstrip('0123456789')}_{len(names)}"
    if taken & set(names.values()):
        return text

    def replace(match: re.Match[str]) -> str:
        return match[0] if match[1] else names.get(match[2], match[0])

    return signature + _TOKEN.sub(replace, body)
