"""Knows a small case whose model keeps state: an SVDF with a memory of four windows, and streams of windows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_micro import runtime

sys.path.insert(0, str(Path(__file__).parent / "kernels"))
from one_operator import OneOperator

SEQUENCE = [*[0] * 7, -1, *[1, 2] * 6, -1, *[0] * 3]  # three streams, two of them interleaved, and lone windows


def streaming_model(seed: int = 1) -> bytes:
    """int8 [1, 6] to int8 [1, 4]."""
    random = np.random.default_rng(seed)
    options = schema.SVDFOptionsT()
    options.rank, options.fusedActivationFunction = 2, 1
    model = OneOperator("SVDF", options).input([1, 6], "INT8", 0.1, 3)
    model.constant(random.integers(-127, 128, (8, 6)).astype(np.int8), 0.01)
    model.constant(random.integers(-3000, 3000, (8, 4)).astype(np.int16), 0.0001)
    model.constant(random.integers(-500, 500, 4).astype(np.int32), 0.0001 * 0.002)
    return model.state([1, 32], "INT16", 0.002, 0).output([1, 4], "INT8", 0.05, -20).build()


def windows() -> np.ndarray:
    return np.random.default_rng(3).integers(-128, 128, (len(SEQUENCE), 6)).astype(np.int8)


def write_case(folder: Path, state: str = "state = true\n", sequence: list[int] | None = SEQUENCE) -> Path:
    """The case's folder; returns case.toml. state: line of [model]."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(streaming_model())
    streams = {} if sequence is None else {"sequence": np.array(sequence)}
    np.savez(folder / "vectors.npz", windows=windows(), **streams)
    (folder / "case.toml").write_text(
        '[case]\nname = "streaming"\nversion = 1\nsource = "made by the tests"\n'
        f'[model]\nint8 = "model.tflite"\n{state}'
        '[input]\nprepare = "tensor/1"\n[contract.execution]\nreplays = 3\n[budget.memory]\narena_bytes = 8192\n',
        encoding="utf-8",
    )
    return folder / "case.toml"


def answers(order: list[tuple[int, bool]]) -> np.ndarray:
    """What the wheel gives for windows in this order, [n, 4]; True: its interpreter is a new one."""
    model, found = streaming_model(), []
    for row, fresh in order:
        if fresh:
            interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 18)
        interpreter.set_input(windows()[row : row + 1], 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0).ravel().copy())
    return np.array(found)


def streams() -> list[list[int]]:
    """Rows that follow one another, in the order in which a board runs them."""
    order: dict[int, list[int]] = {}
    for row, number in enumerate(SEQUENCE):
        order.setdefault(number if number >= 0 else -1 - row, []).append(row)
    return list(order.values())


def right() -> np.ndarray:
    """The outputs of all windows [n, 4], in file order, the state kept through each stream."""
    outputs = np.zeros((len(SEQUENCE), 4), np.int8)
    for stream in streams():
        outputs[stream] = answers([(row, place == 0) for place, row in enumerate(stream)])
    return outputs
