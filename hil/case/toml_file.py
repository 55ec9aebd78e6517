"""Reads case.toml: TOML and schema faults become one CaseError that says, for each, the line, the key and the fix."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hil.case.schema import TABLES, CaseFile
from hil.errors import CaseError
from hil.problems import CaseProblemsError, KeyPath, Places, Problem, reason_of

EXAMPLES: Mapping[str, str] = {
    "case": 'a [case] table with name = "imu_motion", version = 1 and source = "where the data comes from"',
    "case.name": 'name = "imu_motion"',
    "case.version": "version = 1",
    "case.source": 'source = "where the data comes from"',
    "model": 'a [model] table with int8 = "model_int8.tflite"',
    "model.int8": 'int8 = "model_int8.tflite"',
    "input": 'an [input] table with prepare = "tensor/1", "scale/1" or "quantize/1"',
    "input.prepare": 'prepare = "tensor/1", "scale/1" or "quantize/1"',
    "decision.labels": 'labels = ["no", "yes"], one for each element of the model\'s output',
    "decision.threshold": "threshold = 0.60, the score below which the answer is unknown",
}


def read_toml(file: Path) -> tuple[CaseFile, Places, bytes]:
    """The checked tables of `file`, the place finder for later messages, and the file's bytes. Raises CaseError."""
    data = _bytes(file)
    text = _text(file, data)
    places = Places(text, TABLES)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = f"not valid TOML: {error}"
        raise CaseError(file, "", problem, "mend the line; texts stand in quotes, tables in [ ]") from None
    except ValueError as error:  # tomllib lets int()'s limit on digits through
        problem = f"a value cannot be read: {error}"
        raise CaseError(file, "", problem, "write numbers of at most 18 digits") from None
    except RecursionError:
        raise CaseError(file, "", "lists or tables are nested too deeply", "a case nests two lists at most") from None
    try:
        return CaseFile.model_validate(tables), places, data
    except ValidationError as error:
        raise CaseProblemsError(file, _problems(error.errors(include_url=False), places)) from None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        fix = "give the path of a case.toml, or of the folder that holds one"
        raise CaseError(file, "", f"cannot be read ({reason_of(error)})", fix) from None


def _text(file: Path, data: bytes) -> str:
    """Editors of some systems begin a file with a byte order mark, which is no part of the text."""
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CaseError(file, f"line {line}", "not UTF-8 text", "save the file as UTF-8") from None


def _problems(errors: list[ErrorDetails], places: Places) -> list[Problem]:
    """Unknown keys first; a missing key that one of them is a misspelling of is not said again."""
    unknown = [error for error in errors if error["type"] == "extra_forbidden"]
    meant = {(*path[:-1], _closest(path)) for error in unknown if (path := _path(error["loc"]))}
    others = [error for error in errors if error not in unknown]
    others = [error for error in others if error["type"] != "missing" or _path(error["loc"]) not in meant]
    return [_problem(error, places) for error in (*unknown, *others)]


def _closest(path: KeyPath) -> str | None:
    """The valid key of the same table that an unknown one was probably meant to be."""
    valid = _valid_keys([str(part) for part in path[:-1]])
    return next(iter(difflib.get_close_matches(str(path[-1]), valid, n=1, cutoff=0.6)), None)


def _problem(error: ErrorDetails, places: Places) -> Problem:
    """A pydantic error in the words of this format."""
    path = _path(error["loc"])
    where = places.name(path)
    if error["type"] == "extra_forbidden":
        return Problem(where, f"unknown key {path[-1]!r}", _unknown_key_fix(path))
    if error["type"] == "missing":
        kind = "table" if ".".join(map(str, path)) in TABLES else "key"
        return Problem(where, f"the {kind} is missing", f"add {EXAMPLES.get('.'.join(map(str, path)), path[-1])}")
    return Problem(where, f"{_show(error['input'])} does not do: {_wanted(error)}", _value_fix(path, error))


def _path(loc: KeyPath) -> KeyPath:
    """Without the tags that pydantic puts in for unions."""
    return tuple(part for part in loc if not (isinstance(part, str) and part.startswith("(")))


