"""Golden updates: computes what a case expects afresh, shows what changed, and writes it when somebody accepts it."""

from __future__ import annotations

import codecs
import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from hil.case.expected import EXPECTED, expected_of, to_bytes
from hil.case.expected_changes import Change, Differences, differences
from hil.case.load import FILE_NAME, read_case
from hil.case.lock import LOCK, Lock, check_lock, read_lock
from hil.case.staged import finish, replace_files
from hil.case.types import Case, Expected
from hil.errors import CaseError, UsageError
from hil.problems import reason_of
from hil.reference.compute import compute

CHANGES = "CHANGES.md"
MOST_SHOWN = 20  # of one kind, unless all are asked for


@dataclass(frozen=True)
class Proposal:
    """What a case expects now, beside what was accepted. case: as it stands; lock: None without a case.lock. finished:
    an interrupted change was brought to its end first.
    """

    case: Case
    lock: Lock | None
    now: Expected
    differences: Differences
    finished: bool = False

    @property
    def folder(self) -> Path:
        return self.case.path.parent

    @property
    def first(self) -> bool:
        """Nothing was accepted before."""
        return self.case.expected is None

    @property
    def changed(self) -> bool:
        return self.first or bool(self.differences)

    @property
    def version(self) -> int:
        """The version that an accepted change gets: above the locked one."""
        locked = self.lock.version if self.lock is not None else 0
        return max(self.case.version, locked + 1)

    @property
    def stale(self) -> str:
        """What case.lock says of the case as it stands; "" when it vouches for it, or when there is none."""
        if self.lock is None:
            return ""
        try:
            check_lock(self.folder, self.lock, Lock(self.case.version, dict(self.case.files)))
        except CaseError as error:
            return error.problem
        return ""


def propose(path: Path) -> Proposal:
    """Compute what the case at `path` expects as it stands; a stale case.lock is no obstacle. Raises CaseError."""
    folder = path if path.is_dir() else path.parent
    try:
        finished = finish(folder)
    except OSError as error:
        problem = f"{folder}: an interrupted change cannot be finished ({reason_of(error)})"
        raise UsageError(f"{problem}\n  fix: make the folder writable, run it again") from error
    case = read_case(path)
    if EXPECTED in (case.vectors_file, case.model.path.name):
        fix = "give that file another name"
        raise CaseError(case.path, "", f"{EXPECTED} is the name of the accepted expectations", fix)
    if case.own_stages:
        problem = "what the product's own stage gives stands in the vectors: there is nothing to accept"
        raise CaseError(case.path, case.own_stages[0], problem, f"mend {case.vectors_file}, and lock the case again")
    now = expected_of(case, compute(case))
    found = differences(case.expected or _nothing(now), now)
    return Proposal(case, read_lock(folder), now, found, finished)


def _nothing(now: Expected) -> Expected:
    """Expectations of no vector."""
    further: dict[str, Any] = {
        name: {tensor: column[:0] for tensor, column in getattr(now, name).items()} for name in ("digests", "outputs")
    }
    columns = {name: value[:0] for name, value in vars(now).items() if name not in ("labels", *further)}
    return replace(now, **columns, **further)


def accept(proposal: Proposal, reason: str) -> int:
    """Write expected.npz, the raised version, case.lock and a line of CHANGES.md, all or none; returns the version.

    Raises UsageError for an empty reason, when there is nothing to accept, or when the case changed meanwhile.
    """
    words = " ".join(reason.split())
    if not words:
        raise UsageError(
            'a change of expectations needs a reason\n  fix: --accept --reason "what changed, and why it is right"'
        )
    if not proposal.changed:
        raise UsageError(f"{proposal.case.path}: nothing changed\n  fix: leave --accept out")
    toml, expected = _raised(proposal), to_bytes(proposal.now)
    files = dict(proposal.case.files) | {FILE_NAME: _sha256(toml), EXPECTED: _sha256(expected)}
    contents = {
        EXPECTED: expected,
        FILE_NAME: toml,
        LOCK: Lock(proposal.version, files).text().encode(),
        CHANGES: _history(proposal, words),
    }
    replace_files(proposal.folder, contents)
    return proposal.version


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _raised(proposal: Proposal) -> bytes:
    """case.toml with the version of the proposal, its comments and layout as they are."""
    file = proposal.case.path
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({reason_of(error)})\n  fix: run it again") from error
    if _sha256(data) != proposal.case.files[FILE_NAME]:
        raise UsageError(f"{file}: it changed while its expectations were computed\n  fix: run it again")
    if proposal.version == proposal.case.version:
        return data
    text = data.decode("utf-8-sig")
    raised = _with_version(text, proposal.version)
    wanted: dict[str, Any] = tomllib.loads(text)
    wanted["case"]["version"] = proposal.version
    if raised is None or tomllib.loads(raised) != wanted:
        problem = "the version cannot be raised without changing more"
        raise CaseError(file, "[case] version", problem, f"write version = {proposal.version} yourself, run it again")
    return raised.encode("utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8")


