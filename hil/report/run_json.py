"""`run.json`: the machine-readable result of one run, schema `hil-run/1` (docs/run-json.md)."""

from __future__ import annotations

import io
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import metadata
from typing import Any

import numpy as np

import hil
from hil.board.config import BoardConfig
from hil.case.types import Case, Limit
from hil.contract.latency import latency_summary
from hil.contract.types import CheckResult, Evidence, Finding, Outcome
from hil.link.client import LinkCounters
from hil.records import ClockSpec, Hello, RunRecords

SCHEMA = "hil-run/1"
PACKAGES = ("numpy", "scipy", "tflite-micro", "ai-edge-litert", "cbor2", "zcbor", "pytest", "pydantic", "pyelftools")


@dataclass(frozen=True)
class CaseReport:
    """What is known of one case after the run; evidence is None when the bench broke, `error` says how."""

    case: Case
    results: Sequence[CheckResult]
    evidence: Evidence | None = None
    link: LinkCounters | None = None
    inferences: int = 0
    seconds: float = 0.0
    error: str = ""
    records_file: str = ""
    log_file: str = ""

    @property
    def verdict(self) -> str:
        """`error` when the bench broke, `failed`, `passed`, or `not judged` when no check could be judged."""
        outcomes = {result.outcome for result in self.results}
        if self.error:
            return "error"
        if Outcome.FAILED in outcomes:
            return "failed"
        return "passed" if Outcome.PASSED in outcomes else "not judged"


def run_verdict(reports: Sequence[CaseReport], interrupted: bool) -> str:
    """The worst of all cases; a run in which nothing was judged is no pass."""
    verdicts = [report.verdict for report in reports]
    if interrupted:
        return "interrupted"
    for verdict in ("error", "failed"):
        if verdict in verdicts:
            return verdict
    return "passed" if verdicts and all(verdict == "passed" for verdict in verdicts) else "nothing judged"


def run_document(
    reports: Sequence[CaseReport],
    config: BoardConfig,
    clock: ClockSpec | None,
    *,
    interrupted: bool,
    started: str,
    seconds: float,
) -> dict[str, Any]:
    """The whole document. `started`: UTC, ISO 8601; `seconds`: host time of the run."""
    return {
        "schema": SCHEMA,
        "verdict": run_verdict(reports, interrupted),
        "started": started,
        "host_seconds": round(seconds, 3),
        "board": {
            "name": config.name,
            "kind": config.kind,
            "target": config.target,
            "clock": _clock(clock) if clock else None,
        },
        "manifest": {
            "hil": hil.__version__,
            "python": platform.python_version(),
            "host": platform.platform(),
            "packages": {name: _version(name) for name in PACKAGES},
        },
        "cases": [_case(report) for report in reports],
    }


def dump(document: Mapping[str, Any]) -> bytes:
    """As UTF-8 JSON; NaN and infinities, which JSON has not, become null."""
    return (json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def records_archive(case: Case, records: RunRecords) -> bytes:
    """The raw records as an .npz: one array per column of RunRecords, `label_texts`, and the vectors' names."""
    columns = {item.name: getattr(records, item.name) for item in fields(records) if item.name != "label_texts"}
    columns["label_texts"] = np.array(records.label_texts, dtype=np.str_)
    columns["name"] = np.array([case.vectors.name(index) for index in range(len(records))], dtype=np.str_)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)
    return buffer.getvalue()


def _case(report: CaseReport) -> dict[str, Any]:
    case = report.case
    document: dict[str, Any] = {
        "name": case.name,
        "version": case.version,
        "verdict": report.verdict,
        "error": report.error,
        "host_seconds": round(report.seconds, 3),
        "vectors": len(case.vectors),
        "inferences": report.inferences,
        "manifest": {
            "files": dict(case.files),
            "locked": case.locked,
            "model_sha256": case.model.sha256,
            "float_model_sha256": case.float_model.sha256 if case.float_model else None,
            "source": case.source,
        },
        "checks": [check_document(result) for result in report.results],
        "records": report.records_file,
        "log": report.log_file,
    }
    if report.evidence is not None:
        document |= _evidence(report.evidence)
    if report.link is not None:
        document["link"] = vars(report.link)
    return document


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "image": {
            "sha256": evidence.image.sha256,
            "flash_bytes": evidence.image.flash_bytes,
            "ram_bytes": evidence.image.ram_bytes,
            "stack_bytes": evidence.image.stack_bytes,
        },
        "bundle": {"sha256": evidence.bundle_sha256, "bytes": evidence.bundle_bytes},
        "device": _hello(evidence.hello),
        "latency": latency_summary(evidence),
        "faults": [
            {"vector": fault.vector, "kind": fault.report.kind, "stage": fault.report.stage, "text": fault.report.text}
            for fault in evidence.faults
        ],
    }


def _hello(hello: Hello) -> dict[str, Any]:
    plain = {item.name: getattr(hello, item.name) for item in fields(hello)}
    for side in ("input", "output"):
        tensor = plain[side]
        plain[side] = {
            "type": tensor.dtype,
            "shape": list(tensor.shape),
            "scale": tensor.quantisation.scale,
            "zero_point": tensor.quantisation.zero_point,
            "bytes": tensor.bytes,
        }
    return plain


def check_document(result: CheckResult) -> dict[str, Any]:
    """One check: outcome, value and unit, limit, findings."""
    return {
        "id": result.check,
        "outcome": str(result.outcome),
        "value": result.value,
        "unit": result.unit,
        "limit": _limit(result.limit),
        "reason": result.reason,
        "numbers": dict(result.numbers),
        "findings_total": result.total,
        "findings": [_finding(finding) for finding in result.findings],
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {item.name: getattr(finding, item.name) for item in fields(finding)}


def _limit(limit: Limit | None) -> dict[str, Any] | None:
    return None if limit is None else {"minimum": limit.minimum, "maximum": limit.maximum, "unit": limit.unit}


def _clock(clock: ClockSpec) -> dict[str, Any]:
    return {"kind": clock.kind, "unit": clock.unit, "hz": clock.hz or None, "deterministic": clock.deterministic}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
