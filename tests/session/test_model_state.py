"""A model that keeps state from window to window: on the device, in the oracle, in what is run again, and who is blamed
when the state is not the right one.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from native_session import PROJECT, native_board, native_device
from state_cases import SEQUENCE, answers, right, streams, write_case

from hil.board.config import kind_module, load_board
from hil.bundle import build_bundle, parse_bundle
from hil.case.load import load_case
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.coverage import Coverage
from hil.contract.plain import PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.errors import CaseError
from hil.image.build import WITH_KERNELS, build
from hil.image.elf import Image
from hil.link import messages
from hil.reference.compute import compute, model_outputs, prepare_all
from hil.reference.models import CaseModels
from hil.session import run_case
from hil.session.order import unbroken
from hil.session.share import plan


@cache
def image() -> Image:
    return Image(build("native", PROJECT, image=WITH_KERNELS))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return load_case(write_case(tmp_path / "case"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A run in which nothing is wrong."""
    folder = tmp_path_factory.mktemp("whole")
    return run(load_case(write_case(folder / "case")), folder)


@pytest.fixture
def spoilt(whole: Evidence) -> Evidence:
    """The same, to be changed."""
    return replace(whole, records=deepcopy(whole.records))


def run(case: Case, folder: Path, bundle: bytes | None = None) -> Evidence:
    with native_board(folder) as board:
        return run_case(case, board, image(), bundle=bundle).evidence


def failed(evidence: Evidence) -> dict[str, CheckResult]:
    results = (judge(check, evidence) for check in checks_for(evidence.case))
    return {result.check: result for result in results if result.outcome is Outcome.FAILED}


# ---- right


def test_device_and_oracle_keep_the_state_through_each_stream(whole: Evidence) -> None:
    assert failed(whole) == {}
    assert (whole.records.output == right()).all()
    assert (whole.references.output == right()).all()
    assert len(np.unique(right(), axis=0)) > 10


def test_what_is_run_again_begins_where_a_stream_does(whole: Evidence) -> None:
    repeats, plain = whole.section(Repeats), whole.section(PlainRuns)
    assert (repeats.replayed, repeats.replay_runs) == (4, 4 * (whole.case.contracts.replays - 1))
    assert repeats.pass_runs == len(SEQUENCE)
    assert repeats.differences == ()
    assert len(plain.vectors) == 16
    assert plain.differences == ()


@pytest.mark.parametrize("line", ["", "state = false\n"])
def test_without_the_word_each_window_begins_anew_on_both_sides(line: str, tmp_path: Path) -> None:
    evidence = run(load_case(write_case(tmp_path / "case", line)), tmp_path)
    assert failed(evidence) == {}
    assert (evidence.records.output == answers([(row, True) for row in range(len(SEQUENCE))])).all()


def test_coverage_is_that_of_windows_that_begin_a_stream(whole: Evidence) -> None:
    coverage = whole.section(Coverage)
    assert coverage.problem == ""
    assert coverage.vectors == len(streams())


@pytest.mark.slow
def test_an_emulated_target_keeps_the_state_too(case: Case, tmp_path: Path) -> None:
    config = load_board("qemu", [PROJECT / "boards"])
    target = Image(build(config.target, PROJECT, image=WITH_KERNELS))
    with kind_module(config).open_board(config, tmp_path / "qemu.log") as board:
        evidence = run_case(case, board, target).evidence
    assert failed(evidence) == {}
    assert (evidence.records.output == right()).all()


def test_no_share_cuts_a_stream(case: Case) -> None:
    costly = replace(case, contracts=replace(case.contracts, passes=10**6))
    shares = plan(costly, 2)
    assert len(shares) > 1
    assert sorted(group for share in shares for group in share.groups(costly)) == sorted(streams())


