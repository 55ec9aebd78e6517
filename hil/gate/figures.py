"""Holds the figures of a run against its raw records: what run.json says must follow from what the device reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import STAGES
from hil.contract import metrics
from hil.contract.distance import Allowance
from hil.contract.latency import QUANTILES
from hil.contract.statistics import percentile, upper_bound
from hil.gate.results import Result
from hil.records import GateReason, Status
from hil.runfile import Case, Check, Columns, Limit, StageFigures, TensorCheck
from hil.tensor import Quantisation, of_dtype

_NEEDED = {  # what the figures are made of, with the number of dimensions; hil/runfile.py checks the others
    "units": 2,
    "distinct": 1,
    "expected_label": 1,
    "reference_gate": 1,
    "reference_output": 2,
    "reference_answer": 1,
    "arena_high_water": 1,
    "stack_high_water": 1,
}
_MEMORY_CHECKS = {
    "memory.arena": "arena_high_water",
    "memory.flash": "flash_bytes",
    "memory.ram": "ram_bytes",
    "memory.stack": "stack_high_water",
}
_METRICS: Mapping[str, Callable[[metrics.Floats, metrics.Floats], float]] = {
    "top1": lambda reference, observed: float(metrics.top1(reference, observed).mean()),
    "cosine": lambda reference, observed: float(metrics.cosine(reference, observed).mean()),
    "sqnr_db": lambda reference, observed: metrics.sqnr_db(metrics.energies(reference, observed)),
    "max_abs_error": lambda reference, observed: float(metrics.max_abs_error(reference, observed).max()),
}
_OF_EACH_OUTPUT = ("cosine", "sqnr_db", "max_abs_error")  # the others are about the one that is decided on
_EARLIER = ("input", "execution")
_ROUNDING = 1e-9  # relative: another order of summation, never another figure


def disagreements(result: Result, columns: Columns, confidence: float) -> Iterator[str]:
    """What run.json says and the records do not bear out, in words. confidence: of the latency bounds."""
    if missing := _unusable(columns):
        yield f"the records have no usable column {missing}"
        return
    case = result.case
    if case.vectors != len(columns["status"]):
        yield f"vectors: {case.vectors:,}, the records have {len(columns['status']):,}"
    yield from _latency(result, columns, confidence)
    yield from _memory(case, columns)
    yield from _accuracy(case, columns)
    if any(check.outcome == "failed" and check.contract in _EARLIER for check in case.checks):
        return  # what broke there takes vectors away from the later figures, and the records do not say which
    for name, problem in (("execution.output", _outputs(columns)), ("decision.answer", _answers(columns))):
        check = case.check(name)
        if check is not None and check.outcome in ("passed", "marginal"):
            yield from (f"{name} passed, but {text}" for text in problem(check))
    yield from _agreement(case, columns)


def _unusable(columns: Columns) -> str:
    """The first column that is missing, or not one row a vector of numbers of its kind; "" when all are in order."""
    vectors = len(columns["status"])
    for name, dimensions in _NEEDED.items():
        column = columns.get(name)
        if (
            column is None
            or column.ndim != dimensions
            or column.dtype.kind not in ("iuf" if name == "reference_output" else "iu")
        ):
            return name
        if len(column) != vectors and name != "distinct":
            return name
    distinct = columns["distinct"]
    inside = len(distinct) == 0 or (distinct.min() >= 0 and distinct.max() < vectors)
    if not inside or len(np.unique(distinct)) < len(distinct):
        return "distinct"
    return "" if columns["units"].shape[1] == len(STAGES) else "units"


def _done(columns: Columns) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = columns["status"] == Status.DONE
    return mask


def _latency(result: Result, columns: Columns, confidence: float) -> Iterator[str]:
    case, units, distinct, done = result.case, columns["units"], columns["distinct"], _done(columns)
    if case.latency is None:
        return
    if (units[:, :3].sum(axis=1) != units[:, 3]).any():
        yield "latency: prepare, invoke and decide do not add up to the total on every vector"
    exact = len(distinct) == done.sum()  # else equal windows share a sample, which takes the slowest of them
    for column, stage in enumerate(STAGES):
        figures = case.latency.stages.get(stage)
        if figures is None or not len(distinct):
            if (figures is None) != (not len(distinct)):
                yield f"latency of {stage}: figures and records are not of the same run"
            continue
        samples = np.sort(units[distinct, column])
        yield from (f"latency of {stage}: {text}" for text in _stage(figures, samples, exact))
        if int(units[done, column].max()) != figures.max:
            yield f"latency of {stage}: max {figures.max:,}, the records have {int(units[done, column].max()):,}"
        for check in case.checks:
            if check.id.startswith(f"latency.{stage}."):
                yield from _latency_check(check, result, figures, samples if exact else None, confidence)


def _stage(figures: StageFigures, samples: NDArray[np.int64], exact: bool) -> Iterator[str]:
    if figures.n != len(samples):
        yield f"n {figures.n:,}, the records have {len(samples):,} samples"
    found: dict[str, float] = {"min": int(samples[0]), "mean": float(samples.mean())}
    found |= {name: percentile(samples, p) for name, p in QUANTILES.items()}
    for name, value in found.items():
        said = getattr(figures, name)
        same = math.isclose(said, value, rel_tol=_ROUNDING) if name == "mean" else said == value
        if not (same or (not exact and value < said <= figures.max)):
            yield f"{name} {said:,}, the records give {value:,}"


def _latency_check(
    check: Check, result: Result, figures: StageFigures, samples: NDArray[np.int64] | None, confidence: float
) -> Iterator[str]:
    statistic = check.id.rsplit(".", 1)[1]
    if check.value is None or check.limit is None or statistic not in (*QUANTILES, "max"):
        return
    clock = result.run.document.board.clock
    scale = 1000 / clock.hz if check.limit.unit == "ms" and clock is not None and clock.hz else 1.0
    if statistic == "max":
        bound: int | None = figures.max
    elif samples is None:
        return
    else:
        bound = upper_bound(samples, QUANTILES[statistic], confidence)
    if bound is None or not math.isclose(check.value, bound * scale, rel_tol=_ROUNDING):
        told = "no bound: too few samples" if bound is None else f"{bound * scale:,.10g}"
        yield f"{check.id}: value {check.value:,.10g} {check.unit}, the records give {told}"


def _memory(case: Case, columns: Columns) -> Iterator[str]:
    memory = case.memory
    if memory is None:
        return
    start = (case.device.model_extra or {}).get("arena_high_water", 0) if case.device else 0
    marks = {
        "arena_high_water": max(int(start), int(columns["arena_high_water"].max(initial=0))),
        "stack_high_water": int(columns["stack_high_water"].max(initial=0)),
        "flash_bytes": memory.image_flash_bytes + memory.bundle_bytes,
    }
    if case.image is not None and case.bundle is not None:
        marks |= {"image_flash_bytes": case.image.flash_bytes, "ram_bytes": case.image.ram_bytes}
        marks |= {"bundle_bytes": case.bundle.bytes}
    for name, value in marks.items():
        if getattr(memory, name) != value:
            yield f"memory: {name} {getattr(memory, name):,}, the records and the image give {value:,}"
    for check_id, name in _MEMORY_CHECKS.items():
        check = case.check(check_id)
        if check is not None and check.value is not None and check.value != getattr(memory, name):
            yield f"{check_id}: value {check.value:,.10g} bytes, memory.{name} is {getattr(memory, name):,}"


def _outputs(columns: Columns) -> Callable[[Check], Iterator[str]]:
    def problem(check: Check) -> Iterator[str]:
        rows = _done(columns) & (columns["reference_gate"] == GateReason.VALID)
        for place, of, told in _of_outputs(check, columns):
            device, oracle = columns[f"output{place}"], columns.get(f"reference_output{place}", columns["name"])
            if told is None:
                yield f"it does not say what it found of each of {len(_places(columns))} outputs"
                return
            if device.shape != oracle.shape:
                yield f"{of}outputs of device and oracle are not of one shape"
                return
            if device.dtype != oracle.dtype:
                yield f"{of}outputs of the device are {device.dtype}, the oracle's {oracle.dtype}"
                return
            steps = check.numbers.get(f"{of}allowed_ulp", 0)
            allowance = _allowance(told.limit, steps, device.dtype)
            if (farthest := allowance.worst(oracle[rows], device[rows])) != told.value:
                said = f"{told.value} {told.unit}".rstrip()
                yield f"{of}its value is {said}, the records give {farthest:,.10g}"

    return problem


def _places(columns: Columns) -> list[str]:
    """What the columns of each output end in: "" of the one that is decided on, then ".1" and so on."""
    further = (number for number in range(1, len(columns)) if f"output.{number}" in columns)
    return ["", *(f".{number}" for number in further)]


def _of_outputs(check: Check, columns: Columns) -> Iterator[tuple[str, str, Check | TensorCheck | None]]:
    """Of each output what its columns end in, how its numbers begin, and what the check says of it, None for nothing;
    of the only one that is the check itself.
    """
    places = _places(columns)
    if len(places) == 1:
        yield "", "", check
        return
    for place, told in zip_longest(places, check.tensors[: len(places)]):
        yield place, f"{told.name}: " if told else "", told


def _allowance(limit: Limit | None, steps: object, dtype: np.dtype[Any]) -> Allowance:
    """What the check allowed, by its own words. With a limit that has no unit that was a tolerance."""
    absolute = limit is not None and not limit.unit
    tolerance = (limit.maximum or 0.0) if limit is not None and absolute else 0.0
    return Allowance(of_dtype(dtype), steps if absolute and isinstance(steps, int) else 0, tolerance)


def _answers(columns: Columns) -> Callable[[Check], Iterator[str]]:
    def problem(_: Check) -> Iterator[str]:
        other = _done(columns) & (columns["answer"] != columns["reference_answer"])
        if other.any():
            name = columns["name"][int(np.flatnonzero(other)[0])]
            yield f"{int(other.sum()):,} answers are not the reference's, first on vector {name}"

    return problem


def _accuracy(case: Case, columns: Columns) -> Iterator[str]:
    check = case.check("decision.accuracy")
    if check is None or check.value is None:
        return
    right, vectors = check.numbers.get("right"), check.numbers.get("vectors")
    if not isinstance(right, int) or not isinstance(vectors, int) or not vectors:
        yield f"decision.accuracy: {right} right of {vectors} vectors makes no share"
        return
    labelled = columns["expected_label"] >= 0
    most = int((labelled & _done(columns) & (columns["answer"] == columns["expected_label"])).sum())
    if not math.isclose(check.value, right / vectors, rel_tol=_ROUNDING):
        yield f"decision.accuracy: value {check.value:.6g}, {right:,} of {vectors:,} make {right / vectors:.6g}"
    if right > most or vectors > int(labelled.sum()):  # vectors whose rejection is expected do not count
        yield (
            f"decision.accuracy: {right:,} of {vectors:,} right, "
            f"the records have {most:,} of {int(labelled.sum()):,} with a label"
        )


def _agreement(case: Case, columns: Columns) -> Iterator[str]:
    """Of the figures that have one formula."""
    rows = _done(columns) & (columns["reference_gate"] == GateReason.VALID)
    if case.device is None or not rows.any():
        return
    pairs: dict[str, tuple[metrics.Floats, metrics.Floats]] = {}
    for place, tensor in zip(_places(columns), (case.device.output, *case.device.outputs), strict=False):
        reference, output = columns.get(f"float_chain{place}"), columns[f"output{place}"]
        if reference is None or reference.shape != output.shape or output.shape[1] <= 1:
            continue
        observed = Quantisation(tensor.scale, tensor.zero_point).real(output[rows])
        pairs[place] = (reference[rows].astype(np.float64), observed)
    for name, metric in _METRICS.items():
        check = case.check(f"agreement.{name}")
        if check is None or check.outcome not in ("passed", "marginal"):
            continue
        each = _of_outputs(check, columns) if name in _OF_EACH_OUTPUT else [("", "", check)]
        for place, of, told in each:
            if told is None or told.value is None or place not in pairs:
                continue
            value = metric(*pairs[place])
            if not math.isclose(told.value, value, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
                yield f"agreement.{name}: {of}value {told.value:.6g}, the records give {value:.6g}"
