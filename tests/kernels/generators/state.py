"""Operators that keep a state."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import ACTIVATIONS, Random, chance, generator, pick, scale_of, values_of, zero_of


@generator("UNIDIRECTIONAL_SEQUENCE_LSTM")
def lstm(random: Random) -> Trial:
    """Several steps, through which the state goes on; windows that begin anew, or go on too."""
    dtype = pick(random, "INT8", "INT8", "INT16")
    batches, steps, inputs, units = (int(size) for size in random.integers(1, 6, 4))
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = 4  # tanh
    options.timeMajor, options.cellClip = chance(random), float(random.choice([0.0, 0.0, 1.5, 10.0]))
    shape = [steps, batches, inputs] if options.timeMajor else [batches, steps, inputs]
    scale, zero = (
        scale_of(random, 0.005, 0.05) if dtype == "INT8" else scale_of(random, 1e-5, 2e-4),
        zero_of(random, dtype),
    )
    hidden = (float(np.float32(1 / 128)), zero_of(random)) if dtype == "INT8" else (float(np.float32(1 / 32768)), 0)
    model = OneOperator("UNIDIRECTIONAL_SEQUENCE_LSTM", options).input(shape, dtype, scale, zero)
    scales = [scale_of(random, 0.002, 0.02) for _ in range(8)]
    for gate in range(8):
        model.constant(values_of(random, [units, inputs if gate < 4 else units], "INT8"), scales[gate])
    for _ in range(3):
        model.left_out()
    for gate in range(4):
        kind = np.int32 if dtype == "INT8" else np.int64
        model.constant(random.integers(-3000, 3000, units).astype(kind), scales[gate] * scale)
    model.left_out().left_out().state([batches, units], dtype, *hidden)
    model.state([batches, units], "INT16", float(2.0 ** int(random.integers(-13, -8))), 0)
    for _ in range(4):
        model.left_out()
    if chance(random):
        for _ in range(5):
            model.intermediate(dtype, 0.01, 0)
    out = [steps, batches, units] if options.timeMajor else [batches, steps, units]
    model.output(out, dtype, *hidden)
    return Trial(model.build(), [[values_of(random, shape, dtype)] for _ in range(3)], stream=chance(random))


@generator("SVDF")
def svdf(random: Random) -> Trial:
    """Streams of windows that fill the memory, and windows that begin anew."""
    kind = pick(random, "INT8", "INT8", "INT16", "INT16", "FLOAT32")
    batches, inputs, units, memory, rank = (int(size) for size in random.integers(1, 6, 5))
    filters, dtype = units * rank, "FLOAT32" if kind == "FLOAT32" else "INT8"
    options = schema.SVDFOptionsT()
    options.rank = rank
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS)) if dtype == "FLOAT32" else 1
    whole = dtype == "INT8"
    scale, features, times = (scale_of(random, 0.005, 0.5) if whole else None for _ in range(3))
    kept = (scale_of(random, 0.005, 0.5), zero_of(random, kind)) if whole else (None, 0)
    bias = kept[0] * times if kept[0] and times else None
    model = OneOperator("SVDF", options).input([batches, inputs], dtype, scale, zero_of(random, dtype))
    model.constant(values_of(random, [filters, inputs], dtype), features)
    model.constant(values_of(random, [filters, memory], kind), times)
    model.constant(values_of(random, [units], "INT32" if whole else dtype), bias)  # without one, TFLM crashes
    model.state([batches, filters * memory], kind, *kept)
    model.output([batches, units], dtype, scale_of(random, 0.05, 50.0) if whole else None, zero_of(random, dtype))
    windows = [[values_of(random, [batches, inputs], dtype)] for _ in range(6)]
    return Trial(model.build(), windows, stream=chance(random, 0.8))
