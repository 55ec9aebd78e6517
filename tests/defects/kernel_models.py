"""Models that a mistake in one kernel shows in, where no model of other people's does."""

from __future__ import annotations

import sys

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from firmware_workbench import PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "kernels"))
sys.path.insert(0, str(PROJECT / "tests" / "case"))
from one_operator import OneOperator
from tflite_builder import ModelBuilder


def long_sums() -> bytes:
    """A Dense layer with activations of 16 bits, int16 [1, 64] to [1, 4], whose sums do not fit into 32 bits."""
    weights = np.random.default_rng(2).integers(-127, 128, (4, 64)).astype(np.int8)
    model = OneOperator("FULLY_CONNECTED", schema.FullyConnectedOptionsT()).input([1, 64], "INT16", 0.001)
    bias = np.array([3, -3, 5, -5], np.int64) * 1_000_000_000
    model.constant(weights, [0.01] * 4).constant(bias, [0.001 * 0.01] * 4)
    return model.output([1, 4], "INT16", 2.0).build()


def unlike_parts() -> bytes:
    """A tensor int8 [1, 8] cut into two of one size: a Dense layer behind the first, to which the second is added."""
    m, tensor = ModelBuilder(), {"scale": 0.5, "zero_point": 3}
    x, y = m.tensor("x", (1, 8), **tensor), m.tensor("y", (1, 4), **tensor)
    first, second, dense = (m.tensor(name, (1, 4), **tensor) for name in ("first", "second", "dense"))
    sizes = m.tensor("sizes", (2,), "INT32", None, data=np.array([4, 4]))
    axis = m.tensor("axis", (), "INT32", None, data=np.array(1))
    weights = m.tensor("weights", (4, 4), scale=0.005, data=np.random.default_rng(4).integers(-127, 128, (4, 4)))
    split = schema.SplitVOptionsT()
    split.numSplits = 2
    m.operator("SPLIT_V", [x, sizes, axis], [first, second], options=split)
    m.operator("FULLY_CONNECTED", [first, weights, -1], [dense], options=schema.FullyConnectedOptionsT())
    m.operator("ADD", [dense, second], [y], options=schema.AddOptionsT())
    return m.build([x], [y])
