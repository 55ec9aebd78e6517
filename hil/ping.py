"""Says hello to the firmware of a board and tells what it says, nothing else: no case, no bundle, no verdict."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.bundle.status import BUNDLE_STATUS
from hil.can import FUNCTIONS
from hil.errors import UsageError
from hil.records import Can, Hello
from hil.tensor import TensorContract

if TYPE_CHECKING:
    from hil.board.config import BoardConfig
    from hil.image.elf import Image

Folders = Callable[[], list[Path]]
_LAST = ("operators", "labels", "input", "output")  # behind the short ones; `can` comes at the end
_BYTES = "_bytes"


def add_ping_command(commands: Any, board_folders: Folders) -> None:
    """`hil ping`."""
    parser = commands.add_parser("ping", help="say hello to the firmware of a board and print what it tells")
    parser.add_argument("--board", required=True, help="the board whose firmware is asked")
    parser.add_argument(
        "--image", type=Path, metavar="ELF", help="what an emulator starts, in place of the image of the board file"
    )
    parser.set_defaults(run=lambda options: _ping(options, board_folders()))


def _ping(options: argparse.Namespace, folders: Sequence[Path]) -> int:
    from hil.board.config import load_board
    from hil.board.pool import Held, devices

    config = load_board(options.board, [*folders])
    pool = devices(config)
    for device in pool:
        print(f"{device.name}:")
        with closing(Held(device)):
            _greet(device.config, options.image)
    if not pool:
        _greet(config, options.image)
    return 0


def _greet(config: BoardConfig, named: Path | None) -> None:
    """named: the image that an emulator is to start, if one was."""
    from hil.board.config import kind_module

    with (
        tempfile.TemporaryDirectory(prefix="hil-ping-") as folder,
        kind_module(config).open_board(config, (Path(folder) / "ping.log").resolve()) as board,
    ):
        print("\n".join(lines(board.ping(lambda: _image(config, named, Path(folder))))))


def _image(config: BoardConfig, named: Path | None, folder: Path) -> Image:
    """What an emulator starts: the image that was named, that of the board file as it is, or ours, which is built.
    folder: for the build's log. Raises UsageError, BuildError.
    """
    from hil.image.build import build
    from hil.image.elf import Image
    from hil.project.places import kit

    own = config.firmware
    if named is not None:
        return Image(named)
    if own is None:
        return Image(build(config.target, kit(), log=folder / "build.log", tflm=config.built_with()))
    if own.image is None:
        raise UsageError(f"{config.file}: [firmware] image: it is missing\n  fix: name the ELF that is to say hello")
    return Image(config.file.parent / own.image)


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
    if name == "bundle_status" and value in BUNDLE_STATUS:
        return f"{value} ({BUNDLE_STATUS[value][0]})"
    if name.endswith(_BYTES):
        return f"{value:,} bytes"
    return f"{value:,} Hz" if name == "clock_hz" else str(value)
