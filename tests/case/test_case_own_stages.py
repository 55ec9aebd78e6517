"""A case whose front end or decide stage is the product's own: what it may say, and how what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from own_firmware import OwnCase

from hil.case.load import load_case, write_lock
from hil.case.regen import propose
from hil.errors import CaseError

FRONT_END = """
import numpy as np
def prepare(windows):
    assert windows.shape[1:] == (40, 6) and windows.dtype == np.int16
    return (windows.reshape(len(windows), -1) >> 8).astype(np.int8)
def short(windows):
    return np.zeros((len(windows), 7), np.float64)
def fails(windows):
    raise ValueError("no window does")
def ends(windows):
    import os
    os._exit(3)
"""
REFERENCE = 'dtype = "int16"\nreference = "front_end.py:{}"\n'


def referenced(folder: Path, function: str) -> OwnCase:
    made = OwnCase(folder / "case").own_prepare()
    made.replace('dtype = "int16"\n', REFERENCE.format(function))
    made.write("front_end.py", FRONT_END.encode())
    return made


def refusal(made: OwnCase) -> str:
    with pytest.raises(CaseError) as caught:
        load_case(made.path)
    return str(caught.value)


def test_a_case_says_what_its_own_stages_must_give(tmp_path: Path) -> None:
    made = OwnCase(tmp_path / "case").own_prepare().own_decide()
    n = len(made.stored()["windows"])
    prepared = np.arange(n * 240).reshape(n, 240).astype(np.int8)
    text = np.array(["running", "unknown", ""] + ["walking"] * (n - 3))
    made.with_arrays(prepared=prepared, prepared_float=prepared.astype(np.float32), answer=text, score=np.arange(n))
    case = load_case(made.path)
    assert case.own_stages == ("input.prepare", "decision.decide")
    assert (case.prepare.name, case.decide.name) == ("own", "own")
    assert (case.window.dtype, case.window.samples, case.window.channels) == ("int16", 40, 6)
    assert np.array_equal(case.vectors.prepared, prepared.reshape(n, -1))
    assert case.vectors.answer is not None
    assert case.vectors.answer.tolist() == [1, -1, -1] + [3] * (n - 3)
    assert case.vectors.score is not None
    assert case.vectors.score.tolist() == list(range(n))


def test_a_python_reference_gives_the_tensors_and_is_locked_with_the_case(tmp_path: Path) -> None:
    made = referenced(tmp_path, "prepare")
    case = load_case(made.path)
    windows = made.stored()["windows"]
    assert np.array_equal(case.vectors.prepared, (windows.reshape(len(windows), -1) >> 8).astype(np.int8))
    write_lock(made.path)
    assert load_case(made.path).locked
    made.write("front_end.py", FRONT_END.replace(">> 8", ">> 7").encode())
    assert "front_end.py" in refusal(made)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("short", "it gives float64 ["),
        ("fails", "ValueError: no window does"),
        ("ends", "ended with exit code 3"),
        ("nothing", "there is no function 'nothing'"),
    ],
)
def test_what_a_reference_does_wrong_names_file_and_function(tmp_path: Path, function: str, says: str) -> None:
    text = refusal(referenced(tmp_path, function))
    assert "front_end.py" in text
    assert f"function {function!r}" in text
    assert says in text


def test_two_expectations_of_one_tensor_are_refused(tmp_path: Path) -> None:
    made = referenced(tmp_path, "prepare")
    made.with_arrays(prepared=np.zeros((len(made.stored()["windows"]), 240), np.int8))
    assert "has an array 'prepared' too" in refusal(made)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('dtype = "int16"\n', "", 'input.dtype: it is missing; prepare = "own" needs it'),
        ('dtype = "int16"\n', 'dtype = "int32"\n', "'int32' does not do"),
        ('dtype = "int16"\n', 'dtype = "int16"\nfull_scale = 2.0\n', 'prepare = "own" does not use it'),
        ('dtype = "int16"\n', REFERENCE.format("prepare"), "there is no file 'front_end.py'"),
        ('dtype = "int16"\n', 'dtype = "int16"\nreference = "prepare"\n', "names no function in a Python file"),
        ("[contract.input]\n", "[contract.input]\nprepared_tolerance = 0.1\n", "the input is int8"),
        ("threshold = 0.60\n", 'decide = "own"\nthreshold = 0.60\n', "the rules of the stage are the product's"),
        ("threshold = 0.60\n", "", "decision.threshold: the key is missing"),
        ("[contract.decision]\n", "[contract.decision]\nscore_tolerance = 1.0\n", 'it is for decide = "own"'),
    ],
)
def test_keys_that_do_not_fit_are_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    made = OwnCase(tmp_path / "case").own_prepare()
    made.replace(old, new)
    text = refusal(made)
    assert says.split(": ")[-1] in text
    assert says.split(":")[0].split(".")[-1] in text


@pytest.mark.parametrize("line", ['dtype = "int16"', 'reference = "front_end.py:prepare"'])
def test_a_stage_of_ours_takes_no_words_of_an_own_one(tmp_path: Path, line: str) -> None:
    made = OwnCase(tmp_path / "case")
    made.replace('prepare = "scale/1"\n', f'prepare = "scale/1"\n{line}\n').write("front_end.py", FRONT_END.encode())
    assert 'it is for prepare = "own"; scale/1 is known bit for bit' in refusal(made)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"prepared": np.zeros((22, 239), np.int8)}, "expected int8 [22, 240], found int8 [22, 239]"),
        ({"prepared": np.zeros((22, 240), np.int16)}, "expected int8 [22, 240], found int16 [22, 240]"),
        ({"answer": np.array(["running"] * 21 + ["flying"])}, "row 21 is 'flying', which is no label of the case"),
        ({"answer": np.full(22, 4)}, "row 0 is 4, the case has 4 labels"),
        ({"score": np.array(["x"] * 22)}, "expected numbers of shape [22]"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    text = refusal(OwnCase(tmp_path / "case").own_prepare().own_decide().with_arrays(**arrays))
    assert f"array {next(iter(arrays))!r}" in text
    assert says in text


def test_a_known_stage_has_no_expected_tensors(tmp_path: Path) -> None:
    text = refusal(OwnCase(tmp_path / "case").with_arrays(prepared=np.zeros((22, 240), np.int8)))
    assert "array 'prepared': unknown array" in text


def test_there_is_nothing_to_regenerate(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="there is nothing to accept"):
        propose(OwnCase(tmp_path / "case").own_prepare().path)
