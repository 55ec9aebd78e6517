"""Cases of models with several inputs and outputs: what feeds each, what is decided on, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from several_tensors import REFUSED, TOML, N, several_model, several_windows, write_several
from tflite_builder import ModelBuilder, float_model

from hil.case.load import load_case
from hil.case.start.new import new_case
from hil.errors import CaseError
from hil.model.check import check_float_model
from hil.model.tflite import parse_model

SHORT = 3  # the vector that sends another length


def _one(usual: int, other: int) -> np.ndarray:
    return np.where(np.arange(N) == SHORT, other, usual)


def refused(folder: Path, toml: str = TOML, model: bytes | None = None, **arrays: np.ndarray) -> CaseError:
    file = write_several(folder, model, toml, **arrays)
    with pytest.raises(CaseError) as caught:
        load_case(file)
    return caught.value


def test_each_input_has_its_own_stage_gate_and_windows(tmp_path: Path) -> None:
    case, windows = load_case(write_several(tmp_path)), several_windows()
    assert [each.name for each in case.model.inputs] == ["left", "right"]
    assert (case.prepare.name, case.window.bytes) == ("tensor/1", 8)
    (right,) = case.further
    assert (right.prepare.name, right.prepare.factor, right.gate.maximum) == ("quantize/1", 4.0, 20.0)
    assert (right.window.samples, right.window.channels) == (2, 2)
    first = windows["windows.left"][3].tobytes() + windows["windows.right"][3].astype("<f4").tobytes()
    assert case.vectors.payload(3) == first
    assert [one.model.input.name for one in case.of_inputs] == ["left", "right"]
    assert case.of_inputs[1].window == right.window
    np.testing.assert_array_equal(case.of_inputs[1].vectors.windows, windows["windows.right"])


def test_the_output_that_is_decided_on_is_named_by_name_or_index(tmp_path: Path) -> None:
    case = load_case(write_several(tmp_path / "name"))
    assert (case.model.output.name, [each.name for each in case.model.further_outputs]) == ("scores", ["level"])
    again = load_case(write_several(tmp_path / "index", toml=TOML.replace('output = "scores"', "output = 1")))
    assert again.model.output.name == "scores"
    assert [(one.model.output.name, one.decide.id) for one in case.of_outputs] == [
        ("scores", "argmax"),
        ("level", "none"),
    ]


def test_of_several_outputs_one_must_be_named(tmp_path: Path) -> None:
    error = refused(tmp_path / "none", TOML.replace('output = "scores"\n', ""))
    assert error.where.endswith("[decision] output")
    assert "2 outputs" in error.problem
    assert 'output = "level" or "scores"' in error.fix
    for value in ('"sores"', "2", "-1"):
        error = refused(tmp_path / value.strip('"'), TOML.replace('output = "scores"', f"output = {value}"))
        assert "has no output" in error.problem
        assert '"scores"' in error.fix


def test_a_table_of_an_input_that_is_not_there_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, TOML + "[input.tensors.rigth]\nwindow = 3\n")
    assert "no input 'rigth'" in error.problem
    assert "'right'" in error.fix


def test_a_stage_of_its_own_takes_no_parameters_of_the_other(tmp_path: Path) -> None:
    toml = TOML.replace('prepare = "tensor/1"', 'prepare = "scale/1"\nwindow = 8\nchannels = 1\nfull_scale = 40.0', 1)
    toml = toml.replace('"quantize/1"\nwindow = 2\nchannels = 2\n', '"tensor/1"\n')
    windows = {"windows.left": np.ones((N, 8, 1), np.int16), "windows.right": np.zeros((N, 4), np.int8)}
    case = load_case(write_several(tmp_path, toml=toml, **windows))
    assert (case.prepare.name, case.further[0].prepare.name) == ("scale/1", "tensor/1")
    assert case.further[0].gate.maximum == 20


def test_an_unknown_key_in_the_table_of_an_input_is_told_with_its_keys(tmp_path: Path) -> None:
    error = refused(tmp_path, TOML.replace("window = 2", "windows = 2"))
    assert "did you mean 'window'?" in error.fix


def test_a_fault_in_the_table_of_an_input_names_it(tmp_path: Path) -> None:
    error = refused(tmp_path, TOML.replace("window = 2", "window = 3"))
    assert re.match(r"line \d+, \[input\] tensors\.right\.window", error.where), error.where
    assert "holds 4" in error.problem


@pytest.mark.parametrize(
    ("arrays", "array", "problem"),
    [
        ({"windows": np.zeros((N, 8), np.int8)}, "windows", "unknown array"),
        ({"windows.right": np.zeros((N - 1, 2, 2), np.float32)}, "windows.right", f"{N - 1} windows"),
        ({"windows.right": np.zeros((N, 3, 2), np.float32)}, "windows.right", "expected float32 [n, 2, 2]"),
        ({"samples": np.full(N, 8)}, "samples", "unknown array"),
        ({"samples.right": np.full(N, 9)}, "samples.right", "row 0 is 9: 4 windows"),
        (
            {"samples.left": _one(8, 16), "samples.right": _one(2, 1)},
            "samples.left",
            f"row {SHORT} sends as many bytes",
        ),
        ({"samples.right": _one(2, 1), "reject": np.array([""] * N)}, "reject", f"row {SHORT} expects no rejection"),
        (
            {"reject": np.array(["length"] + [""] * (N - 1))},
            "reject",
            "row 0 expects length rejection but sends 8 of 8",
        ),
        ({"expected_output": np.zeros((N, 4), np.int8)}, "expected_output", "unknown array"),
        ({"expected_output.level": np.zeros((N, 3), np.int8)}, "expected_output.level", f"[{N}, 4]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, arrays: dict[str, np.ndarray], array: str, problem: str
) -> None:
    error = refused(tmp_path, **arrays)
    assert error.where == f"array {array!r}"
    assert problem in error.problem


def test_a_vector_sends_other_lengths_of_single_inputs_and_the_gate_refuses_it(tmp_path: Path) -> None:
    columns = {"samples.left": _one(8, 3), "samples.right": np.where(np.arange(N) == SHORT + 1, 3, 2)}
    reject = np.array(
        ["length" if row in (SHORT, SHORT + 1) else "range" if row == REFUSED else "" for row in range(N)]
    )
    case = load_case(write_several(tmp_path, reject=reject, **columns))
    left, right = case.vectors.windows, case.vectors.further[0]
    assert case.vectors.payload(0) == left[0].tobytes() + right[0].tobytes()
    assert case.vectors.payload(SHORT) == left[SHORT].tobytes()[:3] + right[SHORT].tobytes()
    assert case.vectors.payload(SHORT + 1) == left[SHORT + 1].tobytes() + right[SHORT + 1].tobytes() + bytes(8)
    lengths = [each.vectors.samples for each in case.of_inputs]
    assert [int(each[SHORT]) for each in lengths if each is not None] == [3, 2]


def test_windows_of_an_input_that_are_missing_are_refused_by_name(tmp_path: Path) -> None:
    file = write_several(tmp_path)
    np.savez(tmp_path / "vectors.npz", **{"windows.left": several_windows()["windows.left"]})
    with pytest.raises(CaseError, match=r"windows\.right") as caught:
        load_case(file)
    assert "missing" in caught.value.problem


def test_expected_outputs_are_given_by_name(tmp_path: Path) -> None:
    level, scores = np.full((N, 4), 5, np.int8), np.full((N, 4), 6, np.int8)
    vectors = load_case(
        write_several(tmp_path, **{"expected_output.level": level, "expected_output.scores": scores})
    ).vectors
    np.testing.assert_array_equal(vectors.expected_output, scores)
    np.testing.assert_array_equal(vectors.further_expected[0], level)


def test_budgets_of_both_kinds_belong_to_a_model_with_both_kinds_of_outputs(tmp_path: Path) -> None:
    both = TOML.replace("replays = 3", "lsb = 1\nulp = 2\nreplays = 3")
    contracts = load_case(write_several(tmp_path / "both", several_model("FLOAT32"), both)).contracts
    assert (contracts.lsb, contracts.ulp) == (1, 2)
    assert "ulp" in refused(tmp_path / "whole", both).where


def test_tensors_without_a_name_of_their_own_are_called_by_their_place(tmp_path: Path) -> None:
    m = ModelBuilder()
    x, y, z = (m.tensor(name, (1, 4), "INT8", 0.5) for name in ("x", "x", "z"))
    model = parse_model(m.operator("MAXIMUM", [x, y], [z]).build([x, y], [z]), tmp_path / "m.tflite")
    assert [each.name for each in model.inputs] == ["#0", "#1"]


def test_a_float_model_with_other_numbers_of_tensors_is_refused(tmp_path: Path) -> None:
    model = parse_model(several_model(), tmp_path / "m.tflite")
    with pytest.raises(CaseError, match="the float model has 1 inputs, the int8 model 2"):
        check_float_model(float_model(), tmp_path / "float.tflite", model)


def test_a_new_case_of_several_tensors_passes_its_own_check(tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(several_model())
    recorded = tmp_path / "recorded.npz"
    np.savez(recorded, **{name: np.ascontiguousarray(each) for name, each in several_windows().items()})
    made = new_case(tmp_path / "made_up", file).case
    assert [part.prepare.name for part in (made, *made.further)] == ["tensor/1", "tensor/1"]
    assert (made.model.output.name, len(made.vectors.further[0])) == ("scores", len(made.vectors))
    assert not np.array_equal(made.vectors.windows[0, :4].ravel(), made.vectors.further[0][0].ravel())


def test_a_new_case_takes_recordings_of_each_input(tmp_path: Path) -> None:
    file, recorded = tmp_path / "model.tflite", tmp_path / "recorded.npz"
    file.write_bytes(several_model())
    windows = {"windows.left": several_windows()["windows.left"], "windows.right": np.zeros((N, 4), np.float32)}
    np.savez(recorded, **windows)
    case = new_case(tmp_path / "case", file, vectors=recorded).case
    assert (case.prepare.name, case.further[0].prepare.name) == ("tensor/1", "quantize/1")
    with pytest.raises(CaseError, match=r"windows\.left"):
        new_case(tmp_path / "other", file, vectors=_csv(tmp_path))


def _csv(folder: Path) -> Path:
    file = folder / "recorded.csv"
    file.write_text("1,2\n3,4\n")
    return file
