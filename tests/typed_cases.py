"""Knows small cases whose tensors are of every type that a product takes, each with operators that both the firmware's
TFLM and the oracle have.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent / "case"))
from tflite_builder import ModelBuilder

LABELS = ("circle", "idle", "shake", "tap")
PROBABILITY = (1 / 256, -128)  # of an int8
OF_UINT8 = (1 / 256, 0)
N = 12

Ends = tuple[str, float | None, int]  # type, scale, zero point


@dataclass(frozen=True)
class TypedCase:
    """model: its bytes; windows [n, 4] or [n, 4, 1]; decision: keys of [decision], "" for none; input: keys of [input],
    gate: the table [input.gate], execution: of [contract.execution], model_keys: of [model].
    """

    model: Callable[[], bytes]
    windows: Callable[[], NDArray[np.generic]]
    input: str = 'prepare = "tensor/1"\n'
    decision: str = "threshold = 0.6\nrelease = 0.45\ncooldown = 1\n"
    labels: tuple[str, ...] = LABELS
    execution: str = ""
    model_keys: str = ""
    gate: str = ""

    def write(self, folder: Path) -> Path:
        """The case's folder: case.toml, model.tflite, vectors.npz. Returns case.toml."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.tflite").write_bytes(self.model())
        windows = self.windows()
        stream = np.zeros(len(windows), np.int64)  # debounce and cooldown need one
        np.savez(folder / "vectors.npz", windows=windows, sequence=stream)
        labels = ", ".join(f'"{label}"' for label in self.labels)
        decision = f"[decision]\nlabels = [{labels}]\n{self.decision}" if self.decision else ""
        (folder / "case.toml").write_text(
            f'[case]\nname = "typed"\nversion = 1\nsource = "made by the tests"\n'
            f'[model]\nint8 = "model.tflite"\n{self.model_keys}[input]\n{self.input}{self.gate}{decision}'
            f"[contract.execution]\nreplays = 3\npasses = 2\n{self.execution}"
            f"[budget.memory]\narena_bytes = 8192\n",
            encoding="utf-8",
        )
        return folder / "case.toml"


def converted(start: Ends, *steps: tuple[str, Ends], shape: tuple[int, ...] = (1, 4)) -> Callable[[], bytes]:
    """A chain of QUANTIZE and DEQUANTIZE."""

    def build() -> bytes:
        m = ModelBuilder()
        at = first = m.tensor("x", shape, *start)
        for number, (operator, end) in enumerate(steps):
            to = m.tensor(f"t{number}", shape, *end)
            m.operator(operator, [at], [to])
            at = to
        return m.build([first], [at])

    return build


def reshaped(end: Ends) -> Callable[[], bytes]:
    """RESHAPE, which computes nothing."""

    def build() -> bytes:
        m = ModelBuilder()
        x = m.tensor("x", (1, 4), *end)
        to = m.tensor("shape", (2,), "INT32", None, data=np.array([1, 4]))
        y = m.tensor("y", (1, 4), *end)
        return m.operator("RESHAPE", [x, to], [y]).build([x], [y])

    return build


def around_a_dense(inner: Ends, before: Ends | None, after: Ends | None) -> Callable[[], bytes]:
    """QUANTIZE, FULLY_CONNECTED of int8, DEQUANTIZE, as converters write it; without an edge where it is None."""

    def build() -> bytes:
        m = ModelBuilder()
        q = m.tensor("q", (1, 4), *inner)
        x = q
        if before is not None:
            x = m.tensor("x", (1, 4), *before)
            m.operator("QUANTIZE", [x], [q])
        w = m.tensor("w", (4, 4), "INT8", 0.02, data=(np.arange(16).reshape(4, 4) * 37) % 101 - 50)
        b = m.tensor("b", (4,), "INT32", inner[1] * 0.02, data=np.array([3, -200, 900, 0]))
        y = m.tensor("y", (1, 4), "INT8", 1 / 128, -3)
        m.operator("FULLY_CONNECTED", [q, w, b], [y], options=schema.FullyConnectedOptionsT())
        if after is not None:
            z = m.tensor("z", (1, 4), *after)
            m.operator("DEQUANTIZE" if after[0] == "FLOAT32" else "QUANTIZE", [y], [z])
            y = z
        return m.build([x], [y])

    return build


def float_dense() -> bytes:
    """FULLY_CONNECTED in float32 throughout."""
    m = ModelBuilder()
    x = m.tensor("x", (1, 4), "FLOAT32", None)
    weights = ((np.arange(16).reshape(4, 4) * 37) % 101 - 50) / 64
    w = m.tensor("w", (4, 4), "FLOAT32", None, data=weights)
    b = m.tensor("b", (4,), "FLOAT32", None, data=np.array([0.1, -0.2, 0.3, 0.0]))
    y = m.tensor("y", (1, 4), "FLOAT32", None)
    return m.operator("FULLY_CONNECTED", [x, w, b], [y], options=schema.FullyConnectedOptionsT()).build([x], [y])


