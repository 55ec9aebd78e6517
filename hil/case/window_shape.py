"""What is wrong with the shape of an array of windows, in the words of its axes, and the numpy line that mends it."""

from __future__ import annotations

import math
from dataclasses import dataclass

Shape = tuple[int, ...]
_NAMES = {1: ("elements",), 2: ("samples", "channels"), 3: ("height", "width", "channels")}


@dataclass(frozen=True)
class ShapeFault:
    """problem continues "found int16 [12, 6, 40]"."""

    problem: str
    fix: str


def axes(wanted: Shape) -> str:
    """`(windows, samples, channels)` of windows that have the shape `wanted`."""
    names = _NAMES.get(len(wanted), tuple(f"axis {number}" for number in range(1, len(wanted) + 1)))
    return f"({', '.join(('windows', *names))})"


def shape_fault(found: Shape, wanted: Shape) -> ShapeFault | None:
    """found: of the whole array, its first axis counting windows; wanted: of one window. None when it is no shape that
    is known from elsewhere.
    """
    size = math.prod(wanted)
    rows = ", ".join(map(str, wanted))
    if found[1:] == (size,) or found == (size,):
        return ShapeFault("each window is flat", _unflatten(wanted))
    if len(wanted) > 1 and found[1:] == (wanted[-1], *wanted[:-1]):
        return ShapeFault("the channels come first", "put them last: windows = numpy.moveaxis(windows, 1, -1)")
    if len(wanted) > 1 and sorted(found[1:]) == sorted(wanted):
        return ShapeFault("the axes stand in another order", f"put them in the order {axes(wanted)}: numpy.transpose")
    if found == wanted:
        return ShapeFault("this is a single window", "add the axis of the windows: windows = windows[numpy.newaxis]")
    if found[:-1] == wanted:
        return ShapeFault("the windows lie along the last axis", "windows = numpy.moveaxis(windows, -1, 0)")
    if [axis for axis in found[1:] if axis != 1] == [axis for axis in wanted if axis != 1]:
        return ShapeFault("the axes of size 1 are others", f"windows = windows.reshape(-1, {rows})")
    return None


def _unflatten(wanted: Shape) -> str:
    rows = ", ".join(map(str, wanted))
    fix = f"give them their axes {axes(wanted)}: windows = windows.reshape(-1, {rows})"
    if len(wanted) == 2 and min(wanted) > 1:
        samples, channels = wanted
        fix += (
            "; that is right when all channels of a sample stand side by side, and when all samples of a channel do, it"
            f" is windows.reshape(-1, {channels}, {samples}).swapaxes(1, 2)"
        )
    return fix
