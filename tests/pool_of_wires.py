"""Knows how the tests reach several boards of one board file: native firmware behind a wire each, on one pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from native_session import imu_motion
from wire import Wire, wire

BOARD = """kind = "serial"
target = "native"
[timeout]
boot_s = 30.0
reply_s = 60.0
[serial]
baud = 921_600
clock = "host time"
"""


@contextmanager
def pool_of_wires(folder: Path, count: int) -> Iterator[list[Wire]]:
    """`boards/pool.toml` in `folder`, with so many wires in its pool."""
    with ExitStack() as stack:
        made = []
        for number in range(count):
            place = folder / f"wire{number}"
            place.mkdir()
            made.append(stack.enter_context(wire(place, imu_motion(), "socket")))
        (folder / "boards").mkdir()
        entries = [
            f'[[pool]]\nport = "{each.port}"\nreset = "{each.command("reset")}"\n'
            f'flash = "{each.command("flash {elf} {bundle}")}"\n'
            for each in made
        ]
        (folder / "boards" / "pool.toml").write_text(BOARD + "".join(entries))
        yield made


def name_of(wire: Wire) -> str:
    """What the harness calls it."""
    return f"port {wire.port}"
