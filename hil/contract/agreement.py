"""Knows the agreement contract: the float model on the raw window against what the device makes of the same window.

Beside each figure of this whole chain stands the one that both get from the same prepared tensor. What lies between the
two is the input's share: the rounding and the clamp of prepare, on the scale that calibration gave the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Limit
from hil.contract import metrics
from hil.contract.alone import real_answers, threshold_score
from hil.contract.blame import blame, blocks, comparable, has_decide
from hil.contract.input import clipped_shares, input_cure
from hil.contract.metrics import Floats
from hil.contract.ready import asked, unready
from hil.contract.tensors import of_each_output
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet, number, plural
from hil.tensor import Elements

Rows = NDArray[np.intp]
NO_CHAIN = "the front end is the product's own, and the case does not say which real values a window stands for"
_CLIPPED = 0.01  # share of the elements from which on the clamp is what to look at


@dataclass(frozen=True)
class _Metric:
    """One agreement figure: a value per vector, how the values become one, and how bad each is (0: nothing to see)."""

    key: str
    title: str
    formula: str
    unit: str
    per_vector: Callable[[Case, Floats, Floats], Floats]
    total: Callable[[Floats], float]
    badness: Callable[[Floats], Floats]
    across: bool = False  # outputs of one element have no value per vector: take them as one row over all vectors
    of_scores: bool = False  # says something of the output that is decided on alone


def _mean(values: Floats) -> float:
    return float(values.mean())


def _max(values: Floats) -> float:
    return float(values.max())


def _shortfall(values: Floats) -> Floats:
    return 1 - values


def _itself(values: Floats) -> Floats:
    return values


def _noise(values: Floats) -> Floats:
    noise: Floats = values[:, 1]
    return noise


def _flips(case: Case, reference: Floats, observed: Floats) -> Floats:
    """1 where argmax and threshold, on the vector alone, differ and the float score is clear of the threshold."""
    excused = np.abs(reference.max(axis=1) - threshold_score(case)) <= case.contracts.flip_band
    flipped: Floats = ((real_answers(case, reference) != real_answers(case, observed)) & ~excused).astype(np.float64)
    return flipped


_METRICS = (
    _Metric(
        "top1",
        "same winner",
        "share of vectors with argmax(f) = argmax(d)",
        "",
        lambda _, f, d: metrics.top1(f, d),
        _mean,
        _shortfall,
        of_scores=True,
    ),
    _Metric(
        "topk",
        "the float model's winner is among the device's k highest",
        "share of vectors with argmax(f) in the k highest of d",
        "",
        lambda case, f, d: metrics.topk(f, d, case.contracts.topk),
        _mean,
        _shortfall,
        of_scores=True,
    ),
    _Metric(
        "cosine",
        "direction of the output",
        "mean over vectors of sum(f d) / (|f| |d|)",
        "",
        lambda _, f, d: metrics.cosine(f, d),
        _mean,
        _shortfall,
        across=True,
    ),
    _Metric(
        "sqnr_db",
        "signal to quantisation noise",
        "10 log10(sum f^2 / sum (f - d)^2) over all vectors and elements",
        "dB",
        lambda _, f, d: metrics.energies(f, d),
        metrics.sqnr_db,
        _noise,
    ),
    _Metric(
        "max_abs_error",
        "largest error",
        "max |f - d| over all vectors and elements",
        "",
        lambda _, f, d: metrics.max_abs_error(f, d),
        _max,
        _itself,
    ),
    _Metric(
        "spearman",
        "order of the outputs",
        "mean over vectors of the Pearson correlation of average ranks of f and d",
        "",
        lambda _, f, d: metrics.spearman(f, d),
        _mean,
        _shortfall,
        across=True,
    ),
    _Metric(
        "flips",
        "decisions that quantisation changes outside the band around the threshold",
        "number of vectors with decision(f) != decision(d) and |max f - threshold| > band",
        "vectors",
        _flips,
        lambda values: float(values.sum()),
        _itself,
        of_scores=True,
    ),
)


@dataclass(frozen=True)
class Figure:
    """One agreement figure, `chain` of the whole chain and `tensor` from the same prepared tensor."""

    chain: float
    tensor: float


def figures(
    evidence: Evidence,
    among: NDArray[np.bool_] | None = None,
    output: Elements | None = None,
    of_scores: bool = True,
) -> dict[str, Figure]:
    """Every figure of this contract that the case allows, limited or not, over the vectors that can be compared.

    among: only over these vectors; output: [n, output elements] in place of the device's. of_scores: those too that are
    about the output that is decided on.
    """
    rows = np.flatnonzero(comparable(evidence) if among is None else comparable(evidence) & among)
    if not len(rows):
        return {}
    observed = evidence.records.output if output is None else output
    return {
        metric.key: _figure(metric, evidence, rows, observed)
        for metric in _METRICS
        if not _impossible(metric, evidence) and (of_scores or not metric.of_scores)
    }


def _judge(metric: _Metric, evidence: Evidence) -> CheckResult:
    check = f"agreement.{metric.key}"
    limit = evidence.case.contracts.agreement.get(metric.key)
    if limit is None:  # of one of several outputs: applies() asks for any
        return Sheet(check, evidence).result(reason="the case limits it for other outputs alone")
    sheet = Sheet(check, evidence, limit)
    population = comparable(evidence)
    if reason := _impossible(metric, evidence) or unready(evidence) or asked(population, evidence):
        return sheet.not_judged(reason)
    found = blame(evidence)
    broken = population & found.broke_here  # not before_decide: state that a stream carries on has no part in this
    clean = population & ~broken
    if not clean.any():
        return _none_clean(sheet, metric, evidence, np.flatnonzero(population), limit)
    figure = kept = _figure(metric, evidence, np.flatnonzero(population), evidence.records.output)
    if broken.any():
        kept = _figure(metric, evidence, np.flatnonzero(clean), evidence.records.output)
    if not limit.holds(kept.chain):
        _own_finding(sheet, metric, evidence, np.flatnonzero(clean), kept)
        figure = kept
    elif not limit.holds(figure.chain):
        sheet.blame_earlier(np.flatnonzero(broken), found, f"{metric.key} {limit}")
    numbers = {"vectors": int(population.sum()), "vectors_unbroken": int(clean.sum()), **_shares(figure)}
    return sheet.result(value=figure.chain, unit=limit.unit or metric.unit, numbers=numbers)


def _shares(figure: Figure) -> dict[str, float]:
    """input_share: what the figure of the whole chain differs by from that of the prepared tensor."""
    share = 0.0 if figure.chain == figure.tensor else figure.chain - figure.tensor
    return {"on_the_prepared_tensor": figure.tensor, "input_share": share}


def _none_clean(sheet: Sheet, metric: _Metric, evidence: Evidence, rows: Rows, limit: Limit) -> CheckResult:
    """Something broke earlier on every vector: a bad figure is a finding that says so, a good one proves nothing."""
    found = blame(evidence)
    value = _figure(metric, evidence, rows, evidence.records.output).chain
    if limit.holds(value):
        return sheet.not_judged(f"an earlier contract broke on every vector: see {found.check(int(rows[0]))}")
    sheet.blame_earlier(rows, found, f"{metric.key} {limit}")
    return sheet.result(value=value, unit=limit.unit or metric.unit, numbers={"vectors": len(rows)})


def _own_finding(sheet: Sheet, metric: _Metric, evidence: Evidence, rows: Rows, figure: Figure) -> None:
    oracle = _figure(metric, evidence, rows, evidence.references.output)

    def say(value: float) -> str:
        return f"{number(value)} {metric.unit.removesuffix('s') if value == 1 else metric.unit}".rstrip()

    sheet.add(
        f"{metric.key} {sheet.limit}",
        f"{say(figure.chain)}{_worst(metric, evidence, rows)}; on the same prepared tensor {say(figure.tensor)}",
        stage="invoke" if _unlike(oracle.chain, figure.chain) else "",
        hint=_hint(sheet, evidence, rows, figure, oracle),
    )


def _unlike(one: float, other: float) -> bool:
    """NaN is like NaN."""
    return one != other and not (math.isnan(one) and math.isnan(other))


def _hint(sheet: Sheet, evidence: Evidence, rows: Rows, figure: Figure, oracle: Figure) -> str:
    """Whose the loss is: the device's, the input's, or quantisation's."""
    if math.isnan(figure.chain):
        return "an answer is no number, the device's or the float model's: see execution.complete, then the float model"
    if _unlike(oracle.chain, figure.chain):
        inside = "the difference is inside the budget of execution.output; lower that"
        return f"the int8 oracle gives {number(oracle.chain)}: {inside}"
    assert sheet.limit is not None
    if sheet.limit.holds(figure.tensor):
        return f"the input: on the same prepared tensor the limit holds; {_of_the_input(evidence, rows)}"
    rest = ""
    if _unlike(figure.tensor, figure.chain):
        rest = f", but for the input's share, {number(figure.chain)} in place of {number(figure.tensor)}"
    cure = "check calibration data and per-layer ranges"
    return f"the int8 oracle is as far off: the loss is in quantisation{rest}; {cure}"


