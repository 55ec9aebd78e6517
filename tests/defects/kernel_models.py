"""Models that a mistake in one kernel shows in, where no model of other people's does."""

from __future__ import annotations

import sys

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from firmware_workbench import PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "kernels"))
from one_operator import OneOperator


def long_sums() -> bytes:
    """A Dense layer with activations of 16 bits, int16 [1, 1024] to [1, 4], whose sums leave 32 bits."""
    weights = np.full((4, 1024), 127, np.int8)
    weights[1::2, ::3] = -127
    model = OneOperator("FULLY_CONNECTED", schema.FullyConnectedOptionsT()).input([1, 1024], "INT16", 0.001)
    return model.constant(weights, [0.01] * 4).output([1, 4], "INT16", 2.0).build()


def two_parts() -> bytes:
    """A tensor cut into two of one size: two outputs int8 [1, 4] of one input [1, 8]."""
    model = OneOperator("SPLIT_V", schema.SplitVOptionsT()).input([1, 8], "INT8", 0.5, 3)
    model.options.numSplits = 2
    model.constant(np.array([4, 4], np.int32)).constant(np.array([1], np.int32).reshape(()))
    return model.output([1, 4], "INT8", 0.5, 3).output([1, 4], "INT8", 0.5, 3).build()
