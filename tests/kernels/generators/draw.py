"""Knows what all generators draw: shapes, scales, zero points, values and windows; and the table that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from kernel_bench import Trial
from numpy.typing import NDArray
from one_operator import DTYPES

Random = np.random.Generator
Generator = Callable[[Random], Trial]
GENERATORS: dict[str, Generator] = {}
ACTIVATIONS = (0, 1, 2, 3)  # none, relu, relu_n1_to_1, relu6
WINDOWS = 2  # of each model


def generator(operator: str) -> Callable[[Generator], Generator]:
    def enter(function: Generator) -> Generator:
        assert operator not in GENERATORS
        GENERATORS[operator] = function
        return function

    return enter


MOVED = ("INT8", "INT16", "INT32", "FLOAT32")


def shape_of(random: Random, rank: int | Sequence[int], most: int = 5) -> list[int]:
    """Sizes of 1 to `most`, of `rank` axes or of a number of them that is among these."""
    axes = rank if isinstance(rank, int) else int(random.choice(rank))
    return [int(size) for size in random.integers(1, most + 1, axes)]


def scale_of(random: Random, least: float = 0.002, most: float = 2.0) -> float:
    """Below and above one, evenly over the orders of magnitude."""
    return float(np.float32(np.exp(random.uniform(np.log(least), np.log(most)))))


def zero_of(random: Random, dtype: str = "INT8") -> int:
    """The ends of the type, zero, or any other value. 16-bit tensors have none but zero."""
    if dtype in ("INT16", "INT32", "FLOAT32"):
        return 0
    low, high = (0, 255) if dtype == "UINT8" else (-128, 127)
    return int(random.choice([low, high, 0 if low < 0 else 128, int(random.integers(low, high + 1))]))


def values_of(random: Random, shape: Sequence[int], dtype: str = "INT8", most: float = 8.0) -> NDArray[np.generic]:
    """The whole range of an integer type, its ends among them; floats of up to +-`most`."""
    kind = DTYPES[dtype]
    if dtype == "FLOAT32":
        return random.uniform(-most, most, shape).astype(np.float32)
    if dtype == "BOOL":
        return random.integers(0, 2, shape).astype(np.bool_)
    limits = np.iinfo(kind)
    low, high = (limits.min, limits.max) if limits.bits <= 16 else (-1000, 1000)
    values = random.integers(low, high + 1, shape)
    if limits.bits <= 16 and random.random() < 0.3:
        values = random.choice([low, high], shape)
    return np.asarray(values).astype(kind)


def windows_of(random: Random, *tensors: tuple[Sequence[int], str]) -> list[list[NDArray[np.generic]]]:
    return [[values_of(random, shape, dtype) for shape, dtype in tensors] for _ in range(WINDOWS)]


def pick(random: Random, *choices: str) -> str:
    return str(random.choice(choices))


def chance(random: Random, of: float = 0.5) -> bool:
    return bool(random.random() < of)


def int32(values: object) -> NDArray[np.generic]:
    return np.asarray(values, np.int32)


def quantised(random: Random, dtype: str) -> tuple[str, float | None, int]:
    """Type, scale and zero point of a tensor; no scale where the type has none."""
    return (
        (dtype, scale_of(random), zero_of(random, dtype)) if dtype in ("INT8", "UINT8", "INT16") else (dtype, None, 0)
    )