def winners() -> bytes:
    """ARG_MAX of an int8 [1, 3, 4]: int32 [1, 3], not quantised."""
    m = ModelBuilder()
    x = m.tensor("x", (1, 3, 4), "INT8", 0.5, 3)
    axis = m.tensor("axis", (1,), "INT32", None, data=np.array([2]))
    y = m.tensor("y", (1, 3), "INT32", None)
    return m.operator("ARG_MAX", [x, axis], [y]).build([x], [y])


def cast() -> bytes:
    """Integers that no scale gives a meaning, as the front end of micro_speech gives its features."""
    m = ModelBuilder()
    x, y = (m.tensor(name, (1, 4), dtype, None) for name, dtype in (("x", "INT16"), ("y", "INT8")))
    return m.operator("CAST", [x], [y], options=schema.CastOptionsT()).build([x], [y])


def logarithm() -> bytes:
    """LOG in float32: no number below zero."""
    m = ModelBuilder()
    x = m.tensor("x", (1, 4), "FLOAT32", None)
    y = m.tensor("y", (1, 4), "FLOAT32", None)
    return m.operator("LOG", [x], [y]).build([x], [y])


def integers(dtype: str, low: int, high: int, shape: tuple[int, ...] = (N, 4)) -> Callable[[], NDArray[np.generic]]:
    return lambda: np.random.default_rng(5).integers(low, high, shape).astype(dtype)


def reals(low: float, high: float, shape: tuple[int, ...] = (N, 4)) -> Callable[[], NDArray[np.generic]]:
    return lambda: np.random.default_rng(6).uniform(low, high, shape).astype(np.float32)


FLOAT: Ends = ("FLOAT32", None, 0)
INT8: Ends = ("INT8", *PROBABILITY)
UINT8: Ends = ("UINT8", *OF_UINT8)
NEAR_ONE = "[input.gate]\nminimum = -2.0\nmaximum = 2.0\n"
SCALED = 'prepare = "scale/1"\nwindow = 4\nchannels = 1\nfull_scale = 1.5\n'
QUANTISED = 'prepare = "quantize/1"\nwindow = 4\nchannels = 1\n'

CASES: dict[str, TypedCase] = {
    "uint8 to float32": TypedCase(converted(UINT8, ("DEQUANTIZE", FLOAT)), integers("uint8", 0, 256)),
    "uint8 to uint8": TypedCase(reshaped(UINT8), integers("uint8", 0, 256)),
    "uint8 of another zero point": TypedCase(reshaped(("UINT8", 1 / 100, 131)), integers("uint8", 0, 256)),
    "scale to uint8, uint8 output": TypedCase(
        reshaped(("UINT8", 1 / 100, 90)), integers("int16", -32768, 32768, (N, 4, 1)), SCALED
    ),
    "int16 to int8": TypedCase(
        converted(("INT16", 1 / 32768, 0), ("QUANTIZE", INT8)), integers("int16", -32768, 32768)
    ),
    "int16 to float32": TypedCase(
        converted(("INT16", 1 / 32768, 0), ("DEQUANTIZE", FLOAT)), integers("int16", -32768, 32768)
    ),
    "float32 to int8": TypedCase(converted(FLOAT, ("QUANTIZE", INT8)), reals(-0.2, 1.2)),
    "float32 edges": TypedCase(around_a_dense(("INT8", 1 / 100, 20), FLOAT, FLOAT), reals(-1.5, 1.5)),
    "float32 input": TypedCase(around_a_dense(("INT8", 1 / 100, 20), FLOAT, None), reals(-1.5, 1.5)),
    "float32 output": TypedCase(around_a_dense(("INT8", 1 / 100, 20), None, FLOAT), integers("int8", -128, 128)),
    "int32 output": TypedCase(
        winners,
        integers("int8", -128, 128, (N, 3, 4)),
        decision="threshold = 2\n",
        labels=LABELS[:3],
    ),
    "scale to uint8": TypedCase(
        converted(("UINT8", 1 / 100, 90), ("DEQUANTIZE", FLOAT)), integers("int16", -32768, 32768, (N, 4, 1)), SCALED
    ),
    "scale to int16": TypedCase(
        converted(("INT16", 1 / 20000, 100), ("DEQUANTIZE", FLOAT)), integers("int16", -32768, 32768, (N, 4, 1)), SCALED
    ),
    "quantize to uint8": TypedCase(
        converted(("UINT8", 1 / 100, 90), ("DEQUANTIZE", FLOAT)), reals(-3, 3, (N, 4, 1)), QUANTISED
    ),
    "quantize to int16": TypedCase(
        converted(("INT16", 1 / 20000, -9), ("DEQUANTIZE", FLOAT)), reals(-3, 3, (N, 4, 1)), QUANTISED
    ),
    "float32 throughout": TypedCase(
        float_dense, reals(-1.5, 1.5), execution="tolerance = 1e-5\n", model_keys="all_float = true\n", gate=NEAR_ONE
    ),
    "no decide stage": TypedCase(converted(UINT8, ("DEQUANTIZE", FLOAT)), integers("uint8", 0, 256), decision=""),
}
