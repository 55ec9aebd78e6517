"""Windows that share a part with a vector: who tells windows apart by that part is found, nobody else is accused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scripted_device import N, Scripted, after_first_pass, case_of, record_of

from hil.contract.history import Again
from hil.errors import DeviceFault
from hil.records import GateReason, Record, Status
from hil.reference.gate import judge
from hil.session import neighbours
from hil.session.stimuli import alike

Part = Callable[[np.ndarray], bytes]  # of a window's values, flat
PAYLOAD = case_of().vectors.payload
OWN, OTHER = PAYLOAD(0), PAYLOAD(4)
# By what is shared: what a firmware may look at to tell whether a window is another one.
SEEN: dict[str, Part] = {
    "its first half": lambda values: values[:16].tobytes(),
    "its last half": lambda values: values[-16:].tobytes(),
    "both its ends": lambda values: np.r_[values[:16], values[-16:]].tobytes(),
    "its first channel": lambda values: values[::6].tobytes(),
    "its values, in another order": lambda values: np.sort(values).tobytes(),
}


class Lazy(Scripted):
    """Answers as it did to the window before, where it sees no difference between the two."""

    sees: Part = staticmethod(lambda values: values.tobytes())
    before: tuple[bytes, Record] | None = None

    def run(self, window: bytes, **options: Any) -> Record:
        seen = self.sees(np.frombuffer(window, np.int16))
        record = super().run(window, **options)
        if self.before is not None and self.before[0] == seen:
            record = replace(record, output=self.before[1].output)
        self.before = seen, record
        return record


def own_answer(_: bytes) -> Record:
    return replace(record_of(1), output=b"\7\7\7\7")


def outputs(sees: Part) -> dict[str, bytes]:
    """Of the vector, by what the window before shares with it."""
    device = Lazy(other=own_answer)
    device.sees = sees
    runs = neighbours.STEP.collect(after_first_pass(device)).runs
    return {again.after.removeprefix("after a window that shares "): again.record.output for again in runs}


@pytest.mark.parametrize("shared", SEEN)
def test_who_looks_at_a_part_of_a_window_alone_gives_another_output(shared: str) -> None:
    wrong = {place for place, output in outputs(SEEN[shared]).items() if output != record_of(0).output}
    assert f"{shared} with it" in wrong


def test_who_looks_at_whole_windows_gives_the_same_output_behind_each_of_them() -> None:
    found = outputs(lambda values: values.tobytes())
    assert list(found) == [f"{shared} with it" for shared in SEEN]
    assert set(found.values()) == {record_of(0).output}


def test_each_window_comes_behind_one_that_shares_nothing() -> None:
    """Else it would be taken for the vector itself, and the vector rightly for that."""
    device = Scripted(other=own_answer)
    run = after_first_pass(device)
    neighbours.STEP.collect(run)
    assert device.story()[:6] == ["run 5", "run -1", "run 0"] * 2


@pytest.mark.parametrize(("afforded", "windows"), [(4, 2), (16, 2), (24, 3), (200, 5)])
def test_no_more_are_sent_than_a_case_affords(afforded: int, windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "effort", lambda *_: type("", (), {"inferences": afforded}))
    assert len(neighbours.STEP.collect(after_first_pass(Scripted(other=own_answer))).runs) == windows


def test_without_a_vector_of_another_output_none_is_sent() -> None:
    device = Scripted()
    run = after_first_pass(device)
    run.records.status[[index for index in range(N) if index != 0]] = Status.FAULT
    assert neighbours.STEP.collect(run).runs == ()
    run.records.status[:] = Status.FAULT
    assert neighbours.STEP.collect(run).runs == ()
    assert device.asked == []


def test_they_end_with_the_session_and_their_canaries_count() -> None:
    device = Scripted({0: replace(record_of(4), canaries=1), 1: replace(record_of(4), canaries=2), 3: DeviceFault("")})
    run = after_first_pass(device)
    found = neighbours.STEP.collect(run).runs
    assert found[0] == Again(0, "after a window that shares its first half with it", record_of(0))
    assert run.other_canaries == 3
    run.broken = True
    assert neighbours.STEP.collect(run).runs == ()


def test_they_share_what_their_name_says_and_the_gate_takes_them() -> None:
    own = np.frombuffer(OWN, np.int16)
    made = alike(case_of(), OWN, OTHER)
    assert list(made) == list(SEEN)
    for shared, window in made.items():
        values = np.frombuffer(window, np.int16)
        assert SEEN[shared](values) == SEEN[shared](own)
        assert window not in (OWN, OTHER)
        vectors = replace(case_of().vectors, windows=values.reshape(1, 40, 6), samples=None, reject=None)
        assert judge(vectors, case_of()).tolist() == [GateReason.VALID]


def test_what_shares_everything_is_left_out() -> None:
    assert list(alike(case_of(), OWN, OWN)) == ["its values, in another order"]
