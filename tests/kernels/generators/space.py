"""Blocks, images and fills: where values lie in space."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import Random, chance, generator, int32, pick, quantised, shape_of, windows_of


def blocks(random: Random, operator: str, options: object) -> Trial:
    """The larger space and the smaller one with more batches, for either direction; with and without a width."""
    tensor = quantised(random, pick(random, "INT8", "FLOAT32"))
    axes = int(random.integers(1, 3))
    block = [int(size) for size in random.integers(1, 4, axes)]
    # TFLM pads with a value that it never wrote: such models have no oracle, and the check refuses them.
    most = 1 if operator == "SPACE_TO_BATCH_ND" else 3
    edge = [[int(size) for size in random.integers(0, most, 2)] for _ in range(axes)]
    batch, depth = int(random.integers(1, 3)), int(random.integers(1, 5))
    space = []
    for size, (before, behind) in zip(block, edge, strict=True):
        whole = int(random.integers(2, 8))
        while (whole + before + behind) % size:
            whole += 1
        space.append(whole)
    parts = [(whole + sum(pair)) // size for whole, pair, size in zip(space, edge, block, strict=True)]
    large, small = [batch, *space, depth], [batch * int(np.prod(block)), *parts, depth]
    first, second = (large, small) if operator == "SPACE_TO_BATCH_ND" else (small, large)
    model = OneOperator(operator, options).input(first, *tensor).constant(int32(block)).constant(int32(edge))
    model.output(second, *tensor)
    return Trial(model.build(), windows_of(random, (first, tensor[0])))


@generator("SPACE_TO_BATCH_ND")
def space_to_batch_nd(random: Random) -> Trial:
    return blocks(random, "SPACE_TO_BATCH_ND", schema.SpaceToBatchNDOptionsT())


@generator("BATCH_TO_SPACE_ND")
def batch_to_space_nd(random: Random) -> Trial:
    return blocks(random, "BATCH_TO_SPACE_ND", schema.BatchToSpaceNDOptionsT())


@generator("SPACE_TO_DEPTH")
def space_to_depth(random: Random) -> Trial:
    return depth(random, "SPACE_TO_DEPTH", schema.SpaceToDepthOptionsT(), deeper=True)


@generator("DEPTH_TO_SPACE")
def depth_to_space(random: Random) -> Trial:
    return depth(random, "DEPTH_TO_SPACE", schema.DepthToSpaceOptionsT(), deeper=False)


def depth(random: Random, operator: str, options: Any, *, deeper: bool) -> Trial:
    """One of the two, which do the opposite of each other."""
    tensor, block = quantised(random, pick(random, "INT8", "FLOAT32")), int(random.integers(1, 4))
    batch, height, width, channels = shape_of(random, 4, 3)
    options.blockSize = block
    large = [batch, height * block, width * block, channels]
    deep = [batch, height, width, channels * block * block]
    before, after = (large, deep) if deeper else (deep, large)
    model = OneOperator(operator, options).input(before, *tensor).output(after, *tensor)
    return Trial(model.build(), windows_of(random, (before, tensor[0])))


@generator("RESIZE_BILINEAR")
def resize_bilinear(random: Random) -> Trial:
    tensor = quantised(random, pick(random, "INT8", "INT8", "FLOAT32"))
    dims, size = shape_of(random, 4, 6), shape_of(random, 2, 12)
    options = schema.ResizeBilinearOptionsT()
    options.alignCorners = chance(random, 0.4)
    options.halfPixelCenters = not options.alignCorners and chance(random)
    model = OneOperator("RESIZE_BILINEAR", options).input(dims, *tensor).constant(int32(size))
    model.output([dims[0], *size, dims[3]], *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("MIRROR_PAD")
def mirror_pad(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "FLOAT32")), shape_of(random, (1, 2, 3, 4))
    options = schema.MirrorPadOptionsT()
    options.mode = int(random.integers(2))  # reflect, symmetric
    most = [size - (1 if options.mode == 0 else 0) for size in dims]
    edges = [[int(random.integers(0, size + 1)) for _ in range(2)] for size in most]
    kind = np.int32 if chance(random) else np.int64
    model = OneOperator("MIRROR_PAD", options).input(dims, *tensor).constant(np.array(edges, kind))
    model.output([size + sum(edge) for size, edge in zip(dims, edges, strict=True)], *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("FILL")
def fill(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "INT32", "FLOAT32")), shape_of(random, (1, 2, 3, 4))
    model = OneOperator("FILL", schema.FillOptionsT()).constant(int32(dims)).input([], *tensor).output(dims, *tensor)
    return Trial(model.build(), windows_of(random, ([], tensor[0])))


@generator("ZEROS_LIKE")
def zeros_like(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "INT32", "FLOAT32")), shape_of(random, (1, 2, 3, 4))
    model = OneOperator("ZEROS_LIKE", schema.ZerosLikeOptionsT()).input(dims, *tensor).output(dims, *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))
