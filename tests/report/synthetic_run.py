"""Makes run folders as a run would leave them, of any size and verdict: run.json, records, and case folders."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hil.runfile import Run, read_run, seal

Json = dict[str, Any]
Change = Callable[[Json], object]
LABELS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "other")
SCALE, ZERO_POINT = 1 / 256, -128
STAGES = ("prepare", "invoke", "decide", "total")
SHA = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Size:
    """vectors, samples and channels of a window, labels."""

    vectors: int = 60
    samples: int = 40
    channels: int = 3
    labels: int = 4


def write_run(
    folder: Path,
    size: Size = Size(),
    *,
    names: Sequence[str] = ("synthetic",),
    edit: Change | None = None,
    columns: Mapping[str, np.ndarray | None] | None = None,
) -> Run:
    """A run of cases in `folder`, passed unless `edit` changes its document before it is sealed.

    columns: replaces columns of the records; None takes one away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cases = [_case(folder, name, at, size, columns or {}) for at, name in enumerate(names)]
    document = _document(cases)
    if edit is not None:
        edit(document)
    document["seal"] = seal(document)
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    return read_run(folder)


def _case(folder: Path, name: str, at: int, size: Size, columns: Mapping[str, np.ndarray | None]) -> Json:
    random = np.random.default_rng(7 + at)
    source = folder / f"case{at}"
    source.mkdir(exist_ok=True)
    phase = np.arange(size.samples)[:, None] / 5 + np.arange(size.channels)
    pattern = (900 * np.sin(phase)).astype(np.int16)
    windows = pattern + random.integers(-60, 60, (size.vectors, 1, 1), np.int16)
    np.savez_compressed(source / "vectors.npz", windows=windows)
    (source / "case.toml").write_text('[input]\nvectors = "vectors.npz"\n', encoding="utf-8")
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(source.iterdir())}
    recorded = _records(size, random) | dict(columns)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{key: value for key, value in recorded.items() if value is not None})
    (folder / f"records{at}.npz").write_bytes(buffer.getvalue())
    units = _units(size, np.random.default_rng(7 + at))
    return {
        "name": name,
        "version": 1,
        "path": f"case{at}/case.toml",
        "verdict": "passed",
        "error": "",
        "host_seconds": 1.5,
        "vectors": size.vectors,
        "inferences": 2 * size.vectors,
        "manifest": {
            "files": files,
            "locked": True,
            "model_sha256": SHA,
            "float_model_sha256": SHA,
            "source": "made by a test",
        },
        "decision": {"labels": list(LABELS[: size.labels]), "threshold": 0.6, "unknown": "unknown"},
        "checks": _checks(units),
        "records": f"records{at}.npz",
        "records_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "log": f"case{at}.log",
        "image": {"sha256": SHA, "flash_bytes": 200_000, "ram_bytes": 390_000, "stack_bytes": 32_768},
        "bundle": {"sha256": SHA, "bytes": 6_600},
        "device": _device(),
        "latency": {"unit": "instructions", "stages": {stage: _figures(units[:, i]) for i, stage in enumerate(STAGES)}},
        "memory": {
            "arena_used": 3568,
            "arena_high_water": 3600,
            "arena_bytes": 4096,
            "stack_high_water": 984,
            "stack_bytes": 32_768,
            "flash_bytes": 206_600,
            "image_flash_bytes": 200_000,
            "bundle_bytes": 6_600,
            "model_bytes": 6_100,
            "ram_bytes": 390_000,
            "host": False,
        },
        "operators": [
            {"index": index, "operator": operator, "units": units_}
            for index, (operator, units_) in enumerate(
                (("CONV_2D", 400_000), ("FULLY_CONNECTED", 100_000), ("SOFTMAX", 900))
            )
        ],
        "operators_vector": "v0",
        "baseline": None,
        "answers": answers(size),
        "faults": [],
        "link": {"repeats": 0, "damaged": 0, "ignored": 0},
    }


