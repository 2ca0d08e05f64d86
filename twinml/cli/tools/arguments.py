"""Ordinary arguments of the tools, refused in the program's own words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from twinml.errors import ArgumentError


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are ``ArgumentError`` instead of an exit."""

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{self.prog}: {message}. Usage: {self.format_usage().strip()[7:]}")


def parse(parser: Parser, words: Sequence[str]) -> Any:
    """The parsed words, or None when only help was asked for."""
    if any(word in ("-h", "--help") for word in words):
        print(parser.format_help().strip())
        return None
    return parser.parse_args(list(words))
