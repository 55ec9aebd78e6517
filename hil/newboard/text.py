"""Writes what is known of a board as a board file, each key with its meaning and where its value comes from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit

from hil.board.config import BoardConfig, read_board
from hil.board.pool import each
from hil.errors import UsageError
from hil.newboard.types import Found
from hil.problems import reason_of
from hil.project.schemas import file_name, schema_files

_COMMENT_AT = 40  # column
_ADDRESSES = ("ram",)
_GUESS = "a guess: take the line out when the firmware reads bundles"


def write_board(folder: Path, name: str, found: Found, source: Path | None = None) -> BoardConfig:
    """Write `folder/NAME.toml` and read it back. source: the file that `found` was read from.

    Raises UsageError when a file of that name is there, or what was found makes no board file.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"{name!r} is no name of a board\n  fix: use letters, digits, - and _")
    file = folder / f"{name}.toml"
    text = board_text(found, folder, source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(
            f"{file}: is there already, and is left alone\n  fix: choose another name, or delete it"
        ) from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({reason_of(error)})\n  fix: name another folder") from error
    try:
        config = read_board(file)
        each(config)
    except UsageError:
        file.unlink()
        raise
    return config


def board_text(found: Found, folder: Path, source: Path | None = None) -> str:
    """The content. folder: where it will lie, from which its paths are seen."""
    texts = _texts(found.kind)
    meaning = "any name: nothing is built for it here" if found.own else "CMake preset of the firmware"
    lines = [
        f"description = {_value(found.description)}",
        f"kind = {_value(found.kind)}",
        _line("target", found.target, meaning, found.origins),
    ]
    if found.own:
        lines += ["", "[firmware]", _image_line(found, folder, source)]
        lines.append(_line("bundle", "none", f"its model is compiled in; {_GUESS}", {}))
    lines += ["", f"[{found.kind}]", *_table(found.settings, texts, found.origins)]
    for number, row in enumerate(found.pool):
        lines += ["", "[[pool]]" + (" " * 10 + "# a device that a worker of `pytest -n` takes" if not number else "")]
        lines += _table(row, texts, found.origins if not number else {})
    return "\n".join([*lines, ""])


def _image_line(found: Found, folder: Path, source: Path | None) -> str:
    if not found.image:
        text = "name its ELF, as seen from this file" + ("" if found.kind == "serial" else ": this kind writes it")
        return _line("# image", "firmware.elf", text, {})
    seen = os.path.relpath((source.parent if source else Path.cwd()) / found.image, folder)
    return _line("image", Path(seen).as_posix(), "its ELF, as seen from this file", found.origins)


def _table(settings: Mapping[str, Any], texts: Mapping[str, str], origins: Mapping[str, str]) -> Iterator[str]:
    for key, value in settings.items():
        yield _line(key, value, texts.get(key, ""), origins)


def _line(key: str, value: Any, text: str, origins: Mapping[str, str]) -> str:
    said = f"{key} = {_value(value, key in _ADDRESSES)}"
    comment = "; ".join(_present((text, f"from {origins[key]}" if key in origins else "")))
    return f"{said:<{_COMMENT_AT}}  # {comment}" if comment else said


def _present(words: Iterable[str]) -> list[str]:
    return [word for word in words if word]


def _value(value: Any, address: bool = False) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(each, address) for each in value)}]"
    if address and isinstance(value, int):
        return f"{value:#010x}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    return str(tomlkit.item(value).as_string())


def _texts(kind: str) -> dict[str, str]:
    """What each key of the kind's table means, in the words of the schema that editors show."""
    schema = json.loads(schema_files()[file_name("board")])
    keys: dict[str, Any] = schema["$defs"][f"kind_{kind}"]["properties"]
    return {key: str(value.get("description", "")) for key, value in keys.items()}
