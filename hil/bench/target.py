"""A microcontroller behind a debug probe, by way of pyOCD: connect, halt, run, memory, flash.

What pyOCD raises is told in the harness's own words. Nothing of pyOCD's is imported before a board is opened, because
it is an optional extra.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hil.errors import BoardError, UsageError
from hil.image.flash import Layout, Piece, Range, joined

Beat = Callable[[], None]  # called while a long step goes on

# Registers of the Armv7-M debug and system control blocks (ARMv7-M ARM, C1.6 and B3.2).
_DHCSR, _DFSR = 0xE000EDF0, 0xE000ED30
_S_HALT, _S_SLEEP, _S_LOCKUP = 1 << 17, 1 << 18, 1 << 19
_DFSR_BKPT = 1 << 1
_FAULT_REGISTERS = {"cfsr": 0xE000ED28, "hfsr": 0xE000ED2C, "mmfar": 0xE000ED34, "bfar": 0xE000ED38}
_CORE_REGISTERS = ("pc", "lr", "sp", "xpsr")
_DEVICE_ID_BITS = 0xFFF  # of DBGMCU_IDCODE; the bits above tell the revision
_SILENT = logging.CRITICAL + 1
_READ_BYTES = 24 * 1024  # of one step while much is read, so that progress shows

# Seconds that the target may take for one erase or program; the largest sector of an STM32F4 takes up to 4 s.
_FLASH_TIMEOUTS = {"flash.timeout.init": 2.0, "flash.timeout.erase_sector": 6.0, "flash.timeout.program": 2.0}


class CoreState(Enum):
    """What the core does."""

    RUNNING = "running"
    SLEEPING = "sleeping"
    HALTED = "halted"
    LOCKUP = "in lockup"


class TargetLost(BoardError):
    """Probe or target did not answer any more."""


class WrongTarget(BoardError):
    """What is connected is not what the board file names; connecting again would not change it."""


class FlashError(BoardError):
    """The flash could not be erased or programmed."""


@dataclass(frozen=True)
class Identity:
    """What must be connected. board_id: what an ST-LINK tells of its board, "" for any. device_id: low 12 bits of the
    word at `register`, None for any.
    """

    board_id: str
    device_id: int | None
    register: int


@dataclass(frozen=True)
class Wiring:
    """How to connect: name of the chip at pyOCD, connect mode, clock of the debug port."""

    chip: str
    connect_mode: str
    swd_hz: int


def check_chip(name: str, place: str) -> None:
    """Raise UsageError, which names `place`, unless pyOCD knows this chip and its flash; its own, or from a pack."""
    import difflib

    from pyocd.coresight.coresight_target import CoreSightTarget
    from pyocd.target import TARGET, normalise_target_type_name
    from pyocd.target.pack.pack_target import ManagedPacks

    wanted = normalise_target_type_name(name)
    if wanted in TARGET:
        memory = known_memory(name)
        if TARGET[wanted] is CoreSightTarget or (memory is not None and not memory.flash):
            raise UsageError(
                f"{place}: pyOCD has no flash for the target {name!r}, so no firmware can be written\n"
                f"  fix: name the chip itself, such as stm32f429xi; `pyocd list --targets` shows all"
            )
        return
    with suppress(Exception):  # no package index was ever downloaded
        if any(normalise_target_type_name(part.part_number) == wanted for part in ManagedPacks.get_installed_targets()):
            return
    close = difflib.get_close_matches(wanted, TARGET, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UsageError(
        f"{place}: pyOCD does not know the target {name!r}\n"
        f"  fix: {hint}`pyocd list --targets` shows all; `pyocd pack install {name}` adds one, online"
    )


def known_memory(name: str) -> Layout | None:
    """Memory of a chip that pyOCD knows without connecting to it; None when it has to be asked."""
    from pyocd.target import TARGET, normalise_target_type_name

    chip = TARGET.get(normalise_target_type_name(name))
    memory = getattr(chip, "MEMORY_MAP", None)
    return None if memory is None else _layout(memory)


def _layout(memory: Any) -> Layout:
    flash = joined(Range(part.start, part.end + 1) for part in memory if part.is_flash)
    ram = joined(Range(part.start, part.end + 1) for part in memory if part.is_ram)
    boot = memory.get_boot_memory()
    return Layout(flash, ram, boot.start if boot is not None else min((part.start for part in flash), default=0))


class TargetMemory:
    """Memory of a target whose core runs or is halted.

    Reads are made of whole words, and four bytes at a multiple of four are one store.
    """

    def __init__(self, access: Any) -> None:
        self._access = access

    def read(self, address: int, size: int) -> bytes:
        """Raises TargetLost, or BoardError when there is no memory."""
        # A probe reads single bytes at the ends of an unaligned block, each a transfer of its own.
        first, last = address & ~3, (address + size + 3) & ~3
        try:
            words = self._access.read_memory_block8(first, last - first)
        except Exception as error:
            raise explained(error, f"read of {size} bytes at {address:#010x}") from error
        return bytes(words[address - first : address - first + size])

    def write(self, address: int, data: bytes) -> None:
        """Raises TargetLost, or BoardError when there is no memory."""
        try:
            if len(data) == 4 and not address & 3:
                self._access.write_memory(address, int.from_bytes(data, "little"), 32)
            else:
                self._access.write_memory_block8(address, list(data))
        except Exception as error:
            raise explained(error, f"write of {len(data)} bytes at {address:#010x}") from error


class Target:
    """One open debug session. All methods raise TargetLost when probe or target do not answer."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._target = session.target
        self._core = session.target.selected_core_or_raise
        self.memory = TargetMemory(self._core.ap)
        self.layout = _layout(session.target.memory_map)

    def sector_of(self, address: int) -> tuple[int, int]:
        """Start and size of the flash sector that holds `address`."""
        info = self._target.memory_map.get_region_for_address(address).flash.get_sector_info(address)
        return info.base_addr, info.size

    def halt_in_reset(self) -> None:
        """Reset the chip and stop its core before the first instruction."""
        try:
            self._target.reset_and_halt()
        except Exception as error:
            raise explained(error, "reset") from error
        if (state := self.state()) is not CoreState.HALTED:
            raise TargetLost(f"the core could not be stopped at its reset vector: it is {state.value}")

    def halt(self) -> None:
        """Stop the core where it is."""
        try:
            self._target.halt()
        except Exception as error:
            raise explained(error, "halt") from error

    def resume(self) -> None:
        """Let a halted core run."""
        try:
            self._target.resume()
        except Exception as error:
            raise explained(error, "run") from error

    def state(self) -> CoreState:
        """What the core does now."""
        word = int.from_bytes(self.memory.read(_DHCSR, 4), "little")
        for bit, state in (
            (_S_LOCKUP, CoreState.LOCKUP),
            (_S_HALT, CoreState.HALTED),
            (_S_SLEEP, CoreState.SLEEPING),
        ):
            if word & bit:
                return state
        return CoreState.RUNNING

    def stopped_by_breakpoint(self) -> bool:
        """Whether a BKPT instruction halted the core."""
        return bool(int.from_bytes(self.memory.read(_DFSR, 4), "little") & _DFSR_BKPT)

    def registers(self) -> dict[str, int]:
        """pc, lr, sp, xpsr and the fault registers; a running core is halted for it and goes on afterwards."""
        before = self.state()
        if before is not CoreState.HALTED:
            self.halt()
        try:
            values = self._core.read_core_registers_raw(list(_CORE_REGISTERS))
        except Exception as error:
            raise explained(error, "core registers") from error
        found = dict(zip(_CORE_REGISTERS, values, strict=True))
        found |= {name: self._word(address) for name, address in _FAULT_REGISTERS.items()}
        if before in (CoreState.RUNNING, CoreState.SLEEPING):
            self.resume()
        return found

    def read_much(self, address: int, size: int, beat: Beat) -> bytes:
        """As `memory.read`, in steps that tell of progress."""
        data = bytearray()
        while len(data) < size:
            data += self.memory.read(address + len(data), min(_READ_BYTES, size - len(data)))
            beat()
        return bytes(data)

    def program(self, pieces: Sequence[Piece], progress: Callable[[float], None]) -> None:
        """Erase the sectors of `pieces` and write them, with the core halted; what lies beside them there is erased.

        Raises FlashError, TargetLost. progress: told the part that is done, 0 to 1, of erasing and then of writing.
        """
        from pyocd.flash.loader import MemoryLoader

        loader = MemoryLoader(
            self._session, progress=progress, chip_erase="sector", smart_flash=False, keep_unwritten=False
        )
        try:
            for piece in pieces:
                loader.add_data(piece.address, piece.data)
            loader.commit()
        except ValueError as error:  # what pyOCD says of data that it has no place for
            raise FlashError(f"programming: {error}") from error
        except Exception as error:
            raise explained(error, "programming") from error

    def close(self) -> None:
        """Let the firmware run on its own and free the probe."""
        with suppress(Exception), _quiet():  # the probe may be gone, and then there is nothing to give back
            self._session.close()

    def _word(self, address: int) -> int:
        return int.from_bytes(self.memory.read(address, 4), "little")


