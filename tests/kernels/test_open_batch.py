"""What `hil model fix` makes of a model whose open batch the converter took for 1 runs right: on the oracle and on the
boards it gives what LiteRT gives for the model as it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from dilated_models import dilated_model, distributed_model
from kernel_bench import KernelBench, Trial, oracle

from hil.model.check import faults_of
from hil.model.cures import cured
from hil.model.graph import read_graph

COUNT = 24
FILE = Path("model.tflite")


def written_by_a_converter() -> list[tuple[bytes, list[list[np.ndarray]]]]:
    """Models of one and two axes, with dilations of 1 to 4 that are not all 1, every third pair with a padding around
    the image, and windows for each.
    """
    random = np.random.default_rng(5)
    made = []
    for index in range(COUNT):
        axes = 1 + index % 2
        blocks = [int(each) for each in random.integers(1, 5, axes)]
        blocks[0] += max(blocks) == 1
        window = [int(each) for each in random.integers(1, 4, axes)]
        inner = [reach + int(random.integers(0, 4)) for reach in window]
        image = [size * block for size, block in zip(inner, blocks, strict=True)]
        around = None
        if index % 6 < 2:
            around = [(int(each), int(random.integers(0, 4))) for each in random.integers(1, 4, axes)]
            image = [max(size - sum(pair), 1) for size, pair in zip(image, around, strict=True)]
            around = [
                (pair[0], pair[1] + (-(size + sum(pair))) % block)
                for size, pair, block in zip(image, around, blocks, strict=True)
            ]
        shape = (*image, int(random.integers(1, 5)))
        data = dilated_model(random, shape, blocks, window, int(random.integers(1, 6)), around)
        made.append((data, [[random.integers(-128, 128, (1, *shape)).astype(np.int8)] for _ in range(3)]))
    return made


def litert(data: bytes, windows: list[list[np.ndarray]]) -> bytes:
    """TFLite's reference kernels, which compute shapes anew."""
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (source,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for (window,) in windows:
        interpreter.set_tensor(source["index"], window)
        interpreter.invoke()
        found.append(interpreter.get_tensor(output["index"]).tobytes())
    return b"".join(found)


@pytest.mark.slow
def test_a_dilated_layer_with_an_open_batch_runs_once_it_is_fixed(bench: Callable[[str], KernelBench]) -> None:
    made = written_by_a_converter()
    expected = [litert(data, windows) for data, windows in made]
    trials = [Trial(cured(data, FILE)[0], windows) for data, windows in made]
    assert [faults_of(trial.model, FILE) for trial in trials] == [[]] * COUNT
    assert all(
        read_graph(trial.model, FILE) != read_graph(data, FILE) for trial, (data, _) in zip(trials, made, strict=True)
    )
    assert [oracle(trial) for trial in trials] == expected
    for board in ("native", "qemu"):
        answers = bench(board).run(trials, [len(each) for each in expected])
        assert [(answer.status, answer.outputs) for answer in answers] == [(0, each) for each in expected], board


@pytest.mark.slow
def test_so_do_steps_that_become_batches(bench: Callable[[str], KernelBench]) -> None:
    """LiteRT's Dense layer rounds otherwise, by one step at most; the boards are held to the oracle."""
    random, made = np.random.default_rng(6), []
    for steps, inputs, outputs in ((2, 5, 3), (7, 4, 2), (3, 8, 8)):
        windows = [[random.integers(-128, 128, (1, steps, inputs)).astype(np.int8)] for _ in range(3)]
        made.append((distributed_model(steps, inputs, outputs), windows))
    trials = [Trial(cured(data, FILE)[0], windows) for data, windows in made]
    expected = [oracle(trial) for trial in trials]
    for (data, windows), right in zip(made, expected, strict=True):
        apart = np.frombuffer(litert(data, windows), np.int8).astype(int) - np.frombuffer(right, np.int8)
        assert np.abs(apart).max() <= 1
    for board in ("native", "qemu"):
        answers = bench(board).run(trials, [len(each) for each in expected])
        assert [(answer.status, answer.outputs) for answer in answers] == [(0, each) for each in expected], board
