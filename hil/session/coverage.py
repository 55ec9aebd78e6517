"""How far the stimuli reach into the model: looked at, and searched for, beside the board; what was found is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hil.case.cost import inference_cost
from hil.case.types import Case
from hil.contract.coverage import Coverage, Reached, ShortClamp
from hil.interpreter.process import InterpreterEnded, InterpreterProcess, InterpreterRefused
from hil.reference.explorer import Explorer, Operator
from hil.reference.models import carried_of
from hil.reference.streams import stretches
from hil.session.effort import effort
from hil.session.gate_probes import send
from hil.session.state import SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import Found, Joint, Search, Windows, judged_together, prepare_windows

_MOST_VECTORS = 2048  # looked at
_MULTIPLICATIONS = 200_000_000  # of the model, which the search may take however few vectors there are
_LEAST_INFERENCES, _MOST_INFERENCES = 24, 2000
_LEAST_SENT = 4


class _Searching:
    """The search of one run, in a thread that waits for an interpreter in a process of its own."""

    def __init__(self, run: SessionState) -> None:
        self._process = InterpreterProcess()
        self._found: Found | None = None
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._search, args=(run,), name="coverage", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
        self._thread.join()

    def result(self) -> Found:
        """Raises InterpreterRefused or InterpreterEnded when the model cannot be looked into."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        assert self._found is not None
        return self._found

    def _search(self, run: SessionState) -> None:
        case, afford = run.case, effort(run.case, run.device.board)
        valid = _alone(run)
        rows = valid[np.unique(np.linspace(0, len(valid) - 1, min(len(valid), _MOST_VECTORS)).astype(int))]
        own = Windows((case.vectors.windows, *case.vectors.further))[rows]
        try:
            explorer = Explorer(case.model.data, self._process, carried_of(case.model))
            search = Search(case, explorer, _inferences(case))
            probes = _of_prepare(case, own.row(0), afford.inferences // 3).accepted(case)
            tensors = [each[rows] for each in run.stimuli.tensors]
            self._found = search.run(own, tensors, probes, max(_LEAST_SENT, afford.inferences // 8))
        except Exception as problem:
            self._problem = problem


def _of_prepare(case: Case, valid: Joint, count: int) -> Windows:
    """The windows for prepare, which are sent anyway: of each input beside a valid one of the others."""
    made = []
    for place, (one, part) in enumerate(zip(case.of_inputs, valid, strict=True)):
        shaped = part.reshape(1, one.window.samples, one.window.channels)
        for _, window in prepare_windows(one, shaped[0], count):
            made.append((*valid[:place], window.reshape(part.shape), *valid[place + 1 :]))
    return Windows.stacked(made)


def _alone(run: SessionState) -> NDArray[np.intp]:
    """Vectors whose answer depends on no other: of a model that keeps state those that begin a stream."""
    valid = run.stimuli.valid
    if not run.case.keeps_state:
        return valid
    return np.sort(np.concatenate([each.rows[each.fresh] for each in stretches(run.case, valid, len(valid))]))


def _inferences(case: Case) -> int:
    """As many as take little time, and where the board has long to do, as many as it does."""
    quick = min(max(_MULTIPLICATIONS // inference_cost(case), _LEAST_INFERENCES), _MOST_INFERENCES)
    return min(quick + len(case.vectors) * case.contracts.passes, _MOST_INFERENCES)


def _begin(run: SessionState) -> AbstractContextManager[object]:
    return _Searching(run) if len(run.stimuli.valid) else nullcontext()


def _collect(run: SessionState) -> Coverage:
    searching = run.begun[Coverage]
    assert isinstance(searching, _Searching | None)
    if run.stopped or searching is None:
        return Coverage()
    run.progress("coverage", 0, 0)
    try:
        found = searching.result()
    except (InterpreterEnded, InterpreterRefused) as problem:
        return Coverage(problem=str(problem).splitlines()[0])
    named = ((f"searched window {number}", window) for number, window in enumerate(found.windows))
    sent = send(run, judged_together(run.case, named), "searched windows")
    return Coverage(tuple(_reached(found)), tuple(_clamps(found)), found.looked, sent)


def _reached(found: Found) -> Iterator[Reached]:
    for operator, vectors, probes in zip(found.operators, found.vectors, found.probes, strict=True):
        yield Reached(
            index=operator.index,
            operator=operator.name,
            values=operator.class_of(operator.high) - operator.class_of(operator.low) + 1,
            by_vectors=int(vectors.sum()),
            by_all=int(probes.sum()),
            vector_ends=_ends(operator, vectors),
            all_ends=_ends(operator, probes),
        )


def _ends(operator: Operator, seen: NDArray[np.bool_]) -> tuple[int, int]:
    classes = np.flatnonzero(seen)
    return operator.values(int(classes[0]))[0], operator.values(int(classes[-1]))[1]


def _clamps(found: Found) -> Iterator[ShortClamp]:
    for goal in found.goals:
        operator = found.operators[goal.clamp.place]
        at = goal.clamp.high if goal.top else goal.clamp.low
        yield ShortClamp(f"{operator.index} {operator.name}", at, goal.by)


STEP = Step(Coverage, Scope.LEAD, _collect, begin=_begin, applies=lambda case: not case.prepare.own)
