"""Which operator an interpreter does not survive: the model is cut behind ever fewer of them until a piece lives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answering_process import DIED, Process, as_process, says
from model_edit import read_model, write_model

from hil.interpreter.process import SILENCE_S, InterpreterRefused
from hil.model.graph import read_graph
from hil.reference import culprit
from hil.reference.explorer import Clamp, Explorer, Operator

IMU = Path(__file__).resolve().parents[2] / "golden_vectors" / "imu_motion" / "model_int8.tflite"
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
