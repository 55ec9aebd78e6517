"""What the harness makes of an interpreter's answers, refusals and deaths. The process is a table of answers, so that
each case takes no time; `test_fatal_models.py` and its neighbours hold the same to the real interpreters.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from model_edit import read_model, write_model

from hil.case.types import Case, Channel, Contracts, Decide, Gate, InputPart, ModelFile, Prepare, Vectors, Window
from hil.errors import CaseError, UsageError
from hil.interpreter.process import SILENCE_S, InterpreterEnded, InterpreterProcess, InterpreterRefused
from hil.model.graph import read_graph
from hil.records import DecisionReason, GateReason
from hil.reference import culprit, interpreted, job, models
from hil.reference.compute import check_models, compute, model_outputs, prepare_all, references
from hil.reference.explorer import Clamp, Explorer, Operator
from hil.reference.float import FloatReference
from hil.reference.int8 import ARENA_BYTES, TFLM, Int8Oracle
from hil.reference.interpreted import InterpretedModel, contract
from hil.reference.models import CaseModels, Outputs
from hil.reference.prepare import real_values
from hil.tensor import Quantisation, TensorContract

IMU = Path(__file__).resolve().parents[2] / "golden_vectors" / "imu_motion" / "model_int8.tflite"
END = {"dtype": "int8", "shape": [1, 2, 3], "scales": [0.5, 9.0], "zero_points": [-3, 9]}
REAL_END = {"dtype": "float32", "shape": [1, 6], "scales": [], "zero_points": []}
WORDS = {**END, "dtype": "int16", "shape": [1, 2]}
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Process:
    """Answers each request from a table, and keeps what it was asked. An answer may raise."""

    def __init__(self, **answers: Answer) -> None:
        self.answers, self.closed = answers, 0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.silences: list[float] = []

    def ask(self, request: str, values: dict[str, Any], silence_s: float = SILENCE_S) -> dict[str, Any]:
        self.asked.append((request, values))
        self.silences.append(silence_s)
        return self.answers[request](values)

    def close(self) -> None:
        self.closed += 1


def as_process(process: Process) -> InterpreterProcess:
    return cast(InterpreterProcess, process)


def says(**values: Any) -> Answer:
    return lambda _: values


def fails(error: Exception) -> Answer:
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        raise error

    return answer


def doubled(values: dict[str, Any]) -> dict[str, Any]:
    return {"outputs": values["tensors"][:, :2] * 2}


def sized(end: dict[str, Any], elements: int) -> dict[str, Any]:
    return {**end, "shape": [1, elements]}


def oracle_of(process: Process, name: str = "m.tflite") -> Int8Oracle:
    return Int8Oracle(b"model", name, process=as_process(process))


def opened(*outputs: dict[str, Any]) -> dict[str, Answer]:
    return {"open_tflm": says(inputs=[END], outputs=outputs or [END])}


def asked_to_run(process: Process) -> list[dict[str, Any]]:
    """The values of each request behind the first, which opens the model."""
    return [values for _, values in process.asked[1:]]


# ---- one model -------------------------------------------------------------------------------------------------------


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

DIED = InterpreterEnded("was killed by SIGABRT", "last\n\nwords")


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


# ---- the operator that an interpreter does not survive ---------------------------------------------------------------

OPERATORS = len(read_graph(IMU.read_bytes(), IMU).operators)


class Fatal:
    """Makes processes that a piece with more than `survives` operators kills, as the model opens or as it runs."""

    def __init__(self, survives: int, *, opening: bool = False, refuses: int = 99) -> None:
        self.survives, self.opening, self.refuses = survives, opening, refuses
        self.made: list[Process] = []

    def __call__(self) -> Process:
        process = Process(ready=says(), open_tflm=self._opens, run_tflm=self._runs)
        self.made.append(process)
        return process

    def _opens(self, values: dict[str, Any]) -> dict[str, Any]:
        self.count = len(read_graph(values["model"], IMU).operators)
        if self.count > self.refuses:
            raise InterpreterRefused("ValueError", "")
        if self.opening and self.count > self.survives:
            raise DIED
        return {}

    def _runs(self, values: dict[str, Any]) -> dict[str, Any]:
        assert {name: value.shape for name, value in values.items()} == {"tensors": (1, 240), "fresh": (1,)}
        if self.count > self.survives:
            raise DIED
        return {}


def search(fatal: Callable[[], Process], monkeypatch: pytest.MonkeyPatch, model: bytes = b"") -> culprit.Culprit:
    monkeypatch.setattr(culprit, "InterpreterProcess", fatal)
    opening = getattr(fatal, "opening", False)
    tensors = None if opening else {"tensors": np.zeros((1, 240), np.int8), "fresh": np.ones(1, np.bool_)}
    return culprit.find_culprit(model or IMU.read_bytes(), "open_tflm", "run_tflm", tensors, {"arena_bytes": 5})


@pytest.mark.parametrize("opening", [True, False])
@pytest.mark.parametrize("operator", range(OPERATORS))
def test_the_operator_behind_which_a_piece_dies_is_found(
    operator: int, opening: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal = Fatal(operator, opening=opening)
    name = read_graph(IMU.read_bytes(), IMU).operators[operator].name
    assert search(fatal, monkeypatch).where == f"operator {operator} {name}"
    assert len(fatal.made) <= 1 + OPERATORS.bit_length()
    for process in fatal.made:
        assert process.closed
        assert process.asked[0] == ("ready", {})
        assert process.asked[1][1]["arena_bytes"] == 5
        assert [request for request, _ in process.asked[1:]] == ["open_tflm"] + ["run_tflm"] * (not opening)
        assert process.silences == [SILENCE_S] + [10.0] * (len(process.asked) - 1)


def test_a_piece_ends_with_the_output_of_its_last_operator() -> None:
    data = IMU.read_bytes()
    graph = read_graph(data, IMU)
    for count in range(1, OPERATORS + 1):
        piece = read_graph(culprit.cut_after(data, graph, count), IMU)
        assert piece.operators == graph.operators[:count]
        assert piece.outputs == graph.operators[count - 1].outputs


def test_a_piece_that_is_refused_does_not_die(monkeypatch: pytest.MonkeyPatch) -> None:
    assert search(Fatal(0, refuses=3), monkeypatch).where == "the whole model"
    assert search(Fatal(99), monkeypatch) == culprit.Culprit(
        "the whole model",
        "  it ran when it was tried again\n"
        "  next: look whether memory ran out, or something ends processes; then run it again",
    )


class AlwaysFatal(Fatal):
    def _opens(self, values: dict[str, Any]) -> dict[str, Any]:
        raise DIED


@pytest.mark.parametrize("model", [b"no model at all", IMU.read_bytes()[:3000], bytes(64)])
def test_a_model_that_cannot_be_cut_names_no_operator(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    found = search(AlwaysFatal(0), monkeypatch, model)
    assert found.where == "no single operator"
    assert found.advice.startswith("  fix: convert the model again")


def test_the_advice_follows_what_is_odd_in_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert search(Fatal(2), monkeypatch).advice.startswith("  fix: replace that layer, or convert the model again")
    model = read_model(IMU.read_bytes())
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[2].outputs[0]].quantization.scale = [7e-9]
    odd = search(Fatal(2), monkeypatch, write_model(model)).advice
    assert "has the scale 7e-09" in odd
    assert odd.endswith("\n  fix: look at the data that the model was calibrated with, and convert it again")


@pytest.mark.parametrize(
    ("dead", "named", "more"), [((4,), 1, ""), ((0, 1, 4), 3, ""), ((0, 1, 2, 4), 3, " and 1 more")]
)
def test_layers_with_only_zeros_are_named_three_at_most(
    dead: tuple[int, ...], named: int, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_model(IMU.read_bytes())
    graph = model.subgraphs[0]
    for operator in dead:
        weights = model.buffers[graph.tensors[graph.operators[operator].inputs[1]].buffer]
        weights.data = np.zeros(len(weights.data), np.uint8)
    lines = search(Fatal(5), monkeypatch, write_model(model)).advice.splitlines()
    (line,) = [each for each in lines if "all weights are zero in" in each]
    assert line.count("operator ") == named
    assert line.endswith(f"){more}")
    assert lines[-1].startswith("  fix: train the model")


# ---- what lies between the operators ---------------------------------------------------------------------------------


def test_an_explorer_asks_for_windows_and_clamps_as_they_are() -> None:
    process = Process(
        open_tflm_tensors=says(operators=[[0, "CONV_2D", -128, 127], [3, "SOFTMAX", -128, 126]]),
        look_tflm=says(outputs=1, low=2, high=3, seen=4),
        clamp_tflm=says(output=np.array([1, -2], np.int8), clamped=np.array([[1, -2], [4, -2], [1, -128]], np.int8)),
    )
    explorer = Explorer(b"model", as_process(process))
    assert explorer.operators == (Operator(0, "CONV_2D", -128, 127), Operator(3, "SOFTMAX", -128, 126))
    tensors = np.asfortranarray(np.arange(12).reshape(2, 6).astype(np.int8))
    sight = explorer.look([tensors])
    assert (sight.outputs, sight.low, sight.high, sight.seen) == ((1,), 2, 3, 4)
    clamps = [Clamp(0, -128, 127), Clamp(1, -7, 9), Clamp(1, 0, 0)]
    assert explorer.distances([tensors[:, 0]], clamps) == [0, 3, 126]
    (_, opens), (_, looked), (_, clamped) = process.asked
    assert opens == {"model": b"model"}
    assert looked["tensors"].tolist() == tensors.tolist()
    assert clamped["tensor"].tolist() == tensors[:, 0].tolist()
    assert clamped["clamps"] == [(0, -128, 127), (1, -7, 9), (1, 0, 0)]
    assert all(each.flags.c_contiguous for each in (looked["tensors"], clamped["tensor"]))


# ---- both models of a case -------------------------------------------------------------------------------------------

SIX = TensorContract("INT8", (1, 6), Quantisation(0.5, -3), 6, "left")
FOUR = TensorContract("INT8", (1, 4), Quantisation(0.25, 1), 4, "right")
TWO = TensorContract("INT8", (1, 2), Quantisation(0.5, -3), 2, "scores")
ONE = TensorContract("INT16", (1, 1), Quantisation(0.125, 0), 2, "level")
TWICE = Prepare("scale", 1, tuple(Channel(0, 0, 1 << 31) for _ in range(2)))
COPY = Prepare("tensor", 1)


def real_of(tensor: TensorContract) -> TensorContract:
    return TensorContract("FLOAT32", tensor.shape, Quantisation(0.0, 0), 4 * tensor.elements, tensor.name)


def model_of(name: str, data: bytes, *ends: tuple[TensorContract, ...], decided: int = 0) -> ModelFile:
    return ModelFile(Path(name), data, "", (), *ends, decided=decided)


def case_of(prepare: Prepare = TWICE, *, floating: bool = True) -> Case:
    """Five windows of three samples of one channel, each of which becomes two elements; the gate refuses the second."""
    windows = np.arange(15).reshape(5, 3, 1).astype(np.int16)
    windows[1] = 999
    return Case(
        path=Path("case.toml"),
        name="made",
        version=1,
        source="a test",
        rate_hz=None,
        model=model_of("m.tflite", b"int8", (SIX,), (TWO,)),
        float_model=model_of("f.tflite", b"float", (real_of(SIX),), (real_of(TWO),)) if floating else None,
        window=Window("int16", 3, 1),
        gate=Gate(-100.0, 100.0, 0.0),
        prepare=prepare,
        decide=Decide("none", 1),
        arena_bytes=None,
        contracts=Contracts(),
        vectors=Vectors(windows),
    )


def several(prepare: Prepare = TWICE, second: Prepare = COPY, *, floating: bool = True) -> Case:
    """`case_of` with a second input, whose gate refuses the third window, and with an output before the one that is
    decided on. The float model has both the other way round.
    """
    case = case_of(prepare, floating=floating)
    right = np.arange(20).reshape(5, 4).astype(np.int8)
    right[2] = 99
    float_model = model_of("f.tflite", b"float", (real_of(FOUR), real_of(SIX)), (real_of(TWO), real_of(ONE)))
    return replace(
        case,
        model=model_of("m.tflite", b"int8", (SIX, FOUR), (ONE, TWO), decided=1),
        float_model=float_model if floating else None,
        further=(InputPart(Window("int8", 4, 1), Gate(-50.0, 50.0, 0.0), second),),
        vectors=replace(case.vectors, further=(right,)),
    )


class Processes:
    """Those that the models of a case are opened in, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *processes: Process) -> None:
        self.left = list(processes)
        monkeypatch.setattr(models, "InterpreterProcess", lambda: self.left.pop(0))


