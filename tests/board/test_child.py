"""What is kept of the words of a program that ended."""

from __future__ import annotations

import sys

import pytest

from hil.child import Child, both_ends


def test_few_lines_are_all_kept() -> None:
    assert both_ends("\n one \ntwo\n") == "one \ntwo"


@pytest.mark.parametrize("lines", [32, 33, 500])
def test_of_many_lines_the_first_and_the_last_are_kept(lines: int) -> None:
    kept = both_ends("\n".join(f"line {number}" for number in range(lines))).splitlines()
    assert kept[:8] == [f"line {number}" for number in range(8)]
    assert kept[-24:] == [f"line {number}" for number in range(lines - 24, lines)]
    assert kept[8:-24] == ([] if lines == 32 else [f"... ({lines - 32} lines) ..."])


def test_the_reason_at_the_beginning_of_a_long_trace_is_told() -> None:
    script = "import sys; print('the reason'); [print('   at', step) for step in range(1000)]; sys.exit(3)"
    child = Child([sys.executable, "-c", script])
    while child.code is None:
        pass
    told = child.ended()
    child.kill()
    assert told is not None
    first, reason, *_, last = told.splitlines()
    assert first.endswith("ended with exit code 3; its first and last words:")
    assert (reason, last) == ("the reason", "   at 999")
