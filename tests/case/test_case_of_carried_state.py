"""Cases whose state is outputs and inputs of the model: which pairs do, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from carried_state import delays_model, recurrent_model, write_carried, write_delays
from model_edit import read_model, write_model
from several_tensors import several_model
from state_cases import windows

from hil.case.carried import with_state
from hil.case.load import load_case
from hil.case.start.new import new_case
from hil.cli import main
from hil.errors import CaseError
from hil.model.carried import difference, possible_pairs
from hil.model.inspect.facts import inspect
from hil.model.inspect.text import lines
from hil.model.tflite import parse_model
from hil.tensor import Quantisation, TensorContract


def refused(folder: Path, state: str, **arrays: np.ndarray) -> CaseError:
    only = {"windows": windows(), **arrays} if arrays else None
    with pytest.raises(CaseError) as caught:
        load_case(write_carried(folder, f"state = {state}\n", only=only))
    return caught.value


def test_what_is_carried_is_no_input_of_windows_any_more(tmp_path: Path) -> None:
    case = load_case(write_carried(tmp_path))
    model = case.model
    assert ([each.name for each in model.inputs], model.fed) == (["x"], (1,))
    assert [each.name for each in model.every_input] == ["h_prev", "x", "c_prev"]
    assert case.keeps_state
    assert case.further == ()
    assert model.state == ("the pair 'h' -> 'h_prev'", "the pair 'c' -> 'c_prev'")
    assert len(case.vectors.payload(0)) == 6
    (one,) = case.of_inputs
    assert one is case


@pytest.mark.parametrize(
    ("state", "where", "problem", "fix"),
    [
        ("{}", "[model] state", "names no pair", '"h" = "h_prev", "c" = "c_prev"'),
        ('{ hh = "h_prev" }', "state.hh", "no output 'hh'", "'h', 'scores', 'c'"),
        ('{ h = "prev" }', "state.h", "no input 'prev'", 'these fit each other alone: { "h" = "h_prev"'),
        ('{ h = "x" }', "state.h", "output 'h' and input 'x' have shapes [1, 1, 4] and [1, 6]", "the same type"),
        ('{ h = "c_prev" }', "state.h", "scales 0.10000002 and 0.2", '"c" = "c_prev"'),
        ('{ scores = "c_prev" }', "state.scores", "scales 0.00390625 and 0.2", "the same type"),
        ("3", "[model] state", "3 does not do", ""),
        ('{ h = "" }', "state.h", "it is empty", "fill it in"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(tmp_path: Path, state: str, where: str, problem: str, fix: str) -> None:
    error = refused(tmp_path, state)
    assert where in error.where
    assert problem in error.problem
    assert fix in error.fix


def test_pairs_are_guessed_where_each_tensor_fits_one_other_alone(tmp_path: Path) -> None:
    m = parse_model(recurrent_model(), tmp_path / "m.tflite")
    assert possible_pairs(m.inputs, m.outputs) == ((0, 0), (2, 2))
    assert possible_pairs(m.inputs[::2], m.outputs) == ()  # no input would be left
    twice = (m.outputs[0], *m.outputs)
    assert possible_pairs(m.inputs, twice) == ((3, 2),)  # which of the first two is meant is not known


def test_an_input_that_two_outputs_reach_is_refused_and_so_is_a_model_without_windows(tmp_path: Path) -> None:
    state = 'state = { h = "h_prev", flat = "h_prev" }\n'
    with pytest.raises(CaseError) as caught:
        load_case(write_carried(tmp_path / "twice", state, recurrent_model("flat")))
    assert "input 'h_prev' gets two outputs, 'flat' is the second" in caught.value.problem
    whole, said = parse_model(recurrent_model(), tmp_path / "m.tflite"), list[str]()
    model = replace(whole, inputs=whole.inputs[::2])
    with_state(model, {"h": "h_prev", "c": "c_prev"}, lambda path, problem, fix: said.append(problem))
    assert said == ["every input carries state: no window would reach the model"]


def test_what_the_product_fills_has_neither_windows_nor_a_table(tmp_path: Path) -> None:
    error = refused(tmp_path / "windows", '{ h = "h_prev", c = "c_prev" }', **{"windows.h_prev": windows()[:, :4]})
    assert error.where == "array 'windows.h_prev'"
    assert "carries state" in error.problem
    file = write_carried(tmp_path / "table")
    file.write_text(file.read_text() + '[input.tensors.c_prev]\nprepare = "tensor/1"\n')
    with pytest.raises(CaseError, match="nothing is prepared for it"):
        load_case(file)


def test_a_state_that_is_left_open_is_asked_for(tmp_path: Path) -> None:
    fed = {"windows.h_prev": windows()[:, :4], "windows.x": windows(), "windows.c_prev": windows()[:, :4]}
    (note,) = load_case(write_carried(tmp_path / "open", "", only=fed)).notes
    assert 'state = { "h" = "h_prev", "c" = "c_prev" }' in note
    assert load_case(write_carried(tmp_path / "false", "state = false\n", only=fed)).notes == ()
    with pytest.raises(CaseError, match="keeps no state") as caught:
        load_case(write_carried(tmp_path / "true", "state = true\n", only=fed))
    assert '"h" = "h_prev"' in caught.value.fix
    (note,) = load_case(write_carried(tmp_path / "alone", only={"windows": windows()})).notes
    assert "no windows follow one another" in note


def tensor(**changes: object) -> TensorContract:
    values = {"dtype": "INT8", "shape": (1, 4), "quantisation": Quantisation(0.5, 3), "bytes": 4, **changes}
    return TensorContract(**values)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"shape": (1, 1, 4)}, ""),
        ({"quantisation": Quantisation(0.5 * (1 + 9e-7), 3)}, ""),
        ({"quantisation": Quantisation(0.5 * (1 + 2e-6), 3)}, "scales 0.500001 and 0.5"),
        ({"quantisation": Quantisation(0.5, 4)}, "zero points 4 and 3"),
        ({"shape": (4, 2)}, "shapes [4, 2] and [1, 4]"),
        ({"dtype": "INT16"}, "INT16 and INT8"),
    ],
)
def test_the_bytes_of_a_pair_mean_the_same(output: dict[str, object], said: str) -> None:
    assert difference(tensor(**output), tensor()) == said


def test_a_new_case_guesses_the_state_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(recurrent_model())
    made = new_case(tmp_path / "case", tmp_path / "model.tflite")
    text = made.case.path.read_text()
    assert "# A guess: each of these outputs" in text
    assert 'state = { "h" = "h_prev", "c" = "c_prev" }' in text
    assert any("the pair 'h' -> 'h_prev'" in note for note in made.notes)
    assert made.case.vectors.sequence is not None
    (tmp_path / "other.tflite").write_bytes(several_model())
    assert "state" not in new_case(tmp_path / "other", tmp_path / "other.tflite").case.path.read_text()


def test_more_inputs_than_windows_can_feed_are_refused_until_their_state_is_wired(tmp_path: Path) -> None:
    file = write_delays(tmp_path / "case", 5)
    wired_up = file.read_text()
    assert len(load_case(file).model.inputs) == 1
    file.write_text("\n".join(line for line in wired_up.splitlines() if not line.startswith("state")))
    with pytest.raises(CaseError) as caught:
        load_case(file)
    assert caught.value.problem == "windows feed 6 inputs of the model, the firmware takes 4"
    assert "wire those that carry state" in caught.value.fix


def test_a_new_case_takes_the_state_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(delays_model(4))
    new = ["case", "new", str(tmp_path / "case"), "--model", str(model)]
    pairs = [f"--state=d{place}=d{place}_prev" for place in range(4)]
    assert main([*new, *pairs]) == 0
    text = (tmp_path / "case" / "case.toml").read_text()
    assert 'state = { "d0" = "d0_prev", "d1" = "d1_prev", "d2" = "d2_prev", "d3" = "d3_prev" }' in text
    assert "guess" not in capsys.readouterr().out.partition("prepare")[0]
    shutil.rmtree(tmp_path / "case")
    for wrong, problem in (
        ("d0=d9_prev", "the model has no input 'd9_prev'"),
        ("d9=d0_prev", "the model has no output 'd9'"),
        ("d0", "it is no OUTPUT=INPUT"),
        ("d0=d1_prev", "scales 0.1 and 0.11: the product copies bytes"),
    ):
        assert main([*new, f"--state={wrong}"]) == 2
        assert problem in capsys.readouterr().err
    assert main([*new, pairs[0], pairs[0]]) == 2
    assert "the output is named twice" in capsys.readouterr().err
    assert not (tmp_path / "case").exists()


def test_a_new_case_of_a_model_with_many_states_asks_for_them(tmp_path: Path) -> None:
    """Twelve states of one shape and one scale: which belongs to which is not known."""
    model = read_model(delays_model(12))
    for tensor in model.subgraphs[0].tensors:
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.1], [0]
    (tmp_path / "model.tflite").write_bytes(write_model(model))
    with pytest.raises(CaseError, match="windows feed 13 inputs") as caught:
        new_case(tmp_path / "case", tmp_path / "model.tflite")
    assert "--state OUTPUT=INPUT" in caught.value.fix


def test_the_look_at_a_model_tells_of_possible_pairs(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(recurrent_model())
    facts = inspect(tmp_path / "model.tflite")
    names = [(facts.tensors[output].name, facts.tensors[input].name) for output, input in facts.pairs]
    assert names == [("h", "h_prev"), ("c", "c_prev")]
    assert any("output 'h' fits input 'h_prev' alone" in line for line in lines(facts))
