"""What the harness makes of an interpreter's answers, refusals and deaths. The process is a table of answers, so that
each case takes no time; `test_fatal_models.py` and its neighbours hold the same to the real interpreters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from answering_process import (
    DIED,
    END,
    REAL_END,
    WORDS,
    Process,
    as_process,
    asked_to_run,
    doubled,
    fails,
    opened,
    oracle_of,
    says,
    sized,
)
from interpreted_cases import both

from hil.errors import UsageError
from hil.interpreter.process import SILENCE_S, InterpreterEnded, InterpreterRefused
from hil.reference import culprit, interpreted
from hil.reference.float import FloatReference
from hil.reference.int8 import ARENA_BYTES, TFLM, Int8Oracle
from hil.reference.interpreted import InterpretedModel, contract
from hil.tensor import Quantisation, TensorContract


def test_the_oracle_opens_its_model_once_with_its_arena() -> None:
    process = Process(**opened())
    oracle = oracle_of(process)
    assert process.asked == [("open_tflm", {"model": b"model", "arena_bytes": ARENA_BYTES})]
    assert process.silences == [SILENCE_S]
    assert oracle.input == oracle.output == TensorContract("INT8", (1, 2, 3), Quantisation(0.5, -3), 6)
    assert (oracle.inputs, oracle.outputs) == ((oracle.input,), (oracle.output,))
    assert oracle.name == "m.tflite"
    other = Process(open_tflm=says(inputs=[END, WORDS], outputs=[WORDS, REAL_END, END]))
    several = Int8Oracle(b"model", arena_bytes=77, process=as_process(other))
    assert other.asked[0][1]["arena_bytes"] == 77
    assert (several.inputs, several.input) == ((contract(END), contract(WORDS)), contract(END))
    assert several.outputs == (contract(WORDS), contract(REAL_END), contract(END))
    assert several.output == contract(WORDS)


@pytest.mark.parametrize(
    ("described", "wanted"),
    [
        (END, TensorContract("INT8", (1, 2, 3), Quantisation(0.5, -3), 6)),
        ({**END, "dtype": "int16"}, TensorContract("INT16", (1, 2, 3), Quantisation(0.5, -3), 12)),
        (REAL_END, TensorContract("FLOAT32", (1, 6), Quantisation(0.0, 0), 24)),
    ],
)
def test_what_an_interpreter_says_of_a_tensor(described: dict[str, Any], wanted: TensorContract) -> None:
    assert contract(described) == wanted


@pytest.mark.parametrize("before", [[], [END], [END, WORDS]])
@pytest.mark.parametrize("side", ["input", "output"])
def test_an_end_that_no_product_takes_is_refused_and_the_process_closed(
    side: str, before: list[dict[str, Any]]
) -> None:
    ends = {"inputs": [END], "outputs": [END], f"{side}s": [*before, {**END, "dtype": "float64"}]}
    process = Process(open_tflm=says(**ends))
    words = (
        rf"m.tflite: its {side} tensor is FLOAT64, the int8 oracle takes .*\n  fix: .* inference_{side}_type = tf.int8"
    )
    with pytest.raises(UsageError, match=words):
        oracle_of(process)
    assert process.closed


@pytest.mark.parametrize(
    ("count", "block", "begins", "sizes"),
    [
        (7, 12, None, [2, 2, 2, 1]),
        (7, 17, None, [2, 2, 2, 1]),
        (6, 12, None, [2, 2, 2]),
        (3, 5, None, [1, 1, 1]),
        (3, 1 << 20, None, [3]),
        (0, 12, None, []),
        (7, 12, [0, 1, 2, 3, 4, 5, 6], [2, 2, 2, 1]),
        (7, 12, [0, 2, 4, 6], [2, 2, 2, 1]),
        (7, 12, [0, 3, 4], [3, 4]),
        (7, 12, [0, 1, 4, 6], [4, 2, 1]),
        (7, 5, [0, 6], [6, 1]),
        (7, 12, [0], [7]),
        (0, 12, [], []),
    ],
)
def test_tensors_go_in_blocks_of_so_many_bytes(
    count: int, block: int, begins: list[int] | None, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of six bytes each; a block holds one at least, and never ends amid a stream. begins: where one begins."""
    monkeypatch.setattr(interpreted, "BLOCK_BYTES", block)
    process = Process(**opened(WORDS), run_tflm=doubled)
    tensors = np.asfortranarray(np.arange(6 * count).reshape(count, 6).astype(np.int8))
    fresh = None if begins is None else np.isin(np.arange(count), begins)
    (found,) = oracle_of(process).answers([tensors], fresh)
    assert found.dtype == np.int16
    assert found.tolist() == (tensors[:, :2] * 2).tolist()
    runs = [values["tensors"] for request, values in process.asked if request == "run_tflm"]
    assert [len(each) for each in runs] == sizes
    assert all(each.flags.c_contiguous for each in runs)
    told = [values["fresh"] for values in asked_to_run(process)]
    assert [len(each) for each in told] == sizes
    assert all(each.dtype == np.bool_ and each[0] for each in told)
    assert [row for each in told for row in each.tolist()] == ([True] * count if fresh is None else fresh.tolist())


