"""What a firmware can be asked for: one table, function by function, of what it is for and what adds it.

Two functions of `hil_product` must exist, describe and run. `hello` says which of the others there are (docs/link.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.records import Can


@dataclass(frozen=True)
class Function:
    """what: it tells, behind "the firmware does not tell"; add: what a firmware without it lacks."""

    what: str
    add: str


FUNCTIONS: Mapping[Can, Function] = {
    Can.DECIDE: Function("what its decide stage makes of raw scores", "decide in hil_product"),
    Can.FETCH: Function("the elements of its prepared tensor", "fetch in hil_product"),
    Can.TENSOR: Function("the contracts of its further tensors", "tensor in hil_product"),
    Can.PROFILE: Function("the time of each operator", "profile and operator_time in hil_product"),
    Can.PLAIN: Function("what it does with a window when nobody looks: it has no plain way", "plain in hil_product"),
    Can.TEST: Function("whether its instruments detect anything: it has no self-tests", "test in hil_product"),
    Can.BUNDLE: Function("whether it reads bundles: its model is its own", "HIL_CAN_BUNDLE, when it reads bundles"),
    Can.MARKS: Function(
        "how much of arena and stack it used, nor whether anything was written beside the arena",
        "HIL_CAN_MARKS, with the marks in each record",
    ),
    Can.HEAP: Function("what its heap came to", "heap in hil_product"),
    Can.MODEL: Function("the bytes of the model that it runs", "model in hil_product"),
}


def untold(can: Can, needed: Can) -> str:
    """Why nothing can be said without the functions `needed`; "" when the firmware has them all."""
    missing = [FUNCTIONS[each] for each in Can if each & needed and not each & can]
    return "; ".join(f"the firmware does not tell {function.what}" for function in missing)


def to_add(can: Can, needed: Can) -> str:
    """What would bring a verdict, as an advice; "" when nothing is missing."""
    missing = [FUNCTIONS[each].add for each in Can if each & needed and not each & can]
    return f"add {', and '.join(missing)} (docs/agent.md)" if missing else ""
