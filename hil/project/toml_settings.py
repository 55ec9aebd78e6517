"""Reads a TOML file of the project into its model; every fault names file, line, key and fix."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from hil.errors import CaseError
from hil.problems import KeyPath, Problem, raise_any, reason_of
from hil.validation import fields_at

Settings = TypeVar("Settings", bound=BaseModel)
Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Table(BaseModel):
    """A TOML table: unknown keys are refused, values are not converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def read_settings(file: Path, model: type[Settings], examples: Mapping[str, str], page: str) -> tuple[Settings, bytes]:
    """`file` as `model`, and its bytes. examples: a key to the line that one might write; page: what documents it.

    Raises CaseError, which is a UsageError.
    """
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        fix = f"write it as {page} shows, or name another file"
        raise CaseError(file, "", f"cannot be read ({reason_of(error)})", fix) from None
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseError(file, "", f"not valid TOML: {error}", f"mend the line; {page} has an example") from None
    try:
        return model.model_validate(tables), data
    except ValidationError as error:
        listed = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
        raise_any(file, [_problem(each, text, model, examples, page) for each in listed])
        raise AssertionError("a validation error has at least one entry") from error


def place(text: str, path: KeyPath) -> str:
    """`line 7, [[marginal]] check` of a key path such as ("marginal", 0, "check")."""
    lines = _line_numbers(text)
    parents = [path[:length] for length in range(len(path), 0, -1)]
    line = next((lines[parent] for parent in (*parents, (path[0], 0)) if parent in lines), None)
    many = len(path) > 1 and isinstance(path[1], int)
    name = " ".join((f"[[{path[0]}]]", *map(str, path[2:]))) if many else ".".join(map(str, path))
    return f"line {line}, {name}" if line else name


def _problem(error: ErrorDetails, text: str, model: type[BaseModel], examples: Mapping[str, str], page: str) -> Problem:
    path, where = error["loc"], place(text, error["loc"])
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
    if error["type"] == "extra_forbidden":
        known = fields_at(model, tuple(part for part in path[:-1] if isinstance(part, str)))
        close = difflib.get_close_matches(key, known, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"remove it; the keys here are {', '.join(known)}"
        return Problem(where, f"unknown key {key!r}", fix)
    if error["type"] == "missing":
        return Problem(where, f"the key {key} is missing", f"add {examples.get(key, f'{key} = ...')}")
    fix = f"write {examples[key]}" if key in examples else f"write it as in the example of {page}"
    return Problem(where, f"{error['input']!r} does not do: {error['msg'].lower()}", fix)


_HEADER = re.compile(r"\s*(\[\[?)\s*([\w\-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([\w\-]+)\s*=")


def _line_numbers(text: str) -> dict[KeyPath, int]:
    """Line of each header and key: what people write in such a file; a key written otherwise has none."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            brackets, name = header.groups()
            table = (name,) if brackets == "[" else (name, seen.get(name, 0))
            seen[name] = seen.get(name, 0) + 1
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key[1]), number)
    return found
