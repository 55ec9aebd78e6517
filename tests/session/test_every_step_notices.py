"""Each step of a session notices what comes out otherwise in the first and in the last of what it sends.

The real firmware runs. On its way to it one window, or the scores of one step, is replaced by another, or the firmware
is brought down in place of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from native_session import imu_motion, native_board, native_image, only_steps, with_vectors

from hil.board.native import NativeBoard
from hil.case.types import Case
from hil.contract import CHECKS, judge
from hil.contract.history import History, history_differences
from hil.contract.input import PreparedTensors
from hil.contract.plain import PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.scores import ScoreProbes, StreamProbes
from hil.contract.sent import GateProbes
from hil.contract.soak import Soak
from hil.contract.types import MAX_FINDINGS, Evidence, Finding
from hil.device import Device, PlainRun
from hil.link.messages import SelfTest
from hil.records import Decision, GateReason, Record, Status
from hil.session import (
    gate_probes,
    history,
    plain,
    repeats,
    run_case,
    score_probes,
    soak,
    stream_probes,
)
from hil.session import run as session_run
from hil.session.state import MAX_FAULTS, NO_VECTOR
from hil.session.step import Step

N = 6  # vectors: five windows and one that the gate refuses
REFUSED = 3
CRASH = "crash"
Bend = Callable[[str, int, bytes], bytes | str | None]  # request and its number, from 0, and what it carries
BY_ID = {check.id: check for check in CHECKS}


def straight(request: str, number: int, carried: bytes) -> None:
    return None


class Bent(Device):
    """The agent over a line on which `bend` decides what becomes of each request."""

    bend: Bend
    counts: dict[str, int]

    def run(self, window: bytes, **options: Any) -> Record:
        return super().run(self._bent("run", window), **options)

    def plain(self, window: bytes, **options: Any) -> PlainRun | None:
        return super().plain(self._bent("plain", window), **options)

    def decide(self, scores: bytes, **options: Any) -> Decision:
        return super().decide(self._bent("decide", scores), **options)

    def _bent(self, request: str, carried: bytes) -> bytes:
        number = self.counts.get(request, 0)
        self.counts[request] = number + 1
        becomes = self.bend(request, number, carried)
        if becomes == CRASH:
            self.self_test(SelfTest.NULL_READ)  # the firmware leaves a fault record and goes
        return becomes if isinstance(becomes, bytes) else carried


@dataclass(frozen=True)
class Ran:
    evidence: Evidence
    counts: dict[str, int]

    def findings(self, check: str) -> tuple[Finding, ...]:
        return judge(BY_ID[check], self.evidence).findings


def small_case(*, warmup: int = 0, **contracts: Any) -> Case:
    whole = imu_motion()
    assert whole.vectors.reject is not None
    refused = whole.vectors.reject.index("range")
    case = with_vectors(whole, [0, 150, 300, refused, 450, 90])
    return replace(case, contracts=replace(case.contracts, warmup=warmup, replays=1, passes=1, **contracts))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeBoard]:
    with native_board(tmp_path_factory.mktemp("steps")) as board:
        yield board


@contextmanager
def with_device(kind: type[Device]) -> Iterator[None]:
    """A session speaks to a device of this kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_run, "Device", kind)
        yield


@pytest.fixture
def run(board: NativeBoard) -> Callable[..., Ran]:
    """`run(bend, step, ...)`: the first pass and these steps."""

    def start(bend: Bend, *further: Step[Any], case: Case | None = None) -> Ran:
        kind = type("Bent", (Bent,), {"bend": staticmethod(bend), "counts": {}})
        with only_steps(*further), with_device(kind):
            return Ran(run_case(case or small_case(), board, native_image()).evidence, kind.counts)

    return start


def at(request: str, number: int, becomes: bytes | str) -> Bend:
    return lambda what, which, _: becomes if (what, which) == (request, number) else None


def window(vector: int) -> bytes:
    return small_case().vectors.payload(vector)