def open_target(probe: Any, wiring: Wiring, identity: Identity, under_reset: bool) -> Target:
    """Connect through `probe`. Raises TargetLost when nothing answers, WrongTarget when the wrong thing does."""
    from pyocd.core.session import Session

    try:
        _check_board_id(probe, identity)
        options = {
            "target_override": wiring.chip,
            "connect_mode": "under-reset" if under_reset else wiring.connect_mode,
            "frequency": wiring.swd_hz,
            "auto_unlock": False,  # it would erase a protected chip as a whole
            "no_config": True,  # a pyocd.yaml in the working folder is for other uses
            "hide_programming_progress": True,
            "cache.enable_memory": False,
            "vector_catch": "",  # by default a hard fault halts the core before its handler can leave a record
            "reset.post_delay": 0.02,
            **_FLASH_TIMEOUTS,
        }
        with no_register_descriptions():
            session = Session(probe, auto_open=False, options=options)
    except BoardError:
        raise
    except Exception as error:
        raise explained(error, f"probe {probe.unique_id}") from error
    try:
        session.open()
        target = Target(session)
        _check_device_id(target, identity)
        return target
    except BaseException as error:
        voltage = _target_voltage(probe)
        with suppress(Exception), _quiet():
            session.close()
        if isinstance(error, BoardError) or not isinstance(error, Exception):
            raise
        raise explained(error, f"no answer from a {wiring.chip}{voltage}") from error