def both(float_output: int = 2) -> tuple[Process, Process]:
    oracle = Process(open_tflm=says(inputs=[sized(END, 6)], outputs=[sized(END, 2)]), run_tflm=doubled)
    ends = {"inputs": [REAL_END], "outputs": [sized(REAL_END, float_output)], "tensors": []}
    return oracle, Process(open_litert=says(**ends), run_litert=doubled)


def both_of_several(
    float_inputs: tuple[int, int] = (4, 6), float_outputs: tuple[int, int] = (2, 1)
) -> tuple[Process, Process]:
    """Those of `several`: the level is three times the first element of the right tensor."""
    oracle = Process(
        open_tflm=says(inputs=[sized(END, 6), sized(END, 4)], outputs=[sized(WORDS, 1), sized(END, 2)]),
        run_tflm=lambda values: {"outputs": values["tensors_1"][:, :1] * 3, "outputs_1": values["tensors"][:, :2] * 2},
    )
    inputs, outputs = ([sized(REAL_END, size) for size in sizes] for sizes in (float_inputs, float_outputs))
    floating = Process(
        open_litert=says(inputs=inputs, outputs=outputs, tensors=[]),
        run_litert=lambda values: {
            "outputs": values["tensors_1"][:, :2] * 2,
            "outputs_1": values["tensors"][:, :1] * 3,
        },
    )
    return oracle, floating