# ---- the first pass --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [0, N - 1])
def test_the_tensor_of_a_vector_that_came_out_otherwise_is_fetched(run: Callable[..., Ran], vector: int) -> None:
    honest, bent = run(straight).evidence, run(at("run", vector, window(2))).evidence
    (difference,) = bent.section(PreparedTensors).differences
    assert difference.vector == vector
    assert difference.observed.tolist() == bent.references.prepared[2].tolist()
    assert bent.records.digest[vector] == honest.records.digest[2] != honest.records.digest[vector]
    others = np.arange(N) != vector
    assert (bent.records.digest[others] == honest.records.digest[others]).all()
    assert honest.section(PreparedTensors).differences == ()


def test_the_windows_before_the_first_pass_are_no_rows_of_it(run: Callable[..., Ran]) -> None:
    """Another window in the warm-up changes no record, and is a difference of its place."""
    case = small_case(warmup=3)
    bent = run(at("run", 1, window(2)), history.STEP, case=case).evidence
    assert bent.section(PreparedTensors).differences == ()
    (found, *_) = history_differences(bent)
    assert (found.vector, found.before, found.field) == (0, "as the second window after a start", "digest")


# ---- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [0, 2, N - 1])
def test_a_vector_that_brings_the_firmware_down_is_named_and_the_rest_runs(
    run: Callable[..., Ran], vector: int
) -> None:
    evidence = run(at("run", vector, CRASH)).evidence
    (fault,) = evidence.faults
    assert (fault.vector, fault.status) == (vector, Status.FAULT)
    wanted = [Status.REJECTED if index == REFUSED else Status.DONE for index in range(N)]
    wanted[vector] = Status.FAULT
    assert evidence.records.status.tolist() == wanted


def test_after_some_faults_the_rest_is_not_run(run: Callable[..., Ran]) -> None:
    ran = run(lambda request, number, _: CRASH if number in (0, 1, 2, 3) else None, repeats.STEP, history.STEP)
    assert [fault.vector for fault in ran.evidence.faults] == list(range(MAX_FAULTS))
    assert ran.evidence.records.status.tolist() == [Status.FAULT] * MAX_FAULTS + [Status.NOT_RUN] * (N - MAX_FAULTS)
    assert ran.counts["run"] == MAX_FAULTS
    assert ran.evidence.section(Repeats).pass_runs == 0


def test_a_fault_in_a_later_pass_leaves_the_record_of_the_first(run: Callable[..., Ran]) -> None:
    case = small_case()
    case = replace(case, contracts=replace(case.contracts, passes=2))
    evidence = run(at("run", 2 * N - 1, CRASH), repeats.STEP, case=case).evidence
    (fault,) = evidence.faults
    assert evidence.records.status[fault.vector] in (Status.DONE, Status.REJECTED)
    assert evidence.section(Repeats).pass_runs == N - 1
    (finding,) = judge(BY_ID["execution.fault"], evidence).findings
    assert finding.vector == case.vectors.name(fault.vector)


def test_the_windows_behind_a_restart_are_warmed_up_to(run: Callable[..., Ran]) -> None:
    """Three windows of the warm-up before the first vector, and three of the first that was done behind a fault."""
    ran = run(at("run", 3 + 2, CRASH), case=small_case(warmup=3))
    assert ran.counts["run"] == 3 + N + 3


# ---- the harness's own windows and scores ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def probes(board: NativeBoard) -> Evidence:
    kind = type("Bent", (Bent,), {"bend": staticmethod(straight), "counts": {}})
    with only_steps(gate_probes.STEP, score_probes.STEP), with_device(kind):
        return run_case(small_case(), board, native_image()).evidence


def together(*bends: Bend) -> Bend:
    return lambda request, number, carried: next(filter(None, (bend(request, number, carried) for bend in bends)), None)