def _of_the_input(evidence: Evidence, rows: Rows) -> str:
    """Whether the clamp or the rounding of prepare is what the input loses, and the cure."""
    if evidence.case.prepare.own:
        return "compare the front end with what made `prepared_float`"
    if evidence.case.model.input.element.real:
        return "prepare changes no value here: look at what the float model is given"
    share = float(clipped_shares(evidence.case, rows).mean())
    if share >= _CLIPPED:
        return f"its clamp cuts {number(round(100 * share, 1))} % of the elements; {input_cure(evidence.case)}"
    step = f"steps of {evidence.case.model.input.quantisation.scale:.6g}"
    return f"its clamp cuts next to nothing: it is the rounding to {step}, on windows between two answers"


def _worst(metric: _Metric, evidence: Evidence, rows: Rows) -> str:
    """Names the vectors that weigh most; empty where values are not per vector."""
    values = _per_vector(metric, evidence, rows, evidence.records.output, evidence.references.float_chain)
    if len(values) != len(rows):
        return ""
    badness = np.nan_to_num(metric.badness(values), nan=np.inf)  # nothing is worse than no number
    order = np.argsort(-badness, kind="stable")[:3]
    names = [evidence.case.vectors.name(int(rows[place])) for place in order if badness[place] > 0]
    return f" over {plural(len(rows), 'vector')}; worst: {', '.join(names)}" if names else ""


