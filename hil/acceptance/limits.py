"""Knows which limits a run asks for: what it measured, with room; and how they get into the case.toml that ran."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from hil.acceptance.stored import stored_evidence
from hil.baseline.types import Measurements
from hil.case.load import read_case
from hil.case.lock import LOCK
from hil.case.schema import OutputAgreement
from hil.case.staged import replace_files
from hil.contract.measured import measure
from hil.contract.memory import stack_size
from hil.contract.statistics import minimum_samples
from hil.contract.types import Evidence
from hil.errors import CaseError, UsageError
from hil.project.toml_text import toml_key
from hil.runfile import Case, Memory, Run

HEADROOM = 0.10  # of arena and sizes, as a share of the limit
STACK_HEADROOM = 0.25
ROOM = {True: 0.05, False: 0.10}  # of latency, on a clock that repeats and on one that does not
_RIGHT = ("instruments", "input", "execution", "decision")  # what must hold before anything measured means something
OF_ANY_OUTPUT = tuple(OutputAgreement.model_fields)  # figures that an output may have a limit of its own for
_STEPS = {"sqnr_db": 1.0, "max_abs_error": 0.01}  # of agreement figures; a share or a correlation has the last
_SHARE_STEP = 0.01


@dataclass(frozen=True)
class Entry:
    """One limit: where it belongs in case.toml, its value, and what was measured, in words."""

    table: tuple[str, ...]
    key: str
    value: Any
    measured: str

    @property
    def path(self) -> tuple[str, ...]:
        return (*self.table, *self.key.split("."))


@dataclass(frozen=True)
class Proposal:
    """Limits for the case that ran. left_out: which could not be told from this run, and why, a sentence each."""

    file: Path
    case: str
    board: str
    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]


def proposed(run: Run, name: str) -> Proposal:
    """The limits of one case of a finished run. Raises UsageError for a run that broke, was cut short, or failed where
    figures mean nothing then, and for a case that changed since.
    """
    _require_right(run, run.case(name))
    evidence = stored_evidence(run, name, sizes=False)
    found = measure(evidence)
    arena = run.case(name).check("memory.arena")
    told = None if arena is None else arena.numbers.get("proposed")  # to a case without arena_bytes, by the run itself
    entries = [*_memory(evidence, found, told if isinstance(told, int) else None), *_heap(run.case(name).memory)]
    entries += [*_latency(evidence, found), *_accuracy(evidence, found), *_agreement(evidence, found)]
    left_out = tuple(_left_out(evidence, found))
    return Proposal(evidence.case.path, evidence.case.name, evidence.board, tuple(entries), left_out)


def _require_right(run: Run, case: Case) -> None:
    if not run.sealed:
        raise UsageError(f"{run.file}: seal: the file is not as the run wrote it\n  fix: run the case again")
    wrong = [
        check.id
        for check in case.checks
        if check.outcome == "invalid" or (check.outcome == "failed" and check.contract in _RIGHT)
    ]
    if wrong:
        problem = f"case {case.called} broke {', '.join(wrong[:5])}: what it measured is of something that is not right"
        raise UsageError(
            f"{run.file}: {problem}\n  fix: mend that first, then run it again; --case NAME asks for another case alone"
        )


# ---- the limits ------------------------------------------------------------------------------------------------------


def _memory(evidence: Evidence, found: Measurements, told: int | None) -> Iterator[Entry]:
    memory, table = found.memory, ("budget", "memory")
    if memory.host:
        return
    if arena := memory.arena_high_water:
        size = told or _room(arena, HEADROOM, 16)
        yield Entry(table, "arena_bytes", size, f"{arena:,} touched")
        if (size - arena) / size >= HEADROOM:
            yield Entry(table, "arena_headroom", HEADROOM, _free(arena, size))
    flash, ram, stack = memory.flash_bytes, memory.ram_bytes, memory.stack_high_water
    if evidence.image.known:
        yield Entry(table, "flash_bytes", _room(flash, HEADROOM, 1000), f"{flash:,}, image and bundle")
        yield Entry(table, "ram_bytes", _room(ram, HEADROOM, 1000), f"{ram:,}, all static RAM")
    if stack:
        yield Entry(table, "stack_bytes", _room(stack, STACK_HEADROOM, 16), f"{stack:,} touched")
        if (size := stack_size(evidence)) and 1 - stack / size >= STACK_HEADROOM:
            yield Entry(table, "stack_headroom", STACK_HEADROOM, _free(stack, size))


def _heap(memory: Memory | None) -> Iterator[Entry]:
    heap = memory.heap if memory is not None and not memory.host else None
    if heap is not None and heap.peak:
        said = f"{heap.peak:,} in use at the peak of {heap.windows:,} windows in a row"
        yield Entry(("budget", "memory"), "heap_bytes", _room(heap.peak, STACK_HEADROOM, 16), said)


def _free(used: int, size: int) -> str:
    return f"{100 * (1 - used / size):.1f} % of {size:,} free"


def _room(used: int, headroom: float, step: int) -> int:
    """The smallest multiple of `step` of which this share is free."""
    size = math.ceil(used / (1 - headroom) / step) * step
    return size if (size - used) / size >= headroom else size + step


def _latency(evidence: Evidence, found: Measurements) -> Iterator[Entry]:
    """On the board's clock: the p99 where there are windows enough for its bound, the maximum where not."""
    kind = found.clock.kind
    if kind not in ("instructions", "cycles"):
        return
    enough = minimum_samples(0.99, evidence.case.contracts.confidence)
    for stage in ("total", "invoke"):
        figures = found.latency.get(stage)
        if figures is None:
            continue
        statistic = "p99" if figures.n >= enough else "max"
        # The maximum for both: with few samples it is the bound of the p99.
        limit = _three_digits(figures.max * (1 + ROOM[found.clock.deterministic]))
        said = f"{statistic} {getattr(figures, statistic):,} over {figures.n:,} distinct windows, max {figures.max:,}"
        yield Entry(("budget", "latency", kind), f"{stage}.{statistic}", limit, said)


