"""Dense layers."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import (
    ACTIVATIONS,
    Random,
    chance,
    generator,
    pick,
    scale_of,
    shape_of,
    values_of,
    windows_of,
    zero_of,
)

STEP = 2.0**-23
# Of input, weights and output: a ratio so near below one that its 31 bits round up, and one too small for 32 bits.
LIMITS = ((1 + STEP, 1 - STEP, 1.0), (1e-5, 1e-4, 1e3))


def at_a_limit(random: Random) -> Trial:
    """Scales with a ratio at an end of what a factor of 32 bits can tell."""
    input_scale, weight_scale, output_scale = LIMITS[int(random.integers(len(LIMITS)))]
    weights = values_of(random, [3, 4], "INT8")
    model = OneOperator("FULLY_CONNECTED", schema.FullyConnectedOptionsT()).input([1, 4], "INT8", input_scale)
    model.constant(weights, [weight_scale] * 3).output([1, 3], "INT8", output_scale)
    return Trial(model.build(), windows_of(random, ([1, 4], "INT8")))


@generator("FULLY_CONNECTED")
def fully_connected(random: Random) -> Trial:
    """int8 and int16; one scale and one for each output; with and without bias; kept dimensions."""
    dtype = pick(random, "INT8", "INT8", "INT16")
    rows, inputs, outputs = shape_of(random, (0, 1, 2), 3), int(random.integers(1, 24)), int(random.integers(1, 9))
    scales = [scale_of(random, 0.001, 0.1) for _ in range(outputs if chance(random, 0.7) else 1)]
    input_scale = scale_of(random) if dtype == "INT8" else scale_of(random, 1e-5, 1e-3)
    if chance(random, 0.1):
        return at_a_limit(random)
    sizes = float(np.median(scales)) * input_scale * np.sqrt(inputs) * 60 * (70 if dtype == "INT8" else 20000)
    output_scale = float(np.float32(sizes / (128 if dtype == "INT8" else 32768) * random.uniform(0.3, 3)))
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS))
    keep = len(rows) > 1
    options.keepNumDims = keep
    in_shape = [*rows, inputs] if rows else [1, inputs]
    out_shape = [*rows, outputs] if rows else [1, outputs]
    weights = values_of(random, [outputs, inputs], "INT8")
    model = OneOperator("FULLY_CONNECTED", options).input(in_shape, dtype, input_scale, zero_of(random, dtype))
    model.constant(weights, scales)
    if chance(random, 0.7):
        kind = np.int32 if dtype == "INT8" or chance(random, 0.3) else np.int64
        model.constant(random.integers(-20000, 20000, outputs).astype(kind), [each * input_scale for each in scales])
    elif chance(random):
        model.left_out()
    model.output(out_shape, dtype, output_scale, zero_of(random, dtype))
    return Trial(model.build(), windows_of(random, (in_shape, dtype)))
