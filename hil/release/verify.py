"""Checks a release record: every file as it was packed, the signature, and that what it says follows from its runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from hil.errors import UsageError
from hil.gate.gate import decide
from hil.gate.policy import read_policy
from hil.gate.question import Question
from hil.project.quarantine import Quarantine, load_quarantine
from hil.release.keys import fingerprint, fits, parse_public_key
from hil.release.pack import SIGNER_FILE, facts_of, packed_with
from hil.release.record import RECORD_FILE, SCHEMA, Record, record_bytes, result_fact
from hil.release.sums import SIGNATURE_FILE, SUMS_FILE, hash_files, parse_sums
from hil.runfile import read_run
from hil.validation import explain


@dataclass(frozen=True)
class Verified:
    """problems: empty when the record is whole. notes: what it does not show, such as who packed it."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    record: Record | None

    @property
    def whole(self) -> bool:
        return not self.problems


def verify(folder: Path, public: Ed25519PublicKey | None = None) -> Verified:
    """Look at every file of the record in `folder`. public: the key that must have signed it.

    Raises UsageError when the folder is no release record at all.
    """
    if not (folder / RECORD_FILE).is_file() and not (folder / SUMS_FILE).is_file():
        raise UsageError(
            f"{folder}: is no release record: it has neither {RECORD_FILE} nor {SUMS_FILE}\n"
            f"  fix: give the folder that `hil release` wrote"
        )
    try:
        found = hash_files(folder)
        text = _read(folder / RECORD_FILE)
        record, unread = _record(text)
        signature = _signature(folder, public, record)
        problems = [*_files(folder, found, record, text, trusted=signature.fits)]
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}\n  fix: make it readable") from error
    if unread:
        problems.append(f"inconsistent: {RECORD_FILE}: {unread}")
    notes = list(signature.notes)
    problems += signature.problems
    if record is not None and not problems:  # else what is inconsistent is only what was changed
        problems += [f"inconsistent: {text}" for text in _consistency(folder, found, record)]
    if record is not None and not record.ready:
        notes.append(f"packed although the gate said no, for {len(record.reasons)} reasons: see {RECORD_FILE}")
    return Verified(tuple(dict.fromkeys(problems)), tuple(notes), record)


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() and not file.is_symlink() else b""


def _record(data: bytes) -> tuple[Record | None, str]:
    """record.json, or why it is none."""
    try:
        return Record.model_validate_json(data), ""
    except ValidationError as error:
        return None, f"is none of schema {SCHEMA}: {explain(error, Record).splitlines()[0]}"


# ---- files


def _files(
    folder: Path, found: Mapping[str, str], record: Record | None, text: bytes, *, trusted: bool
) -> Iterator[str]:
    """Every changed, missing and additional file.

    SHA256SUMS and record.json both list the files, so that a change of one of the two lists is told as that. trusted:
    SHA256SUMS is as it was signed, so that it is never the one.
    """
    inner = dict(record.files) if record is not None and _is_as_written(text) else None
    if not (folder / SUMS_FILE).is_file():
        yield f"missing: {SUMS_FILE}"
        sums = inner or {}
    else:
        try:
            sums = parse_sums(_read(folder / SUMS_FILE).decode("utf-8"))
        except ValueError as error:
            yield f"changed: {SUMS_FILE}: {error}"
            sums = inner or {}
    listed = dict(sums)
    if inner is not None and not trusted and sums is not inner:
        own = hashlib.sha256(text).hexdigest()
        if {name: digest for name, digest in sums.items() if name != RECORD_FILE} != inner:
            yield f"changed: {SUMS_FILE}: does not list what {RECORD_FILE} lists"
        elif sums.get(RECORD_FILE) != own:
            yield f"changed: {RECORD_FILE}, or its line in {SUMS_FILE}"
        listed = {**inner, RECORD_FILE: own}
    for name in sorted({*listed, *found}):
        if name not in found:
            yield f"missing: {name}"
        elif name not in listed:
            yield f"additional: {name}" if listed else f"not known: {name}"
        elif found[name] != listed[name]:
            yield f"changed: {name}" + ("" if found[name] else ": is no plain file")


def _is_as_written(text: bytes) -> bool:
    """Whether record.json is, byte for byte, what its content and its own seal make."""
    try:
        document = json.loads(text)
        return isinstance(document, dict) and record_bytes(document) == text
    except (ValueError, RecursionError):
        return False


# ---- signature


