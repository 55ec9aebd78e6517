"""The search finds windows that a kernel with a short clamp would fail on, the same ones each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from native_session import PROJECT, imu_motion, with_vectors

from hil.case.types import Case, Vectors
from hil.interpreter.process import InterpreterProcess, InterpreterRefused
from hil.records import GateReason
from hil.reference.compute import prepare_all
from hil.reference.explorer import Clamp, Explorer, Sight
from hil.reference.gate import judge
from hil.reference.int8 import Int8Oracle
from hil.reference.prepare import prepare
from hil.session.stimuli import Found, Search, Windows
from hil.session.stimuli.ventures import Ventures

RESOURCES = PROJECT.parent / "shared" / "data" / "public_models" / "mww_v2_vad.tflite"


@pytest.fixture(scope="module")
def explorer() -> Iterator[Explorer]:
    with closing(InterpreterProcess()) as process:
        yield Explorer(imu_motion().model.data, process)


@cache
def small_case() -> Case:
    return with_vectors(imu_motion(), range(0, 500, 25))


def found(explorer: Explorer, inferences: int = 1000, most: int = 16, case: Case | None = None) -> Found:
    case = small_case() if case is None else case
    stimuli = prepare_all(case)
    own = case.vectors.windows[stimuli.valid]
    windows = Windows((own,))
    return Search(case, explorer, inferences).run(windows, [stimuli.prepared[stimuli.valid]], windows[:0], most)


def test_the_explorer_sees_each_operator_and_gives_the_oracles_outputs(explorer: Explorer) -> None:
    case = small_case()
    prepared = prepare_all(case).prepared[:4]
    sight = explorer.look([prepared])
    (outputs,) = sight.outputs
    assert [each.name for each in explorer.operators] == [
        *("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"),
        *("AVERAGE_POOL_2D", "FULLY_CONNECTED", "SOFTMAX"),
    ]
    with closing(Int8Oracle(case.model.data)) as oracle:
        np.testing.assert_array_equal(outputs, oracle.run(prepared))
    np.testing.assert_array_equal(sight.high[:, -1], outputs.max(axis=1))
    for place in range(len(explorer.operators)):
        values = np.flatnonzero(sight.seen[place]) - 128
        assert (values.min(), values.max()) == (sight.low[:, place].min(), sight.high[:, place].max())


def test_a_clamp_changes_the_output_as_much_as_the_rest_of_the_model_makes_of_it(explorer: Explorer) -> None:
    tensor = prepare_all(small_case()).prepared[0]
    output = explorer.look([tensor[None]]).outputs[0][0].astype(int)
    last = len(explorer.operators) - 1
    full = [Clamp(place, -128, 127) for place in range(last + 1)]
    assert explorer.distances([tensor], full) == [0] * (last + 1)
    assert explorer.distances([tensor], [Clamp(last, -128, 100)]) == [output.max() - 100]
    nothing = explorer.distances([tensor], [Clamp(0, -128, -128)])  # the first operator gives zeros only
    assert nothing[0] > 0


def test_short_clamps_in_every_operator_show_but_those_that_cannot(explorer: Explorer) -> None:
    result = found(explorer, 2000)
    hidden = {explorer.operators[goal.clamp.place].name for goal in result.goals if not goal.by}
    assert hidden <= {"FULLY_CONNECTED"}  # in front of a softmax that forgets low scores
    assert {goal.by for goal in result.goals} >= {"vectors", "probes"}
    assert 0 < len(result.windows) <= 16


def test_what_is_said_to_show_does(explorer: Explorer) -> None:
    """On the windows that are sent, each clamp that only probes show changes the output."""
    case, result = small_case(), found(explorer)
    tensors = prepare(np.stack([window for (window,) in result.windows]), case.prepare, case.model.input)
    for goal in result.goals:
        if goal.by == "probes":
            assert max(explorer.distances([tensor], [goal.clamp])[0] for tensor in tensors) > case.contracts.lsb


def test_windows_of_the_search_reach_further_than_the_vectors(explorer: Explorer) -> None:
    result = found(explorer)
    assert (result.vectors <= result.probes).all()
    assert (result.probes.sum(axis=1) > result.vectors.sum(axis=1)).sum() >= 4


def test_a_search_finds_the_same_each_time(explorer: Explorer) -> None:
    one, other = found(explorer, 300), found(explorer, 300)
    assert [window.tobytes() for (window,) in one.windows] == [window.tobytes() for (window,) in other.windows]
    assert [goal.by for goal in one.goals] == [goal.by for goal in other.goals]


def test_a_search_is_bounded_by_inferences_and_by_what_may_be_sent(explorer: Explorer) -> None:
    class Counting(Explorer):
        def __init__(self) -> None:
            self.operators, self.count = explorer.operators, 0

        def look(self, tensors: Sequence[np.ndarray]) -> Sight:
            self.count += len(tensors[0])
            return explorer.look(tensors)

        def clamped(self, tensors: Sequence[np.ndarray], clamps: list[Clamp]) -> Any:
            self.count += 1 + len(clamps)
            return explorer.clamped(tensors, clamps)

    counting = Counting()
    result = found(counting, 200, most=2)
    assert len(result.windows) <= 2
    assert counting.count <= 200 + 25 + 20 + 2  # the last step, the vectors, the windows that are sent


def test_an_output_that_may_be_off_shows_only_what_is_farther_off(explorer: Explorer) -> None:
    case = small_case()
    loose = replace(case, contracts=replace(case.contracts, lsb=255))
    assert {goal.by for goal in found(explorer, 200, case=loose).goals} == {""}


def test_a_model_that_cannot_be_opened_is_refused() -> None:
    with closing(InterpreterProcess()) as process, pytest.raises(InterpreterRefused):
        Explorer(b"no model at all", process)


@pytest.mark.skipif(not RESOURCES.is_file(), reason="no ../shared/data/public_models beside the project")
def test_a_model_with_resource_variables_is_looked_into_and_cut_behind_each_operator() -> None:
    """Its first operators make and fill the variables; some of them, and those that write one, have no output."""
    tensors = np.random.default_rng(1).integers(-128, 128, (2, 120)).astype(np.int8)
    with closing(InterpreterProcess()) as process, closing(Int8Oracle(RESOURCES.read_bytes())) as oracle:
        explorer = Explorer(RESOURCES.read_bytes(), process)
        assert {each.name for each in explorer.operators} == {
            *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LOGISTIC", "QUANTIZE")
        }
        np.testing.assert_array_equal(explorer.look([tensors]).outputs[0], oracle.run(tensors))
        ends = [(place, each.low, each.high) for place, each in enumerate(explorer.operators)]
        assert explorer.distances([tensors[0]], [Clamp(*each) for each in ends]) == [0] * len(ends)
        shut = explorer.distances([tensors[0]], [Clamp(place, low, low) for place, low, _ in ends])
        assert min(shut[:2]) > 0  # clamped before a variable is read and written


@pytest.mark.parametrize("dtype", ["int16", "float32", "int8"])
def test_ventures_are_windows_that_the_gate_accepts(dtype: str) -> None:
    case = small_case()
    stage = {"int16": "scale", "float32": "quantize", "int8": "tensor"}[dtype]
    gate = {"int16": case.gate, "float32": replace(case.gate, minimum=-9.0, maximum=12.0, min_span=0.5)}
    case = replace(
        case,
        window=replace(case.window, dtype=dtype),
        prepare=replace(case.prepare, id=stage, factor=4.0),
        gate=gate.get(dtype, replace(case.gate, minimum=-100.0, maximum=127.0, min_span=3.0)),
    )
    loud = 1000 if dtype == "int16" else 1
    own = (np.random.default_rng(1).integers(-8, 9, (5, 40, 6)) * loud).astype(dtype)
    ventures = Ventures(case, own, 3)
    made = np.concatenate([ventures.fresh(50), ventures.near(own[0], 30)])
    assert made.dtype == own.dtype
    assert len(made) >= 60
    assert set(judge(Vectors(made), case).tolist()) == {GateReason.VALID}
    assert len(np.unique(made.reshape(len(made), -1), axis=0)) > 55
