"""`hil model`: says what a model is made of, takes one out of C source, writes a copy without what can be cured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hil.errors import CaseError, UsageError

EXIT_REFUSED = 1


def add_model_command(commands: Any) -> None:
    """Add `model` to the subparsers of `hil`."""
    parser = commands.add_parser("model", help="inspect a .tflite, take one out of C source, fix one")
    actions = parser.add_subparsers(required=True, metavar="action")
    look = actions.add_parser("inspect", help="operators, tensors, costs, and what the firmware's engine says of it")
    look.add_argument("file", type=Path, metavar="FILE", help="a .tflite; no case is needed")
    look.add_argument("--json", action="store_true", help="the same facts for programs")
    look.set_defaults(run=_inspect)
    unpack = actions.add_parser("unpack", help="write the model that lies in a C array as a .tflite")
    unpack.add_argument("--array", metavar="NAME", help="which array, when several hold a model")
    unpack.set_defaults(run=_unpack)
    fix = actions.add_parser("fix", help="write a copy with every vector where its type wants it, and right shapes")
    fix.set_defaults(run=_fix)
    for action in (unpack, fix):
        action.add_argument("file", type=Path, metavar="FILE")
        action.add_argument(
            "-o", "--out", type=Path, metavar="FILE", help="the .tflite to write (default: beside FILE)"
        )


def _inspect(options: argparse.Namespace) -> int:
    import json

    from hil.model.inspect.facts import inspect
    from hil.model.inspect.text import lines

    facts = inspect(options.file)
    print(json.dumps(facts.document(), indent=2) if options.json else "\n".join(lines(facts)))
    return 0 if facts.accepted else EXIT_REFUSED


def _unpack(options: argparse.Namespace) -> int:
    from hil.model.c_array import CArray, read_arrays
    from hil.model.graph import read_graph

    def is_model(array: CArray) -> bool:
        try:
            read_graph(array.data, options.file)
        except CaseError:
            return False
        return True

    arrays = read_arrays(_read(options.file), options.file)
    models = [array for array in arrays if is_model(array) and options.array in (None, array.name)]
    if not models:
        found = ", ".join(f"{array.name} ({len(array.data):,} bytes)" for array in arrays)
        raise CaseError(
            options.file, "", f"no array holds a whole TFLite model; there are {found}", "name another file"
        )
    if len(models) > 1:
        names = ", ".join(array.name for array in models)
        raise CaseError(options.file, "", f"several arrays hold a model: {names}", f"add --array={models[0].name}")
    _write(options.out or options.file.with_suffix(".tflite"), models[0].data)
    return 0


def _fix(options: argparse.Namespace) -> int:
    from hil.model.cures import SUFFIX, cured

    written, done = cured(_read(options.file), options.file)
    if not done:
        print(f"{options.file}: there is nothing to fix; nothing is written")
        return 0
    _write(options.out or options.file.with_suffix(SUFFIX), written)
    print("\n".join(f"  {each}" for each in done))
    return 0


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror})\n  fix: name a file that is there") from None


def _write(file: Path, data: bytes) -> None:
    """Nothing of somebody else is overwritten."""
    try:
        with file.open("xb") as stream:
            stream.write(data)
    except FileExistsError:
        if file.read_bytes() != data:
            raise UsageError(f"{file} is there already\n  fix: add --out=FILE with another name") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror})\n  fix: add --out=FILE") from None
    print(f"wrote {file}: {len(data):,} bytes")
