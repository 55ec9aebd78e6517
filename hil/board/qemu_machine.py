"""What a QEMU tells of one of its machines before any firmware runs: its memory, its UARTs, and the names it knows."""

from __future__ import annotations

import difflib
import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hil.errors import UsageError
from hil.image.flash import Range, joined

_UARTS = 8  # lines that are offered; what the machine takes of them are its UARTs
_TIMEOUT_S = 30.0  # it answers within a second
# Address spaces of the cores and of the system, in `info mtree -f`; those of DMA and of single devices are others.
_SPACE = re.compile(r'^\s*AS "(?:memory|cpu-(?:secure-)?memory-\d+)"')
_REGION = re.compile(r"^\s+([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (ram|rom|romd|i/o)\): (\S+)")
_BEHIND_A_GATE = "tz-mpc-upstream"  # RAM behind a memory protection controller of TrustZone shows as a device
_UNKNOWN_MACHINE, _UNKNOWN_CORE = "unsupported machine type", "unable to find CPU model"
_WRONG_CORE = ("can only be used with", "Invalid CPU type", "Invalid CPU model")


@dataclass(frozen=True)
class Machine:
    """ram, rom: addresses at which the core finds memory. uarts: how many UARTs can be given a line."""

    ram: tuple[Range, ...]
    rom: tuple[Range, ...]
    uarts: int

    @property
    def memory(self) -> tuple[Range, ...]:
        """All of it."""
        return joined((*self.ram, *self.rom))


def look_at(command: Sequence[str], where: str) -> Machine:
    """Ask a QEMU that is started with `command`, and ends again. where: the table of the board file, for messages.

    command: program, machine and core, without an image. Raises UsageError when QEMU does not make such a machine, with
    the closest name that it knows.
    """
    lines = [word for _ in range(_UARTS) for word in ("-serial", "null")]
    requests = [
        {"execute": "qmp_capabilities"},
        {"execute": "human-monitor-command", "arguments": {"command-line": "info mtree -f"}},
        {"execute": "query-chardev"},
        {"execute": "quit"},
    ]
    text = "".join(json.dumps(request) + "\n" for request in requests)
    done = _run([*command, *lines, "-S", "-qmp", "stdio"], where, text)
    answers = _answers(done.stdout)
    tree = next((answer for answer in answers if isinstance(answer, str)), None)
    devices = next((answer for answer in answers if isinstance(answer, list)), None)
    if tree is None or devices is None:
        raise UsageError(f"{where}: {_refusal(command, done.stderr, where)}")
    taken = [line for line in devices if line["label"].startswith("serial") and line["frontend-open"]]
    return Machine(*_memory(tree), len(taken))


def _run(command: Sequence[str], where: str, text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"{where}: {command[0]} does not answer: {error}\n  fix: run {command[0]} --version by hand"
        ) from error


def _answers(output: str) -> list[Any]:
    found: list[Any] = []
    for line in output.splitlines():
        try:
            found.append(json.loads(line).get("return"))
        except (ValueError, AttributeError):
            continue
    return found


def _memory(tree: str) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """RAM and ROM in the address spaces of the cores."""
    found: dict[str, list[Range]] = {"ram": [], "rom": []}
    for view in tree.split("FlatView #"):
        if not any(_SPACE.match(line) for line in view.splitlines()):
            continue
        for start, end, kind, name in filter(None, (_row(line) for line in view.splitlines())):
            if kind != "i/o" or name == _BEHIND_A_GATE:
                found["rom" if kind.startswith("rom") else "ram"].append(Range(int(start, 16), int(end, 16) + 1))
    return joined(found["ram"]), joined(found["rom"])


def _row(line: str) -> tuple[str, str, str, str] | None:
    match = _REGION.match(line)
    return (match[1], match[2], match[3], match[4]) if match else None


# ---- why it does not


def _refusal(command: Sequence[str], words: str, where: str) -> str:
    """What is wrong with the command line, in QEMU's words, and the next step."""
    program, said = command[0], _said(words)
    if _UNKNOWN_MACHINE in words:
        known = _names([program, "-machine", "help"], where)
        return f"machine: {program} has no {_value(command, '-M')!r}\n  fix: {_closest(_value(command, '-M'), known)}"
    if _UNKNOWN_CORE in words:
        known = _names([program, "-M", _value(command, "-M"), "-cpu", "help"], where)
        return f"cpu: {program} has no {_value(command, '-cpu')!r}\n  fix: {_closest(_value(command, '-cpu'), known)}"
    if any(sign in words for sign in _WRONG_CORE):
        return f"cpu: {said}\n  fix: leave cpu out, or name one that this machine has"
    return f"QEMU does not make this machine: {said}\n  fix: run it by hand: {shlex.join([*command, '-S'])}"


def _said(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip() and ": warning: " not in line]
    return re.sub(r"^qemu-system-\w+: ", "", " ".join(lines)) or "it ended without a word"


def _value(command: Sequence[str], option: str) -> str:
    return command[command.index(option) + 1] if option in command else ""


def _names(command: Sequence[str], where: str) -> list[str]:
    """The first word of each line of a `help`, its heading left out."""
    lines = _run(command, where).stdout.splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.rstrip().endswith(":")]


def _closest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or [one for one in known if name and name in one]
    if close:
        return f"did you mean {' or '.join(close[:3])}?"
    return f"use one of {', '.join(known[:40])}" + (", ..." if len(known) > 40 else "")
