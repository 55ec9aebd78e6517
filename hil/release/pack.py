"""Packs a release record: what was released, on what evidence, into one folder that appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import hil
from hil.budget.find import budget_sheets
from hil.budget.text import document, lines
from hil.case.types import BASELINES
from hil.errors import UsageError
from hil.gate.gate import Decision, decide
from hil.gate.integrity import is_plain
from hil.gate.policy import PolicyFile
from hil.gate.question import Question
from hil.gate.results import Result
from hil.gate.text import reason_rows
from hil.project.git import default_by
from hil.release import keys
from hil.release.card import CARD_FILE, model_card
from hil.release.record import POLICY_COPY, QUARANTINE_COPY, RECORD_FILE, SCHEMA, record_bytes, result_fact
from hil.release.sums import SIGNATURE_FILE, SUMS_FILE, hash_files, sums_text
from hil.report.markdown import summary
from hil.report.outdir import PAGE_FILE, SUMMARY_FILE
from hil.runfile import RUN_FILE, Run, read_run

SIGNER_FILE = "signer.pem"
RUNS, FIRMWARE, CASES = "runs", "firmware", "cases"


@dataclass(frozen=True)
class Request:
    """out: a folder that must not exist. key: None for an unsigned record. board_folders: for the budget sheet."""

    runs: Sequence[Run]
    policy: PolicyFile
    question: Question
    out: Path
    key: Ed25519PrivateKey | None
    note: str
    allow_failed: bool
    board_folders: list[Path]


def refuse_existing(out: Path) -> None:
    """Raises UsageError when there is something at `out`."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out}: is there already\n  fix: name a new folder; a record is never written over")


