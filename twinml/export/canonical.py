"""Rewrite a TorchScript archive so that equal models have equal bytes.

``torch.jit.save`` writes what depends on the process and not on the model: constants in the order
of a Python set (it changes with the hash seed of each process), names of types and variables
numbered by what the process scripted before, source locations of the machine that scripted it, and
an archive id from an unordered set (pytorch/pytorch#184219). Here types are numbered anew in the
order in which the model refers to them, variables in the order of assignment, constants are sorted,
and the last two are left out: they serve messages and telemetry only. Operations and weights are
untouched; the parity check that follows every export runs on the rewritten file. Text of a form not
known here is kept as it is.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Mapping

from twinml.export.variables import renumber

_NAME = re.compile(r"__torch__(?:\.[A-Za-z_]\w*)+")
_MANGLE = re.compile(r"___torch_mangle_\d+\.")
_BLOCK = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)
_CONSTANTS = re.compile(r"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)
_ALIGNMENT = 64  # of tensor data, as torch writes it
_TIME = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = (".debug_pkl", "/.data/serialization_id")


def rewrite(archive: bytes, extra_files: Mapping[str, bytes]) -> bytes:
    """The same program and weights, with process-dependent text removed.

    Args:
        archive: What ``torch.jit.save`` wrote to a buffer.
        extra_files: Contents by name, readable as ``_extra_files`` of ``torch.jit.load``.

    Returns:
        A zip file, uncompressed, without a comment, entries in a fixed order.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        records = {n: source.read(n) for n in source.namelist() if not n.endswith(_LEFT_OUT)}
    root = next(iter(records)).partition("/")[0]
    records = _rename_types(records, f"{root}/code/")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for name, data in records.items():
            _append(target, buffer.tell(), name, data)
        for name in sorted(extra_files):
            _append(target, buffer.tell(), f"{root}/extra/{name}", extra_files[name])
    return buffer.getvalue()


def _append(target: zipfile.ZipFile, offset: int, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 0
    header = offset + 30 + len(name.encode()) + 4
    padding = -header % _ALIGNMENT
    entry.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    target.writestr(entry, data)


def _rename_types(records: dict[str, bytes], code: str) -> dict[str, bytes]:
    blocks = _split_code(records, code)
    if blocks is None:
        return records
    names = _canonical_names(_reference_order(records, blocks))
    rename = _renamer(names)
    texts: dict[str, list[str]] = {}
    for old, new in sorted(names.items(), key=lambda pair: pair[1]):
        text = renumber(_CONSTANTS.sub(_sort_lines, rename(blocks[old])))
        file = code + new.rpartition(".")[0].replace(".", "/") + ".py"
        texts.setdefault(file, []).append(text)
    kept = {n: d for n, d in records.items() if not n.startswith(code)}
    kept = {n: _rename_in_pickle(d, rename) if n.endswith(".pkl") else d for n, d in kept.items()}
    return kept | {file: "".join(texts[file]).encode() for file in sorted(texts)}


def _split_code(records: Mapping[str, bytes], code: str) -> dict[str, str] | None:
    """Text of each class and function by qualified name; None if a file has another form."""
    blocks: dict[str, str] = {}
    for file, data in records.items():
        if not file.startswith(code):
            continue
        text = data.decode()
        starts = [match.start() for match in _BLOCK.finditer(text)]
        if not file.endswith(".py") or not starts or text[: starts[0]].strip():
            return None
        prefix = file[len(code) : -len(".py")].replace("/", ".")
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            found = _BLOCK.match(text, start)
            assert found is not None
            blocks[f"{prefix}.{found[1]}"] = text[start:end].rstrip("\n") + "\n"
    return blocks


def _reference_order(records: Mapping[str, bytes], blocks: Mapping[str, str]) -> list[str]:
    """Qualified names in the order in which the pickled model, then the code, refer to them."""
    order: list[str] = []

    def visit(text: str) -> str:
        for match in _NAME.finditer(text):
            name = _known_prefix(match[0], blocks)
            if name is not None and name not in order:
                order.append(name)
                visit(blocks[name])
        return text

    for name in sorted(records):
        if name.endswith(".pkl"):
            _rename_in_pickle(records[name], visit)
    return order + sorted(set(blocks) - set(order))


def _canonical_names(order: list[str]) -> dict[str, str]:
    """``a.b.C``, then ``a.b.___torch_mangle_1.C`` for the second type of that name, and so on."""
    count: dict[str, int] = {}
    names: dict[str, str] = {}
    for old in order:
        base = _MANGLE.sub("", old)
        number = count.setdefault(base, 0)
        count[base] += 1
        prefix, _, name = base.rpartition(".")
        names[old] = f"{prefix}.___torch_mangle_{number}.{name}" if number else base
    return names


def _renamer(names: Mapping[str, str]) -> Callable[[str], str]:
    def replace(match: re.Match[str]) -> str:
        old = _known_prefix(match[0], names)
        return match[0] if old is None else names[old] + match[0][len(old) :]

    return lambda text: _NAME.sub(replace, text)


def _known_prefix(dotted: str, known: Mapping[str, str]) -> str | None:
    while dotted and dotted not in known:
        dotted = dotted.rpartition(".")[0]
    return dotted or None


def _sort_lines(match: re.Match[str]) -> str:
    return "".join(sorted(match[0].splitlines(keepends=True)))


def _rename_in_pickle(data: bytes, rename: Callable[[str], str]) -> bytes:
    """Apply ``rename`` to every type name and text of a pickle, read as opcodes and never run."""
    operations = list(pickletools.genops(data))
    ends = [position for _, _, position in operations[1:]] + [len(data)]
    parts: list[bytes] = []
    for (opcode, argument, position), end in zip(operations, ends, strict=True):
        part = data[position:end]
        if opcode.name == "GLOBAL":
            module, _, name = rename(str(argument).replace(" ", ".")).rpartition(".")
            part = f"c{module}\n{name}\n".encode()
        elif opcode.name == "BINUNICODE":
            text = rename(str(argument)).encode()
            part = b"X" + struct.pack("<I", len(text)) + text
        parts.append(part)
    return b"".join(parts)