def test_windows_of_the_harness_s_own_that_come_out_otherwise_are_named(
    run: Callable[..., Ran], probes: Evidence
) -> None:
    """The first and the last: one that must be refused is let through, one that is valid is cut."""
    sent = probes.section(GateProbes).probes
    last = len(sent) - 1
    assert (sent[0].expected, sent[last].expected) == (GateReason.LENGTH, GateReason.VALID)
    ran = run(together(at("run", N, window(0)), at("run", N + last, b"\0")), gate_probes.STEP)
    assert [each.name for each in ran.evidence.section(GateProbes).probes] == [each.name for each in sent]
    assert [finding.vector for finding in ran.findings("input.rejects")] == [sent[0].name, sent[last].name]


def test_the_outputs_of_the_harness_s_own_windows_are_held_to_the_oracle_s_of_the_same_window(probes: Evidence) -> None:
    """All of them are right; each name is that of a probe whose tensor was right."""
    found = probes.section(GateProbes)
    right = [
        probe.name
        for probe in found.probes
        if probe.digest is not None and probe.record is not None and probe.record.digest == probe.digest
    ]
    assert [output.name for output in found.outputs] == right
    assert len(right) > 10
    assert all(output.expected == output.observed for output in found.outputs)
    assert len({output.expected for output in found.outputs}) > 3


def test_tensors_of_the_harness_s_own_windows_that_are_wrong_are_fetched(
    run: Callable[..., Ran], probes: Evidence
) -> None:
    """The first and the last window with a digest: others that the gate accepts come in their place."""
    sent = probes.section(GateProbes).probes
    digested = [index for index, probe in enumerate(sent) if probe.digest is not None]
    bend = together(at("run", N + digested[0], window(4)), at("run", N + digested[-1], window(2)))
    evidence = run(bend, gate_probes.STEP).evidence
    found = [probe for probe in evidence.section(GateProbes).probes if probe.observed is not None]
    assert [probe.name for probe in found] == [sent[digested[0]].name, sent[digested[-1]].name]
    prepared = evidence.references.prepared
    assert [probe.observed for probe in found] == [prepared[4].tobytes(), prepared[2].tobytes()]
    assert not {probe.name for probe in found} & {output.name for output in evidence.section(GateProbes).outputs}


def test_scores_that_are_decided_otherwise_are_named(run: Callable[..., Ran], probes: Evidence) -> None:
    """The first and the last step."""
    given = probes.section(ScoreProbes).probes
    assert all(probe.expected == probe.observed for probe in given)
    last = len(given) - 1
    bend = together(*(at("decide", which, other_scores(given[which].scores)) for which in (0, last)))
    found = run(bend, score_probes.STEP).evidence.section(ScoreProbes).probes
    assert len(found) == len(given)
    wrong = [index for index, probe in enumerate(found) if probe.expected != probe.observed]
    assert (wrong[0], wrong[-1]) == (0, last)


def other_scores(scores: Sequence[int]) -> bytes:
    """Scores whose highest is another one, with another value."""
    highest = max(scores)
    value = 126 if highest < 126 else 125
    other = [-128] * len(scores)
    other[(list(scores).index(highest) + 1) % len(scores)] = value
    return np.array(other, np.int8).tobytes()


# ---- other places, and long runs -------------------------------------------------------------------------------------


def test_a_vector_is_run_again_behind_each_thing_that_may_matter(run: Callable[..., Ran]) -> None:
    """Vector 0 gets vector 4's window in all of these, so that each is a difference of its own."""
    case = small_case(warmup=2)
    own = window(0)
    first = 2 + N  # run behind the first pass
    ran = run(
        lambda _, number, sent: window(4) if number >= first + 3 and sent == own else None, history.STEP, case=case
    )
    found = ran.evidence.section(History)
    label = case.vectors.label
    assert label is not None
    done = [index for index in range(N) if index != REFUSED]
    classes = {int(label[index]): index for index in reversed(done)}
    behind = [f"after {case.vectors.name(classes[number])}" for number in sorted(classes)]
    assert [again.after for again in found.runs][:2] == [
        "as the first window after a start",
        "as the second window after a start",
    ]
    places = [again.after for again in found.runs][2:]
    assert places[: len(behind)] == behind
    refusals = [place.removeprefix("after a window refused as ") for place in places[len(behind) : -1]]
    assert set(refusals) >= {"length", "range", "stale"}
    assert places[-1] == "behind all probes of the harness"
    assert {again.vector for again in found.runs} == {0}
    assert [again.start for again in found.runs] == [True, True] + [False] * len(places)
    differ = [difference.before for difference in history_differences(ran.evidence)]
    assert differ[-1] == places[-1]
    assert set(differ) >= {f"after a window refused as {reason}" for reason in refusals}


