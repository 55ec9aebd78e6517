"""`run.json`: the machine-readable result of one run, schema `hil-run/1` (docs/run-json.md)."""

from __future__ import annotations

import io
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hil
from hil.board.config import BoardConfig
from hil.case.types import Case, Limit, ModelFile
from hil.contract.changes import baseline_document
from hil.contract.gap import comparison
from hil.contract.heap import HeapUse
from hil.contract.latency import latency_samples, latency_summary
from hil.contract.memory import arena_high_water, stack_high_water, stack_size
from hil.contract.operators import OperatorProfile
from hil.contract.types import CheckResult, Evidence, Finding
from hil.ledger import Ledger
from hil.link.client import LinkCounters
from hil.records import ClockSpec, Hello, RunRecords
from hil.runfile import SCHEMA, seal
from hil.tensor import TensorContract
from hil.verdict import case_verdict, run_verdict

PACKAGES = ("numpy", "scipy", "tflite-micro", "ai-edge-litert", "cbor2", "zcbor", "pytest", "pydantic", "pyelftools")
_SYMBOLS = 12  # the largest of flash, and of RAM
Json = dict[str, Any]


@dataclass(frozen=True)
class CaseReport:
    """What is known of one case after the run; evidence is None when the bench broke, or when the case was `refused`
    before it ran: `error` says how.

    records_sha256: of the file of records; "" without one.
    """

    case: Case
    results: Sequence[CheckResult]
    evidence: Evidence | None = None
    title: str = ""  # the case's name is enough
    link: LinkCounters | None = None
    inferences: int = 0
    seconds: float = 0.0
    error: str = ""
    refused: bool = False
    records_file: str = ""
    records_sha256: str = ""
    log_file: str = ""
    devices: Sequence[str] = ()  # of a pool, one for each share
    quarantine: Mapping[str, Json] = field(default_factory=dict)  # check to reason, issue, expires

    @property
    def verdict(self) -> str:
        """Of hil.verdict."""
        checks = ((str(result.outcome), result.check in self.quarantine) for result in self.results)
        return case_verdict(checks, self.error)


def run_document(
    cases: Sequence[Json],
    config: BoardConfig,
    clock: Json | None,
    *,
    interrupted: bool,
    started: str,
    seconds: float,
    workers: int = 1,
    lost_workers: Sequence[str] = (),
    source: Json | None = None,
    firmware: Json | None = None,
) -> Json:
    """The whole document, sealed. cases: of `case_document`; clock: of `clock_document`; `started`: UTC, ISO 8601;
    `seconds`: host time of the run; lost_workers, source, firmware: as in hil.runfile.
    """
    document = {
        "schema": SCHEMA,
        "verdict": run_verdict([case["verdict"] for case in cases], interrupted, lost_workers),
        "started": started,
        "host_seconds": round(seconds, 3),
        "workers": workers,
        "lost_workers": list(lost_workers),
        "board": {"name": config.name, "kind": config.kind, "target": config.target, "clock": clock},
        "manifest": {
            "hil": hil.__version__,
            "python": platform.python_version(),
            "host": platform.platform(),
            "packages": {name: _version(name) for name in PACKAGES},
            "source": source,
            "firmware": firmware,
        },
        "cases": list(cases),
    }
    return {**document, "seal": seal(document)}


