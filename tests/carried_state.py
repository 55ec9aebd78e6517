"""Knows a small case whose model gives its state as two outputs and takes it as two inputs: the product carries it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from several_tensors import _dense
from state_cases import SEQUENCE, windows
from tflite_micro import runtime

sys.path.insert(0, str(Path(__file__).parent / "case"))
from tflite_builder import ModelBuilder

STATE = 'state = { h = "h_prev", c = "c_prev" }\n'
ZEROS = {"h": 5, "c": -9}  # what stands for real 0


def recurrent_model(*further: str) -> bytes:
    """h_prev int8 [1, 4], x int8 [1, 6], c_prev int8 [1, 4]: h = dense(x) + dense(h_prev), c = dense(h) + c_prev,
    scores = softmax(h + c). Its outputs are h [1, 1, 4], scores, c; further: `flat`, which is h as [1, 4].
    """
    m = ModelBuilder()
    ends = {"h": ((1, 4), 0.1, ZEROS["h"]), "c": ((1, 4), 0.2, ZEROS["c"])}
    h_prev, c_prev = (m.tensor(f"{name}_prev", shape, "INT8", *affine) for name, (shape, *affine) in ends.items())
    x = m.tensor("x", (1, 6), "INT8", 0.1, 3)
    h = m.tensor("h", (1, 1, 4), "INT8", 0.1 * (1 + 2e-7), ZEROS["h"])
    c, scores = m.tensor("c", *ends["c"][:1], "INT8", *ends["c"][1:]), m.tensor("scores", (1, 4), "INT8", 1 / 256, -128)
    flat, shape = m.tensor("flat", (1, 4), "INT8", 0.1, ZEROS["h"]), np.array([1, 1, 4])
    _add(m, _dense(m, "of x", x, 6, 0.1, 37), _dense(m, "of h", h_prev, 4, 0.1, 53), flat)
    m.operator(
        "RESHAPE", [flat, m.tensor("shape", (3,), "INT32", None, data=shape)], [h], options=schema.ReshapeOptionsT()
    )
    _add(m, _dense(m, "of flat", flat, 4, 0.1, 29), c_prev, c)
    both = m.tensor("both", (1, 4), "INT8", 0.2, 1)
    _add(m, flat, c, both)
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    m.operator("SOFTMAX", [both], [scores], options=softmax)
    return m.build([h_prev, x, c_prev], [h, scores, c, *(flat for _ in further)])


def float_recurrent_model() -> bytes:
    """h = h_prev - x[:4], c = h + c_prev, scores = h; its tensors lie in another order than the int8 model's."""
    m = ModelBuilder()
    x, c_prev, h_prev = (
        m.tensor(name, (1, n), "FLOAT32", None) for name, n in (("x", 6), ("c_prev", 4), ("h_prev", 4))
    )
    scores, c = m.tensor("scores", (1, 4), "FLOAT32", None), m.tensor("c", (1, 4), "FLOAT32", None)
    h, some = m.tensor("h", (1, 1, 4), "FLOAT32", None), m.tensor("some", (1, 4), "FLOAT32", None)
    values = (("begin", [0, 0]), ("size", [1, 4]), ("three", [1, 1, 4]))
    begin, size, three = (m.tensor(name, (len(v),), "INT32", None, data=np.array(v)) for name, v in values)
    m.operator("SLICE", [x, begin, size], [some])
    m.operator("SUB", [h_prev, some], [scores], options=schema.SubOptionsT())
    m.operator("RESHAPE", [scores, three], [h], options=schema.ReshapeOptionsT())
    m.operator("ADD", [scores, c_prev], [c], options=schema.AddOptionsT())
    return m.build([x, c_prev, h_prev], [c, h, scores])


def _add(m: ModelBuilder, one: int, other: int, result: int) -> None:
    m.operator("ADD", [one, other], [result], options=schema.AddOptionsT())


def write_carried(
    folder: Path, state: str = STATE, model: bytes | None = None, only: dict[str, np.ndarray] | None = None
) -> Path:
    """The case's folder; returns case.toml. state: line of [model]; only: the arrays of vectors.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(recurrent_model() if model is None else model)
    arrays = {"windows": windows(), "sequence": np.array(SEQUENCE)} if only is None else only
    np.savez(folder / "vectors.npz", **arrays)
    (folder / "case.toml").write_text(
        '[case]\nname = "carried"\nversion = 1\nsource = "made by the tests"\n'
        f'[model]\nint8 = "model.tflite"\n{state}'
        '[input]\nprepare = "tensor/1"\n'
        '[decision]\noutput = "scores"\nlabels = ["circle", "idle", "shake", "tap"]\nthreshold = 0.3\n'
        "[contract.execution]\nreplays = 3\n[budget.memory]\narena_bytes = 8192\n",
        encoding="utf-8",
    )
    return folder / "case.toml"


def answers(order: list[tuple[int, bool]]) -> dict[str, np.ndarray]:
    """What the wheel gives for windows in this order, [n, 4] of each output, the state carried by hand; True: a stream
    begins.
    """
    interpreter = runtime.Interpreter.from_bytes(recurrent_model(), arena_size=1 << 18)
    found: dict[str, list[np.ndarray]] = {"h": [], "scores": [], "c": []}
    state = {}
    for row, fresh in order:
        if fresh:
            state = {name: np.full((1, 4), zero, np.int8) for name, zero in ZEROS.items()}
        for index, tensor in enumerate((state["h"], windows()[row : row + 1], state["c"])):
            interpreter.set_input(tensor, index)
        interpreter.invoke()
        for index, column in enumerate(found.values()):
            column.append(interpreter.get_output(index).reshape(1, 4).copy())
        state = {name: found[name][-1] for name in ZEROS}
    return {name: np.concatenate(column) for name, column in found.items()}


def delays_model(pairs: int) -> bytes:
    """x int8 [1, 4] and as many states [1, 4] as inputs, `d0_prev`, `d1_prev`, ... and as outputs `d0`, `d1`, ...: each
    is the one before it (the first: x) plus a share of its own state. Beside these the output `y`, all of them and x.
    """
    m = ModelBuilder()
    x = m.tensor("x", (1, 4), "INT8", 0.1, 3)
    before, inputs, outputs = x, [x], []
    for place in range(pairs):
        affine = (0.1 + 0.01 * place, place - 5)
        state, after = (m.tensor(f"d{place}{end}", (1, 4), "INT8", *affine) for end in ("_prev", ""))
        _add(m, before, state, after)
        inputs.append(state)
        outputs.append(after)
        before = after
    y = m.tensor("y", (1, 4), "INT8", 0.4, 0)
    _add(m, before, x, y)
    return m.build(inputs, [*outputs, y])


def write_delays(folder: Path, pairs: int) -> Path:
    """A case of delays_model with all its state wired, in streams; returns case.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(delays_model(pairs))
    random = np.random.default_rng(4)
    arrays = {"windows": random.integers(-128, 128, (12, 4)).astype(np.int8), "sequence": np.arange(12) // 4}
    np.savez(folder / "vectors.npz", **arrays)
    state = ", ".join(f'd{place} = "d{place}_prev"' for place in range(pairs))
    (folder / "case.toml").write_text(
        '[case]\nname = "delays"\nversion = 1\nsource = "made by the tests"\n'
        f'[model]\nint8 = "model.tflite"\nstate = {{ {state} }}\n'
        '[input]\nprepare = "tensor/1"\n[contract.execution]\nreplays = 2\n[budget.memory]\narena_bytes = 16384\n',
        encoding="utf-8",
    )
    return folder / "case.toml"