def test_a_request_waits_as_long_as_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreted, "SILENCE_S", 5.0)
    process = Process(**opened(), run_tflm=lambda values: {"outputs": values["tensors"]})
    oracle_of(process).answers([np.zeros((1, 6), np.int8)])
    assert process.silences == [5.0, 5.0]


def test_a_tensor_of_one_byte_fills_a_block_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreted, "BLOCK_BYTES", 3)
    process = Process(**opened(sized(END, 1)), run_tflm=lambda values: {"outputs": values["tensors"]})
    oracle_of(process).answers([np.zeros((7, 1), np.int8)])
    assert [len(values["tensors"]) for values in asked_to_run(process)] == [3, 3, 1]


def test_the_bytes_of_a_block_are_those_of_every_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreted, "BLOCK_BYTES", 20)
    process = Process(**opened(sized(END, 2)), run_tflm=doubled)
    tensors = [
        np.asfortranarray(np.arange(5 * size).reshape(5, size).astype(dtype))
        for size, dtype in ((6, np.int8), (2, np.int16))
    ]
    oracle_of(process).answers(tensors)
    runs = asked_to_run(process)
    assert [sorted(values) for values in runs] == [["fresh", "tensors", "tensors_1"]] * 3
    for name, tensor in zip(("tensors", "tensors_1"), tensors, strict=True):
        assert [len(values[name]) for values in runs] == [2, 2, 1]
        assert all(values[name].flags.c_contiguous and values[name].dtype == tensor.dtype for values in runs)
        assert [row for values in runs for row in values[name].tolist()] == tensor.tolist()


def test_a_block_is_a_megabyte() -> None:
    process = Process(**opened(sized(END, 1)), run_tflm=lambda values: {"outputs": values["tensors"][:, :1]})
    oracle_of(process).answers([np.zeros((5, 1 << 19), np.int8)])
    assert [len(values["tensors"]) for values in asked_to_run(process)] == [2, 2, 1]


def test_outputs_have_the_type_and_size_of_the_model_s(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(**opened(sized(REAL_END, 2)), run_tflm=doubled)
    tensors = np.arange(12).reshape(2, 6).astype(np.int8)
    found = oracle_of(process).run(tensors)
    assert (found.dtype, found.tolist()) == (np.float32, [[0, 2], [12, 14]])
    monkeypatch.setattr(interpreted, "BLOCK_BYTES", 6)
    process = Process(
        **opened(sized(REAL_END, 2), sized(WORDS, 1)),
        run_tflm=lambda values: {**doubled(values), "outputs_1": values["tensors"][:, 5:]},
    )
    oracle = oracle_of(process)
    first, second = oracle.answers([tensors])
    assert (first.dtype, first.tolist()) == (np.float32, [[0, 2], [12, 14]])
    assert (second.dtype, second.tolist()) == (np.int16, [[5], [11]])
    assert oracle.run(tensors).tolist() == first.tolist()


def test_what_the_oracle_runs_are_tensors_of_each_input_and_where_a_stream_begins() -> None:
    process = Process(**opened(sized(END, 2)), run_tflm=doubled)
    left, right = np.ones((3, 6), np.int8), np.full((3, 2), 7, np.int8)
    oracle = oracle_of(process)
    oracle.run(left, right, fresh=np.array([True, False, True]))
    oracle.run(left)
    several, alone = asked_to_run(process)
    assert (several["tensors"].tolist(), several["tensors_1"].tolist()) == (left.tolist(), right.tolist())
    assert several["fresh"].tolist() == [True, False, True]
    assert (sorted(alone), alone["fresh"].tolist()) == (["fresh", "tensors"], [True] * 3)


# ---- a refusal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words", "shown"),
    [("ValueError", "", "    ValueError"), ("ValueError", "one\n\n  \ntwo", "    one\n    two")],
)
def test_a_refusal_is_told_in_the_interpreter_s_words(said: str, words: str, shown: str) -> None:
    process = Process(open_tflm=fails(InterpreterRefused(said, words)))
    with pytest.raises(UsageError) as caught:
        oracle_of(process)
    assert str(caught.value) == f"m.tflite: {TFLM.title} refuses this model:\n{shown}\n  fix: {TFLM.refusal_fix}"
    assert process.closed
    process = Process(**opened(), run_tflm=fails(InterpreterRefused(said, words)))
    with pytest.raises(UsageError) as caught:
        oracle_of(process).run(np.zeros((1, 6), np.int8))
    assert str(caught.value) == f"m.tflite: {TFLM.title} cannot run this model:\n{shown}\n  fix: {TFLM.refusal_fix}"
    assert not process.closed


def floating(process: Process) -> FloatReference:
    return FloatReference(b"model", "f.tflite", as_process(process))