def test_each_window_of_a_long_run_is_held_to_its_first_run(run: Callable[..., Ran]) -> None:
    windows = 17
    case = small_case()
    case = replace(case, contracts=replace(case.contracts, soak=replace(case.contracts.soak, windows=windows)))
    honest = run(straight, soak.STEP, case=case).evidence.section(Soak)
    assert (honest.windows, honest.wrong, honest.differences) == (windows, 0, ())
    assert sorted(honest.vector[:N].tolist()) == list(range(N))
    for which in (0, windows - 1):
        vector = int(honest.vector[which])
        other = window((vector + 1) % 3)
        found = run(at("run", N + which, other), soak.STEP, case=case).evidence.section(Soak)
        (difference,) = found.differences
        before = f"after {case.vectors.name(int(honest.vector[which - 1]))}" if which else ""
        assert (difference.vector, difference.attempt, difference.before) == (vector, which + 1, before)
        assert (found.wrong, found.slow, found.windows) == (1, 0, windows)
    refused = honest.vector == REFUSED
    assert (honest.total[refused] == 0).all()
    assert (honest.total[~refused] > 0).all()


def test_a_long_run_in_which_all_is_wrong_keeps_some_and_counts_all(run: Callable[..., Ran]) -> None:
    case = small_case()
    count = MAX_FINDINGS + 10
    case = replace(case, contracts=replace(case.contracts, soak=replace(case.contracts.soak, windows=count)))
    bent = run(lambda _, number, sent: b"\0" if number >= N else None, soak.STEP, case=case).evidence
    found = bent.section(Soak)
    assert (found.wrong, len(found.differences), found.windows) == (count, MAX_FINDINGS, count)
    assert judge(BY_ID["soak.output"], bent).total == count


@pytest.mark.parametrize("which", [0, N - 1])
def test_a_plain_window_that_comes_out_otherwise_is_named(run: Callable[..., Ran], which: int) -> None:
    """Of so few vectors all are run."""
    evidence = run(at("plain", which, window(2)), plain.STEP).evidence
    found = evidence.section(PlainRuns)
    assert found.vectors.tolist() == list(range(N))
    (difference,) = found.differences
    assert difference.vector == which


def test_a_stream_through_the_pipeline_is_as_long_as_the_rules_need(run: Callable[..., Ran]) -> None:
    case = small_case()
    case = replace(case, decide=replace(case.decide, debounce=3, cooldown=2, threshold=-100, release=-110))
    honest = run(straight, stream_probes.STEP, case=case).evidence
    given = honest.section(StreamProbes).probes
    assert len(given) == 3 * (3 + 2 + 2)
    assert all(probe.expected == probe.observed for probe in given)
    assert [probe.name.rsplit(" ", 1)[1] for probe in given] == [str(number) for number in range(len(given))]
    winners = [probe.expected.winner for probe in given]
    assert winners[:7] == winners[14:] != winners[7:14]


def test_trouble_on_the_harness_s_own_windows_is_no_vector_s(run: Callable[..., Ran]) -> None:
    evidence = run(at("run", N, CRASH), gate_probes.STEP).evidence
    assert [fault.vector for fault in evidence.faults] == [NO_VECTOR]
    assert evidence.section(GateProbes).probes[0].record is None
