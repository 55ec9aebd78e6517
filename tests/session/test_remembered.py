"""On a board that wants it so, an image is shown its guards and damaged bundles once; only what held is remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from native_session import imu_motion, native_board, native_image, only_steps, with_vectors

from hil.board.native import NativeBoard
from hil.contract.damaged import BundleProbe, BundleProbes
from hil.contract.instruments.guards import GuardTest, Trip
from hil.session import bundle_probes, guard_test, run_case
from hil.session.remembered import memory_file


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NativeBoard]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with native_board(tmp_path) as board:
        board.once_per_image = True
        yield board


def sections(board: NativeBoard) -> tuple[GuardTest, BundleProbes]:
    with only_steps(guard_test.STEP, bundle_probes.STEP):
        evidence = run_case(with_vectors(imu_motion(), [0, 1]), board, native_image()).evidence
    return evidence.section(GuardTest), evidence.section(BundleProbes)


def test_what_held_is_remembered_with_the_day(board: NativeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    guards, bundles = sections(board)
    assert (guards.remembered, bundles.remembered) == ("", "")
    for module in (guard_test, bundle_probes):  # would raise
        monkeypatch.setattr(module, "_collect", None)
    again_guards, again_bundles = sections(board)
    assert again_guards.remembered == again_bundles.remembered != ""
    assert replace(again_guards, remembered="") == guards
    assert replace(again_bundles, remembered="") == bundles


def test_a_board_of_another_sort_remembers_nothing(board: NativeBoard) -> None:
    board.once_per_image = False
    sections(board)
    assert not memory_file().exists()


def test_another_image_is_shown_everything_again(board: NativeBoard) -> None:
    sections(board)
    known = json.loads(memory_file().read_text())
    others = {key.replace(native_image().sha256, "0" * 64): entry for key, entry in known.items()}
    memory_file().write_text(json.dumps(others))
    assert [found.remembered for found in sections(board)] == ["", ""]


@pytest.mark.parametrize("text", ["", "[]", '{"guards": 1}', "no json"])
def test_a_memory_that_cannot_be_read_is_none(text: str, board: NativeBoard) -> None:
    memory_file().parent.mkdir(parents=True)
    memory_file().write_text(text)
    assert [found.remembered for found in sections(board)] == ["", ""]


def test_an_entry_of_another_version_is_tried_again(board: NativeBoard) -> None:
    sections(board)
    known: dict[str, Any] = json.loads(memory_file().read_text())
    memory_file().write_text(json.dumps({key: {"on": entry["on"], "found": {}} for key, entry in known.items()}))
    assert [found.remembered for found in sections(board)] == ["", ""]


def test_what_did_not_hold_is_not_kept() -> None:
    assert guard_test._kept(GuardTest(True, True, None, Trip("written"), ())) is None
    assert guard_test._kept(GuardTest(tried=True)) is None
    assert bundle_probes._kept(BundleProbes((BundleProbe("a bit", 7, 0),))) is None
    assert bundle_probes._kept(BundleProbes(spared=True)) is None
