"""A new kind of evidence is a step and a section: what runs, merges and keeps them knows neither."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from made_evidence import build_evidence
from native_session import imu_motion, native_board, native_image, with_vectors

from hil.contract.repeats import Repeats
from hil.contract.types import ReplayDifference, Section
from hil.session import Share, conclude, run_share, steps
from hil.session.state import SessionState
from hil.session.step import Scope, Step


@dataclass(frozen=True)
class Seen(Section):
    """Vectors of the shares that took the step."""

    vectors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Led(Section):
    shares: int = 0


@dataclass(frozen=True)
class Closed(Section):
    records: int = 0


def _seen(run: SessionState) -> Seen:
    return Seen(tuple(index for group in run.groups for index in group))


NEW = (
    Step(Seen, Scope.SHARE, _seen, lambda parts: Seen(tuple(each for part in parts for each in part.vectors))),
    Step(Led, Scope.LEAD, lambda _: Led(1)),
    Step(Closed, Scope.WHOLE, lambda run: Closed(len(run.records))),
    Step(Repeats, Scope.LEAD, lambda _: Repeats(99), applies=lambda _: False),
)


def test_a_section_nobody_collected_holds_its_defaults() -> None:
    evidence = replace(build_evidence(), sections={})
    assert evidence.section(Seen) == Seen()
    assert evidence.having(Seen((1,))).section(Seen) == Seen((1,))


def test_new_steps_are_taken_by_the_shares_of_their_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STEPS", NEW)
    case = with_vectors(imu_motion(), range(5))
    shares = [Share(0, 0, 2, lead=False), Share(1, 2, 5, lead=True)]
    with native_board(tmp_path) as board:
        parts = [run_share(case, share, board, native_image()) for share in reversed(shares)]
        evidence = conclude(case, parts, board, native_image()).evidence
    assert evidence.section(Seen) == Seen((0, 1, 2, 3, 4))
    assert evidence.section(Led) == Led(1)
    assert evidence.section(Closed) == Closed(5)
    assert evidence.section(Repeats) == Repeats()


def test_repeats_of_shares_add_up() -> None:
    first, second = (ReplayDifference(vector, "pass", 1, "output", "a", "b") for vector in (0, 3))
    merged = steps.merge([{Repeats: Repeats(0, 0, 2, (first,))}, {Repeats: Repeats(1, 9, 3, (second,))}])
    assert merged == {Repeats: Repeats(1, 9, 5, (first, second))}
