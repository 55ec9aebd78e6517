"""Says hello to the firmware of a board and tells what it says, nothing else: no case, no bundle, no verdict."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hil.can import FUNCTIONS
from hil.errors import UsageError
from hil.records import Can, Hello
from hil.tensor import TensorContract

Folders = Callable[[], list[Path]]
_LAST = ("operators", "labels", "input", "output")  # behind the short ones; `can` comes at the end
_BYTES = "_bytes"


def add_ping_command(commands: Any, board_folders: Folders) -> None:
    """`hil ping`."""
    parser = commands.add_parser("ping", help="say hello to the firmware of a board and print what it tells")
    parser.add_argument("--board", required=True, help="a board of kind serial, or of kind qemu over its UART")
    parser.set_defaults(run=lambda options: _ping(options, board_folders()))


def _ping(options: argparse.Namespace, folders: Sequence[Path]) -> int:
    from hil.board.config import kind_module, load_board

    config = load_board(options.board, [*folders])
    with (
        tempfile.TemporaryDirectory(prefix="hil-ping-") as folder,
        kind_module(config).open_board(config, (Path(folder) / "ping.log").resolve()) as board,
    ):
        if not hasattr(board, "ping"):
            raise UsageError(
                f"{config.file}: a board of kind {config.kind!r} runs no firmware before it is provisioned\n"
                f"  fix: run a case on it: pytest --board={config.name}"
            )
        print("\n".join(lines(board.ping())))
    return 0


def lines(hello: Hello) -> Iterator[str]:
    """What the firmware tells, a line each, in its own words and numbers."""
    names = [item.name for item in fields(Hello) if item.name not in (*_LAST, "can", "inputs", "outputs")]
    width = max(map(len, names))
    for name in (*names, *_LAST):
        yield f"{name:<{width}}  {_words(name, getattr(hello, name))}"
    for function in Can:
        told = "yes" if hello.can & function else f"no: the firmware does not tell {FUNCTIONS[function].what}"
        yield f"{'can ' + str(function.name).lower():<{width}}  {told}"


def _words(name: str, value: Any) -> str:
    if isinstance(value, TensorContract):
        quantisation = value.quantisation
        return f"{value.dtype} {list(value.shape)}, scale {quantisation.scale:g}, zero point {quantisation.zero_point}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if name.endswith(_BYTES):
        return f"{value:,} bytes"
    return f"{value:,} Hz" if name == "clock_hz" else str(value)
