"""Which probe is taken, what is tried when it does not answer, and that nothing blocks for ever."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hil.bench import probe as under_test
from hil.bench.command import run_command
from hil.bench.probe import Connecting, Ladder, Stuck, find_probe, within
from hil.bench.target import Identity, TargetLost, Wiring, WrongTarget
from hil.errors import BoardBroken


@dataclass
class Found:
    """What pyOCD gives for a probe, as far as choosing one goes."""

    unique_id: str


class FakeBench:
    """A USB bus with these ids on it. Stands in for a bench with probes, which no test machine has."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)

    def probes(self) -> list[Any]:
        return [Found(name) for name in self.ids]

    def missing(self) -> str:
        return "  next: plug one in"


HOW = "HIL_PROBE=ID"


def test_the_only_probe_is_taken() -> None:
    assert find_probe(FakeBench("0669A"), (), HOW).unique_id == "0669A"


@pytest.mark.parametrize("wanted", ["0669A", "0669a", "9A"])
def test_one_of_several_is_taken_by_any_part_of_its_id(wanted: str) -> None:
    assert find_probe(FakeBench("0669A", "0669B"), (wanted,), HOW).unique_id == "0669A"


def test_the_one_of_a_map_that_is_plugged_in_is_taken() -> None:
    assert find_probe(FakeBench("0669B", "0669X"), ("0669A", "0669B"), HOW).unique_id == "0669B"


@pytest.mark.parametrize(
    ("ids", "wanted", "message"),
    [
        ((), (), r"connect: no debug probe is plugged in\n  next: plug one in"),
        (("A1", "B2"), (), r"connect: 2 debug probes are plugged in: A1, B2\n  next: say which one with HIL_PROBE=ID"),
        (("A1",), ("C",), r"no debug probe with id C; plugged in: A1\n  next: plug it in, or mend HIL_PROBE=ID"),
        ((), ("C",), r"no debug probe with id C; none is plugged in\n  next: plug one in"),
        (("A1", "A2"), ("a",), r"2 probes fit: A1, A2\n  next: name one of them with HIL_PROBE=ID"),
    ],
)
def test_any_other_number_is_refused_with_the_list(ids: tuple, wanted: tuple, message: str) -> None:
    with pytest.raises(BoardBroken, match=message):
        find_probe(FakeBench(*ids), wanted, HOW)


# ---- time


def test_the_answer_of_a_step_comes_back() -> None:
    assert within(5, "a step", lambda beat: 42) == 42


def test_a_step_that_blocks_is_given_up() -> None:
    let_go = threading.Event()
    try:
        with pytest.raises(Stuck, match=r"a step: did not go on for 0\.1 s"):
            within(0.1, "a step", lambda beat: let_go.wait())
    finally:
        let_go.set()


def test_a_step_that_goes_on_may_take_longer() -> None:
    def work(beat: Callable[[], None]) -> str:
        for _ in range(15):
            time.sleep(0.1)
            beat()
        return "done"

    assert within(1, "a step", work) == "done"


def test_a_step_that_is_given_up_ends_at_its_next_progress() -> None:
    ended = threading.Event()

    def work(beat: Callable[[], None]) -> None:
        time.sleep(0.3)
        try:
            beat()
        finally:
            ended.set()

    with pytest.raises(Stuck):
        within(0.05, "a step", work)
    assert ended.wait(10)


def test_what_a_step_raises_is_raised() -> None:
    def work(beat: Callable[[], None]) -> None:
        raise ZeroDivisionError("in the thread")

    with pytest.raises(ZeroDivisionError, match="in the thread"):
        within(5, "a step", work)


# ---- the ladder