def pack(request: Request) -> Decision:
    """Write the record of runs that the gate was asked about; returns what the gate said of the copies in it.

    Raises UsageError when the folder is there already, a file cannot be read or written, or the gate says no and
    failure is not allowed.
    """
    refuse_existing(request.out)
    if any(not is_plain(run.document.board.name) for run in request.runs):
        raise UsageError("a run names a board with a path\n  fix: run again on a board of boards/")
    try:
        with _whole_folder(request.out) as folder:
            return _fill(folder, request)
    except OSError as error:
        problem = f"{request.out}: cannot be written: {error.strerror} ({error.filename})"
        raise UsageError(f"{problem}\n  fix: make room, or name another --out") from error


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when all went well, and goes when anything did not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder
        folder.chmod(0o755)
        os.rename(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _fill(folder: Path, request: Request) -> Decision:
    copies = _copy_runs(folder / RUNS, request.runs)
    decision = decide(copies, request.question)
    if not decision.ready and not request.allow_failed:
        raise UsageError(
            f"the gate says no: {decision.reasons[0].what}\n  fix: {decision.reasons[0].fix}; hil gate has all reasons"
        )
    _write(folder / POLICY_COPY, request.policy.data)
    if request.question.quarantine.file is not None:
        _write(folder / QUARANTINE_COPY, request.question.quarantine.data)
    firmware = _copy_firmware(folder / FIRMWARE, request.runs)
    _copy_baselines(folder / CASES, decision.results, request)
    _write_cards(folder / CASES, decision.results, request)
    _write_budget(folder, decision.results, request)
    if request.key is not None:
        _write(folder / SIGNER_FILE, keys.public_pem(request.key.public_key()))
    _write(folder / RECORD_FILE, _record(folder, decision, firmware, request))
    sums = sums_text(hash_files(folder)).encode()
    _write(folder / SUMS_FILE, sums)
    if request.key is not None:
        _write(folder / SIGNATURE_FILE, request.key.sign(sums))
    return decision


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


# ---- what is copied


def _copy_runs(folder: Path, runs: Sequence[Run]) -> list[Run]:
    """Each run once, in a folder named after its board; the copies as they are read there."""
    copies: list[Run] = []
    for run in {run.document.seal: run for run in runs}.values():
        name = run.document.board.name
        same = [copy for copy in copies if copy.document.board.name == name]
        target = folder / (name if not same else f"{name}.{len(same) + 1}")
        wanted = [RUN_FILE, *_files_of(run)]
        for file in dict.fromkeys(wanted):
            _write(target / file, _content(run, file))
        copy = read_run(target)
        _write(target / PAGE_FILE, _report(run, copy))
        _write(target / SUMMARY_FILE, summary(copy).encode())
        copies.append(copy)
    return copies


def _report(run: Run, copy: Run) -> bytes:
    """The page that the run left, when it is of this very run: it names the seal. Else a new one."""
    left = run.folder / PAGE_FILE
    page = left.read_bytes() if left.is_file() else b""
    if copy.sealed and copy.document.seal.encode() in page:
        return page
    from hil.report.page.build import build_page  # not at module level: it loads the plots

    return build_page(copy)


def _files_of(run: Run) -> Iterator[str]:
    """Names of the records and logs of a run. A name that leaves the folder is not followed."""
    for case in run.document.cases:
        yield from (
            name for name in (case.records, case.log) if name and is_plain(name) and (run.folder / name).is_file()
        )


def _content(run: Run, name: str) -> bytes:
    return run.file.read_bytes() if name == RUN_FILE else (run.folder / name).read_bytes()


def _copy_firmware(folder: Path, runs: Sequence[Run]) -> dict[str, str]:
    """SHA-256 of an image to its place in the record, for the ELF files that the runs kept."""
    found: dict[str, str] = {}
    for run in runs:
        target = run.document.board.target
        file = run.folder / f"{target}.elf"
        if not is_plain(file.name) or not file.is_file():
            continue
        data = file.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 in {case.image.sha256 for case in run.document.cases if case.image} and sha256 not in found:
            name = file.name if f"{FIRMWARE}/{file.name}" not in found.values() else f"{target}.{len(found) + 1}.elf"
            _write(folder / name, data)
            found[sha256] = f"{FIRMWARE}/{name}"
    return found


def _case_folder(request: Request, result: Result) -> Path | None:
    """The case's own folder, None when the case is not below the tree or is another one by now."""
    demand = request.question.demand(result)
    return (request.policy.cases / demand.path).parent if demand is not None else None


def _copy_baselines(folder: Path, results: Sequence[Result], request: Request) -> None:
    """The accepted measurements that a run was held against, where they still lie beside the case."""
    for result in results:
        used, source = result.case.baseline, _case_folder(request, result)
        if used is None or source is None or not is_plain(result.board):
            continue
        file = source / BASELINES / f"{result.board}.json"
        data = file.read_bytes() if file.is_file() else b""
        if hashlib.sha256(data).hexdigest() == used.sha256:
            _write(folder / safe_name(result.name) / BASELINES / file.name, data)


def safe_name(name: str) -> str:
    """A case's name as that of a folder."""
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "_"


# ---- what is written


def _write_cards(folder: Path, results: Sequence[Result], request: Request) -> None:
    for name in dict.fromkeys(result.name for result in results):
        mine = [result for result in results if result.name == name]
        source = _case_folder(request, mine[0])
        readme = source / "README.md" if source is not None else None
        page = readme.read_text(encoding="utf-8", errors="replace") if readme is not None and readme.is_file() else ""
        card = model_card(mine, request.question.demand(mine[0]), page)
        _write(folder / safe_name(name) / CARD_FILE, card.encode("utf-8", "replace"))


def _write_budget(folder: Path, results: Sequence[Result], request: Request) -> None:
    """The budget sheet of every case on every board, as text and as JSON."""
    sheets = []
    for result in results:
        source = _case_folder(request, result)
        if source is not None:
            made = budget_sheets([str(source)], result.run.folder, None, request.board_folders)
            sheets += [replace(sheet, run=_inside(folder, str(result.run.file))) for sheet in made]
    if sheets:
        _write(folder / "budget.txt", ("\n\n".join("\n".join(lines(sheet)) for sheet in sheets) + "\n").encode())
        listed = [document(sheet) for sheet in sheets]
        _write(folder / "budget.json", (json.dumps(listed, indent=1, ensure_ascii=False) + "\n").encode())


def _inside(folder: Path, words: str) -> str:
    """Words in which the record's own files are named by their place in it."""
    return words.replace(f"{folder}/", "")


def packed_with() -> str:
    """This version, as a record names it."""
    return f"hil {hil.__version__}"


def facts_of(decision: Decision, folder: Path) -> dict[str, list[object]]:
    """What a record says of its runs. Nothing but the runs and the question goes into it, so it can be made again."""
    rows = reason_rows(decision.reasons)
    return {
        "reasons": [{key: _inside(folder, value) for key, value in row.items()} for row in rows],
        "notes": [_inside(folder, note) for note in decision.notes],
    }


def _record(folder: Path, decision: Decision, firmware: dict[str, str], request: Request) -> bytes:
    question, key = request.question, request.key
    results = []
    for result in decision.results:
        elf = firmware.get(result.case.image.sha256, "") if result.case.image else ""
        results.append(result_fact(result, _inside(folder, str(result.run.file)), elf).model_dump())
    quarantine = question.quarantine
    return record_bytes(
        {
            "schema": SCHEMA,
            "ready": decision.ready,
            "allowed_failed": request.allow_failed and not decision.ready,
            "packed_at": question.now.isoformat(),
            "packed_by": default_by(request.policy.file.parent),
            "note": request.note,
            "packed_with": packed_with(),
            "source": question.source.model_dump(),
            "policy": {"file": POLICY_COPY, "sha256": request.policy.sha256},
            "quarantine": None
            if quarantine.file is None
            else {"file": QUARANTINE_COPY, "sha256": hashlib.sha256(quarantine.data).hexdigest()},
            "tree": question.tree.model_dump(),
            **facts_of(decision, folder),
            "results": results,
            "signer": keys.fingerprint(key.public_key()) if key is not None else "",
            "files": hash_files(folder),
        }
    )
