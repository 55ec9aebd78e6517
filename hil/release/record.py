"""What a release record says: `record.json`, schema `hil-release/1` (docs/release.md), and how it is made from runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hil.gate.demands import Tree
from hil.gate.policy import POLICY_FILE
from hil.gate.results import Result
from hil.project.git import Source
from hil.project.quarantine import QUARANTINE_FILE
from hil.runfile import BaselineFacts, Bundle, Case, Check, Clock, Image, Latency, Memory, seal

SCHEMA = "hil-release/1"
RECORD_FILE = "record.json"
POLICY_COPY, QUARANTINE_COPY = POLICY_FILE, QUARANTINE_FILE


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class CheckFact(_Fact):
    """A check that is not plainly passed. issue, expires: "" unless it is in quarantine."""

    check: str
    outcome: str
    reason: str
    findings: int
    issue: str = ""
    expires: str = ""


class FirmwareFact(_Fact):
    """image: its SHA-256 and sizes, None when the run broke before. file: where the ELF lies in the record, "" when the
    run kept none.
    """

    target: str
    image: Image | None
    version: str
    compiler: str
    flags: str
    kernels: str
    file: str


class ModelFact(_Fact):
    sha256: str
    float_sha256: str | None
    source: str
    files: dict[str, str]
    locked: bool


class ResultFact(_Fact):
    """One case on one board. run: path of its run.json in the record; outcomes: how many checks had each."""

    case: str
    version: int
    board: str
    kind: str
    clock: Clock | None
    verdict: str
    run: str
    started: str
    hil: str
    python: str
    host: str
    packages: dict[str, str | None]
    firmware: FirmwareFact
    model: ModelFact
    bundle: Bundle | None
    outcomes: dict[str, int]
    open: list[CheckFact]
    latency: Latency | None
    memory: Memory | None
    baseline: BaselineFacts | None


class Named(_Fact):
    """A file of the record and its SHA-256."""

    file: str
    sha256: str


class Record(_Fact):
    """All of record.json. allowed_failed: it was packed though the gate said no. files: SHA-256 of every other file."""

    format: Literal["hil-release/1"] = Field(alias="schema")
    ready: bool
    allowed_failed: bool
    packed_at: str
    packed_by: str
    note: str
    packed_with: str
    source: Source
    policy: Named
    quarantine: Named | None
    tree: Tree
    reasons: list[dict[str, str]]
    notes: list[str]
    results: list[ResultFact]
    signer: str
    files: dict[str, str]
    seal: str


def record_bytes(content: Mapping[str, Any]) -> bytes:
    """The text of record.json, sealed; `content` has every other key of `Record`."""
    document = {key: value for key, value in content.items() if key != "seal"}
    document["seal"] = seal(document)
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def result_fact(result: Result, run_file: str, firmware_file: str) -> ResultFact:
    """What the record says of one result: nothing that is not in its run.json."""
    case, document = result.case, result.run.document
    return ResultFact(
        case=result.name,
        version=case.version,
        board=result.board,
        kind=document.board.kind,
        clock=document.board.clock,
        verdict=case.verdict,
        run=run_file,
        started=document.started,
        hil=document.manifest.hil,
        python=document.manifest.python,
        host=document.manifest.host,
        packages=dict(document.manifest.packages),
        firmware=_firmware(case, document.board.target, firmware_file),
        model=ModelFact(
            sha256=case.manifest.model_sha256,
            float_sha256=case.manifest.float_model_sha256,
            source=case.manifest.source,
            files=dict(case.manifest.files),
            locked=case.manifest.locked,
        ),
        bundle=case.bundle,
        outcomes=_count([check.outcome for check in case.checks]),
        open=[_open(check) for check in case.checks if check.outcome != "passed"],
        latency=case.latency,
        memory=case.memory,
        baseline=case.baseline,
    )


def _firmware(case: Case, target: str, file: str) -> FirmwareFact:
    device = case.device
    return FirmwareFact(
        target=target,
        image=case.image,
        version=device.firmware if device else "",
        compiler=device.compiler if device else "",
        flags=device.flags if device else "",
        kernels=device.kernels if device else "",
        file=file,
    )


def _count(outcomes: Sequence[str]) -> dict[str, int]:
    return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}


def _open(check: Check) -> CheckFact:
    known = check.quarantine
    return CheckFact(
        check=check.id,
        outcome=check.outcome,
        reason=known.reason if known else check.reason,
        findings=check.findings_total,
        issue=known.issue if known else "",
        expires=known.expires if known else "",
    )
