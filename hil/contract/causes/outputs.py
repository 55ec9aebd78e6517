"""Knows what the usual mistakes around the model's run do to its outputs, over all vectors that are off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hil.contract.causes.factors import cut_words, factor_between
from hil.tensor import INT8, ElementType

Rows = NDArray[np.intp]
_FEW = 3  # vectors: with fewer, what they have in common is chance
_SWING = 8  # LSB: with smaller scores any row looks like a multiple
_ENOUGH = 50  # vectors that are looked at where each costs much
_LARGE = 1 << 22  # comparisons of elements
_WIDEST = 128  # elements of an output whose permutation is looked for
_SHOWN = 4


@dataclass(frozen=True)
class Outputs:
    """The outputs that are the model's own, in the order in which the board ran them; as ranks [n, elements].

    rows [k]: those that are off, at least one, which a guess is about; prepared [n, input elements], or
    [n, 0] where they are of another type; zero_point, element: of the output; vector: the name of a row.
    """

    wanted: NDArray[np.int64]
    observed: NDArray[np.int64]
    rows: Rows
    prepared: NDArray[np.int64]
    zero_point: int
    labels: tuple[str, ...]
    operators: tuple[str, ...]
    vector: Callable[[int], str]
    element: ElementType = INT8

    @cached_property
    def difference(self) -> NDArray[np.int64]:
        """Of the rows that are off: [k, elements]."""
        return self.observed[self.rows] - self.wanted[self.rows]

    @cached_property
    def winner(self) -> NDArray[np.intp]:
        """The reference's highest element of each row: [n]."""
        highest: NDArray[np.intp] = self.wanted.argmax(axis=1)
        return highest

    def position(self, element: int) -> str:
        return output_name(self.labels, element)


def output_name(labels: tuple[str, ...], element: int) -> str:
    """An element of the output, with the label that it is the score of."""
    return f"output [{element}]{f' ({labels[element]})' if element < len(labels) else ''}"


# ---- the output is something else ------------------------------------------------------------------------------------


def constant(run: Outputs) -> str:
    """Every vector of the run gives the same, though it should not."""
    first = run.observed[0]
    if len(run.observed) < 2 or (run.observed != first).any() or (run.wanted == run.wanted[0]).all():
        return ""
    flat = len(np.unique(first)) == 1
    ask = "is the model run at all, and is this its output tensor?" if flat else "does the input reach the model?"
    return f"constant output: every vector gives {_row(first)}; {ask}"


def still(run: Outputs) -> str:
    """The output is still that of the window before."""
    rows = run.rows[run.rows > 0]
    if not len(rows) or len(rows) < len(run.rows) - 1 or (run.observed[rows] != run.observed[rows - 1]).any():
        return ""
    cause = "is the model's run skipped there (an early return, a busy flag, a cache), or its result read too early?"
    if len(rows) >= _FEW and (run.observed[rows[0] :] == run.observed[rows[0]]).all():
        return (
            f"skipped invoke: from {run.vector(rows[0])} on the output stays that of {run.vector(rows[0] - 1)}; {cause}"
        )
    return f"skipped invoke, or a stale output: it is still that of the vector before; {cause}"


def late(run: Outputs) -> str:
    """The output is what the vector before should have given."""
    rows = run.rows[run.rows > 0]
    if not len(rows) or len(rows) < len(run.rows) - 1 or (run.observed[rows] != run.wanted[rows - 1]).any():
        return ""
    return (
        "stale output, that of the vector before: is the output read before the model's run ends, or does the model "
        "run before its input is written?"
    )


def input_memory(run: Outputs) -> str:
    """The output is a stretch of the model's input tensor, which shares memory with it: the model did not run."""
    width, rows = run.wanted.shape[1], run.rows[:_ENOUGH]
    if run.prepared.shape[1] < width or width * len(rows) < 2 * _FEW or len(np.unique(run.observed[rows])) < 2:
        return ""
    windows = np.lib.stride_tricks.sliding_window_view(run.prepared[rows], width, axis=1)
    places = np.flatnonzero((windows == run.observed[rows][:, np.newaxis]).all(axis=(0, 2)))
    if not len(places):
        return ""
    where = f"the input tensor's memory, from element {places[0]} on"
    return f"skipped invoke: the output is {where}; is the model run at all?"


