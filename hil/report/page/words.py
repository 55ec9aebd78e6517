"""Knows how the reports word numbers, limits and long texts."""

from __future__ import annotations

import math
import re

from hil.runfile import Board, Change, Check, Limit, TensorCheck

MOST_CHARACTERS = 600
SHARES = (
    *("input.saturation", "decision.accuracy", "agreement.top1", "agreement.topk"),
    *("sanity.identical_windows", "sanity.saturated_input", "sanity.chance_accuracy"),
)
_SHARE_SUFFIX = "_headroom"
_SCORES = ("agreement.max_abs_error",)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def number(value: float) -> str:
    """Whole numbers in full with thousands separators, others with six significant digits."""
    if math.isfinite(value) and value == int(value):
        return f"{int(value):,}"
    return f"{value:,.6g}"


def percent(value: float) -> str:
    """A share as per cent, with the digits that tell it from 0 and from 100."""
    digits = 6 if 0.9995 < value < 1.0005 else 3 if abs(value) < 0.001 else 4
    return f"{100 * value:,.{digits}g} %"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 vector`, `2 vectors`; many: the whole phrase where an s does not do."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def clip(text: str, most: int = MOST_CHARACTERS) -> str:
    """At most so many characters, none of them a control character."""
    clean = _CONTROL.sub("�", text)
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."


def quantity(value: float, unit: str) -> str:
    return f"{number(value)} {unit}".rstrip()


def is_share(check: Check) -> bool:
    return check.unit == "" and (check.id in SHARES or check.id.endswith(_SHARE_SUFFIX))


def observed(check: Check, tensor: TensorCheck | None = None) -> str:
    """The value of a check with its unit, or that of one of its tensors; "" for one that has none."""
    told = tensor or check
    if told.value is None:
        return ""
    if is_share(check):
        return percent(told.value)
    return quantity(told.value, "score" if check.id in _SCORES else told.unit)


def limit_text(check: Check, tensor: TensorCheck | None = None) -> str:
    """What the value is held against; "" without a limit."""
    limit = (tensor or check).limit
    if limit is None:
        return ""
    bounds = (("≥", limit.minimum), ("≤", limit.maximum))
    say = percent if is_share(check) else number
    text = " and ".join(f"{sign} {say(value)}" for sign, value in bounds if value is not None)
    return f"{text} {'score' if check.id in _SCORES else limit.unit}".rstrip()


def used_share(value: float | None, limit: Limit | None) -> float | None:
    """How much of a maximum is used, None where that means nothing."""
    if value is None or limit is None or limit.maximum is None or limit.minimum is not None or limit.maximum <= 0:
        return None
    return value / limit.maximum


def used_text(used: float) -> str:
    """`93.2 % used`; what is over says by how much, and from twice the limit on how many times."""
    if used <= 1:
        return f"{percent(used)} used"
    return f"over by {number(round(used, 1))} times" if used >= 2 else f"over by {percent(used - 1)}"


def change_text(change: Change) -> str:
    """`+1.2 %`, or nothing where no percentage is known."""
    return "" if change.change_percent is None else f"{change.change_percent:+,.3g} %"


def clock_text(board: Board) -> str:
    """The kind of clock, so that nobody takes counted instructions for measured time."""
    clock = board.clock
    if clock is None:
        return "no clock is known"
    if clock.kind == "instructions":
        return "emulated: instructions executed, no time"
    if clock.kind == "cycles":
        return f"measured: cycles{f' at {clock.hz:,} Hz' if clock.hz else ''}"
    return f"{clock.kind} in {clock.unit}, for information only"
