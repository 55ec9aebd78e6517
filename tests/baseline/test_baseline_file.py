"""The file of a baseline: comes back as it was written, reads well in a diff, and is refused when it is not whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_baseline import accepted_evidence

from hil.baseline.columns import Columns, pack, unpack
from hil.baseline.file import baseline_text, baselines_in, read_baseline, write_baseline
from hil.baseline.types import Baseline
from hil.errors import UsageError
from hil.runfile import seal


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    n, elements = draw(st.integers(0, 20)), draw(st.integers(1, 5))

    def array(dtype: str, *shape: int) -> np.ndarray:
        return draw(arrays(dtype, shape))

    timed = draw(st.booleans())
    rows = draw(st.sets(st.integers(0, n - 1))) if timed and n else set()
    return Columns(
        status=array("uint8", n),
        gate=array("uint8", n),
        digest=array("uint32", n),
        output=array("int8", n, elements),
        answer=array("int32", n),
        reason=array("uint8", n),
        units=array("int64", n if timed else 0, 3),
        samples=np.array(sorted(rows), np.int64),
    )


@settings(max_examples=40)
@given(columns())
def test_columns_come_back_as_they_were(given_columns: Columns) -> None:
    again = unpack(json.loads(json.dumps(pack(given_columns))))
    for name, array in vars(given_columns).items():
        assert np.array_equal(getattr(again, name), array)
        assert getattr(again, name).dtype == array.dtype


@pytest.fixture
def baseline() -> Baseline:
    file = accepted_evidence().baseline
    assert file is not None
    return file.baseline


@pytest.fixture
def written(baseline: Baseline, tmp_path: Path) -> Path:
    path = tmp_path / "motion" / "baseline" / "qemu.json"
    path.parent.parent.mkdir()
    write_baseline(path, baseline)
    return path


def test_a_baseline_comes_back_as_it_was_written(baseline: Baseline, written: Path) -> None:
    again = read_baseline(written).baseline
    assert baseline_text(again) == baseline_text(baseline) == written.read_text()
    assert again.accepted.reason == "release 1"


def test_the_file_has_sorted_keys_and_a_figure_a_line(written: Path) -> None:
    text = written.read_text()
    assert json.dumps(json.loads(text), sort_keys=True) == json.dumps(json.loads(text))
    assert '\n  "arena_high_water": 6000,\n' in text


def test_figures_that_json_has_no_number_for_survive(baseline: Baseline, tmp_path: Path) -> None:
    exact = baseline.model_copy(update={"agreement": {"sqnr_db": float("inf")}})
    write_baseline(tmp_path / "qemu.json", exact)
    assert read_baseline(tmp_path / "qemu.json").baseline.agreement == {"sqnr_db": float("inf")}


def test_nothing_but_the_file_is_left_in_the_folder(written: Path, baseline: Baseline) -> None:
    write_baseline(written, baseline)
    assert [path.name for path in written.parent.iterdir()] == ["qemu.json"]


def test_a_folder_that_cannot_be_written_is_a_usage_error(baseline: Baseline, tmp_path: Path) -> None:
    (tmp_path / "baseline").write_text("a file where a folder should be")
    with pytest.raises(UsageError, match=r"cannot be written.*\n  fix: "):
        write_baseline(tmp_path / "baseline" / "qemu.json", baseline)


def test_a_changed_figure_breaks_the_seal(written: Path) -> None:
    written.write_text(written.read_text().replace('"arena_high_water": 6000', '"arena_high_water": 6064'))
    with pytest.raises(UsageError, match=r"qemu\.json: seal: the file was changed after it was accepted\n  fix: "):
        read_baseline(written)


def drop(*keys: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: _inner(document, keys).pop(keys[-1])


def put(value: object, *keys: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: _inner(document, keys).__setitem__(keys[-1], value)


def _inner(document: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    for key in keys[:-1]:
        document = document[key]
    return document


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (drop("memory"), "memory: Field required"),
        (drop("columns", "output"), "columns: .*not the columns"),
        (put("5", "memory", "ram_bytes"), "memory.ram_bytes: Input should be a valid integer"),
        (put(1, "colour"), "colour: unknown key"),
        (put([3], "columns", "answer", "shape"), "answer: its data are not the 12 bytes of its shape"),
        (put([-1], "columns", "answer", "shape"), "answer: its shape is not 1 sizes"),
        (put([2**60], "columns", "answer", "shape"), "answer: its shape asks for"),
        (put("eJw=", "columns", "gate", "zlib"), "gate: "),
        (put("!", "columns", "gate", "zlib"), "gate: it cannot be unpacked"),
        (put(["one"], "decision", "labels"), "columns.answer: [123] of vector .* is none"),
        (put({}, "latency"), "latency: stages"),
        (put([], "history"), "history"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_with_its_key(
    written: Path, damage: Callable[[dict[str, Any]], None], words: str
) -> None:
    """The seal is made again: it is the content that must be refused."""
    document = json.loads(written.read_text())
    del document["seal"]
    damage(document)
    written.write_text(json.dumps({**document, "seal": seal(document)}))
    with pytest.raises(UsageError, match=words) as error:
        read_baseline(written)
    assert str(error.value).startswith(str(written))
    assert "\n  fix: " in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "hil-run/1"}', "\udcff"])
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "qemu.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=r"qemu\.json: .*\n  fix: "):
        read_baseline(file)


def test_the_baselines_of_a_case_are_found_by_folder_file_and_board(written: Path) -> None:
    case = written.parent.parent
    assert baselines_in(case) == baselines_in(case / "case.toml") == baselines_in(case, "qemu") == [written]
    with pytest.raises(UsageError, match="no baseline of board nucleo"):
        baselines_in(case, "nucleo")
