"""The search for windows in models with several inputs and outputs, and with operators of other types than int8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from carried_state import write_carried
from several_tensors import several_float_model, several_model, write_several
from typed_cases import TypedCase, converted, integers

from hil.case.load import load_case
from hil.case.types import Case
from hil.interpreter.process import InterpreterProcess
from hil.records import GateReason
from hil.reference.compute import prepare_all
from hil.reference.explorer import Clamp, Explorer
from hil.reference.int8 import Int8Oracle
from hil.reference.models import carried_of
from hil.reference.prepare import digest, prepare
from hil.session.stimuli import Found, Search, Windows, judged_together
from hil.session.stimuli.together import Together

LEVEL = 3  # place of the operator that gives `level`, which is an output of the model
INT16, INT8 = ("INT16", 1 / 8192, 0), ("INT8", 1 / 64, -3)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return load_case(write_several(tmp_path_factory.mktemp("several")))


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[..., Explorer]]:
    """Opens a model in the one process that all tests share, in place of the model before."""
    with closing(InterpreterProcess()) as process:
        yield lambda model, *carried: Explorer(model, process, carried)


def searched(case: Case, explorer: Explorer, inferences: int = 600) -> Found:
    stimuli = prepare_all(case)
    own = Windows((case.vectors.windows, *case.vectors.further))[stimuli.valid]
    tensors = [each[stimuli.valid] for each in stimuli.tensors]
    return Search(case, explorer, inferences).run(own, tensors, own[:0], 8)


def test_a_clamp_shows_at_the_outputs_behind_it_alone(case: Case, opened: Callable[..., Explorer]) -> None:
    explorer, stimuli = opened(case.model.data), prepare_all(case)
    tensors = [each[stimuli.valid] for each in stimuli.tensors]
    sight = explorer.look(tensors)
    with closing(Int8Oracle(case.model.data)) as oracle:
        for output, wanted in zip(sight.outputs, oracle.answers(tensors), strict=True):
            np.testing.assert_array_equal(output, wanted)
    assert [each.name for each in explorer.operators] == ["FULLY_CONNECTED", "ADD", "SOFTMAX", "FULLY_CONNECTED"]
    one = [each[0] for each in tensors]
    full = [Clamp(place, -128, 127) for place in range(4)]
    right, same = explorer.clamped(one, full)
    for output, others in zip(right, same, strict=True):
        np.testing.assert_array_equal(others, np.tile(output, (4, 1)))
    level, scores = explorer.clamped(one, [Clamp(2, -128, -128), Clamp(LEVEL, 0, 0), Clamp(0, -128, -128)])[1]
    assert [(level[place] != right[0]).any() for place in range(3)] == [False, True, False]
    assert [(scores[place] != right[1]).any() for place in range(3)] == [True, False, True]


def test_what_carries_state_holds_what_a_stream_begins_with(opened: Callable[..., Explorer], tmp_path: Path) -> None:
    case = load_case(write_carried(tmp_path / "case"))
    state, stimuli = carried_of(case.model), prepare_all(case)
    explorer = opened(case.model.data, *state)
    with closing(Int8Oracle(case.model.data, carried=state)) as oracle:
        for output, wanted in zip(explorer.look(stimuli.tensors).outputs, oracle.answers(stimuli.tensors), strict=True):
            np.testing.assert_array_equal(output, wanted)
    assert searched(case, explorer, 100).looked


def test_the_search_takes_windows_of_all_inputs_and_looks_at_all_outputs(
    case: Case, opened: Callable[..., Explorer]
) -> None:
    explorer = opened(case.model.data)
    one, other = searched(case, explorer), searched(case, explorer)
    assert [[part.tobytes() for part in joint] for joint in one.windows] == [
        [part.tobytes() for part in joint] for joint in other.windows
    ]
    by_level = {goal.by for goal in one.goals if goal.clamp.place == LEVEL}
    assert by_level <= {"vectors", "probes"}  # what only the further output shows is found
    assert "probes" in {goal.by for goal in one.goals}
    assert one.windows
    tensors = [
        prepare(part, each.prepare, each.model.input)
        for part, each in zip(Windows.stacked(one.windows).parts, case.of_inputs, strict=True)
    ]
    shown = [goal for goal in one.goals if goal.by == "probes"]
    rows = [[each[row] for each in tensors] for row in range(len(one.windows))]
    for goal in shown:
        assert max(explorer.distances(row, [goal.clamp])[0] for row in rows)


def test_windows_of_all_inputs_are_sent_with_the_digest_of_each(case: Case) -> None:
    stimuli = prepare_all(case)
    own = Windows((case.vectors.windows, *case.vectors.further))
    named = ((str(row), own.row(row)) for row in range(len(own)))
    for row, stimulus in enumerate(judged_together(case, named)):
        assert stimulus.reason == stimuli.gate[row]
        assert stimulus.window == case.vectors.payload(row)
        wanted = {place: digest(tensor[row]) for place, tensor in enumerate(stimuli.tensors)}
        assert stimulus.digests == (wanted if stimulus.reason is GateReason.VALID else {})


def test_ventures_change_one_input_at_a_time_and_then_all(case: Case) -> None:
    own = Windows((case.vectors.windows, *case.vectors.further)).accepted(case)
    together, parent = Together(case, own, 5), own.row(2)
    made = together.near(parent, 6)
    assert len(made.accepted(case)) == len(made) == 6
    left, right = ([bool((row != old).any()) for row in part] for part, old in zip(made.parts, parent, strict=True))
    assert (left[0], right[0], left[1], right[1], left[2], right[2]) == (True, False, False, True, True, True)
    assert (right[3], left[4]) == (False, False)
    fresh = together.fresh(9)
    kept = [any((part == old).all() for old in own.parts[0]) for part in fresh.parts[0]]
    assert kept[1::3] == [True] * 3


def chain(*steps: tuple[str, tuple[str, float | None, int]]) -> TypedCase:
    return TypedCase(converted(("INT8", 1 / 64, 0), *steps), integers("int8", -128, 128), decision="")


def test_an_operator_of_int16_is_looked_at_in_its_highest_bits(tmp_path: Path, opened: Callable[..., Explorer]) -> None:
    case = load_case(chain(("QUANTIZE", INT16), ("QUANTIZE", INT8)).write(tmp_path))
    explorer = opened(case.model.data)
    assert [(each.dtype, each.low, each.step) for each in explorer.operators] == [
        ("INT16", -32768, 256),
        ("INT8", -128, 1),
    ]
    sight = explorer.look([np.array([[-128, 0, 1, 127]], np.int8)])
    int16 = [-16384, 0, 128, 16256]  # 128 of its steps are one of the input's
    assert (sight.low[0, 0], sight.high[0, 0]) == (min(int16), max(int16))
    assert np.flatnonzero(sight.seen[0]).tolist() == sorted({(value + 32768) // 256 for value in int16})
    assert explorer.operators[0].values(192) == (16384, 16639)
    found = searched(case, explorer, 200)
    assert {(goal.clamp.low, goal.clamp.high) for goal in found.goals if goal.clamp.place == 0} == {
        *((-32768, 32511), (-32512, 32767)),
        *((-32768, 30975), (-30976, 32767)),
    }
    assert {goal.by for goal in found.goals if goal.clamp.place == 1} == {"vectors", ""}
    assert explorer.distances([np.array([127, 0, 0, 0], np.int8)], [Clamp(0, -32768, 16000)]) == [2]


def test_an_operator_of_uint8_is_looked_at_as_it_is(tmp_path: Path, opened: Callable[..., Explorer]) -> None:
    case = load_case(chain(("QUANTIZE", ("UINT8", 1 / 64, 128))).write(tmp_path))
    explorer = opened(case.model.data)
    sight = explorer.look([np.array([[-128, 0, 1, 127]], np.int8)])
    assert np.flatnonzero(sight.seen[0]).tolist() == [0, 128, 129, 255]
    assert (sight.low[0, 0], sight.high[0, 0]) == (0, 255)
    assert {goal.by for goal in searched(case, explorer).goals} == {"vectors"}


def test_a_model_of_float_alone_has_nothing_to_clamp(opened: Callable[..., Explorer]) -> None:
    assert opened(several_float_model()).operators == ()
    assert len(opened(several_model(level="FLOAT32")).operators) == 4
