"""Models with an open batch whose batch grows inside, as TensorFlow's converter writes them: -1 taken as 1."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

sys.path.insert(0, str(Path(__file__).parent / "case"))

from tflite_builder import ModelBuilder

SCALE, ZERO = 0.05, -4


def dilated_model(
    random: np.random.Generator,
    image: Sequence[int],
    blocks: Sequence[int],
    window: Sequence[int],
    channels: int,
    around: Sequence[tuple[int, int]] | None = None,
) -> bytes:
    """A dilated convolution over `image` (its axes, then channels; with one axis a Conv1D, by way of EXPAND_DIMS and
    RESHAPE). blocks: the dilation of each axis; each axis of the image is a multiple of it. channels: of the output.
    around: what SPACE_TO_BATCH_ND adds before and behind each axis, as with padding="same", to a multiple of it.
    """
    m = ModelBuilder()
    axes = len(blocks)

    def between(name: str, shape: Sequence[int]) -> int:
        return m.tensor(name, (1, *shape), scale=SCALE, zero_point=ZERO, signature=[-1, *shape])

    added = np.zeros((axes, 2), np.int32) if around is None else np.array(around, np.int32)
    inner = [(size + int(more)) // block for size, more, block in zip(image, added.sum(axis=1), blocks, strict=False)]
    outer = [size - reach + 1 for size, reach in zip(inner, window, strict=True)]
    depth = image[-1]
    x = between("x", image)
    block = m.tensor("block", (axes,), "INT32", None, data=np.array(blocks))
    none = m.tensor("none", (axes, 2), "INT32", None, data=np.zeros((axes, 2)))
    paddings = none if around is None else m.tensor("paddings", (axes, 2), "INT32", None, data=added)
    split = between("SpaceToBatchND", (*inner, depth))
    m.operator("SPACE_TO_BATCH_ND", [x, block, paddings], [split], options=schema.SpaceToBatchNDOptionsT())
    if axes == 1:
        axis = m.tensor("axis", (), "INT32", None, data=np.array(-3))
        expanded = between("ExpandDims", (1, *inner, depth))
        m.operator("EXPAND_DIMS", [split, axis], [expanded], options=schema.ExpandDimsOptionsT())
        split, window, outer = expanded, [1, *window], [1, *outer]
    weights = random.integers(-127, 128, (channels, *window, depth))
    w = m.tensor("weights", weights.shape, scale=list(random.uniform(0.001, 0.01, channels)), data=weights)
    m.graph.tensors[w].quantization.zeroPoint = [0] * channels
    bias = m.tensor("bias", (channels,), "INT32", None, data=random.integers(-500, 500, channels))
    m.graph.tensors[bias].quantization = schema.QuantizationParametersT()
    m.graph.tensors[bias].quantization.scale = [SCALE * each for each in m.graph.tensors[w].quantization.scale]
    m.graph.tensors[bias].quantization.zeroPoint = [0] * channels
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
    options.dilationHFactor = options.dilationWFactor = 1
    found = between("convolution", (*outer, channels))
    m.operator("CONV_2D", [split, w, bias], [found], options=options)
    if axes == 1:
        outer = outer[1:]
        shape = m.tensor("shape", (3,), "INT32", None, data=np.array([-1, *outer, channels]))
        squeezed = between("Squeeze", (*outer, channels))
        m.operator("RESHAPE", [found, shape], [squeezed], options=schema.ReshapeOptionsT())
        found = squeezed
    y = between("BatchToSpaceND", (*(size * block for size, block in zip(outer, blocks, strict=True)), channels))
    m.operator("BATCH_TO_SPACE_ND", [found, block, none], [y], options=schema.BatchToSpaceNDOptionsT())
    return m.build([x], [y])


def distributed_model(steps: int, inputs: int, outputs: int) -> bytes:
    """A Dense layer on each step of a sequence (TimeDistributed): steps become batches by RESHAPE to [-1, inputs]."""
    m = ModelBuilder()
    x = m.tensor("x", (1, steps, inputs), signature=[-1, steps, inputs])
    to_batch = m.tensor("to batch", (2,), "INT32", None, data=np.array([-1, inputs]))
    rows = m.tensor("rows", (1, inputs), signature=[-1, inputs])
    weights = np.arange(outputs * inputs).reshape(outputs, inputs) % 11 - 5
    w = m.tensor("weights", weights.shape, scale=0.01, data=weights)
    found = m.tensor("dense", (1, outputs), signature=[-1, outputs])
    back = m.tensor("back", (3,), "INT32", None, data=np.array([-1, steps, outputs]))
    y = m.tensor("y", (1, steps, outputs), signature=[-1, steps, outputs])
    m.operator("RESHAPE", [x, to_batch], [rows], options=schema.ReshapeOptionsT())
    m.operator("FULLY_CONNECTED", [rows, w, -1], [found], options=schema.FullyConnectedOptionsT())
    m.operator("RESHAPE", [found, back], [y], options=schema.ReshapeOptionsT())
    return m.build([x], [y])