def permuted(run: Outputs) -> str:
    """The right scores in other places, the same way on every vector."""
    width = run.wanted.shape[1]
    if not 2 <= width <= _WIDEST or len(run.rows) * (width - 1) < _FEW:
        return ""
    count = min(len(run.rows), max(_ENOUGH, _LARGE // width**2))
    rows = run.rows[np.linspace(0, len(run.rows) - 1, count).astype(np.intp)]
    source = _assignment((run.observed[rows][:, :, None] == run.wanted[rows][:, None, :]).all(axis=0))
    if source is None or (run.observed != run.wanted[:, source]).any():
        return ""
    moved = [f"{run.position(at)} holds {run.position(of)}" for at, of in enumerate(source) if at != of]
    shown = f"{', '.join(moved[:_SHOWN])}{', ...' if len(moved) > _SHOWN else ''}"
    return f"permuted outputs: {shown}; are the labels of this model in another order?"


def _assignment(same: NDArray[np.bool_]) -> list[int] | None:
    """For each place another one that it may hold, no two the same; None when that cannot be. Places that are alike on
    all vectors stay where they are, where they can.
    """
    source = [place if alike[place] else -1 for place, alike in enumerate(same)]
    for place, alike in enumerate(same):
        if source[place] < 0:
            free = [other for other in np.flatnonzero(alike).tolist() if other not in source]
            if not free:
                return None
            source[place] = free[0]
    return source


# ---- the output is the right one, changed ----------------------------------------------------------------------------


def clamped(run: Outputs) -> str:
    """Only high or low scores differ: cut at other bounds, or wrapped around."""
    wanted, observed = run.wanted[run.rows], run.observed[run.rows]
    low, high = run.element.low, run.element.high
    edge = (wanted == low) | (wanted == high)
    different = wanted != observed
    if not (different & ~edge).any() and _other_side(run, wanted, observed)[different].any():
        ask = f"which kernel lacks its saturation: {', '.join(run.operators)}?"
        return f"missing clamp: scores beyond [{low}, {high}] wrapped around; {ask}"
    low, high = int(run.observed.min()), int(run.observed.max())
    if low < high and different.sum() > 1 and (run.observed == np.clip(run.wanted, low, high)).all():
        cut = cut_words(run.wanted, low, high)
        return f"other clamp: scores are cut at {cut}; look at the activation's range in the last kernels"
    return ""


def _other_side(run: Outputs, wanted: NDArray[np.int64], observed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Elements that lie on the other side of the middle of their type."""
    middle = (run.element.low + run.element.high + 1) // 2
    side: NDArray[np.bool_] = np.sign(wanted - middle) != np.sign(observed - middle)
    return side


def taken_for(run: Outputs) -> str:
    """Each score is the right one, but for its highest bit: an int8 read or made as uint8, or the other way round."""
    bits = 8 * run.element.dtype.itemsize
    wanted, observed = run.wanted[run.rows], run.observed[run.rows]
    span = 1 << bits
    if run.element.dtype.itemsize > 1 or ((wanted - observed) % span != span // 2).any():
        return ""
    other = "int8" if run.element.low == 0 else "uint8"
    return f"another type: every score is off by half its range, as {other} is from {run.element.dtype.name}"


def offset(run: Outputs) -> str:
    """Every score of every vector is off by the same; what lies beyond the bounds is cut there, or wraps around."""
    steps, counts = np.unique(_wrapped(run, run.difference[run.difference != 0]), return_counts=True)
    step = int(steps[counts.argmax()])
    moved = run.wanted + step
    cut, around = np.clip(moved, run.element.low, run.element.high), _wrapped(run, moved)
    if len(run.rows) < _FEW or ((run.observed != cut) & (run.observed != around)).any():
        return ""
    also = "; what goes beyond the bounds wraps around: a clamp is missing too" if (run.observed != cut).any() else ""
    ask = "is it the zero point of the output, or that of the last operator?"
    return f"offset: every score is off by {step:+d}{also}; {ask}"


def _wrapped(run: Outputs, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The low bits, as the type has them."""
    low: NDArray[np.int64] = values.astype(run.element.dtype).astype(np.int64)
    return low


def scaled(run: Outputs) -> str:
    """Scores are a multiple of what they should be around the zero point."""
    inside = (run.wanted > run.element.low + 1) & (run.wanted < run.element.high)
    wanted, given = ((row - run.zero_point)[inside].astype(np.float64) for row in (run.wanted, run.observed))
    if len(run.rows) < _FEW or np.abs(wanted).max(initial=0) < _SWING:
        return ""
    found = factor_between(wanted, given, (run.element.low - run.zero_point, run.element.high - run.zero_point), 1.01)
    if found is None or found.holds(1) or found.holds(0):
        return ""
    return f"scale factor: scores are {found} the oracle's around the zero point; is the output scale another model's?"


# ---- what the vectors that are off have in common --------------------------------------------------------------------


def by_position(run: Outputs) -> str:
    """One place of the output is off by the same on every vector of the run."""
    where = np.flatnonzero((run.difference != 0).any(axis=0))
    if len(run.rows) < _FEW or len(where) != 1:
        return ""
    place, steps = where[0], run.difference[:, where[0]]
    step = int(steps[int(np.abs(steps).argmax())])
    if (run.observed[:, place] != np.clip(run.wanted[:, place] + step, run.element.low, run.element.high)).any():
        return ""
    return f"offset: {run.position(place)} is off by {step:+d} on every vector; look at the bias of that score"


def in_common(run: Outputs) -> str:
    """They come from some vector on, in one place only, or with one right answer only: any of these, or all."""
    found = [each for each in (_from_on(run), _one_position(run), _one_class(run)) if each is not None]
    if not found:
        return ""
    where, advice = zip(*found, strict=True)
    return f"off only {', and only '.join(where)}: {'; '.join(advice)}"


def _from_on(run: Outputs) -> tuple[str, str] | None:
    first = int(run.rows.min())
    count = len(run.wanted) - first
    if len(run.rows) < _FEW or first < _FEW or len(run.rows) * 2 < count:
        return None
    where = f"from {run.vector(first)} on, window {first + 1:,} of the run ({len(run.rows):,} of {count:,})"
    return where, "look for a counter, an accumulator or a buffer that is full by then"


def _one_position(run: Outputs) -> tuple[str, str] | None:
    where = np.flatnonzero((run.difference != 0).any(axis=0))
    if len(run.rows) < _FEW or len(where) != 1 or run.wanted.shape[1] < 2:
        return None
    advice = (
        "another kernel or flag would move the other scores too; look at what writes there, and at its weights and bias"
    )
    return f"at {run.position(where[0])}", advice


def _one_class(run: Outputs) -> tuple[str, str] | None:
    classes = np.unique(run.winner[run.rows])
    if len(classes) != 1 or (run.winner == classes[0]).all():
        return None
    whole = int((run.winner == classes[0]).sum()) == len(run.rows)
    if len(run.rows) < (_FEW if whole else 2 * _FEW):
        return None
    where = f"where the highest score is {run.position(classes[0])}{', and on all of these' if whole else ''}"
    return where, "what runs only for that answer?"


def rounded(run: Outputs) -> str:
    """No score is off by more than one."""
    if np.abs(run.difference).max() > 1:
        return ""
    return (
        "other rounding: look first at the version of the kernels and at the compiler's flags (-ffast-math, fused "
        f"multiply-add), operator by operator: {', '.join(run.operators)}; if other kernels are meant to run here, "
        "lsb in [contract.execution] is what they may differ by"
    )


def other(run: Outputs) -> str:
    """Nothing that is known."""
    return (
        "other arithmetic: compare kernels, operator versions and compiler flags with the oracle's, operator by "
        f"operator: {', '.join(run.operators)}"
    )


def _row(values: NDArray[np.int64]) -> str:
    """A row of scores, shortened."""
    shown = ", ".join(map(str, values[:_SHOWN].tolist()))
    return f"[{shown}{', ...' if len(values) > _SHOWN else ''}]"
