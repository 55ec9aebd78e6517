"""Cases whose two models answer from a table: one tensor at each end, and several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from answering_process import END, REAL_END, WORDS, Process, doubled, says, sized

from hil.case.types import Case, Channel, Contracts, Decide, Gate, InputPart, ModelFile, Prepare, Vectors, Window
from hil.reference import models
from hil.tensor import Quantisation, TensorContract

SIX = TensorContract("INT8", (1, 6), Quantisation(0.5, -3), 6, "left")
FOUR = TensorContract("INT8", (1, 4), Quantisation(0.25, 1), 4, "right")
TWO = TensorContract("INT8", (1, 2), Quantisation(0.5, -3), 2, "scores")
ONE = TensorContract("INT16", (1, 1), Quantisation(0.125, 0), 2, "level")
TWICE = Prepare("scale", 1, tuple(Channel(0, 0, 1 << 31) for _ in range(2)))
COPY = Prepare("tensor", 1)


def real_of(tensor: TensorContract) -> TensorContract:
    return TensorContract("FLOAT32", tensor.shape, Quantisation(0.0, 0), 4 * tensor.elements, tensor.name)


def model_of(name: str, data: bytes, *ends: tuple[TensorContract, ...], decided: int = 0) -> ModelFile:
    return ModelFile(Path(name), data, "", (), *ends, decided=decided)


def case_of(prepare: Prepare = TWICE, *, floating: bool = True) -> Case:
    """Five windows of three samples of one channel, each of which becomes two elements; the gate refuses the second."""
    windows = np.arange(15).reshape(5, 3, 1).astype(np.int16)
    windows[1] = 999
    return Case(
        path=Path("case.toml"),
        name="made",
        version=1,
        source="a test",
        rate_hz=None,
        model=model_of("m.tflite", b"int8", (SIX,), (TWO,)),
        float_model=model_of("f.tflite", b"float", (real_of(SIX),), (real_of(TWO),)) if floating else None,
        window=Window("int16", 3, 1),
        gate=Gate(-100.0, 100.0, 0.0),
        prepare=prepare,
        decide=Decide("none", 1),
        arena_bytes=None,
        contracts=Contracts(),
        vectors=Vectors(windows),
    )


def several(prepare: Prepare = TWICE, second: Prepare = COPY, *, floating: bool = True) -> Case:
    """`case_of` with a second input, whose gate refuses the third window, and with an output before the one that is
    decided on. The float model has both the other way round.
    """
    case = case_of(prepare, floating=floating)
    right = np.arange(20).reshape(5, 4).astype(np.int8)
    right[2] = 99
    float_model = model_of("f.tflite", b"float", (real_of(FOUR), real_of(SIX)), (real_of(TWO), real_of(ONE)))
    return replace(
        case,
        model=model_of("m.tflite", b"int8", (SIX, FOUR), (ONE, TWO), decided=1),
        float_model=float_model if floating else None,
        further=(InputPart(Window("int8", 4, 1), Gate(-50.0, 50.0, 0.0), second),),
        vectors=replace(case.vectors, further=(right,)),
    )


class Processes:
    """Those that the models of a case are opened in, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *processes: Process) -> None:
        self.left = list(processes)
        monkeypatch.setattr(models, "InterpreterProcess", lambda: self.left.pop(0))


def both(float_output: int = 2) -> tuple[Process, Process]:
    oracle = Process(open_tflm=says(inputs=[sized(END, 6)], outputs=[sized(END, 2)]), run_tflm=doubled)
    ends = {"inputs": [REAL_END], "outputs": [sized(REAL_END, float_output)], "tensors": []}
    return oracle, Process(open_litert=says(**ends), run_litert=doubled)


def both_of_several(
    float_inputs: tuple[int, int] = (4, 6), float_outputs: tuple[int, int] = (2, 1)
) -> tuple[Process, Process]:
    """Those of `several`: the level is three times the first element of the right tensor."""
    oracle = Process(
        open_tflm=says(inputs=[sized(END, 6), sized(END, 4)], outputs=[sized(WORDS, 1), sized(END, 2)]),
        run_tflm=lambda values: {"outputs": values["tensors_1"][:, :1] * 3, "outputs_1": values["tensors"][:, :2] * 2},
    )
    inputs, outputs = ([sized(REAL_END, size) for size in sizes] for sizes in (float_inputs, float_outputs))
    floating = Process(
        open_litert=says(inputs=inputs, outputs=outputs, tensors=[]),
        run_litert=lambda values: {
            "outputs": values["tensors_1"][:, :2] * 2,
            "outputs_1": values["tensors"][:, :1] * 3,
        },
    )
    return oracle, floating
