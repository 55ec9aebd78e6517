"""Misuse ends with exit code 4 before anything starts, names the fix, and leaves the results of the last run alone."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from harness_process import FAILED, USAGE_ERROR, Finished, run_harness
from model_edit import read_model, write_model
from native_session import CaseFolder

from hil.gate.completeness import result_reasons
from hil.gate.results import gather
from hil.runfile import read_run

pytestmark = pytest.mark.slow

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


def dead_model(case: CaseFolder, _: Path) -> None:
    """The last layer has only zeros, and the oracle's interpreter aborts on it."""
    model = read_model((case.path / "model_int8.tflite").read_bytes())
    graph = model.subgraphs[0]
    dense = graph.operators[4]
    dense.inputs = [*dense.inputs[:2], -1]
    graph.tensors[dense.outputs[0]].quantization.scale = [7.84e-9]
    weights = model.buffers[graph.tensors[dense.inputs[1]].buffer]
    weights.data = np.zeros(len(weights.data), np.uint8)
    case.write("model_int8.tflite", write_model(model))


WRONG = {
    dead_model: ("model_int8.tflite", "operator 5 SOFTMAX", "was killed by SIGABRT", "fix: "),
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


@pytest.fixture(scope="module", params=[(), ("-n", "2", "--basetemp=base")], ids=["alone", "two workers"])
def refused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, image: str) -> Finished:
    """One run over a folder of wrong cases, and a good one."""
    folder = tmp_path_factory.mktemp("wrong")
    for breaking in WRONG:
        breaking(CaseFolder(folder / "cases" / breaking.__name__, name=breaking.__name__), folder / "sprung")
    CaseFolder(folder / "cases" / "good", name="good")
    return run_harness(folder, *request.param, image, "cases", board="native")


def test_wrong_cases_stop_no_other(refused: Finished) -> None:
    assert refused.code == FAILED, refused.text
    assert "Traceback" not in refused.text
    assert not (refused.out.parent / "sprung").exists()
    verdicts = {case["name"]: (case["verdict"], case["refused"]) for case in refused.run["cases"]}
    assert verdicts == {"good": ("passed", False)} | {breaking.__name__: ("error", True) for breaking in WRONG}
    assert refused.run["verdict"] == "error"


def test_each_wrong_case_is_one_error_with_the_whole_text(refused: Finished) -> None:
    errors = int(re.findall(r"(\d+) errors in", refused.text)[0])
    assert errors >= len(WRONG)  # of two workers each tells of a model that is refused
    for case in refused.run["cases"]:
        if case["refused"]:
            assert " fix: " in case["error"]
            assert case["error"].splitlines()[0] in refused.text
            assert f"{case['name']} version {case['version']} on native: ERROR" in refused.text


def test_the_gate_gives_each_as_a_reason(refused: Finished) -> None:
    reasons = [reason for result in gather([read_run(refused.out)]) for reason in result_reasons(result)]
    assert sorted(reason.case for reason in reasons) == sorted(breaking.__name__ for breaking in WRONG)
    assert all("the case was refused: " in reason.what for reason in reasons)


@pytest.mark.parametrize("breaking", WRONG, ids=lambda breaking: breaking.__name__)
def test_each_wrong_case_is_named_with_its_fix(breaking, refused: Finished) -> None:
    """All in one run: what is wrong elsewhere hides nothing."""
    file, *words = WRONG[breaking]
    place = str(refused.out.parent / "cases" / breaking.__name__ / file)
    (told,) = [case["error"] for case in refused.run["cases"] if case["name"] == breaking.__name__]
    assert place in told
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