def test_the_models_of_a_case_are_started_and_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    processes = Processes(monkeypatch, oracle, real)
    with CaseModels(case_of()) as opened_:
        opened_.start()
        opened_.start()
        assert (processes.left, oracle.asked, real.asked) == ([], [], [])
        assert opened_.oracle is opened_.oracle
        assert opened_.floating is opened_.floating is not None
        assert opened_.oracle.name == "m.tflite"
        assert opened_.floating.name == "f.tflite"
        assert [values["model"] for _, values in oracle.asked + real.asked] == [b"int8", b"float"]
    assert oracle.closed
    assert real.closed


def test_a_case_without_a_float_model_needs_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, _ = both()
    Processes(monkeypatch, oracle)
    with CaseModels(case_of(floating=False)) as opened_:
        assert opened_.floating is None
        answers = opened_.answer([np.ones((1, 6), np.int8)], [np.ones((1, 3, 1), np.int16)])
    assert answers.oracle.tolist() == [[2, 2]]
    assert (answers.real, answers.chain) == (None, None)


def test_models_that_were_never_started_can_be_closed() -> None:
    CaseModels(case_of()).close()


def test_why_models_cannot_be_opened_is_told_to_each_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, _ = both()
    oracle.answers["open_tflm"] = fails(InterpreterRefused("ValueError", "no"))
    Processes(monkeypatch, oracle, Process())
    opened_ = CaseModels(case_of())
    for ask in (opened_.open, lambda: opened_.oracle, lambda: opened_.floating):
        with pytest.raises(UsageError, match="refuses this model"):
            ask()
    assert len(oracle.asked) == 1


