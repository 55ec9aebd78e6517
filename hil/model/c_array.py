"""Models that lie in C source, as arrays of bytes: found, read and told apart from other arrays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hil.errors import CaseError

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_INITIALISER = re.compile(r"=\s*\{([^{}]*)\}")
_NAME = re.compile(r"([A-Za-z_]\w*)\s*\[[^\]]*\]")
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)[uUlL]*$")


@dataclass(frozen=True)
class CArray:
    """An array of bytes in C source, by its name there."""

    name: str
    data: bytes


def is_c_source(data: bytes) -> bool:
    """Whether these bytes are text with an array in it, not a model."""
    start = data[:65536]
    if b"\0" in start or b"{" not in data:
        return False
    return b"0x" in start or b"[]" in start or b"#include" in start


def read_arrays(data: bytes, file: Path) -> list[CArray]:
    """All arrays of numbers 0 to 255 (or -128 to 127), in their order. Raises CaseError when the text has none."""
    text = _COMMENT.sub(" ", data.decode("utf-8-sig", "replace"))
    text = re.sub(r"^\s*#.*(?:\\\n.*)*$", "", text, flags=re.MULTILINE)  # lines of the preprocessor
    arrays = []
    for match in _INITIALISER.finditer(text):
        start = max(text.rfind(end, 0, match.start()) for end in ";{}") + 1  # of the declaration
        name, values = _NAME.search(text, start, match.start()), _values(match[1])
        if name is not None and values is not None:
            arrays.append(CArray(name[1], values))
    if not arrays:
        raise CaseError(file, "", "no array of bytes is in it", "name the C source that holds the model's bytes")
    return arrays


def _values(body: str) -> bytes | None:
    """The numbers between the braces; None when they are no bytes."""
    tokens = [token.strip() for token in body.split(",")]
    if tokens and not tokens[-1]:
        tokens.pop()
    if not tokens or not all(_NUMBER.match(token) for token in tokens):
        return None
    numbers = [_number(token) for token in tokens]
    if not all(-128 <= number <= 255 for number in numbers):
        return None
    return bytes(number & 0xFF for number in numbers)


def _number(token: str) -> int:
    digits = token.rstrip("uUlL")
    octal = re.fullmatch(r"([+-]?)0([0-7]+)", digits)
    return int(octal[1] + octal[2], 8) if octal else int(digits, 0)
