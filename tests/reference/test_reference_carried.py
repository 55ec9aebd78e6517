"""References of a model whose state is outputs and inputs: each window of a stream gets what the one before left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from carried_state import answers, float_recurrent_model, write_carried
from state_cases import SEQUENCE, streams, windows

from hil.case.load import load_case
from hil.case.types import Case
from hil.interpreter.carried import CarriedInputs
from hil.model.tflite import parse_model
from hil.reference import compute


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return load_case(write_carried(tmp_path_factory.mktemp("carried")))


def test_the_oracle_carries_what_the_wheel_gives_and_a_float_model_its_own_floats(case: Case) -> None:
    found = compute(replace(case, float_model=parse_model(float_recurrent_model(), Path("float.tflite"))), chunk=5)
    real = (windows()[:, :4].astype(np.float32) - 3) * np.float32(case.model.input.quantisation.scale)
    h, c = np.zeros((len(SEQUENCE), 4), np.float32), np.zeros((len(SEQUENCE), 4), np.float32)
    for stream in streams():
        before = np.zeros((2, 4), np.float32)
        for row in stream:
            h[row] = before[0] - real[row]
            c[row] = h[row] + before[1]
            before = np.stack([h[row], c[row]])
    assert found.float_output is not None
    np.testing.assert_array_equal(found.float_output, h)
    np.testing.assert_array_equal(found.outputs[0].float_output, h)
    np.testing.assert_array_equal(found.outputs[1].float_output, c)
    for stream in streams():
        wanted = answers([(row, place == 0) for place, row in enumerate(stream)])
        np.testing.assert_array_equal(found.output[stream], wanted["scores"])
        np.testing.assert_array_equal(found.outputs[0].output[stream], wanted["h"])
        np.testing.assert_array_equal(found.outputs[1].output[stream], wanted["c"])


def inputs(*mistakes: str) -> CarriedInputs:
    """One input of two int16 for each mistake, which gets the output of the same place; behind one that is fed."""
    ends = [{"shape": [1, 2], "dtype": "int16"} for _ in (*mistakes, "")]
    return CarriedInputs([[place, place + 1, 7, each] for place, each in enumerate(mistakes)], ends)


def test_each_mistake_with_what_is_carried_is_made_where_it_is_asked_for() -> None:
    state, seen = inputs("", "cleared", "never", "short"), []
    for number, fresh in enumerate([True, False, False, True]):
        state.begin(fresh)
        seen.append([value.ravel().tolist() for value in state.values.values()])
        state.end([np.array([0x0101, 0x0202], np.int16) * (number + 1)] * 4)
    assert state.fed == [0]
    first, second = [0x0101, 0x0202], [0x0202, 0x0404]
    assert seen[0] == [[7, 7]] * 4
    assert seen[1] == [first, [7, 7], first, [0x0101, 0x0002]]
    assert seen[2] == [second, [7, 7], second, [0x0202, 0x0004]]
    assert seen[3] == [[7, 7], [7, 7], [0x0303, 0x0606], [7, 7]]


def test_outputs_that_are_no_part_of_a_model_that_was_cut_off_are_not_carried() -> None:
    """So are those made that tell which operator an interpreter does not survive."""
    state = inputs("", "")
    state.begin(True)
    state.end([np.zeros(3, np.int16)])
    assert [value.ravel().tolist() for value in state.values.values()] == [[7, 7], [7, 7]]
