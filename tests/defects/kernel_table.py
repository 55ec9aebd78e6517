"""Mistakes in operators of our own: one row each, with a model that has the operator and what the gate must say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from firmware_workbench import PROJECT, Edit

from hil.model.graph import read_graph

DATA = PROJECT.parent / "shared" / "data"
KERAS, PUBLIC = DATA / "keras_2_21", DATA / "public_models"


@dataclass(frozen=True)
class KernelDefect:
    """model: that has the operator; the first finding names the operator."""

    name: str
    mistake: str
    operator: str
    model: Path
    edits: tuple[Edit, ...]


def kernel(file: str, old: str, new: str) -> tuple[Edit, ...]:
    return (Edit(f"tflm/kernels/{file}.cpp", old, new),)


KERNEL_DEFECTS = (
    KernelDefect(
        "mean_rounded_down",
        "a mean is rounded down in place of to the nearest",
        "MEAN",
        KERAS / "gap.tflite",
        kernel("reduce", "Scaled(sum - offset, state.factor)", "Scaled(sum - offset - state.count / 2, state.factor)"),
    ),
    KernelDefect(
        "first_channel_for_all",
        "the scale of the first output channel is taken for all",
        "FULLY_CONNECTED",
        KERAS / "mlp_default.tflite",
        kernel("fully_connected", "state.factors[state.each ? output : 0]", "state.factors[0]"),
    ),
    KernelDefect(
        "cell_cleared",
        "the cell state is cleared at every step",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        PUBLIC / "tflm_mnist_lstm_int8.tflite",
        kernel(
            "lstm",
            "      Update(node, cell + batch * state.units, own_hidden);\n",
            "      std::fill_n(cell + batch * state.units, state.units, int16_t{0});\n"
            "      Update(node, cell + batch * state.units, own_hidden);\n",
        ),
    ),
    KernelDefect(
        "hard_swish_wraps",
        "the gate of hard swish wraps around in place of saturating",
        "HARD_SWISH",
        KERAS / "hardswish.tflite",
        kernel(
            "hard_swish",
            "    value = SaturatingShiftLeft(value, 1);\n",
            "    value = static_cast<int16_t>(value * 2);\n",
        ),
    ),
    KernelDefect(
        "slope_forgotten",
        "what is below zero keeps its slope",
        "LEAKY_RELU",
        KERAS / "leaky.tflite",
        kernel("leaky_relu", "real >= 0 ? state.positive : state.negative", "state.positive"),
    ),
)


def case_of(model: Path, folder: Path) -> Path:
    """A case as a user would write it, with uniform random windows; returns its folder."""
    graph = read_graph(model.read_bytes(), model)
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    case = folder / "converted"
    case.mkdir()
    (case / "model.tflite").write_bytes(model.read_bytes())
    windows = np.random.default_rng(11).integers(-128, 128, (16, *shape)).astype(np.int8)
    np.savez(case / "vectors.npz", windows=windows)
    (case / "case.toml").write_text(
        '[case]\nname = "converted"\nversion = 1\nsource = "a converter"\n[model]\nint8 = "model.tflite"\n'
        '[input]\nprepare = "tensor/1"\n[budget.memory]\narena_bytes = 60_000\n'
    )
    return case