def _impossible(metric: _Metric, evidence: Evidence) -> str:
    if evidence.references.float_output is None:
        return "the case has no float model"
    if evidence.case.prepare.own and evidence.case.vectors.prepared_float is None:
        return NO_CHAIN
    if evidence.references.float_chain is None:
        return "the run kept no outputs of the float model on the raw windows"
    if metric.key == "flips" and not has_decide(evidence.case):
        return "the case has no decide stage"
    return ""


def _figure(metric: _Metric, evidence: Evidence, rows: Rows, output: Elements) -> Figure:
    """The figure on these vectors; output: [n, output elements] of all vectors."""
    chain, tensor = evidence.references.float_chain, evidence.references.float_output
    with np.errstate(over="ignore", invalid="ignore"):  # a float model may overflow: NaN never holds a limit
        value = metric.total(_per_vector(metric, evidence, rows, output, chain))
        if tensor is chain:
            return Figure(value, value)
        return Figure(value, metric.total(_per_vector(metric, evidence, rows, output, tensor)))


def _per_vector(
    metric: _Metric, evidence: Evidence, rows: Rows, output: Elements, reference: NDArray[np.float32] | None
) -> Floats:
    """The metric's values on these vectors, computed in blocks; one value in all where it runs across vectors."""
    assert reference is not None  # _impossible() asks first
    quantisation = evidence.case.model.output.quantisation

    def pair(block: Rows) -> tuple[Floats, Floats]:
        observed = quantisation.real(output[block])
        return reference[block].astype(np.float64), observed

    if metric.across and reference.shape[1] == 1:
        f, d = pair(rows)
        return metric.per_vector(evidence.case, f.T, d.T)
    parts = [metric.per_vector(evidence.case, *pair(block)) for block in blocks(rows, reference.shape[1])]
    return np.concatenate(parts)


def _asks(key: str, case: Case) -> bool:
    return any(key in each.contracts.agreement for each in case.of_outputs)


CHECKS = tuple(
    Check(
        f"agreement.{metric.key}",
        metric.title,
        metric.formula,
        partial(_asks, metric.key),
        partial(_judge, metric) if metric.of_scores else of_each_output(partial(_judge, metric)),
    )
    for metric in _METRICS
)
