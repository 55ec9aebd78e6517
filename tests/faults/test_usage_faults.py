"""Misuse ends with exit code 4 before anything starts, names the fix, and leaves the results of the last run alone."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from harness_process import USAGE_ERROR, Finished, run_harness
from native_session import CaseFolder

LAST_RESULT = '{"verdict": "the last one"}\n'


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.file,))


def with_last_result(folder: Path) -> Path:
    out = folder / "out"
    out.mkdir()
    (out / "run.json").write_text(LAST_RESULT)
    return out


def assert_nothing_was_touched(finished: Finished) -> None:
    assert finished.code == USAGE_ERROR, finished.text
    assert "Traceback" not in finished.text
    assert os.listdir(finished.out) == ["run.json"]
    assert (finished.out / "run.json").read_text() == LAST_RESULT


def wrong_key(case: CaseFolder, _: Path) -> None:
    case.replace("threshold = 0.60", "treshold = 0.60")


def wrong_shape(case: CaseFolder, _: Path) -> None:
    case.arrays(**(case.stored() | {"windows": case.stored()["windows"][:, :, :5]}))


def wrong_dtype(case: CaseFolder, _: Path) -> None:
    case.arrays(**(case.stored() | {"windows": case.stored()["windows"].astype(np.float32)}))


def pickled_objects(case: CaseFolder, trap: Path) -> None:
    case.arrays(**(case.stored() | {"name": np.array([Trap(trap)] * 12, dtype=object)}))


def no_model(case: CaseFolder, _: Path) -> None:
    case.write("model_int8.tflite", b"this is not a flatbuffer, and long enough to be read as one" * 20)


def half_a_model(case: CaseFolder, _: Path) -> None:
    case.write("model_int8.tflite", (case.path / "model_int8.tflite").read_bytes()[:3000])


WRONG = {
    wrong_key: ("case.toml", "treshold", "fix: ", "threshold"),
    wrong_shape: (
        "vectors.npz",
        "windows",
        "expected int16 [n, 40, 6] (windows, samples, channels), found int16 [12, 40, 5]",
        "fix: ",
    ),
    wrong_dtype: ("vectors.npz", "windows", "float32", "int16", "fix: "),
    pickled_objects: ("vectors.npz", "array 'name'", "holds Python objects", "was not read", "fix: "),
    no_model: ("model_int8.tflite", "fix: "),
    half_a_model: ("model_int8.tflite", "fix: "),
}


def test_pickles_of_the_tests_are_live(tmp_path: Path) -> None:
    """What the trap in the case would do, were it read."""
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One run over a folder of wrong cases, and a good one."""
    folder = tmp_path_factory.mktemp("wrong")
    with_last_result(folder)
    for breaking in WRONG:
        breaking(CaseFolder(folder / "cases" / breaking.__name__, name=breaking.__name__), folder / "sprung")
    CaseFolder(folder / "cases" / "good", name="good")
    return run_harness(folder, "cases", board="qemu")


def test_wrong_cases_start_nothing(refused: Finished) -> None:
    assert_nothing_was_touched(refused)
    assert not (refused.out.parent / "sprung").exists()


@pytest.mark.parametrize("breaking", WRONG, ids=lambda breaking: breaking.__name__)
def test_each_wrong_case_is_named_with_its_fix(breaking, refused: Finished) -> None:
    """All in one run: what is wrong elsewhere hides nothing."""
    file, *words = WRONG[breaking]
    place = str(refused.out.parent / "cases" / breaking.__name__ / file)
    assert place in refused.text
    told = refused.text.split(place)[1].split(str(refused.out.parent / "cases"))[0]
    for word in words:
        assert word in told


def path_with(folder: Path, *programs: str) -> dict[str, str]:
    """An environment whose PATH holds these programs and no others."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found is not None
        (folder / program).symlink_to(found)
    return {"PATH": str(folder)}


def test_an_unknown_board_is_told_with_the_known_ones(case: CaseFolder, tmp_path: Path) -> None:
    with_last_result(tmp_path)
    finished = run_harness(tmp_path, "small", board="qenu")
    assert_nothing_was_touched(finished)
    assert "unknown board 'qenu'; known boards: native, nucleo, nucleo-virtual, qemu, renode" in finished.text
    assert "fix: did you mean --board=qemu?" in finished.text


def test_missing_qemu_is_told_with_what_installs_it(case: CaseFolder, tmp_path: Path) -> None:
    with_last_result(tmp_path)
    finished = run_harness(tmp_path, "small", board="qemu", env=path_with(tmp_path / "bin", "cmake", "ninja"))
    assert_nothing_was_touched(finished)
    assert "qemu-system-arm is needed by board 'qemu', but was not found" in finished.text
    assert re.search(r"fix: .*: qemu-system-arm$|fix: sudo apt-get install .*qemu-system-arm$", finished.text, re.M)


def test_a_missing_compiler_is_told_with_what_installs_it(case: CaseFolder, tmp_path: Path) -> None:
    with_last_result(tmp_path)
    environment = path_with(tmp_path / "bin", "cmake", "ninja", "qemu-system-arm")
    finished = run_harness(tmp_path, "small", board="qemu", env=environment)
    assert_nothing_was_touched(finished)
    assert "arm-none-eabi-g++ is needed to build Cortex-M images, but was not found" in finished.text
    assert "gcc-arm-none-eabi" in finished.text.split("fix: ")[1]


def test_an_output_folder_that_cannot_be_written_is_named(case: CaseFolder, tmp_path: Path, image: str) -> None:
    """A file is in its place: that also stops the superuser, whom permissions do not."""
    (tmp_path / "taken").write_text("not a folder")
    finished = run_harness(tmp_path, image, "small", out=str(tmp_path / "taken" / "below"))
    assert finished.code == USAGE_ERROR
    assert f"output folder {tmp_path / 'taken' / 'below'} cannot be written" in finished.text
    assert "fix: give another one with --hil-out=DIR" in finished.text
    assert (tmp_path / "taken").read_text() == "not a folder"


def test_an_image_that_is_no_firmware_is_named(case: CaseFolder, tmp_path: Path) -> None:
    with_last_result(tmp_path)
    (tmp_path / "text.elf").write_text("no ELF")
    finished = run_harness(tmp_path, f"--hil-image={tmp_path / 'text.elf'}", "small")
    assert_nothing_was_touched(finished)
    assert str(tmp_path / "text.elf") in finished.text
    assert "fix: " in finished.text