def test_the_float_reference_takes_real_values() -> None:
    _, process = both()
    reference = floating(process)
    assert (reference.inputs, reference.outputs) == ((contract(REAL_END),), (contract(sized(REAL_END, 2)),))
    assert ([each.elements for each in (*reference.inputs, *reference.outputs)], reference.name) == ([6, 2], "f.tflite")
    assert process.asked == [("open_litert", {"model": b"model"})]
    found = reference.run(np.array([[1, 2, 3, 4, 5, 6]], np.int8), Quantisation(0.5, 1))
    assert (found.dtype, found.tolist()) == (np.float32, [[0, 1]])
    assert process.asked[-1][1]["tensors"].tolist() == [[0, 0.5, 1, 1.5, 2, 2.5]]
    assert process.asked[-1][1]["tensors"].dtype == np.float32
    assert process.asked[-1][1]["fresh"].tolist() == [True]
    stream = np.array([True, False, False])
    reference.run(np.ones((3, 6), np.int8), Quantisation(0.5, 1), stream)
    reference.run_real(np.ones((3, 6), np.float32), stream)
    assert [values["fresh"].tolist() for values in asked_to_run(process)[1:]] == [stream.tolist()] * 2


@pytest.mark.parametrize(
    ("opens", "words"),
    [
        ({"inputs": [END]}, "f.tflite: its ends are int8, not float32\n  fix: name the float model here"),
        ({"outputs": [WORDS], "inputs": [END]}, "f.tflite: its ends are int16, int8, not float32"),
        ({"inputs": [REAL_END, END]}, "f.tflite: its ends are int8, not float32"),
        ({"outputs": [REAL_END, REAL_END, WORDS]}, "f.tflite: its ends are int16, not float32"),
        (
            {"tensors": [["a", "float32"], ["b", "int8"]]},
            'f.tflite: tensor "b" is int8: a quantised or hybrid model is no float reference\n'
            "  fix: convert the float model without converter.optimizations",
        ),
    ],
)
def test_what_is_no_float_model_is_refused_and_the_process_closed(opens: dict[str, Any], words: str) -> None:
    process = Process(open_litert=says(**{"inputs": [REAL_END], "outputs": [REAL_END], "tensors": [], **opens}))
    with pytest.raises(UsageError) as caught:
        floating(process)
    assert str(caught.value).startswith(words)
    assert process.closed


# ---- a death ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the search for the operator was given; it always finds one."""
    given: list[tuple[Any, ...]] = []

    def find(*values: Any) -> culprit.Culprit:
        given.append(values)
        return culprit.Culprit("operator 5 SOFTMAX", "  fix: advice")

    monkeypatch.setattr(interpreted, "find_culprit", find)
    return given


def test_a_death_names_the_operator_and_the_last_words(searched: list[tuple[Any, ...]]) -> None:
    process = Process(open_tflm=fails(DIED))
    with pytest.raises(UsageError) as caught:
        oracle_of(process)
    assert str(caught.value) == (
        f"m.tflite: operator 5 SOFTMAX: {TFLM.title} was killed by SIGABRT while the model was set up; "
        "its last words:\n    last\n    words\n  fix: advice"
    )
    assert searched == [(b"model", "open_tflm", "run_tflm", None, {"arena_bytes": ARENA_BYTES})]
    assert process.closed


def test_a_death_while_it_runs_is_searched_for_with_the_tensors_of_the_request(
    searched: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreted, "BLOCK_BYTES", 6)

    def second(values: dict[str, Any]) -> dict[str, Any]:
        if values["tensors"][0, 0]:
            raise InterpreterEnded("hung", "")
        return doubled(values)

    process = Process(**opened(sized(END, 2)), run_tflm=second)
    with pytest.raises(UsageError) as caught:
        oracle_of(process).run(
            np.array([[0] * 6, [1] * 6, [2] * 6], np.int8),
            np.array([[3], [4], [5]], np.int8),
            fresh=np.array([True, True, False]),
        )
    assert str(caught.value) == f"m.tflite: operator 5 SOFTMAX: {TFLM.title} hung while the model ran\n  fix: advice"
    ((*given, values, options),) = searched
    assert given == [b"model", "open_tflm", "run_tflm"]
    assert {name: value.tolist() for name, value in values.items()} == {
        "tensors": [[1] * 6, [2] * 6],
        "tensors_1": [[4], [5]],
        "fresh": [True, False],
    }
    assert options == {"arena_bytes": ARENA_BYTES}


def test_a_process_that_this_side_closed_is_no_death(searched: list[tuple[Any, ...]]) -> None:
    closed = InterpreterEnded("was closed", "", closed=True)
    with pytest.raises(InterpreterEnded):
        oracle_of(Process(open_tflm=fails(closed)))
    with pytest.raises(InterpreterEnded):
        oracle_of(Process(**opened(), run_tflm=fails(closed))).run(np.zeros((1, 6), np.int8))
    assert searched == []


def test_a_model_is_closed_behind_its_block() -> None:
    process = Process(**opened())
    with oracle_of(process) as oracle:
        assert isinstance(oracle, InterpretedModel)
        assert not process.closed
    assert process.closed
