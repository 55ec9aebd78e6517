"""Knows how to make a run.json by hand: one case of a passed run on a counting or measuring board, to be changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hil.runfile import seal

Json = dict[str, Any]
INSTRUCTIONS = {"kind": "instructions", "unit": "instructions", "hz": None, "deterministic": True}
CYCLES = {"kind": "cycles", "unit": "cycles", "hz": 100_000_000, "deterministic": False}
HOST = {"kind": "host time", "unit": "ns", "hz": None, "deterministic": False}
_STAGES = {"prepare": 10_000, "invoke": 500_000, "decide": 100, "total": 510_100}


def made_case(name: str = "motion", **changes: Any) -> Json:
    """A case that passed, with 320 vectors; `changes` replace whole keys."""
    case: Json = {
        "name": name,
        "version": 1,
        "path": f"golden_vectors/{name}/case.toml",
        "verdict": "passed",
        "error": "",
        "host_seconds": 1.0,
        "started": "2026-03-01T10:00:00+00:00",
        "vectors": 320,
        "inferences": 650,
        "manifest": {
            "files": {},
            "locked": True,
            "model_sha256": "ab" * 32,
            "float_model_sha256": None,
            "source": "made by hand",
        },
        "decision": {"labels": ["no", "yes"], "threshold": 0.6, "unknown": "unknown"},
        "checks": [
            made_check("decision.accuracy", 0.97),
            made_check("agreement.top1", 0.99),
            made_check("latency.total.p99", 510_900.0, "instructions", bound=510_900, p99=510_800),
        ],
        "records": "motion.npz",
        "records_sha256": "cd" * 32,
        "log": "motion.log",
        "image": {"sha256": "ef" * 32, "flash_bytes": 200_000, "ram_bytes": 90_000, "stack_bytes": 8192},
        "bundle": {"sha256": "01" * 32, "bytes": 7000},
        "latency": {"unit": "instructions", "stages": {stage: figures(value) for stage, value in _STAGES.items()}},
        "memory": {
            "arena_used": 3500,
            "arena_high_water": 3600,
            "arena_bytes": 4096,
            "stack_high_water": 984,
            "stack_bytes": 8192,
            "flash_bytes": 207_000,
            "image_flash_bytes": 200_000,
            "bundle_bytes": 7000,
            "model_bytes": 6000,
            "ram_bytes": 90_000,
            "host": False,
        },
    }
    return case | changes


def figures(p50: int) -> Json:
    """The figures of one stage: 100 units from p50 to p95, and so on up to the largest."""
    return {"n": 320, "min": p50 - 100, "p50": p50, "p95": p50 + 100, "p99": p50 + 200, "max": p50 + 300, "mean": p50}


def made_check(name: str, value: float, unit: str = "", **numbers: float) -> Json:
    return {
        "id": name,
        "outcome": "passed",
        "value": value,
        "unit": unit,
        "limit": None,
        "reason": "",
        "numbers": numbers,
        "findings_total": 0,
        "findings": [],
    }


def made_run(*cases: Json, board: str = "qemu", clock: Json = INSTRUCTIONS, started: str = "", **changes: Any) -> Json:
    """A sealed document. started: UTC, also of its cases."""
    listed = [case | ({"started": started} if started else {}) for case in cases or (made_case(),)]
    document: Json = {
        "schema": "hil-run/1",
        "verdict": "passed",
        "started": started or "2026-03-01T10:00:00+00:00",
        "host_seconds": 2.0,
        "workers": 1,
        "board": {"name": board, "kind": "qemu", "target": "mps2-an386", "clock": clock},
        "manifest": {"hil": "0.1.0", "python": "3.11.7", "host": "Linux", "packages": {"numpy": "2.0.0"}},
        "cases": listed,
    }
    document |= changes
    return {**document, "seal": seal(document)}


def write_run(folder: Path, document: Json) -> Path:
    """`document` as the run.json of `folder`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "run.json"
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return file