@pytest.mark.parametrize("chunk", [1, 5])
def test_the_oracle_keeps_the_state_however_its_work_is_cut(
    case: Case, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.reference.interpreted.BLOCK_BYTES", 12)
    assert (compute(case, chunk=chunk).output == right()).all()
    for share in plan(replace(case, contracts=replace(case.contracts, passes=10**6)), 2):
        rows = share.rows(case)
        assert (model_outputs(case, prepare_all(case), rows).oracle[rows] == right()[rows]).all()


def test_nobody_who_asks_the_oracle_meanwhile_disturbs_a_stream(case: Case) -> None:
    """A request of the probes between two chunks of the references."""
    stimuli = prepare_all(case)
    with CaseModels(case) as models:

        def ask(*_: int) -> None:
            models.oracle.run(stimuli.prepared[:3])

        assert (model_outputs(case, stimuli, None, ask, chunk=1, models=models).oracle == right()).all()


# ---- what the case says


def test_state_of_a_model_that_keeps_none_is_an_error(tmp_path: Path) -> None:
    folder = PROJECT / "golden_vectors" / "imu_motion"
    for file in (folder / name for name in ("model_int8.tflite", "model_float.tflite", "vectors.npz")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (folder / "case.toml").read_text().replace("[model]\n", "[model]\nstate = true\n")
    (tmp_path / "case.toml").write_text(text)
    with pytest.raises(CaseError, match="keeps no state") as raised:
        load_case(tmp_path)
    assert "[model] state" in str(raised.value)


@pytest.mark.parametrize(
    ("line", "sequence", "said"),
    [
        ("", SEQUENCE, "[model] state = false, or with true"),
        ("state = true\n", None, "no windows follow one another"),
        ("state = false\n", SEQUENCE, ""),
        ("state = true\n", SEQUENCE, ""),
    ],
)
def test_the_check_says_what_is_left_open(line: str, sequence: list[int] | None, said: str, tmp_path: Path) -> None:
    notes = [note for note in load_case(write_case(tmp_path, line, sequence)).notes if "state" in note]
    assert len(notes) == (1 if said else 0)
    assert all(said in note for note in notes)


def test_the_bundle_carries_it_only_where_it_is_so(case: Case) -> None:
    assert parse_bundle(build_bundle(case)).state
    assert not parse_bundle(build_bundle(replace(case, keeps_state=False))).state


# ---- wrong


def forgets_at_every_window(case: Case) -> bytes:
    return build_bundle(replace(case, keeps_state=False))


def test_a_state_cleared_at_every_window_is_named(case: Case, tmp_path: Path) -> None:
    broken = failed(run(case, tmp_path, forgets_at_every_window(case)))
    assert {each.partition(".")[0] for each in broken} == {"execution"}
    hint = broken["execution.output"].findings[0].hint
    assert "state cleared at every window" in hint
    assert "operator 0 SVDF (tensor 4, INT16 [1, 32])" in hint


def test_a_state_that_is_never_set_back_is_named(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = messages.run_command
    started: list[bool] = []

    def never_fresh(number: int, fresh: bool, deadline: int, window: bytes) -> dict[str, object]:
        started.append(fresh)
        return command(number, fresh and len(started) == 1, deadline, window)

    monkeypatch.setattr(messages, "run_command", never_fresh)
    broken = failed(run(case, tmp_path))
    assert "execution.repeat" in broken
    hint = broken["execution.output"].findings[0].hint
    assert "state not reset where a stream begins: does `fresh` reach what is kept by operator 0 SVDF" in hint


def test_what_is_wrong_from_the_second_window_on_points_to_the_state(spoilt: Evidence) -> None:
    for row in (row for stream in streams() for row in stream[1:]):
        spoilt.records.output[row, 0] ^= 3
    hint = failed(spoilt)["execution.output"].findings[0].hint
    assert "right where a stream begins, and off only behind that" in hint


def test_a_wrong_tensor_explains_the_outputs_behind_it_in_its_stream(spoilt: Evidence) -> None:
    stream = streams()[0]
    spoilt.records.digest[stream[2]] ^= 1
    spoilt.records.output[stream[2:], 1] ^= 5
    broken = failed(spoilt)
    finding = broken["execution.output"].findings[0]
    assert "an earlier contract broke first" in finding.observed
    assert broken["input.prepared"].findings[0].vector == f"#{stream[2]}"


def test_behind_a_fault_the_rest_of_a_stream_is_left_out(case: Case) -> None:
    state = SimpleNamespace(case=case, faults=[])

    def steps() -> Iterator[tuple[int, bool]]:
        for index, fresh in unbroken(state, streams()):
            yield index, fresh
            if index == 2:
                state.faults.append("fault")

    assert [index for index, _ in steps()] == [0, 1, 2, *[row for stream in streams()[1:] for row in stream]]


@pytest.mark.parametrize("plain", [False, True])
def test_fresh_sets_the_state_back_in_test_mode_and_in_the_products_way(
    case: Case, plain: bool, tmp_path: Path
) -> None:
    with native_device(tmp_path, case, image()) as device:

        def output(row: int, fresh: bool) -> bytes:
            window = case.vectors.payload(row)
            if not plain:
                return device.run(window, fresh=fresh).output
            found = device.plain(window, fresh=fresh)
            assert found is not None
            return found.record.output

        order = [(0, False), (1, False), (2, True), (3, False), (4, False), (0, True)]
        found = np.array([np.frombuffer(output(*step), np.int8) for step in order])
    assert (found == answers([(0, True), *order[1:]])).all()
    assert (found[1] != answers([(1, True)])[0]).any()
