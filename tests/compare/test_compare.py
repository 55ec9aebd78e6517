"""`hil compare`: two runs that agree are equal, and of two that do not the first difference is named with its stage."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness_process import PASSED, run_harness
from native_session import CaseFolder, native_image

from hil.cli import main
from hil.compare import COLUMNS, compare
from hil.compare.steps import Steps, parse_steps
from hil.errors import UsageError
from hil.records import GateReason, Status

VECTORS = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a real run of a small case."""
    folder = tmp_path_factory.mktemp("run")
    case = CaseFolder(folder / "small", vectors=VECTORS)
    finished = run_harness(folder, f"--hil-image={native_image().path}", case.path)
    assert finished.code == PASSED, finished.text
    return finished.out


@pytest.fixture
def other(run: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be changed."""
    return Path(shutil.copytree(run, tmp_path / "other"))


def edit_records(folder: Path, edit: Callable[[dict[str, np.ndarray]], None]) -> None:
    file = folder / "small.native.npz"
    with np.load(file) as stored:
        columns = {name: stored[name].copy() for name in stored.files}
    edit(columns)
    np.savez(file, **columns)


def edit_run(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((folder / "run.json").read_text())
    edit(document)
    (folder / "run.json").write_text(json.dumps(document))


def test_a_run_equals_itself(run: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run), str(other / "run.json")]) == 0
    equal, *table = capsys.readouterr().out.splitlines()
    assert equal == f"small: equal in {VECTORS} vectors: gate, prepared tensor, output, decision"
    operators = json.loads((run / "run.json").read_text())["cases"][0]["operators"]
    assert [line.split()[:2] for line in table[2 : 2 + len(operators)]] == [
        [str(each["index"]), each["operator"]] for each in operators
    ]
    assert table[-3].split()[-1] == "1.00"


def test_an_output_within_the_steps_allowed_is_equal_and_what_follows_from_it_is_not_compared(
    run: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def round_otherwise(columns: dict[str, np.ndarray]) -> None:
        columns["output"][3] ^= 1
        columns["score"][3] += 1
        columns["answer"][3] += 1

    edit_records(other, round_otherwise)
    assert main(["compare", str(run), str(other)]) == 1
    capsys.readouterr()
    assert main(["compare", str(run), str(other), "--lsb", "1"]) == 0
    text = capsys.readouterr().out
    assert f"small: the output differs in 1 of {VECTORS} vectors, by 1 LSB at most" in text
    assert f"small: equal in {VECTORS} vectors" in text


def test_what_decide_makes_of_an_equal_output_is_compared_with_steps_allowed_too(run: Path, other: Path) -> None:
    def decide_otherwise(columns: dict[str, np.ndarray]) -> None:
        columns["output"][3] ^= 1
        columns["answer"][4] += 1

    edit_records(other, decide_otherwise)
    (difference,) = compare(run, other, Steps(1)).differences
    assert (difference.stage, difference.vectors) == ("decide", 1)


def test_one_step_more_than_allowed_is_a_difference(run: Path, other: Path) -> None:
    def further(columns: dict[str, np.ndarray]) -> None:
        value = columns["output"][3, 0]
        columns["output"][3, 0] = value - 2 if value > 0 else value + 2

    edit_records(other, further)
    assert [difference.stage for difference in compare(run, other, Steps(1)).differences] == ["invoke"]
    assert compare(run, other, Steps(2)).differences == []


def test_steps_are_given_to_every_output_and_to_single_ones_by_name() -> None:
    steps = parse_steps(["level=3", "2", "a=b=0"])
    assert [steps.of(name) for name in ("level", "a=b", "scores", "")] == [3, 0, 2, 2]
    assert parse_steps([]).of("level") == 0


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["x"], "--lsb x: this is no number of steps"),
        (["-1"], "--lsb -1: this is no number of steps"),
        (["level="], "--lsb level=: this is no number of steps"),
        (["=3"], "--lsb =3: this is no number of steps"),
        (["level=1", "level=1"], "--lsb level=1: a number of steps for 'level' is there"),
        (["1", "2"], "--lsb 2: a number of steps for every output is there"),
    ],
)
def test_steps_that_are_none_are_misuse(texts: list[str], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_steps(texts)
    assert str(caught.value).startswith(problem)
    assert '--lsb "NAME=N"' in str(caught.value)


def name_outputs(*names: str) -> Callable[[dict[str, Any]], None]:
    """Makes the run one of a model with these outputs, the first of them the one that is decided on."""

    def edit(document: dict[str, Any]) -> None:
        device = document["cases"][0]["device"]
        first, *further = ({**device["output"], "name": name} for name in names)
        device.update(output=first, outputs=further)

    return edit


@pytest.fixture
def two_outputs(run: Path, other: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two runs with the outputs `scores` and `level`; `level` differs by 2 on one vector."""
    first = Path(shutil.copytree(run, tmp_path / "first"))
    for folder, steps in ((first, 0), (other, 2)):

        def add(columns: dict[str, np.ndarray], steps: int = steps) -> None:
            columns["output.1"] = np.zeros((VECTORS, 3), np.int8)
            columns["output.1"][5, 1] = steps

        edit_records(folder, add)
        edit_run(folder, name_outputs("scores", "level"))
    return first, other


def test_one_of_several_outputs_has_steps_of_its_own(
    two_outputs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(folder) for folder in two_outputs]
    for wrong in ([], ["--lsb", "1"], ["--lsb", "scores=9"], ["--lsb", "9", "--lsb", "level=1"]):
        assert main(["compare", *paths, *wrong]) == 1, wrong
        assert "first difference in stage invoke, output.1, element 1" in capsys.readouterr().out
    assert main(["compare", *paths, "--lsb", "level=2"]) == 0
    text = capsys.readouterr().out
    assert f"small: output 'level' differs in 1 of {VECTORS} vectors, by 2 LSB at most" in text
    assert "'scores'" not in text


def test_steps_for_an_output_that_is_not_there_name_those_that_are(two_outputs: tuple[Path, Path], run: Path) -> None:
    with pytest.raises(UsageError, match=r"has an output 'levle'; the outputs are 'scores', 'level'\n  fix: write one"):
        compare(*two_outputs, parse_steps(["levle=2"]))
    with pytest.raises(UsageError, match=r"each case has one output, which needs no name\n  fix: write --lsb 2"):
        compare(run, run, parse_steps(["level=2"]))


def test_a_float_output_has_no_steps(two_outputs: tuple[Path, Path]) -> None:
    for folder in two_outputs:
        edit_records(folder, lambda columns: columns.update({"output.1": columns["output.1"].astype(np.float32)}))
    with pytest.raises(UsageError, match="output 'level' of case small is float32, which has no steps"):
        compare(*two_outputs, parse_steps(["level=2"]))


def test_time_and_memory_of_a_board_are_its_own(run: Path, other: Path) -> None:
    def slower(columns: dict[str, np.ndarray]) -> None:
        columns["ticks"] += 100
        columns["stack_high_water"] += 8

    edit_records(other, slower)
    assert compare(run, other).differences == []


@pytest.mark.parametrize(
    ("column", "stage"),
    [
        ("digest", "prepare"),
        ("saturated", "prepare"),
        ("output", "invoke"),
        ("score", "decide"),
        ("answer", "decide"),
    ],
)
def test_the_first_difference_is_named_with_its_stage(run: Path, other: Path, column: str, stage: str) -> None:
    """Later stages and later vectors differ too: the earliest of both is told."""

    def change(columns: dict[str, np.ndarray]) -> None:
        columns[column][7] += 1
        columns["answer"][7:9] += 1

    edit_records(other, change)
    (difference,) = compare(run, other).differences
    assert difference.stage == stage
    assert difference.column.split(",")[0] == column
    assert difference.vectors == 2
    with np.load(run / "small.native.npz") as stored:
        assert difference.vector == stored["name"][7]


def test_one_output_element_is_named_with_both_values(
    run: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(run / "small.native.npz") as stored:
        value = int(stored["output"][3, 2])

    def flip(columns: dict[str, np.ndarray]) -> None:
        columns["output"][3, 2] = value ^ 1

    edit_records(other, flip)
    assert main(["compare", str(run), str(other)]) == 1
    text = capsys.readouterr().out
    assert "first difference in stage invoke, output, element 2" in text
    assert f"1 of {VECTORS} vectors differ" in text
    first, second = (line.split("output ")[1].split() for line in text.splitlines() if ": output " in line)
    assert (int(first[2]), int(second[2])) == (value, value ^ 1)


def test_a_gate_that_rejects_elsewhere_is_told_in_words(run: Path, other: Path) -> None:
    def reject(columns: dict[str, np.ndarray]) -> None:
        columns["status"][0], columns["gate"][0] = Status.REJECTED, GateReason.RANGE

    edit_records(other, reject)
    (difference,) = compare(run, other).differences
    assert difference.column == "status"
    assert difference.second.endswith("status rejected")


def test_other_vectors_are_told_before_anything_else(run: Path, other: Path) -> None:
    def shorten(columns: dict[str, np.ndarray]) -> None:
        for name in columns:
            if name != "label_texts" and columns[name].ndim:
                columns[name] = columns[name][:-2]

    edit_records(other, shorten)
    (difference,) = compare(run, other).differences
    assert (difference.stage, difference.vector, difference.vectors) == ("case", str(VECTORS - 2), 2)
    assert "has only 10 vectors" in difference.second


def test_another_model_is_noted(run: Path, other: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["cases"][0]["manifest"]["files"]["model_int8.tflite"] = "0" * 64

    edit_run(other, change)
    assert compare(run, other).notes == ["small: these files of the case are not the same: model_int8.tflite"]


def test_another_image_is_noted(run: Path, other: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["cases"][0]["image"]["sha256"] = "f" * 64

    edit_run(other, change)
    (note,) = compare(run, other).notes
    assert note.startswith("small: not the same image: native ")
    assert note.endswith(", native ffffffffffff")


def test_runs_without_a_case_in_common_are_misuse(run: Path, other: Path) -> None:
    edit_run(other, lambda document: document["cases"][0].update(name="other", title="other"))
    with pytest.raises(UsageError, match="no case in common"):
        compare(run, other)


def test_what_is_no_run_is_misuse(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text('{"schema": "other/1"}')
    assert main(["compare", str(tmp_path), str(run)]) == 2
    assert "run.json: schema: 'other/1' is not 'hil-run/1'" in capsys.readouterr().err


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda part: part.pop(key)


def put(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda part: part.update({key: value})


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (without("board"), "board: Field required"),
        (put("board", "native"), "board: Input should be"),
        (lambda run: run["board"].pop("target"), "board.target: Field required"),
        (put("cases", {}), "cases: Input should be a valid list"),
        (put("cases", [3]), "cases.0: Input should be"),
        (lambda run: run["cases"][0].pop("name"), "cases.0.name: Field required"),
        (lambda run: run["cases"][0].update(name=["small"]), "cases.0.name: Input should be a valid string"),
        (lambda run: run["cases"][0].update(records=None), "cases.0.records: Input should be a valid string"),
        (lambda run: run["cases"][0].update(records="", error=7), "cases.0.error: Input should be a valid string"),
        (lambda run: run["cases"][0]["manifest"].pop("files"), "cases.0.manifest.files: Field required"),
        (lambda run: run["cases"][0]["manifest"]["files"].update(a=1), "cases.0.manifest.files.a: Input should be"),
        (lambda run: run["cases"][0].update(image=3), "cases.0.image: Input should be"),
        (lambda run: run["cases"][0]["image"].update(sha256=3), "cases.0.image.sha256: Input should be"),
    ],
)
def test_an_edited_run_is_refused_with_file_and_key(
    run: Path, other: Path, edit: Callable[[dict[str, Any]], None], place: str
) -> None:
    edit_run(other, edit)
    with pytest.raises(UsageError) as caught:
        compare(run, other)
    assert str(caught.value).startswith(f"{other / 'run.json'}: {place}")
    assert "\n  fix: " in str(caught.value)


def test_a_run_without_an_image_can_be_compared(run: Path, other: Path) -> None:
    """The bench broke, or an older version wrote it."""
    edit_run(other, lambda document: document["cases"][0].pop("image"))
    (note,) = compare(run, other).notes
    assert note.endswith("native unknown")


def test_a_run_nested_too_deep_is_misuse(run: Path, other: Path) -> None:
    (other / "run.json").write_text("[" * 200_000)
    with pytest.raises(UsageError, match=r"run\.json: .*\n  fix: "):
        compare(run, other)


@pytest.mark.parametrize(
    ("key", "change", "problem"),
    [
        ("score", lambda column: column.astype(np.float64), "float64 is no type of whole numbers"),
        ("score", lambda column: np.full(len(column), np.nan), "float64 is no type of whole numbers"),
        ("winner", lambda column: column.astype(np.str_), "<U11 is no type of whole numbers"),
        ("name", lambda column: np.arange(len(column)), "int64 is no type of text"),
        ("label_texts", lambda column: np.zeros(2), "float64 is no type of text"),
        ("digest", lambda column: column[:-1], f"has {VECTORS - 1} vectors, status has {VECTORS}"),
        ("name", lambda column: column[:-1], f"has {VECTORS - 1} vectors, status has {VECTORS}"),
        ("status", lambda column: column[:0], "has no vectors"),
        ("output", lambda column: column[:, 0], "has 1 dimensions instead of 2"),
        ("answer", lambda column: np.int32(3), "has 0 dimensions instead of 1"),
        ("status", lambda column: column + 77, "77 of vector 0 is no known status"),
        ("gate", lambda column: column + 6, "6 of vector 0 is no known gate"),
        ("reason", lambda column: np.full(len(column), 200), "200 of vector 0 is no known reason"),
        ("label", lambda column: column + 10_000, r"\d+ of vector 0 is no known label"),
        ("label", lambda column: np.full(len(column), -2), r"-2 of vector 0 is no known label"),
    ],
)
def test_an_edited_column_is_refused_with_file_and_key(
    run: Path, other: Path, key: str, change: Callable[[np.ndarray], np.ndarray], problem: str
) -> None:
    edit_records(other, lambda columns: columns.update({key: change(columns[key])}))
    with pytest.raises(UsageError, match=rf"small\.native\.npz: {key}: {problem}.*\n  fix: "):
        compare(run, other)


def test_a_missing_column_is_named(run: Path, other: Path) -> None:
    edit_records(other, lambda columns: columns.pop("score"))
    with pytest.raises(UsageError, match=r"small\.native\.npz: .*score"):
        compare(run, other)


def cut_in_a_column(file: Path) -> None:
    """The archive's directory is whole, the compressed bytes of one column are not."""
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        entry = archive.getinfo("output.npy")
    start = entry.header_offset + 30 + len(entry.filename)
    data[start + 20 : start + entry.compress_size] = bytes([0xFF]) * (entry.compress_size - 20)
    file.write_bytes(data)


def one_array(file: Path) -> None:
    with file.open("wb") as stream:
        np.save(stream, np.zeros(3))


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_a_column,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-30]),
        lambda file: file.write_bytes((file.parent / "run.json").read_bytes()),
        one_array,
        lambda file: np.savez(file, **dict.fromkeys(COLUMNS, np.array([None]))),
        lambda file: file.unlink(),
    ],
    ids=["cut column", "empty", "cut archive", "JSON", "one array", "objects", "gone"],
)
def test_any_damage_to_the_records_is_misuse(run: Path, other: Path, damage: Callable[[Path], None]) -> None:
    damage(other / "small.native.npz")
    with pytest.raises(UsageError, match=r"small\.native\.npz: not the records of a run .*\n  fix: "):
        compare(run, other)


def test_damaged_records_are_named(run: Path, other: Path) -> None:
    (other / "small.native.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UsageError, match=r"small\.native\.npz: not the records of a run"):
        compare(run, other)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["one"], "1 runs are named, two are compared"),
        (["case", "--boards", "qemu"], "--boards qemu: two different ones are wanted"),
        (["case", "--boards", "qemu,qemu"], "two different ones are wanted"),
        (["case", "--boards", "native,quemu"], "unknown board 'quemu'"),
        (["case", "--kernels", "2020,cmsis"], "there is no 'cmsis'"),
    ],
)
def test_misuse_is_told_before_anything_runs(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_run_that_comes_to_no_verdict_is_told_in_pytests_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", str(tmp_path / "none"), "--boards", "native,qemu", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "the run on native came to no verdict" in capsys.readouterr().err


@pytest.mark.slow
def test_two_boards_are_run_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CaseFolder(tmp_path / "small", vectors=VECTORS)
    assert main(["compare", str(case.path), "--boards", "native,qemu", "--out", str(tmp_path / "out")]) == 0
    assert f"small: equal in {VECTORS} vectors" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"native", "qemu"}
