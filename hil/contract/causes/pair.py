"""Knows what a guess at a prepared tensor is given: the reference's, the device's, and what they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hil.contract.causes.source import Real, Source, join
from hil.tensor import INT8, Elements, ElementType, of_dtype, ranks

Tensor = NDArray[np.int64]
Mask = NDArray[np.bool_]
_ROUNDING = 0.51  # LSB: what the reference's own rounding, and that of float32, takes


@dataclass(frozen=True)
class Pair:
    """Tensors as [samples, channels]: the reference's, the device's, and the reference's of the vector before.

    source: what the tensor comes from; None where the stage is not affine. element: of the tensor, whose elements are
    here as ranks.
    """

    expected: Tensor
    observed: Tensor
    previous: Tensor | None
    zero_point: int
    source: Source | None = None
    element: ElementType = INT8

    @cached_property
    def exact(self) -> Real:
        """The reference's values before rounding and clamp; without a source the tensor itself."""
        if self.source is None:
            return self.expected.astype(np.float64)
        return self.source.values(self.zero_point)

    @cached_property
    def known(self) -> Mask:
        """Elements whose `exact` says what they would be with another factor or offset: not what a clamp cut."""
        inside: Mask = (self.expected > self.element.low) & (self.expected < self.element.high)
        return np.ones_like(inside) if self.source is not None else inside

    @cached_property
    def whole(self) -> Mask:
        """Elements that neither side's clamp may have cut."""
        inside: Mask = (self.observed > self.element.low) & (self.observed < self.element.high)
        return self.known & inside

    @property
    def slack(self) -> float:
        """How far a device that rounds in another way may lie from `exact`, in LSB."""
        return 1.0 if self.source is not None else 1.5

    @property
    def different(self) -> Mask:
        mask: Mask = self.expected != self.observed
        return mask

    @property
    def channels(self) -> NDArray[np.intp]:
        """Channels that differ at all."""
        return np.flatnonzero(self.different.any(axis=0))

    def on_channels(self) -> str:
        """Where the difference is, unless it is everywhere."""
        which = self.channels
        return "" if len(which) == self.expected.shape[1] else f" on channel {', '.join(map(str, which))}"

    def explained_by(self, values: Real, channels: NDArray[np.intp] | None = None) -> bool:
        """Whether the device's tensor is these values, [samples, channels], rounded in some way and clamped."""
        which = np.arange(self.expected.shape[1]) if channels is None else channels
        error = np.abs(np.clip(values, self.element.low, self.element.high) - self.observed[:, which])
        return bool((error[self.known[:, which]] <= self.slack).all())

    def swing(self, channels: NDArray[np.intp]) -> float:
        """Largest distance of the reference from its zero point on these channels: of a flat one nothing is told."""
        return float(np.abs(self.expected[:, channels] - self.zero_point).max(initial=0))


def pair_of(
    expected: Elements,
    observed: Elements,
    *,
    zero_point: int,
    channels: int,
    previous: Elements | None = None,
    source: Source | None = None,
) -> Pair:
    """From flat, sample-major tensors of equal length. previous: the reference's tensor of the vector that ran before,
    None for the first. source: left out where the reference's tensor is not what it makes.
    """

    element = of_dtype(expected.dtype)

    def shaped(flat: Elements) -> Tensor:
        return ranks(flat).reshape(-1, channels)

    right = shaped(expected)
    if source is not None and not _makes(source, zero_point, right, element):
        source = None
    return Pair(right, shaped(observed), None if previous is None else shaped(previous), zero_point, source, element)


def _makes(source: Source, zero_point: int, expected: Tensor, element: ElementType) -> bool:
    """Whether the reference's tensor is this source's: else its values say nothing of the tensor."""
    values = source.values(zero_point)
    return values.shape == expected.shape and bool(
        (np.abs(np.clip(values, element.low, element.high) - expected) <= _ROUNDING).all()
    )


def together(pairs: Sequence[Pair]) -> Pair:
    """Several windows, at least one, as one long one; nothing ran before it."""
    first = pairs[0]
    sources = [pair.source for pair in pairs if pair.source is not None]
    return Pair(
        np.concatenate([pair.expected for pair in pairs]),
        np.concatenate([pair.observed for pair in pairs]),
        None,
        first.zero_point,
        join(sources) if len(sources) == len(pairs) else None,
        first.element,
    )
