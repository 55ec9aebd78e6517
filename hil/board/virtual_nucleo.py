"""Boards of kind `virtual_nucleo`: the bench of kind `pyocd` with a simulated Nucleo on a simulated ST-LINK.

From the probe inwards it is the code of `pyocd`; only the USB bus is another one. No real probe is ever seen from here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hil.bench.settings import Settings as BenchSettings
from hil.bench.usb import package_rows
from hil.board.config import BoardConfig, check_settings, require_packages
from hil.board.pyocd import PyocdBoard, check_connection
from hil.errors import UsageError
from hil.need import Row
from hil.records import ClockSpec

if TYPE_CHECKING:
    from hil.virtual.board import VirtualNucleo
DEVICE_KEYS = {"probe_id": ""}  # of the table: what tells one device of a pool from another; the option that chooses


class Settings(BenchSettings):
    """The `[virtual_nucleo]` table: that of `pyocd`, and what is only possible in a simulation.

    misbehave: texts that hil/virtual/misbehaviour.py lists. flash_image: file that keeps the flash between two runs,
    relative to the board file; without it every run starts with a blank chip. probe_id: what the simulated probe says.
    """

    misbehave: list[str] = Field(default_factory=list)
    flash_image: str = ""
    probe_id: str = Field(default="", pattern=r"^([0-9A-F]{24})?$")
    once_per_image: bool = False


def open_board(config: BoardConfig, log: Path) -> PyocdBoard:
    """The board, not started yet. Raises MissingTool without pyOCD or Unicorn, UsageError for a wrong table."""
    settings = check_settings(config, Settings)
    require_packages(config, "virtual", ("pyocd", "serial", "unicorn"))
    check_connection(config, settings)
    _check_misbehaviour(config, settings.misbehave)
    image = config.file.parent / settings.flash_image if settings.flash_image else None
    # One count of the simulated DWT_CYCCNT is one executed instruction, whatever silicon would take for it.
    clock = ClockSpec("instructions", "instructions", 1, 1, 0, True, settings.clock_hz)
    return PyocdBoard(config, [settings], clock, VirtualBench(settings.misbehave, image, settings.probe_id), log)


def own_models(_: BoardConfig) -> bool:
    """As on the bench."""
    return True


def one_board(config: BoardConfig) -> bool:
    """Each worker simulates a board of its own, unless its flash is a file or its probe has an id: there is one."""
    settings = check_settings(config, Settings)
    return bool(settings.flash_image or settings.probe_id)


def examine(config: BoardConfig, path: str | None = None) -> list[Row]:
    """The packages of the extra."""
    return list(package_rows("virtual"))


def _check_misbehaviour(config: BoardConfig, texts: Sequence[str]) -> None:
    from hil.virtual.misbehaviour import Misbehaviour

    try:
        Misbehaviour.parse(texts)
    except UsageError as error:
        raise UsageError(f"{config.file}: [{config.kind}]: {error}") from error


class VirtualBench:
    """A USB bus with nothing on it but the simulated probe. The simulation starts when it is first looked at."""

    def __init__(self, misbehave: Sequence[str], flash_image: Path | None, probe_id: str = "") -> None:
        self._misbehave, self._flash_image, self._probe_id = misbehave, flash_image, probe_id
        self._nucleo: VirtualNucleo | None = None

    def probes(self) -> list[Any]:
        """The simulated probes, found by pyOCD's own ST-LINK driver."""
        from pyocd.probe.stlink_probe import StlinkProbe

        from hil.virtual.board import VirtualNucleo

        if self._nucleo is None:
            self._nucleo = VirtualNucleo(self._misbehave, self._flash_image, self._probe_id)
        with self._nucleo.plugged_in():
            return sorted(StlinkProbe.get_all_connected_probes(), key=lambda probe: str(probe.unique_id))

    def missing(self) -> str:
        """Whether the simulation has ended, or was told to have no probe."""
        ended = self._nucleo.ended() if self._nucleo is not None else None
        if ended is not None:
            return f"  the simulation is gone: {ended}\n  next: run again; if it stays, report it as a defect of hil"
        return "  next: plug the simulated probe in: take what says otherwise out of misbehave in the board file"

    def serial_port(self, probe: str) -> str:
        """The pty that the simulated UART writes to."""
        return self._nucleo.serial_path if self._nucleo is not None else ""

    def friends(self) -> frozenset[int]:
        """The simulation holds its own end of the pty."""
        return frozenset() if self._nucleo is None else frozenset((self._nucleo.pid,))

    def lock_name(self, probe: str) -> str:
        """Each simulation is a board of its own, but two cannot share one flash file, or one id."""
        if self._flash_image is not None:
            return f"virtual-{self._flash_image.resolve()}"
        if self._probe_id:
            return f"virtual-{self._probe_id}"
        return f"virtual-{os.getpid()}-{id(self)}"

    def close(self) -> None:
        """End the simulation. Safe to call twice."""
        nucleo, self._nucleo = self._nucleo, None
        if nucleo is not None:
            nucleo.close()
