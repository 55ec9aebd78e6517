"""Mistakes in operators of our own: one row each, with a model that has the operator and what the gate must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from firmware_workbench import PROJECT, Edit
from kernel_models import long_sums, unlike_parts
from state_cases import write_case

from hil.model.cures import cured
from hil.model.graph import read_graph

DATA = PROJECT.parent / "shared" / "data"
KERAS, PUBLIC = DATA / "keras_2_21", DATA / "public_models"
Model = Path | Callable[[], bytes] | None


@dataclass(frozen=True)
class KernelDefect:
    """model: that has the operator, None for that of state_cases; the first finding names the operator, "" where that
    cannot be known. stream: the model's state lasts from window to window. check: the first that fails; says: what its
    first finding says.
    """

    name: str
    mistake: str
    operator: str
    model: Model
    edits: tuple[Edit, ...]
    stream: bool = False
    check: str = "execution.output"
    says: str = ""


def kernel(file: str, old: str, new: str) -> tuple[Edit, ...]:
    return (Edit(f"tflm/kernels/{file}.cpp", old, new),)


OF_OPERATORS = (
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
    KernelDefect(
        "uint8_read_as_int8",
        "a tensor of uint8 is read as int8",
        "QUANTIZE",
        KERAS / "cnn_u8io.tflite",
        kernel("quantize", "return RescaleFrom<uint8_t>(node);", "return RescaleFrom<int8_t>(node);"),
    ),
    KernelDefect(
        "accumulator_of_32_bits",
        "sums of 16-bit activations are kept in 32 bits",
        "FULLY_CONNECTED",
        long_sums,
        kernel(
            "fully_connected",
            "        sum += (row[i] - input_zero) * (weights[i] - weight_zero);\n",
            "        sum = static_cast<int32_t>(sum + int64_t{row[i] - input_zero} * (weights[i] - weight_zero));\n",
        ),
    ),
    KernelDefect(
        "second_output_swapped",
        "the second output of an operator is written in place of the first, and the first in that of the second",
        "SPLIT_V",
        unlike_parts,
        kernel("split_v", "node.out<char>(part)", "node.out<char>(node.outputs() - 1 - part)"),
    ),
    KernelDefect(
        "rescale_forgotten",
        "an activation whose scale changes copies its values",
        "RELU",
        KERAS / "dilated_causal.tflite",
        kernel("relu", "Scaled(value - from_zero, state.factor) + to_zero", "value - from_zero + to_zero"),
    ),
    KernelDefect(
        "blocks_backwards",
        "the blocks of a dilated layer are written from the last to the first",
        "SPACE_TO_BATCH_ND",
        KERAS / "dilated_causal.tflite",
        kernel(
            "space_to_batch_nd",
            "out + static_cast<size_t>(small) * state.bytes;",
            "out + static_cast<size_t>(state.small_batches * state.small_height * state.small_width - 1 - small) * "
            "state.bytes;",
        ),
    ),
)


LSTM = PUBLIC / "tflm_mnist_lstm_int8.tflite"
OF_STATE_AND_SCRATCH = (
    KernelDefect(
        "fresh_leaves_the_state",
        "a new stream sets the decision state back, and not the model's",
        "SVDF",
        None,
        (Edit("pipeline/pipeline.cpp", "    EngineForget();\n", ""),),
        stream=True,
        says="state not reset where a stream begins",
    ),
    KernelDefect(
        "state_cleared_at_every_window",
        "the model's state is set back before every window",
        "SVDF",
        None,
        (Edit("pipeline/pipeline.cpp", "EngineKeepState(bundle->keeps_state)", "EngineKeepState(false)"),),
        stream=True,
        says="state cleared at every window",
    ),
    KernelDefect(
        "cell_cleared_at_every_call",
        "the cell state is cleared at every call, as one optimised kernel does, and the hidden one is kept",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        LSTM,
        kernel(
            "lstm",
            "  for (int batch = 0; batch < state.batches; ++batch) {\n    T* const own_hidden",
            "  std::fill_n(cell, state.batches * state.units, int16_t{0});\n"
            "  for (int batch = 0; batch < state.batches; ++batch) {\n    T* const own_hidden",
        ),
        stream=True,
        says="right where a stream begins",
    ),
    KernelDefect(
        "memory_shifted_between_filters",
        "the memory of a filter is not moved on by one window",
        "SVDF",
        None,
        kernel("svdf", "std::copy(memory + 1, ", "std::copy(memory + state.memory, "),
        stream=True,
    ),
    KernelDefect(
        "scratch_in_the_output",
        "the gates of a step lie in the memory of the output",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        LSTM,
        kernel(
            "lstm",
            "  auto* const cell = ",
            "  const_cast<State&>(state).gates = reinterpret_cast<int16_t*>(node.out<T>());\n  auto* const cell = ",
        ),
    ),
    KernelDefect(
        "scratch_unwritten",
        "a carry in scratch memory that nobody wrote; the pattern of the first start hides it",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        LSTM,
        (
            *kernel("lstm", "(kGates * static_cast<size_t>(state->units))", "(4 * state->units + 2)"),
            *kernel(
                "lstm",
                "    const auto whole = Saturated<int16_t>(sum);\n",
                "    const auto whole = Saturated<int16_t>(sum + (state.gates[4 * state.units] < 0 ? 2048 : 0));\n",
            ),
        ),
        check="execution.probes",
    ),
)
KERNEL_DEFECTS = (*OF_OPERATORS, *OF_STATE_AND_SCRATCH)


def case_of(model: Model, folder: Path, stream: bool = False) -> Path:
    """A case as a user would write it, with uniform random windows; returns its folder."""
    if model is None:
        return write_case(folder / "converted").parent
    case = folder / "converted"
    case.mkdir()
    data, _ = cured(model.read_bytes() if isinstance(model, Path) else model(), case)
    (case / "model.tflite").write_bytes(data)
    graph = read_graph(data, case)
    source = graph.tensors[graph.inputs[0]]
    ends = np.iinfo(source.dtype.lower())
    windows = np.random.default_rng(11).integers(ends.min, ends.max + 1, (16, *source.shape[1:])).astype(ends.dtype)
    streams = {"sequence": np.arange(16) // 8} if stream else {}
    np.savez(case / "vectors.npz", windows=windows, **streams)
    state = "state = true\n" if stream else ""
    (case / "case.toml").write_text(
        '[case]\nname = "converted"\nversion = 1\nsource = "a converter"\n[model]\nint8 = "model.tflite"\n'
        f'{state}[input]\nprepare = "tensor/1"\n[budget.memory]\narena_bytes = 60_000\n'
    )
    return case
