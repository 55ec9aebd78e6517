"""Knows a small case: its model has two inputs of other shapes and stages, and two outputs; the second decides."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent / "case"))
from tflite_builder import ModelBuilder

N = 12
REFUSED = 7  # the vector whose second window the gate refuses
TOML = """\
[case]
name = "several"
version = 1
source = "made by the tests"
[model]
int8 = "model.tflite"
[input]
prepare = "tensor/1"
[input.tensors.right]
prepare = "quantize/1"
window = 2
channels = 2
[input.tensors.right.gate]
minimum = -20.0
maximum = 20.0
[decision]
output = "scores"
labels = ["circle", "idle", "shake", "tap"]
threshold = 0.3
[contract.execution]
replays = 3
passes = 2
[budget.memory]
arena_bytes = 8192
"""


def several_model(level: str = "INT8", outputs: tuple[str, ...] = ("level", "scores")) -> bytes:
    """left int8 [1, 8] and right int8 [1, 4]: level = dense(right), scores = softmax(dense(left) + right).

    level: type of that output, INT8 or FLOAT32; outputs: in which order the model gives them.
    """
    m = ModelBuilder()
    left, right = m.tensor("left", (1, 8), "INT8", 0.5, 3), m.tensor("right", (1, 4), "INT8", 0.25, -5)
    hidden = _dense(m, "hidden", left, 8, 0.5, 37)
    added = m.tensor("added", (1, 4), "INT8", 0.5, 2)
    scores = m.tensor("scores", (1, 4), "INT8", 1 / 256, -128)
    m.operator("ADD", [hidden, right], [added], options=schema.AddOptionsT())
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    m.operator("SOFTMAX", [added], [scores], options=softmax)
    dense = _dense(m, "level" if level == "INT8" else "dense", right, 4, 0.25, 53)
    ends = {"scores": scores, "level": dense}
    if level == "FLOAT32":
        ends["level"] = m.tensor("level", (1, 4), "FLOAT32", None)
        m.operator("DEQUANTIZE", [dense], [ends["level"]])
    return m.build([left, right], [ends[name] for name in outputs])


_BIAS = np.array([3, -200, 90, 0])


def _weights(elements: int, factor: int) -> NDArray[np.int64]:
    return (np.arange(4 * elements).reshape(4, elements) * factor) % 101 - 50


def _dense(m: ModelBuilder, name: str, source: int, elements: int, scale: float, factor: int) -> int:
    w = m.tensor(f"{name}/weights", (4, elements), "INT8", 0.02, data=_weights(elements, factor))
    b = m.tensor(f"{name}/bias", (4,), "INT32", scale * 0.02, data=_BIAS)
    y = m.tensor(name, (1, 4), "INT8", 0.125, -7)
    m.operator("FULLY_CONNECTED", [source, w, b], [y], options=schema.FullyConnectedOptionsT())
    return y


def several_float_model() -> bytes:
    """What the model was quantised from: the same network in float32."""
    m = ModelBuilder()
    left, right = m.tensor("left", (1, 8), "FLOAT32", None), m.tensor("right", (1, 4), "FLOAT32", None)
    hidden = _float_dense(m, "hidden", left, 8, 0.5, 37)
    added, scores = m.tensor("added", (1, 4), "FLOAT32", None), m.tensor("scores", (1, 4), "FLOAT32", None)
    m.operator("ADD", [hidden, right], [added], options=schema.AddOptionsT())
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    m.operator("SOFTMAX", [added], [scores], options=softmax)
    level = _float_dense(m, "level", right, 4, 0.25, 53)
    return m.build([left, right], [level, scores])


def _float_dense(m: ModelBuilder, name: str, source: int, elements: int, scale: float, factor: int) -> int:
    weights, bias = _weights(elements, factor) * 0.02, _BIAS * scale * 0.02
    w = m.tensor(f"{name}/weights", (4, elements), "FLOAT32", None, data=weights)
    b = m.tensor(f"{name}/bias", (4,), "FLOAT32", None, data=bias)
    y = m.tensor(name, (1, 4), "FLOAT32", None)
    m.operator("FULLY_CONNECTED", [source, w, b], [y], options=schema.FullyConnectedOptionsT())
    return y


def several_windows() -> dict[str, NDArray[np.generic]]:
    """Windows of both inputs, of which one of the second lies beyond its gate."""
    random = np.random.default_rng(9)
    right = random.uniform(-19, 19, (N, 2, 2)).astype(np.float32)
    right[REFUSED, 1, 0] = 21.0
    return {"windows.left": random.integers(-128, 128, (N, 8)).astype(np.int8), "windows.right": right}


def write_several(folder: Path, model: bytes | None = None, toml: str = TOML, **arrays: NDArray[np.generic]) -> Path:
    """The case's folder: case.toml, model.tflite, vectors.npz; arrays: beside the windows. Returns case.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(several_model() if model is None else model)
    np.savez(folder / "vectors.npz", **{**several_windows(), **arrays})
    (folder / "case.toml").write_text(toml, encoding="utf-8")
    return folder / "case.toml"