def _show(value: object) -> str:
    text = "a table" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown_key_fix(path: KeyPath) -> str:
    keys, key = [str(part) for part in path[:-1]], str(path[-1])
    if key.endswith("_ms") and keys[:3] == ["budget", "latency", "instructions"]:
        stage = ".".join(keys[3:])
        return (
            f"instructions are a count and have no duration: write {stage}.{key[:-3]} = <instructions> here, "
            f"or put {stage}.{key} under [budget.latency.cycles]"
        )
    if close := _closest(path):
        return f"did you mean {close!r}?"
    homes = [table for table in TABLES if key in _valid_keys(table.split("."))]
    if homes:
        return f"{key!r} belongs into [{homes[0]}]"
    return f"remove it; the keys here are {', '.join(_valid_keys(keys))}"


def _valid_keys(path: list[str]) -> list[str]:
    """The keys that the table at `path` may have, in the order of the documentation; none when it is no table."""
    model: type[BaseModel] | None = CaseFile
    parts = iter(path)
    for part in parts:
        if model is None:
            return []
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == part), None)
        model = _table_type(field.annotation) if field else None
        if field and get_origin(field.annotation) is dict:
            next(parts, None)  # a name that the user chose
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _table_type(annotation: Any) -> type[BaseModel] | None:
    choices = (annotation, *get_args(annotation))
    return next((each for each in choices if isinstance(each, type) and issubclass(each, BaseModel)), None)


_KINDS = {
    "int_type": "a whole number is wanted",
    "int_from_float": "a whole number is wanted",
    "float_type": "a number is wanted",
    "finite_number": "a finite number is wanted",
    "string_type": "a text is wanted",
    "tuple_type": "a list is wanted",
    "model_type": "a table is wanted",
    "model_attributes_type": "a table is wanted",
    "string_too_short": "it is empty",
    "string_pattern_mismatch": "letters, digits, _ and - are allowed, 63 at most",
}
_FIXES = {
    "int_type": "write a whole number without quotes or decimal point",
    "int_from_float": "write a whole number without decimal point",
    "float_type": "write a number without quotes",
    "finite_number": "write a finite number",
    "string_type": "write a text in quotes",
    "tuple_type": "write a list such as [1, 2, 3]",
    "string_too_short": "fill it in",
    "string_pattern_mismatch": 'write something like "imu_motion"',
}


def _wanted(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "greater_than":
            return f"it must be above {context['gt']:g}"
        case "greater_than_equal":
            return f"it must be {context['ge']:,} or more"
        case "less_than":
            return f"it must be below {context['lt']:g}"
        case "less_than_equal":
            return f"it must be {context['le']:,} or less"
        case "literal_error":
            return f"it must be {context['expected']}"
        case "too_short":
            return "the list is empty"
        case "too_long":
            return f"at most {context['max_length']} are allowed"
        case kind:
            return _KINDS.get(kind, error["msg"])


def _value_fix(path: KeyPath, error: ErrorDetails) -> str:
    key, value, kind = str(path[-1]), error["input"], error["type"]
    if key.endswith("_headroom") and kind in ("less_than", "greater_than_equal"):
        share = f"write {value / 100:.2f} for {value:g} %" if 1 < value < 100 else "write 0.10 for 10 %"
        return f"headroom is a share of the whole: {share}"
    if key == "confidence":
        return "it is a probability: write 0.95 for 95 %"
    if key.endswith("_ms"):
        return "write a duration in milliseconds above 0"
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        close = difflib.get_close_matches(str(value), words, n=1, cutoff=0.5)
        here = "write" if isinstance(path[-1], int) else f"write {key} ="  # an element of a list has no key
        return f'{here} "{close[0]}"' if close else f"write one of {error['ctx']['expected']}"
    if kind in ("model_type", "model_attributes_type"):
        keys = _valid_keys([str(part) for part in path])
        return f"write {key}.{keys[0]} = ..., or {key} = {{ {keys[0]} = ... }}; its keys are {', '.join(keys)}"
    if key in ("lsb", "ulp"):
        return "the budget is in steps of the output: 0 is what a bit-exact kernel keeps, and 254 all that an int8 has"
    return _FIXES.get(kind, f"write a value for {key} that {_wanted(error).removeprefix('it ')}")