def _with_version(text: str, version: int) -> str | None:
    """None when the file is written in a way that tomlkit does not take."""
    try:
        document = tomlkit.parse(text)
        document["case"]["version"] = version
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError):
        return None


def _history(proposal: Proposal, reason: str) -> bytes:
    """CHANGES.md with one line more."""
    file = proposal.folder / CHANGES
    before = file.read_bytes() if file.is_file() else f"# Changes of {proposal.case.name}\n\n".encode()
    ended = before if before.endswith(b"\n") else before + b"\n"
    day = datetime.now(UTC).date().isoformat()
    summary = f"{len(proposal.now.name):,} vectors accepted" if proposal.first else proposal.differences.summary()
    return ended + f"* version {proposal.version}, {day}: {reason} ({summary})\n".encode()


# ---- what is shown ---------------------------------------------------------------------------------------------------


def lines(proposal: Proposal, everything: bool = False) -> Iterator[str]:
    """The proposal as a person reviews it; of each kind MOST_SHOWN entries, unless `everything` is asked for."""
    case, found = proposal.case, proposal.differences
    most = None if everything else MOST_SHOWN
    if proposal.finished:
        yield "an accepted change that was interrupted has been finished first"
    yield f"{case.name} version {case.version}, {len(case.vectors):,} vectors"
    if proposal.first:
        yield f"  there is no {EXPECTED} yet: all {len(case.vectors):,} vectors are new"
    elif not found:
        yield f"  the references give what {EXPECTED} holds: gate, prepared tensors, outputs, decisions, labels"
        yield from (f"  of {name} too" for name in proposal.now.tensors)
    else:
        yield f"  {found.summary()}"
        yield from _named("vectors added", found.added, most)
        yield from _named("vectors removed", found.removed, most)
        yield from _named("windows changed", found.windows, most)
        yield from _changes("gate", found.gate, most)
        yield from _named("prepared tensors changed", found.prepared, most)
        for name, vectors in found.prepared_further:
            yield from _named(f"prepared tensors of input {name!r} changed", vectors, most)
        yield from _changes("outputs", found.outputs, most)
        for each in found.further:
            yield from _changes(f"outputs {each.name!r}", each.outputs, most)
        yield from _named(f"{EXPECTED} does not have", found.unkept, most)
        yield from _named(f"{EXPECTED} has and the model does not", found.gone, most)
        yield from _changes("decisions", found.decisions, most)
        yield from _changes("labels", found.labels, most)
    if proposal.stale and not proposal.changed:
        yield f"  {LOCK}: {proposal.stale}; lock it with: hil case lock {proposal.folder}"


def _named(title: str, names: tuple[str, ...], most: int | None) -> Iterator[str]:
    if names:
        yield f"  {title}: {', '.join(names[:most])}{_more(len(names), most)}"


def _changes(title: str, changes: tuple[Change, ...], most: int | None) -> Iterator[str]:
    if not changes:
        return
    yield f"  {title}:"
    for change in changes[:most]:
        yield f"    {change.vector or 'labels of the case'}: {change.before} -> {change.after}"
    if more := _more(len(changes), most):
        yield f"   {more}"


def _more(count: int, most: int | None) -> str:
    return f" and {count - most:,} more (--all lists them)" if most is not None and count > most else ""