def dump(document: Mapping[str, Any]) -> bytes:
    """As UTF-8 JSON."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def records_archive(case: Case, records: RunRecords, evidence: Evidence | None = None) -> bytes:
    """The raw records as an .npz (docs/run-json.md): one array per column of RunRecords, `label_texts`, the vectors'
    names and, of a run that came to its end, what reports need of its references and latency samples.
    """
    columns: dict[str, Any] = dict(records.columns())
    columns["label_texts"] = np.array(records.label_texts, dtype=np.str_)
    columns["name"] = np.array([case.vectors.name(index) for index in range(len(records))], dtype=np.str_)
    label = case.vectors.label
    columns["expected_label"] = np.full(len(records), -1, np.int32) if label is None else label.astype(np.int32)
    if evidence is not None:
        columns |= _reference_columns(evidence)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)
    return buffer.getvalue()


def _reference_columns(evidence: Evidence) -> dict[str, NDArray[Any]]:
    references, output = evidence.references, evidence.case.model.output
    samples = latency_samples(evidence)
    columns: dict[str, NDArray[Any]] = {
        "units": samples.units,
        "distinct": samples.rows,
        "reference_gate": references.gate,
        "reference_output": references.output,
        "reference_answer": references.answer,
        "output_scale": np.array(output.quantisation.scale),
        "output_zero_point": np.array(output.quantisation.zero_point),
    }
    if references.float_output is not None:
        columns["float_output"] = references.float_output
    if references.float_chain is not None:
        columns["float_chain"] = references.float_chain
    for number, further in enumerate(references.outputs, 1):
        columns[f"reference_output.{number}"] = further.output
        if further.float_output is not None:
            columns[f"float_output.{number}"] = further.float_output
        if further.float_chain is not None:
            columns[f"float_chain.{number}"] = further.float_chain
    return columns


def case_document(report: CaseReport) -> Json:
    """One case of run.json; NaN and infinities, which JSON has not, become null."""
    case = report.case
    document: Json = {
        "name": case.name,
        "title": report.title or case.name,
        "version": case.version,
        "path": shown_path(case.path),
        "verdict": report.verdict,
        "error": report.error,
        "refused": report.refused,
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
        "decision": _decision(case),
        "checks": [
            {**check_document(result), "quarantine": report.quarantine.get(result.check)} for result in report.results
        ],
        "records": report.records_file,
        "records_sha256": report.records_sha256,
        "log": report.log_file,
        "devices": list(report.devices),
    }
    if report.evidence is not None:
        document |= _evidence(report.evidence)
    if report.link is not None:
        document["link"] = vars(report.link)
    finite: Json = _finite(document)
    return finite


def unreadable_document(path: Path, name: str, error: str) -> Json:
    """The same of a case.toml that is none: all that is known is where it lies and what is wrong."""
    return {
        "name": name,
        "title": name,
        "version": 0,
        "path": shown_path(path),
        "verdict": "error",
        "error": error,
        "refused": True,
        "host_seconds": 0.0,
        "vectors": 0,
        "inferences": 0,
        "manifest": {"files": {}, "locked": False, "model_sha256": "", "float_model_sha256": None, "source": ""},
        "decision": None,
        "checks": [],
        "records": "",
        "records_sha256": "",
        "log": "",
        "devices": [],
    }


def shown_path(path: Path) -> str:
    """Relative to the working folder, so that a run moves between machines; absolute when it lies elsewhere."""
    absolute = path.resolve()
    return (absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute).as_posix()


def _decision(case: Case) -> Json | None:
    decide = case.decide
    if not decide.labels:
        return None
    output = case.model.output
    threshold: float | None = None  # of a decide stage of the product's own
    if decide.own:
        pass
    elif output.element.real:
        threshold = float(output.element.of_ranks(decide.threshold))
    else:  # which may lie one below the type
        threshold = float(output.quantisation.real(np.array(decide.threshold)))
    return {"labels": list(decide.labels), "threshold": threshold, "unknown": decide.unknown}


def _evidence(evidence: Evidence) -> Json:
    vectors, profile = evidence.case.vectors, evidence.section(OperatorProfile)
    return {
        "image": {
            "sha256": evidence.image.sha256,
            "flash_bytes": evidence.image.flash_bytes,
            "ram_bytes": evidence.image.ram_bytes,
            "stack_bytes": evidence.image.stack_bytes,
        },
        "bundle": {"sha256": evidence.bundle_sha256, "bytes": evidence.bundle_bytes},
        "device": _hello(evidence.hello, evidence.case.model),
        "latency": latency_summary(evidence),
        "memory": _memory(evidence) if evidence.image.known else None,
        "sizes": _sizes(evidence.image.ledger) if evidence.image.ledger.known else None,
        "operators": [vars(operator) for operator in profile.operators],
        "operators_vector": vectors.name(profile.vector) if profile.operators else "",
        "baseline": _baseline(evidence),
        "answers": _answers(evidence),
        "faults": [
            {"vector": fault.vector, "kind": fault.report.kind, "stage": fault.report.stage, "text": fault.report.text}
            for fault in evidence.faults
        ],
    }


def _baseline(evidence: Evidence) -> Json | None:
    found = baseline_document(evidence)
    return None if found is None else {**found, "file": shown_path(Path(found["file"]))}


def _answers(evidence: Evidence) -> Json | None:
    found = comparison(evidence)
    return None if found is None else {**asdict(found), "gap": asdict(found.gap) if found.gap else None}


def _memory(evidence: Evidence) -> Json:
    image, bundle = evidence.image, evidence.bundle_bytes
    return {
        "arena_used": evidence.hello.arena_used,
        "arena_high_water": arena_high_water(evidence),
        "arena_bytes": evidence.case.arena_bytes,
        "stack_high_water": stack_high_water(evidence),
        "stack_bytes": stack_size(evidence),
        "flash_bytes": image.flash_bytes + bundle,
        "image_flash_bytes": image.flash_bytes,
        "bundle_bytes": bundle,
        "model_bytes": len(evidence.case.model.data),
        "ram_bytes": image.ram_bytes,
        "host": image.host,
        "heap": _heap(evidence.section(HeapUse)),
    }


def _heap(heap: HeapUse) -> Json | None:
    if not heap.told:
        return None
    windows = max(len(start.used) for start in heap.starts)
    return {"peak": heap.peak, "size": heap.size, "failed": heap.failed, "windows": windows}


def _sizes(ledger: Ledger) -> Json:
    """The largest symbols only: a run.json has a copy for each case, and the ELF in its folder has them all."""
    symbols = {each: None for ram in (False, True) for each in ledger.largest(_SYMBOLS, ram=ram)}
    return {
        "stripped": ledger.stripped,
        "uncovered": ledger.uncovered,
        "sections": [asdict(section) for section in ledger.sections],
        "groups": [{"name": each.group, "flash": each.flash, "ram": each.ram} for each in ledger.groups().values()],
        "symbols": [
            {"name": each.shown, "file": each.file, "group": each.group, "flash": each.flash, "ram": each.ram}
            for each in symbols
        ],
    }


def _hello(hello: Hello, model: ModelFile) -> Json:
    """Where there are several tensors of a side, they have their names."""
    plain = {item.name: getattr(hello, item.name) for item in fields(hello)}
    known = {"input": model.inputs, "output": (model.output, *model.further_outputs)}
    for side, tensors in known.items():
        told = [_tensor(tensor) for tensor in (plain[side], *plain.pop(f"{side}s"))]
        if len(told) > 1:
            told = [{"name": tensor.name, **each} for tensor, each in zip(tensors, told, strict=True)]
            plain[f"{side}s"] = told[1:]
        plain[side] = told[0]
    return plain


def _tensor(tensor: TensorContract) -> Json:
    return {
        "type": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": tensor.quantisation.scale,
        "zero_point": tensor.quantisation.zero_point,
        "bytes": tensor.bytes,
    }


def check_document(result: CheckResult) -> Json:
    """One check: outcome, value and unit, limit, findings; `tensors` where it was made of several."""
    document: Json = {
        "id": result.check,
        "outcome": str(result.outcome),
        "value": result.value,
        "unit": result.unit,
        "limit": _limit(result.limit),
        "reason": result.reason,
        "hint": result.hint,
        "numbers": dict(result.numbers),
        "findings_total": result.total,
        "findings": [_finding(finding) for finding in result.findings],
    }
    if result.tensors:
        document["tensors"] = [
            {
                "name": name,
                "outcome": str(each.outcome),
                "value": each.value,
                "unit": each.unit,
                "limit": _limit(each.limit),
                "reason": each.reason,
                "findings_total": each.total,
            }
            for name, each in result.tensors
        ]
    return document


def _finding(finding: Finding) -> dict[str, str]:
    return {item.name: getattr(finding, item.name) for item in fields(finding)}


def _limit(limit: Limit | None) -> Json | None:
    return None if limit is None else {"minimum": limit.minimum, "maximum": limit.maximum, "unit": limit.unit}


def clock_document(clock: ClockSpec) -> Json:
    """What a tick of the board is."""
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