@pytest.mark.parametrize(
    ("case", "processes", "words"),
    [
        (case_of(), both(float_output=3), "takes 6 and gives 3 values, the int8 model 6 and 2"),
        (several(), both_of_several((6, 4)), "takes 4, 6 and gives 1, 2 values, the int8 model 6, 4 and 1, 2"),
        (several(), both_of_several((4, 6), (2, 3)), "takes 6, 4 and gives 3, 2 values, the int8 model 6, 4 and 1, 2"),
    ],
)
def test_a_float_model_of_another_size_does_not_fit(
    case: Case, processes: tuple[Process, Process], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Processes(monkeypatch, *processes)
    with pytest.raises(CaseError, match=words) as caught:
        CaseModels(case).open()
    assert (caught.value.where, caught.value.file) == ("model.float", Path("case.toml"))
    assert str(caught.value).endswith("fix: name the float model that the int8 model was converted from")


def test_the_float_model_answers_the_tensor_and_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = np.array([True, False])
    for stage, chains in ((TWICE, True), (COPY, False)):
        oracle, floating = both()
        Processes(monkeypatch, oracle, floating)
        case = case_of(stage)
        opened_ = CaseModels(case)
        prepared, windows = np.arange(12).reshape(2, 6).astype(np.int8), case.vectors.windows[:2]
        answers = opened_.answer([prepared], [windows], stream)
        assert answers.oracle.tolist() == (prepared[:, :2] * 2).tolist()
        assert answers.real is not None
        assert answers.real.tolist() == (2 * SIX.quantisation.real32(prepared)[:, :2]).tolist()
        if chains:
            assert answers.chain is not None
            assert answers.chain.tolist() == (2 * real_values(windows, stage, SIX)[:, :2]).tolist()
        else:
            assert answers.chain is None
        assert answers.further == ()
        runs = asked_to_run(oracle) + asked_to_run(floating)
        assert [values["fresh"].tolist() for values in runs] == [stream.tolist()] * (2 + chains)
        assert opened_.answer([prepared]).chain is None
        assert [each.asked[-1][1]["fresh"].tolist() for each in (oracle, floating)] == [[True, True]] * 2


def test_each_model_takes_and_gives_several_tensors_in_its_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers begin with the output that is decided on."""
    left, right = np.arange(12).reshape(2, 6).astype(np.int8), np.arange(20, 28).reshape(2, 4).astype(np.int8)
    for stage, second, chains in ((TWICE, COPY, True), (COPY, COPY, False)):
        oracle, floating = both_of_several()
        Processes(monkeypatch, oracle, floating)
        case = several(stage, second)
        windows = [case.vectors.windows[3:], case.vectors.further[0][3:]]
        scores = CaseModels(case).answer([left, right], windows, np.array([True, False]))
        (level,) = scores.further
        assert (scores.oracle.dtype, scores.oracle.tolist()) == (np.int8, (left[:, :2] * 2).tolist())
        assert (level.oracle.dtype, level.oracle.tolist()) == (np.int16, [[60], [72]])
        assert level.further == ()
        assert scores.real is not None
        assert level.real is not None
        assert scores.real.tolist() == [[3.0, 4.0], [9.0, 10.0]]  # from -3, a step is half
        assert level.real.tolist() == [[14.25], [17.25]]  # from 1, a step is a quarter
        runs = asked_to_run(oracle) + asked_to_run(floating)
        assert [values["fresh"].tolist() for values in runs] == [[True, False]] * (2 + chains)
        assert [(len(values["tensors"][0]), len(values["tensors_1"][0])) for values in runs] == [
            (6, 4),
            *[(4, 6)] * (1 + chains),
        ]
        if chains:
            assert scores.chain is not None
            assert level.chain is not None
            assert scores.chain.tolist() == [[9.0, 9.0], [12.0, 12.0]]  # twice half of the counts 9 and 12
            assert level.chain.tolist() == [[8.25], [11.25]]  # of 12 and 16
        else:
            assert (scores.chain, level.chain) == (None, None)


def test_columns_are_there_for_what_answers() -> None:
    full, alone, copied = (Outputs.empty(case) for case in (case_of(), case_of(floating=False), case_of(COPY)))
    assert full.real is not None
    assert full.chain is not None
    assert copied.real is not None
    assert (alone.real, alone.chain, copied.chain) == (None, None, None)
    assert (full.oracle.dtype, full.real.dtype, full.chain.dtype) == (np.int8, np.float32, np.float32)
    assert {column.shape for column in (full.oracle, full.real, full.chain, alone.oracle)} == {(5, 2)}
    assert not any(column.any() for column in (full.oracle, full.real, full.chain))
    assert (full.further, alone.further, copied.further) == ((), (), ())


@pytest.mark.parametrize(
    ("case", "real_there", "chain_there"),
    [
        (several(), True, True),
        (several(COPY, TWICE), True, True),
        (several(COPY, COPY), True, False),
        (several(floating=False), False, False),
    ],
)
def test_each_output_has_columns_of_its_own(case: Case, real_there: bool, chain_there: bool) -> None:
    scores = Outputs.empty(case)
    (level,) = scores.further
    assert level.further == ()
    for outputs, dtype, shape in ((scores, np.int8, (5, 2)), (level, np.int16, (5, 1))):
        assert (outputs.oracle.dtype, outputs.oracle.shape, outputs.oracle.any()) == (dtype, shape, False)
        for column, there in ((outputs.real, real_there), (outputs.chain, chain_there)):
            assert (column is not None) == there
            assert column is None or (column.dtype, column.shape, column.any()) == (np.float32, shape, False)


def test_rows_are_put_and_taken_in_every_column() -> None:
    rows = np.array([3, 1])
    full = Outputs.empty(case_of())
    answers = Outputs(
        np.array([[1, 2], [3, 4]], np.int8), np.full((2, 2), 5.0, np.float32), np.full((2, 2), 6.0, np.float32)
    )
    full.put(rows, answers)
    taken = full.take(np.array([1, 3, 0]))
    assert taken.oracle.tolist() == [[3, 4], [1, 2], [0, 0]]
    assert taken.real is not None
    assert taken.chain is not None
    assert (taken.real[:, 0].tolist(), taken.chain[:, 0].tolist()) == ([5, 5, 0], [6, 6, 0])
    full.put(rows, Outputs(answers.oracle, None, None))  # of models without a float one
    alone = Outputs.empty(case_of(floating=False))
    alone.put(rows, answers)
    assert alone.take(rows).oracle.tolist() == answers.oracle.tolist()
    assert (alone.take(rows).real, alone.take(rows).chain) == (None, None)
    level = Outputs(
        np.array([[300], [-7]], np.int16), np.full((2, 1), 8.0, np.float32), np.full((2, 1), 9.0, np.float32)
    )
    scores = Outputs.empty(several())
    scores.put(rows, replace(answers, further=(level,)))
    taken = scores.take(np.array([1, 3, 0]))
    assert taken.oracle.tolist() == [[3, 4], [1, 2], [0, 0]]
    (further,) = taken.further
    assert further.oracle.tolist() == [[-7], [300], [0]]
    assert further.real is not None
    assert further.chain is not None
    assert (further.real.tolist(), further.chain.tolist()) == ([[8], [8], [0]], [[9], [9], [0]])
    with pytest.raises(ValueError, match="shorter"):
        scores.put(rows, answers)


# ---- the answers to a case -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keeps_state", "chunk", "stretches"),
    [
        (False, 1, [{0: True}, {3: True}, {4: True}]),
        (False, 2, [{0: True, 3: True}, {4: True}]),
        (True, 1, [{0: True, 4: False}, {3: True}]),
        (True, 2, [{0: True, 4: False}, {3: True}]),
        (True, 3, [{0: True, 4: False, 3: True}]),
    ],
)
def test_valid_rows_that_were_asked_for_are_answered_in_chunks(
    keeps_state: bool, chunk: int, stretches: list[dict[int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """stretches: row to whether the state begins anew there. Of a model that keeps state each is of whole streams."""
    oracle, floating = both()
    Processes(monkeypatch, oracle, floating)
    case = case_of()
    vectors = replace(case.vectors, sequence=np.array([7, 7, -1, 5, 7]))
    case = replace(case, vectors=vectors, keeps_state=keeps_state)
    stimuli = prepare_all(case)
    told: list[tuple[int, int]] = []
    with CaseModels(case) as opened_:
        found = model_outputs(case, stimuli, np.array([4, 1, 3, 0]), lambda *done: told.append(done), chunk, opened_)
        assert not oracle.closed
    assert told == [(sum(map(len, stretches[: number + 1])), 3) for number in range(len(stretches))]
    wanted = stimuli.prepared[:, :2] * 2
    wanted[[1, 2]] = 0
    assert found.oracle.tolist() == wanted.tolist()
    assert found.chain is not None
    assert found.chain[[1, 2]].tolist() == [[0, 0]] * 2
    assert found.chain[3].tolist() == (2 * real_values(case.vectors.windows[3:4], TWICE, SIX)[0, :2]).tolist()
    rows = [list(stretch) for stretch in stretches]
    fresh = [list(stretch.values()) for stretch in stretches]
    runs, float_runs = asked_to_run(oracle), asked_to_run(floating)
    assert [values["tensors"].tolist() for values in runs] == [stimuli.prepared[each].tolist() for each in rows]
    for some in (runs, float_runs[::2], float_runs[1::2]):  # of the tensors, and of the windows
        assert [values["fresh"].tolist() for values in some] == fresh


def test_answers_to_several_tensors_are_put_in_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    Processes(monkeypatch, *both_of_several())
    case = several()
    found = model_outputs(case, prepare_all(case), chunk=2)
    (level,) = found.further
    assert found.oracle.tolist() == [[-6, -6], [0, 0], [0, 0], [12, 12], [18, 18]]
    assert level.oracle.tolist() == [[0], [0], [0], [36], [48]]
    assert level.real is not None
    assert level.chain is not None
    assert level.real.tolist() == level.chain.tolist() == [[-0.75], [0], [0], [8.25], [11.25]]
    assert found.chain is not None
    assert found.chain.tolist() == [[0, 0], [0, 0], [0, 0], [9, 9], [12, 12]]


@pytest.mark.parametrize("chunk", [1, 2, 3, 64])
def test_stimuli_are_prepared_in_chunks_that_leave_no_trace(chunk: int) -> None:
    case = case_of()
    found = prepare_all(case, chunk)
    assert found.gate.tolist() == [GateReason.VALID, GateReason.RANGE, *[GateReason.VALID] * 3]
    assert (found.prepared.dtype, found.digest.dtype) == (np.int8, np.uint32)
    assert found.prepared.tolist() == [
        [0] * 6 if row == 1 else [3 * row - 3 + sample for sample in range(3) for _ in range(2)] for row in range(5)
    ]  # a count is an LSB, and the zero point is -3
    assert found.digest.tolist() == [0 if row == 1 else zlib.crc32(found.prepared[row].tobytes()) for row in range(5)]
    assert found.valid.tolist() == [0, 2, 3, 4]
    assert (len(found.tensors), found.further) == (1, ())
    pair = prepare_all(several(), chunk)
    valid, refused = GateReason.VALID, GateReason.RANGE
    assert pair.gate.tolist() == [valid, refused, refused, valid, valid]  # refused by the one gate or the other
    assert pair.valid.tolist() == [0, 3, 4]
    (right,) = pair.further
    first, second = pair.tensors
    assert first is pair.prepared
    assert second is right.prepared
    wanted = found.prepared.copy()
    wanted[2] = 0
    assert pair.prepared.tolist() == wanted.tolist()
    assert pair.digest.tolist() == [*found.digest[:2].tolist(), 0, *found.digest[3:].tolist()]
    assert (right.prepared.dtype, right.digest.dtype) == (np.int8, np.uint32)
    lines = [[0, 1, 2, 3], [0] * 4, [0] * 4, [12, 13, 14, 15], [16, 17, 18, 19]]
    assert right.prepared.tolist() == lines
    assert right.digest.tolist() == [0 if row in (1, 2) else zlib.crc32(bytes(lines[row])) for row in range(5)]


def test_references_are_the_stimuli_the_answers_and_what_is_decided_on_them() -> None:
    case = replace(case_of(), decide=Decide("argmax", 1, 0, 0, labels=("a", "b")))
    outputs = Outputs.empty(case)
    outputs.oracle[:] = [[5, 1], [9, 9], [-3, -5], [1, 2], [7, 0]]
    stimuli = prepare_all(case)
    found = references(case, stimuli, outputs)
    for one, other in (
        (found.gate, stimuli.gate),
        (found.prepared, stimuli.prepared),
        (found.digest, stimuli.digest),
        (found.output, outputs.oracle),
        (found.float_output, outputs.real),
        (found.float_chain, outputs.chain),
    ):
        assert one is other
    assert found.winner.tolist() == [0, -1, 0, 1, 0]
    assert found.score.tolist() == [5, 0, -3, 2, 7]
    assert found.answer.tolist() == [0, -1, -1, 1, 0]
    accepted, below, none = DecisionReason.ACCEPTED, DecisionReason.BELOW_THRESHOLD, DecisionReason.NO_STAGE
    assert found.reason.tolist() == [accepted, none, below, accepted, accepted]
    assert (found.inputs, found.outputs) == ((), ())
    streamed = replace(
        case,
        vectors=replace(case.vectors, sequence=np.zeros(5, np.int64)),
        decide=replace(case.decide, debounce=2),
    )
    outputs.oracle[2] = [8, -5]
    reasons = references(streamed, stimuli, outputs).reason.tolist()
    assert reasons == [DecisionReason.DEBOUNCE, none, accepted, DecisionReason.DEBOUNCE, accepted]
    assert references(replace(case, prepare=COPY), stimuli, outputs).float_chain is outputs.real


def test_references_of_further_tensors_stand_beside_the_first() -> None:
    case = replace(several(), decide=Decide("argmax", 1, 0, 0, labels=("a", "b")))
    outputs, stimuli = Outputs.empty(case), prepare_all(case)
    (level,) = outputs.further
    outputs.oracle[:], level.oracle[:] = [1, 4], 9
    found = references(case, stimuli, outputs)
    assert found.inputs is stimuli.further
    (beside,) = found.outputs
    for one, other in (
        (found.prepared, stimuli.prepared),
        (found.output, outputs.oracle),
        (beside.output, level.oracle),
        (beside.float_output, level.real),
        (beside.float_chain, level.chain),
    ):
        assert one is not None
        assert one is other
    assert found.winner.tolist() == [1, -1, -1, 1, 1]
    copied = references(several(COPY, COPY), stimuli, outputs)
    assert copied.float_chain is outputs.real
    assert copied.outputs[0].float_chain is level.real


def test_all_references_of_a_case_are_computed_from_its_stimuli(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of()
    told: list[tuple[int, int]] = []
    Processes(monkeypatch, *both())
    stimuli = prepare_all(case)
    found = compute(case, stimuli, lambda *done: told.append(done), 3)
    assert found.prepared is stimuli.prepared
    assert told == [(3, 4), (4, 4)]
    Processes(monkeypatch, *both())
    assert compute(case).output.tolist() == found.output.tolist()


def test_rows_that_were_asked_for_are_answered_by_models_opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    Processes(monkeypatch, *both())
    found = model_outputs(case_of(), prepare_all(case_of()), np.array([3]))
    assert found.oracle.any(axis=1).tolist() == [False, False, False, True, False]


def test_without_models_of_the_caller_s_they_are_opened_and_closed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    Processes(monkeypatch, oracle, real)
    case = case_of()
    found = model_outputs(case, prepare_all(case))
    assert found.oracle[:, 0].tolist() == [2 * value for value in prepare_all(case).prepared[:, 0].tolist()]
    assert oracle.closed
    assert real.closed


def test_a_check_runs_each_model_once_on_a_tensor_that_stands_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    Processes(monkeypatch, oracle, real)
    check_models(case_of())
    (_, (run, values)), (_, (real_run, real_values_)) = oracle.asked, real.asked
    assert (run, real_run) == ("run_tflm", "run_litert")
    assert (values["tensors"].tolist(), values["tensors"].dtype) == ([[-3] * 6], np.int8)
    assert real_values_["tensors"].tolist() == [[0.0] * 6]
    assert (values["fresh"].tolist(), real_values_["fresh"].tolist()) == ([True], [True])
    assert oracle.closed
    assert real.closed
    oracle, real = both_of_several()
    Processes(monkeypatch, oracle, real)
    check_models(several())
    ((values,), (real_values_,)) = asked_to_run(oracle), asked_to_run(real)
    assert (values["tensors"].tolist(), values["tensors_1"].tolist()) == ([[-3] * 6], [[1] * 4])
    assert (real_values_["tensors"].tolist(), real_values_["tensors_1"].tolist()) == ([[0.0] * 4], [[0.0] * 6])


def test_a_large_case_is_worked_through_in_chunks_of_sixty_four(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(floating=False)
    case = replace(case, vectors=Vectors(np.zeros((130, 3, 1), np.int16)))
    oracle, _ = both()
    Processes(monkeypatch, oracle)
    told: list[tuple[int, int]] = []
    model_outputs(case, prepare_all(case), progress=lambda *done: told.append(done))
    assert told == [(64, 130), (128, 130), (130, 130)]


# ---- beside the board ------------------------------------------------------------------------------------------------


def test_a_job_has_its_stimuli_at_once_and_its_answers_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    Processes(monkeypatch, oracle, real)
    case, go = case_of(), threading.Event()
    oracle.answers["run_tflm"] = lambda values: doubled(values) if go.wait(5) else {}
    running = job.ReferenceJob(case, np.array([0, 1, 4]))
    assert running.stimuli.digest.tolist() == prepare_all(case).digest.tolist()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "references"]
    assert thread.daemon
    go.set()
    outputs = running.result()
    wanted = prepare_all(case).prepared[:, :2] * 2
    wanted[[1, 2, 3]] = 0
    assert outputs.oracle.tolist() == wanted.tolist()
    assert running.models.oracle.run(np.ones((1, 6), np.int8)).tolist() == [[2, 2]]  # others may ask as well
    running.close()
    assert oracle.closed
    assert real.closed
    assert not thread.is_alive()


def test_a_job_raises_what_its_models_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    oracle.answers["run_tflm"] = fails(InterpreterRefused("ValueError", "no"))
    Processes(monkeypatch, oracle, real)
    running = job.ReferenceJob(case_of(), np.arange(5))
    with pytest.raises(UsageError, match="cannot run this model"):
        running.result()
    running.close()


def test_a_job_that_is_closed_goes_no_further_than_the_chunk_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(floating=False)
    case = replace(case, vectors=Vectors(np.zeros((500, 3, 1), np.int16)))
    oracle, _ = both()
    begun, go = threading.Event(), threading.Event()

    def held(values: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        go.wait(5)
        return doubled(values)

    oracle.answers["run_tflm"], oracle.close = held, go.set
    Processes(monkeypatch, oracle)
    running = job.ReferenceJob(case, np.arange(500))
    assert begun.wait(5)
    running.close()
    with pytest.raises(job._Cancelled):
        running.result()
    assert [request for request, _ in oracle.asked] == ["open_tflm", "run_tflm"]


def test_a_job_that_does_not_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_END_S", 0.01)
    oracle, real = both()
    go = threading.Event()
    oracle.answers["run_tflm"] = lambda values: [go.wait(1), doubled(values)][1]
    Processes(monkeypatch, oracle, real)
    running = job.ReferenceJob(case_of(), np.arange(5))
    running.close()
    assert [thread.name for thread in threading.enumerate()].count("references") == 1
    go.set()
    with pytest.raises(job._Cancelled):
        running.result()
