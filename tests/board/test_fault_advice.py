"""What to look at next after a fault follows its status register, and its kind where that is 0."""

from __future__ import annotations

import pytest

from hil.board.fault import KINDS, advice


@pytest.mark.parametrize(
    ("cfsr", "says"),
    [
        (1 << 1 | 1 << 7, "look at the pointer"),
        (1 << 9 | 1 << 15, "look at the pointer"),
        (1 << 10, "before pc"),
        (1 << 8, "where no code is"),
        (1 << 16, "wrong function pointer"),
        (1 << 24, "four divides"),
        (1 << 25, "divisor is zero"),
        (1 << 12 | 1 << 9, "stack ran out"),  # what it brought with it is no cause
    ],
)
@pytest.mark.parametrize("kind", ["hard fault", "bus fault"])
def test_the_status_register_comes_first(cfsr: int, says: str, kind: str) -> None:
    """Also of a hard fault: behind `cpsid i` it is one of the others."""
    assert says in advice(kind, {"cfsr": cfsr})


def test_a_hard_fault_without_status_is_no_access() -> None:
    assert advice("hard fault", {"cfsr": 0}).startswith("CFSR is 0")


def test_every_kind_has_an_advice_without_status() -> None:
    told = {kind: advice(kind, {}) for kind in [*KINDS.values(), "hang", "reset"]}
    assert all(told.values())
    assert "deadline" in told["hang"]
    assert "software reset" in told["reset"]