def _three_digits(value: float) -> int:
    """Rounded up to three digits, which is what a person would write."""
    step: int = 10 ** max(0, len(str(math.ceil(value))) - 3)
    return math.ceil(value / step) * step


def _accuracy(evidence: Evidence, found: Measurements) -> Iterator[Entry]:
    if found.accuracy is None or evidence.case.decide.id == "none":
        return
    least = _below(found.accuracy, _SHARE_STEP)
    if least > 0:
        yield Entry(("contract", "decision"), "accuracy", {"min": least}, f"{found.accuracy:.4f}")


def _agreement(evidence: Evidence, found: Measurements) -> Iterator[Entry]:
    """A step below what was measured. The whole chain where there is one: that is what the limit is held to. Of several
    outputs each has its own table: a common value would be held to all of them.
    """
    common = ("contract", "agreement")
    figures = dict(found.agreement_chain or found.agreement)
    if not found.further_outputs:
        yield from _figures(common, figures)
        return
    decided = {key: value for key, value in figures.items() if key not in OF_ANY_OUTPUT}
    yield from _figures(common, decided)
    yield from _figures(
        (*common, "outputs", evidence.case.model.output.name),
        {key: value for key, value in figures.items() if key in OF_ANY_OUTPUT},
    )
    for output in found.further_outputs:
        yield from _figures((*common, "outputs", output.name), dict(output.agreement_chain or output.agreement))


def _figures(table: tuple[str, ...], figures: dict[str, float]) -> Iterator[Entry]:
    for key, value in figures.items():
        if not math.isfinite(value):
            continue
        step = _STEPS.get(key, _SHARE_STEP)
        if key == "flips":
            yield Entry(table, key, {"max": math.ceil(value)}, f"{value:g}")
        elif key == "max_abs_error":
            yield Entry(table, key, {"max": round((math.floor(value / step + 1e-9) + 2) * step, 4)}, f"{value:.4g}")
        elif key != "topk" and (least := _below(value, step)) > 0:
            yield Entry(table, key, {"min": least}, f"{value:.4g}")


