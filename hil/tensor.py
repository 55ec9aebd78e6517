"""What a tensor is, wherever it is spoken of: in a model, a case, a bundle, or by a device; and the types that its
elements have, in the one table that everything asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Elements = NDArray[Any]  # of one of the types below
_INFINITY = 0x7F800000  # bits, and so the rank
NAN = 0x7FC00000  # of a float32 that is no number


@dataclass(frozen=True)
class ElementType:
    """A type of the TFLite schema: its name and number there, numpy's, and its ends as ranks (docs/pipeline.md): of an
    integer its least and greatest value, of float32 what the infinities rank as.
    """

    name: str
    number: int
    dtype: np.dtype[Any]
    low: int
    high: int

    @property
    def real(self) -> bool:
        """Whether elements are real numbers, and not steps of a scale."""
        return self.dtype.kind == "f"

    @property
    def step(self) -> str:
        """What the distance between two neighbouring elements is called."""
        return "ULP" if self.real else "LSB"

    @property
    def words(self) -> str:
        """As in `int8's`."""
        return self.dtype.name

    def of_ranks(self, ranks: Any) -> Elements:
        """The elements with these ranks."""
        wide = np.asarray(ranks, np.int64)
        if not self.real:
            return wide.astype(self.dtype)
        bits = np.where(wide < 0, -(2**31) - wide, wide).astype(np.int32)
        return bits.view(np.float32)

    def saturated(self, elements: Elements) -> NDArray[np.bool_]:
        """Which lie at either end of the type; of float32 those that are not finite."""
        mask: NDArray[np.bool_]
        mask = ~np.isfinite(elements) if self.real else (elements == self.low) | (elements == self.high)
        return mask

    def read(self, data: bytes) -> Elements:
        """Elements from little-endian bytes. Raises ValueError when they are no whole number of them."""
        return np.frombuffer(data, self.dtype.newbyteorder("<")).astype(self.dtype)

    def write(self, elements: Elements) -> bytes:
        """Little-endian bytes of elements."""
        return np.asarray(elements).astype(self.dtype.newbyteorder("<"), copy=False).tobytes()


def _integer(number: int, dtype: type[np.integer[Any]]) -> ElementType:
    info = np.iinfo(dtype)
    return ElementType(np.dtype(dtype).name.upper(), number, np.dtype(dtype), int(info.min), int(info.max))


INT8 = _integer(9, np.int8)
UINT8 = _integer(3, np.uint8)
INT16 = _integer(7, np.int16)
INT32 = _integer(2, np.int32)
FLOAT32 = ElementType("FLOAT32", 0, np.dtype(np.float32), -_INFINITY, _INFINITY)

ELEMENT_TYPES: Mapping[str, ElementType] = {each.name: each for each in (INT8, UINT8, INT16, INT32, FLOAT32)}
INPUT_TYPES = (INT8, UINT8, INT16, FLOAT32)  # that the product takes, as the next three
OUTPUT_TYPES = (INT8, UINT8, INT16, INT32, FLOAT32)
WINDOW_TYPES = (INT8, UINT8, INT16, FLOAT32)
ROUNDED_TYPES = (INT8, UINT8, INT16)  # input tensors that a stage which rounds can make


def of_dtype(dtype: Any) -> ElementType:
    """The type of a numpy dtype or its name. Raises KeyError for one that no tensor here has."""
    return ELEMENT_TYPES[np.dtype(dtype).name.upper()]


def ranks(elements: Elements) -> NDArray[np.int64]:
    """The order of elements as integers: of an integer its value, of a float32 a number that grows with it by one from
    each float32 to the next, the same for both zeros. What is no number ranks beyond the infinities.
    """
    if elements.dtype.kind != "f":
        return elements.astype(np.int64)
    bits = elements.astype(np.float32, copy=False).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(2**31) - bits, bits)


def bits(elements: Elements) -> NDArray[Any]:
    """Elements as unsigned integers: what a digest sees, to which both zeros of a float32 are different."""
    return np.ascontiguousarray(elements).view(np.dtype(f"u{elements.dtype.itemsize}"))


def no_number(elements: Elements) -> NDArray[np.bool_]:
    """Which elements are NaN."""
    mask: NDArray[np.bool_] = np.isnan(elements) if elements.dtype.kind == "f" else np.zeros(elements.shape, np.bool_)
    return mask


def steps_between(one: Elements, other: Elements) -> NDArray[np.int64]:
    """How many steps of their type elements lie apart: LSB of integers, ULP of float32. None between what is no number
    on both sides; more than between any numbers where only one side is none.
    """
    apart = np.abs(ranks(one) - ranks(other))
    lost, found = no_number(one), no_number(other)
    return np.where(lost | found, np.where(lost & found, 0, STEPS_TO_NO_NUMBER), apart)


STEPS_TO_NO_NUMBER = 2**32


@dataclass(frozen=True)
class Quantisation:
    """Affine quantisation: real = (q - zero_point) * scale. `scale` is the float32 value the model stores; 0: none."""

    scale: float
    zero_point: int

    def real(self, elements: Elements) -> NDArray[np.float64]:
        """What elements stand for; without a scale they stand for themselves."""
        values: NDArray[np.float64] = elements.astype(np.float64)
        return (values - self.zero_point) * self.scale if self.scale else values

    def real32(self, elements: Elements) -> NDArray[np.float32]:
        """The same in float32, the product rounded once: what a float model is given."""
        if not self.scale:
            return elements.astype(np.float32, copy=False)
        return (elements.astype(np.int64) - self.zero_point).astype(np.float32) * np.float32(self.scale)


@dataclass(frozen=True)
class TensorContract:
    """Type name as in the TFLite schema (`"INT8"`), shape with the batch of 1, quantisation, size in bytes.

    name: as the model has it; a device does not tell it.
    """

    dtype: str
    shape: tuple[int, ...]
    quantisation: Quantisation
    bytes: int
    name: str = field(default="", compare=False)

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape)) if self.shape else 1

    @property
    def element(self) -> ElementType:
        """The type of its elements. Raises KeyError for one that no tensor of a product has."""
        return ELEMENT_TYPES[self.dtype]


def paired(wanted: Sequence[TensorContract], given: Sequence[TensorContract]) -> tuple[int, ...]:
    """Of each tensor of one side of a model the index of that of another one: by name where both have the same names,
    else by their order. Both have as many.
    """
    names = [each.name for each in given]
    if sorted(names) == sorted(each.name for each in wanted):
        return tuple(names.index(each.name) for each in wanted)
    return tuple(range(len(wanted)))