@dataclass(frozen=True)
class _Signature:
    """fits: SHA256SUMS is as some key signed it, the record's own or the one asked for."""

    fits: bool = False
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _signature(folder: Path, public: Ed25519PublicKey | None, record: Record | None) -> _Signature:
    sums, file = _read(folder / SUMS_FILE), folder / SIGNATURE_FILE
    if not file.is_file():
        return _unsigned(folder, public, record)
    data, signer = _read(file), _signer(folder)
    if public is not None and fits(public, data, sums):
        return _Signature(fits=True, notes=(f"signed by the key {_short(public)}",))
    if signer is None or not fits(signer, data, sums):
        return _Signature(problems=(f"bad signature: {SIGNATURE_FILE} does not fit {SUMS_FILE}",))
    if public is not None:
        other = f"signed by another key: {_short(signer)}, not {_short(public)}"
        return _Signature(fits=True, problems=(other,))
    note = f"signed by the key {_short(signer)}; only --public-key shows whether that is the right one"
    return _Signature(fits=True, notes=(note,))


def _unsigned(folder: Path, public: Ed25519PublicKey | None, record: Record | None) -> _Signature:
    if (record is not None and record.signer) or (folder / SIGNER_FILE).exists():
        return _Signature(problems=(f"missing: {SIGNATURE_FILE}",))
    if public is not None:
        return _Signature(problems=(f"not signed: the key {_short(public)} was to have signed it",))
    return _Signature(notes=("not signed: whoever changed a file could have written new sums",))


def _short(key: Ed25519PublicKey) -> str:
    return fingerprint(key)[:16]


def _signer(folder: Path) -> Ed25519PublicKey | None:
    """The record's own copy of the public key."""
    try:
        return parse_public_key(_read(folder / SIGNER_FILE))
    except ValueError:
        return None


# ---- consistency


def _subject(reason: Mapping[str, Any]) -> tuple[str, ...]:
    """What a reason is about, whatever its words."""
    return tuple(str(reason.get(key, "")) for key in ("kind", "case", "board", "check"))


def _consistency(folder: Path, found: Mapping[str, str], record: Record) -> Iterator[str]:
    """What the record says and its own runs do not bear out: the gate is asked again, as it was then."""
    signer = _signer(folder)
    if record.signer != (fingerprint(signer) if signer is not None else ""):
        yield f"{RECORD_FILE} names another signer than {SIGNER_FILE}"
    for named in filter(None, (record.policy, record.quarantine)):
        if found.get(named.file) != named.sha256:
            yield f"{named.file} is not the one that {RECORD_FILE} names"
    if record.ready == bool(record.reasons):
        yield f"{RECORD_FILE} says ready: {str(record.ready).lower()} with {len(record.reasons)} reasons"
    if record.allowed_failed == record.ready:
        yield f"{RECORD_FILE} says ready and allowed_failed: {str(record.ready).lower()} both"
    try:
        question = _question(folder, record)
        runs = [read_run(file) for file in sorted((folder / "runs").glob("*/run.json"))]
        decision = decide(runs, question)
    except (UsageError, ValueError) as error:
        yield str(error).splitlines()[0]
        return
    again: dict[str, Any] = facts_of(decision, folder)
    if sorted(map(_subject, again["reasons"])) != sorted(map(_subject, record.reasons)):
        yield f"reasons of {RECORD_FILE} are not those that its runs give"
    # Notes are prose, which another version of hil words in its own way.
    if record.packed_with == packed_with() and sorted(map(str, again["notes"])) != sorted(record.notes):
        yield f"notes of {RECORD_FILE} are not those that its runs give"
    files = {(fact.case, fact.board): fact.firmware.file for fact in record.results}
    facts = {
        (result.name, result.board): result_fact(
            result,
            result.run.file.relative_to(folder).as_posix(),
            files.get((result.name, result.board), ""),
        )
        for result in decision.results
    }
    if facts != {(fact.case, fact.board): fact for fact in record.results}:
        yield f"results of {RECORD_FILE} are not those of its runs"
    for fact in record.results:
        image = fact.firmware.image
        if fact.firmware.file and (image is None or found.get(fact.firmware.file) != image.sha256):
            yield f"{fact.firmware.file} is not the firmware that {fact.case} ran on {fact.board}"


def _question(folder: Path, record: Record) -> Question:
    """What the gate was asked when the record was packed."""
    policy = read_policy(folder / record.policy.file).policy
    quarantine = load_quarantine(folder / record.quarantine.file) if record.quarantine else Quarantine()
    now = datetime.fromisoformat(record.packed_at)
    if now.tzinfo is None:
        raise ValueError(f"packed_at: {record.packed_at!r} has no zone")
    return Question(policy, quarantine, record.tree, record.source, now)