@contextmanager
def no_register_descriptions() -> Iterator[None]:
    """pyOCD would open its descriptions of the chip's registers, read megabytes of XML and leave the file open; nobody
    here asks for them.
    """
    from pyocd.debug.svd.loader import SVDFile

    before = SVDFile.__dict__["from_builtin"]
    SVDFile.from_builtin = staticmethod(lambda name: None)
    try:
        yield
    finally:
        SVDFile.from_builtin = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pyOCD's own complaints out of the terminal; what matters of them was told already."""
    logger = logging.getLogger("pyocd")
    before = logger.level
    if before == _SILENT:  # somebody who closes too will give it back
        yield
        return
    logger.setLevel(_SILENT)
    try:
        yield
    finally:
        logger.setLevel(before)


def _check_board_id(probe: Any, identity: Identity) -> None:
    """An ST-LINK on a Nucleo knows its board; one of old firmware, or on a cable of its own, knows none."""
    found = getattr(probe, "board_id", None)
    if identity.board_id and found is not None and found != identity.board_id:
        name = (
            getattr(getattr(probe, "associated_board_info", None), "name", None) or "a board that pyOCD does not know"
        )
        raise WrongTarget(
            f"connect: wrong board: probe {probe.unique_id} is on {name} (board id {found}), "
            f"the board file wants id {identity.board_id}\n"
            f"  next: plug in the right board, name its probe (--hil-probe=ID), or use this board's own board file"
        )


def _check_device_id(target: Target, identity: Identity) -> None:
    if identity.device_id is None:
        return
    found = int.from_bytes(target.memory.read(identity.register, 4), "little") & _DEVICE_ID_BITS
    if found != identity.device_id:
        raise WrongTarget(
            f"connect: wrong chip: its DBGMCU_IDCODE tells device id {found:#05x}, "
            f"the board file wants {identity.device_id:#05x}\n"
            f"  next: plug in the right board, or use this board's own board file"
        )


def _target_voltage(probe: Any) -> str:
    """What an ST-LINK measures at the target's supply pin; told because it explains most failures to connect."""
    volts = getattr(getattr(probe, "_link", None), "target_voltage", None)
    if not isinstance(volts, float):
        return ""
    return f" (target voltage {volts:.2f} V{': it has no power' if volts < 1.5 else ''})"


def explained(error: Exception, doing: str) -> BoardError:
    """pyOCD's exception as one of ours."""
    from pyocd.core import exceptions

    if isinstance(error, BoardError):
        return error
    text = f"{doing}: {error or type(error).__name__}"
    if isinstance(error, exceptions.FlashFailure):
        return FlashError(text)
    if isinstance(error, exceptions.TransferFaultError):
        return BoardError(f"{text}: there is no memory, or it has no clock")
    return TargetLost(text)
