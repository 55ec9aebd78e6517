"""Knows what a tensor looks like whose channels are taken for one another, with their sign or the other one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.contract.causes.pair import Pair

_SWING = 4  # LSB: a channel that moves less is like any other
_PLUS, _MINUS = 1, -1


def swapped(pair: Pair) -> str:
    """Each channel is that of some source, and at least one of another than its own."""
    own = np.arange(pair.expected.shape[1]) if pair.source is None else pair.source.source
    found = [_origin(pair, channel, int(own[channel])) for channel in range(pair.expected.shape[1])]
    origins = [origin for origin in found if origin is not None]
    moved = [channel for channel, origin in enumerate(origins) if origin[0] != own[channel]]
    once = len({origin[0] for origin in origins}) == len(origins) or len(set(own.tolist())) < len(own)
    moves = np.ptp(pair.observed[:, moved], axis=0) >= _SWING
    if len(origins) < len(found) or not (moves.any() if once else len(moved) and moves.all()):
        return ""
    changed = [channel for channel, origin in enumerate(origins) if origin != (own[channel], _PLUS)]
    names = [f"channel {c} holds {'minus ' if origins[c][1] == _MINUS else ''}channel {origins[c][0]}" for c in changed]
    return f"{'axis swap' if once else 'axis taken twice'}: {', '.join(names)}"


def _origin(pair: Pair, channel: int, own: int) -> tuple[int, int] | None:
    """Source channel and sign that this channel of the device holds; its own where that fits, None when none does."""
    count = pair.expected.shape[1] if pair.source is None else pair.source.raw.shape[1]
    sources = [own, *(source for source in range(count) if source != own)]
    for sign in (_PLUS, _MINUS):
        for source in sources:
            if pair.explained_by(_values(pair, channel, source, sign), np.array([channel])):
                return source, sign
    return None


def _values(pair: Pair, channel: int, source: int, sign: int) -> NDArray[np.float64]:
    """[samples, 1]: the channel, had it been taken from this source."""
    if pair.source is not None:
        return pair.source.channel(pair.zero_point, channel, source, sign)[:, np.newaxis]
    values: NDArray[np.float64] = pair.zero_point + sign * (pair.exact[:, [source]] - pair.zero_point)
    return values