def _below(value: float, step: float) -> float:
    """The step below the one that the value has reached."""
    return round((math.floor(value / step + 1e-9) - 1) * step, 4)


def _left_out(evidence: Evidence, found: Measurements) -> Iterator[str]:
    if found.memory.host:
        yield f"memory: {found.board} is a workstation; run the case on a board of a 32-bit target, such as qemu"
    if not evidence.image.known:
        yield "flash and static RAM: the run had no ELF; name it as image under [firmware] of the board file"
    if found.clock.kind not in ("instructions", "cycles"):
        yield f"latency: {found.board} counts {found.clock.kind}, which no limit is held to"
    if found.accuracy is None:
        yield "accuracy: the vectors have no true labels"
    if evidence.case.float_model is None:
        yield "agreement: the case has no float model"


# ---- as TOML ---------------------------------------------------------------------------------------------------------


def lines(proposal: Proposal) -> Iterator[str]:
    """The limits as they may be pasted into case.toml, each with what was measured."""
    yield f"# {proposal.case} on {proposal.board}"
    table: tuple[str, ...] = ()
    for entry in proposal.entries:
        if entry.table != table:
            table = entry.table
            yield f"[{'.'.join(map(toml_key, table))}]"
        text = f"{entry.key} = {_shown(entry.value)}"
        yield f"{text:<40} # measured: {entry.measured}"
    yield from (f"# not told by this run: {sentence}" for sentence in proposal.left_out)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_shown(inner)}" for key, inner in value.items()) + " }"
    return f"{value:_}" if isinstance(value, int) else repr(value)


def write(proposal: Proposal) -> tuple[list[Entry], list[Entry]]:
    """Put the limits into case.toml, comments and layout as they are; those that are there stay. Returns what was
    written, and what was there. Raises UsageError, and nothing is changed then.
    """
    file = proposal.file
    if (file.parent / LOCK).is_file():
        fix = f"raise [case] version, add the limits by hand, then run: hil case lock {file.parent}"
        raise CaseError(file, "", f"the case is locked by {LOCK}", fix)
    before = file.read_bytes()
    text = before.decode("utf-8-sig").replace("\r\n", "\n")
    there = tomllib.loads(text)
    kept = [entry for entry in proposal.entries if _has(there, entry.path)]
    new = [entry for entry in proposal.entries if entry not in kept]
    if not new:
        return [], kept
    replace_files(file.parent, {file.name: _with(text, new, file).encode()})
    try:
        read_case(file)
    except UsageError:
        replace_files(file.parent, {file.name: before})
        raise
    return new, kept


def _has(tables: dict[str, Any], path: tuple[str, ...]) -> bool:
    found: Any = tables
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return True


def _with(text: str, entries: list[Entry], file: Path) -> str:
    try:
        document = tomlkit.parse(text)
        for entry in entries:
            _put(document, entry)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError, KeyError) as error:
        problem = f"the limits cannot be added without changing more ({error})"
        raise CaseError(file, "", problem, "paste them from: hil case limits RUN") from None


def _put(document: Any, entry: Entry) -> None:
    table = document
    for depth, key in enumerate(entry.table):
        if key not in table:
            table[key] = tomlkit.table(is_super_table=depth + 1 < len(entry.table))
        table = table[key]
    value: Any = tomlkit.item(entry.value)
    if isinstance(entry.value, dict):
        value = tomlkit.inline_table()
        value.update(entry.value)
    value.comment(f"measured: {entry.measured}")
    first, *rest = entry.key.split(".")
    if not rest:
        table[first] = value
    elif first in table:  # another statistic of the same stage
        table[first][rest[0]] = value
    else:
        table.append(tomlkit.key([first, *rest]), value)