class Attempts:
    """Stands in for connecting through pyOCD: the outcome of each attempt in turn."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes, self.under_reset = list(outcomes), []

    def __call__(self, probe: Found, wiring: Wiring, identity: Identity, under_reset: bool) -> object:
        self.under_reset.append(under_reset)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def ladder(power_cycle: str = "", connect_s: float = 5.0, bench: FakeBench | None = None) -> Ladder:
    how = Connecting(Wiring("chip", "halt", 1), Identity("", None, 0), connect_s, power_cycle)
    return Ladder(lambda: find_probe(bench or FakeBench("A"), (), HOW), how)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Attempts]:
    def program(*outcomes: object) -> Attempts:
        made = Attempts(*outcomes)
        monkeypatch.setattr(under_test, "open_target", made)
        return made

    return program


def test_a_board_that_answers_is_tried_once(attempts: Callable[..., Attempts]) -> None:
    made = attempts("target")
    assert ladder().climb() == "target"
    assert made.under_reset == [False]


def test_each_rung_is_tried_and_told(attempts: Callable[..., Attempts]) -> None:
    made = attempts(TargetLost("no ack"), TargetLost("wait"), TargetLost("fault"))
    with pytest.raises(BoardBroken) as caught:
        ladder().climb()
    assert made.under_reset == [False, False, True]
    for told in ("connect: no ack", "connect again: wait", "connect under reset: fault", "\n  next: ", "power_cycle"):
        assert told in str(caught.value)


def test_a_power_cycle_is_the_last_rung(attempts: Callable[..., Attempts], tmp_path: Path) -> None:
    made = attempts(TargetLost("a"), TargetLost("b"), TargetLost("c"), "target")
    climbing = ladder(f"touch {tmp_path / 'cycled'}")
    assert climbing.climb() == "target"
    assert (tmp_path / "cycled").exists()
    assert made.under_reset == [False, False, True, True]
    assert climbing.tried[-1] == f"power cycle (touch {tmp_path / 'cycled'}): done"


def test_a_power_cycle_may_bring_a_probe_back(attempts: Callable[..., Attempts], tmp_path: Path) -> None:
    attempts("target")
    bench = FakeBench()

    class Returning(FakeBench):
        def probes(self) -> list[Any]:
            return [Found("A")] if (tmp_path / "cycled").exists() else []

    assert ladder(f"touch {tmp_path / 'cycled'}", bench=Returning()).climb() == "target"
    with pytest.raises(BoardBroken, match="no debug probe is plugged in"):
        ladder(bench=bench).climb()


def test_a_power_cycle_that_fails_is_told(attempts: Callable[..., Attempts]) -> None:
    attempts(TargetLost("a"), TargetLost("b"), TargetLost("c"))
    with pytest.raises(BoardBroken, match=r"power cycle \(ls /nowhere\): ended with code 2: .*No such file"):
        ladder("ls /nowhere").climb()


def test_the_wrong_board_is_not_tried_again(attempts: Callable[..., Attempts]) -> None:
    made = attempts(WrongTarget("connect: wrong chip"))
    with pytest.raises(WrongTarget):
        ladder("true").climb()
    assert len(made.under_reset) == 1


def test_a_connection_that_blocks_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    tries: list[int] = []

    def hang(*_: object) -> None:
        tries.append(1)
        let_go.wait()

    monkeypatch.setattr(under_test, "open_target", hang)
    try:
        with pytest.raises(BoardBroken, match=r"tried:\n    connect: did not go on for 0\.2 s\n  next: "):
            ladder(connect_s=0.2).climb()
    finally:
        let_go.set()
    assert tries == [1]


def test_a_command_is_told_the_interpreter_unless_the_user_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON", raising=False)
    assert run_command("sh -c 'echo $PYTHON; exit 1'", 5.0) == f"ended with code 1: {sys.executable}"
    monkeypatch.setenv("PYTHON", "another")
    assert run_command("sh -c 'echo $PYTHON; exit 1'", 5.0) == "ended with code 1: another"


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        ("true", ""),
        ("false", "ended with code 1"),
        ("sh -c 'echo no hub >&2; exit 3'", "ended with code 3: no hub"),
        ("/nowhere/at/all", "cannot be started: "),
        ("unbalanced '", "cannot be started: "),
        ("sleep 60", "did not end within 0.2 s"),
    ],
)
def test_a_command_says_how_it_went(command: str, failure: str) -> None:
    found = run_command(command, 0.2)
    assert found == failure or (failure and found.startswith(failure))