def _records(size: Size, random: np.random.Generator) -> dict[str, np.ndarray]:
    n = size.vectors
    units = _units(size, random)
    expected = np.arange(n, dtype=np.int32) % size.labels
    score = np.full((n, size.labels), 0.02, np.float32)
    score[np.arange(n), expected] = random.uniform(0.7, 0.98, n)
    output = np.clip(np.round(score / SCALE) + ZERO_POINT + random.integers(-2, 3, score.shape), -128, 127).astype(
        np.int8
    )
    answer = output.argmax(axis=1).astype(np.int32)
    if n > 5:
        answer[5] = -1
    plain = np.zeros(n, np.int32)
    return {
        "status": np.zeros(n, np.uint8),
        "gate": np.zeros(n, np.uint8),
        "ticks": np.cumsum(units[:, :3], axis=1),
        "digest": np.arange(n, dtype=np.uint32),
        "minimum": plain,
        "maximum": plain,
        "saturated": plain,
        "output": output,
        "winner": output.argmax(axis=1).astype(np.int32),
        "score": output.max(axis=1).astype(np.int32),
        "answer": answer,
        "reason": np.zeros(n, np.uint8),
        "label": answer,
        "label_texts": np.array(LABELS[: size.labels]),
        "name": np.array([f"v{index}" for index in range(n)]),
        "expected_label": expected,
        "units": units,
        "distinct": np.arange(n),
        "reference_gate": np.zeros(n, np.uint8),
        "reference_output": output,
        "reference_answer": output.argmax(axis=1).astype(np.int32),
        "output_scale": np.array(SCALE),
        "output_zero_point": np.array(ZERO_POINT),
        "float_output": score,
        "float_chain": score,
    }


def _units(size: Size, random: np.random.Generator) -> np.ndarray:
    invoke = 500_000 + random.gamma(2.0, 900.0, size.vectors).astype(np.int64)
    stages = np.stack([np.full_like(invoke, 11_487), invoke, 100 + invoke % 3], axis=1)
    return np.concatenate([stages, stages.sum(axis=1, keepdims=True)], axis=1)


def _figures(values: np.ndarray) -> Json:
    ordered = np.sort(values)
    rank = {f"p{p}": int(ordered[-(-p * len(ordered) // 100) - 1]) for p in (50, 95, 99)}
    return {"n": len(ordered), "min": int(ordered[0]), **rank, "max": int(ordered[-1]), "mean": float(ordered.mean())}


def check(
    name: str, outcome: str = "passed", value: float | None = None, most: float | None = None, unit: str = ""
) -> Json:
    """One check of run.json, with a finding when it failed."""
    contract = name.split(".", 1)[0]
    finding = {
        "case": "synthetic",
        "vector": "v3",
        "contract": contract,
        "check": name,
        "expected": "what was asked for",
        "observed": "what was seen",
        "limit": "",
        "stage": "invoke",
        "hint": "look at the kernels",
    }
    failed = outcome == "failed"
    return {
        "id": name,
        "outcome": outcome,
        "value": value,
        "unit": unit,
        "limit": None if most is None else {"minimum": None, "maximum": most, "unit": unit},
        "reason": "needs another board" if outcome == "not judged" else "",
        "numbers": {"vectors_compared": 60},
        "findings_total": 1 if failed else 0,
        "findings": [finding] if failed else [],
        "quarantine": None,
    }


def _checks(units: np.ndarray) -> list[Json]:
    return [
        check("input.prepared"),
        check("execution.output", value=0.0, most=0, unit="LSB"),
        check("decision.answer"),
        check("decision.accuracy", value=0.98),
        check("agreement.sqnr_db", value=41.5, unit="dB"),
        check("latency.total.p99", value=float(units[:, 3].max()), most=600_000.0, unit="instructions"),
        check("memory.arena", value=3600.0, most=4096, unit="bytes"),
        check("memory.flash", value=206_600.0, most=260_000, unit="bytes"),
    ]


def _device() -> Json:
    tensor = {"type": "INT8", "shape": [1, 4], "scale": SCALE, "zero_point": ZERO_POINT, "bytes": 4}
    texts = ("firmware", "target", "compiler", "flags", "kernels")
    return {**{key: f"{key} of a test" for key in texts}, "operators": ["CONV_2D"], "input": tensor, "output": tensor}


def _document(cases: list[Json]) -> Json:
    clock = {"kind": "instructions", "unit": "instructions", "hz": None, "deterministic": True}
    return {
        "schema": "hil-run/1",
        "verdict": "passed",
        "started": "2026-01-02T03:04:05+00:00",
        "host_seconds": 2.0,
        "workers": 1,
        "board": {"name": "qemu", "kind": "qemu", "target": "mps2-an386", "clock": clock},
        "manifest": {"hil": "0.1.0", "python": "3.11.7", "host": "Linux", "packages": {"numpy": "2.0"}},
        "cases": cases,
    }


def fail(document: Json, *names: str, at: int = 0) -> None:
    """Let checks of a case fail, and the case and the run with them."""
    case = document["cases"][at]
    known = {one["id"]: index for index, one in enumerate(case["checks"])}
    for name in names:
        if name in known:
            old = case["checks"][known[name]]
            case["checks"][known[name]] = {
                **check(name, "failed"),
                "value": old["value"],
                "unit": old["unit"],
                "limit": old["limit"],
            }
        else:
            case["checks"].append(check(name, "failed"))
    case["verdict"] = document["verdict"] = "failed"


def answers(size: Size) -> Json:
    """A float model that is all right, an input that costs one vector, and a device that costs another."""
    each = max(2, size.vectors // size.labels)

    def side(lost: int) -> Json:
        recall = [(each - lost) / each, *[1.0] * (size.labels - 1)]
        total = each * size.labels
        accepted = {"accepted": total - lost, "wrongly_accepted": 0, "unknown": lost}
        return {"accuracy": (total - lost) / total, "recall": recall, **accepted}

    sides = {"float_chain": side(0), "float_tensor": side(1), "int8": side(1), "device": side(2)}
    step = -1 / (each * size.labels)
    gap = {"input": step, "quantisation": 0.0, "device": step}
    return {"vectors": each * size.labels, "labelled": [each] * size.labels, **sides, "gap": gap}


def look_at(document: Json, at: int = 0) -> None:
    """Let one check of a case be marginal, and the case and the run with it."""
    case = document["cases"][at]
    odd = {"reason": "one output for 60 different windows", "hint": "look at the conversion"}
    case["checks"].append({**check("sanity.constant_output", "marginal", 0.0, unit="LSB"), **odd})
    case["verdict"] = "marginal"
    if document["verdict"] == "passed":
        document["verdict"] = "marginal"


def everything(document: Json) -> None:
    """A run with every outcome that there is, and a baseline."""
    fail(document, "decision.answer", "latency.total.p99", "memory.flash")
    case = document["cases"][0]
    case["checks"][1]["outcome"] = "marginal"
    case["checks"][1]["reason"] = "0 % from its limit"
    case["checks"].append(check("latency.total.max", "not judged"))
    case["checks"].append(
        {
            **check("agreement.flips", "failed"),
            "quarantine": {"reason": "known rounding", "issue": "https://example.org/7", "expires": "2026-12-31"},
        }
    )
    case["baseline"] = {
        "file": "case0/baseline/qemu.json",
        "sha256": SHA,
        "board": "qemu",
        "case_version": 1,
        "accepted_at": "2026-01-01T00:00:00+00:00",
        "accepted_by": "A. Reviewer",
        "reason": "first release",
        "firmware_sha256": SHA,
        "model_sha256": SHA,
        "changes": [
            {
                "what": "latency.total.p99",
                "unit": "instructions",
                "before": 500_000.0,
                "after": 520_000.0,
                "change_percent": 4.0,
                "verdict": "worse",
            },
            {
                "what": "arena high water",
                "unit": "bytes",
                "before": 3700.0,
                "after": 3600.0,
                "change_percent": -2.7,
                "verdict": "better",
            },
            {
                "what": "stack",
                "unit": "bytes",
                "before": 984.0,
                "after": 984.0,
                "change_percent": 0.0,
                "verdict": "same",
            },
            {
                "what": "outputs that changed",
                "unit": "vectors",
                "before": None,
                "after": 3.0,
                "change_percent": None,
                "verdict": "info",
            },
        ],
    }
