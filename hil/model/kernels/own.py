"""The operators of our own in `firmware/tflm/kernels`: one row each, and what the firmware can do with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.tflm_2020 import TFLM_2020


@dataclass(frozen=True)
class OwnKernel:
    """types: of its first input, with those of the output as in `INT8>INT16,FLOAT32` where they differ.
    least: how many inputs it needs; optional: places of inputs that may be left out. moves: it copies int8 values
    without rescaling. rescales: it does rescale, where the kernel of 2020 does not. per_channel, shapes: it takes one
    weight scale for each output, and more than two output dimensions. ends: it drops axes right. follows: which TFLM,
    where they differ.
    """

    operator: str
    types: str
    least: int = 1
    optional: tuple[int, ...] = ()
    moves: bool = False
    rescales: bool = False
    per_channel: bool = False
    shapes: bool = False
    ends: bool = False
    follows: str = ""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Types of input and output."""
        ends = [each.partition(">") for each in self.types.split()]
        return tuple((kind, given) for kind, _, gives in ends for given in (gives or kind).split(","))


_NUMBERS = "INT8,INT16,INT32,FLOAT32"
_MOVED = "INT8 INT16 INT32 FLOAT32 BOOL"
_LEFT_OUT_OF_LSTM = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, layer normalisation
_MEMORY = frozenset({"INT8", "INT16"})
_FURTHER = {("SVDF", "INT8"): {2: _MEMORY, 4: _MEMORY}}  # weights of time, state
OWN_KERNELS = (
    OwnKernel("ADD", "INT16 INT32", least=2, follows="TFLM: INT32 without the fused activation"),
    OwnKernel("AVERAGE_POOL_2D", "INT16", moves=True),
    OwnKernel("BATCH_MATMUL", "INT8 INT16 FLOAT32", least=2),
    OwnKernel("BATCH_TO_SPACE_ND", "INT8 FLOAT32", least=3, moves=True),
    OwnKernel("CAST", "INT8>{n} INT16>{n} INT32>{n} FLOAT32>{n} BOOL>{n}".replace("{n}", _NUMBERS)),
    OwnKernel("CONV_2D", "INT16", least=2, optional=(2,)),
    OwnKernel("DEPTHWISE_CONV_2D", "INT16", least=2, optional=(2,)),
    OwnKernel("DEPTH_TO_SPACE", "INT8 FLOAT32", moves=True),
    OwnKernel("DIV", "INT8 INT32 FLOAT32", least=2),
    OwnKernel("ELU", "INT8 FLOAT32"),
    OwnKernel("EXP", "FLOAT32"),
    OwnKernel("EXPAND_DIMS", _MOVED, least=2, moves=True),
    OwnKernel("FILL", "INT32>INT8,INT16,INT32,FLOAT32,BOOL INT64>INT8,INT16,INT32,FLOAT32,BOOL", least=2),
    OwnKernel("FULLY_CONNECTED", "INT8 INT16", least=2, optional=(2,), per_channel=True, shapes=True),
    OwnKernel("GATHER", _MOVED, least=2, moves=True),
    OwnKernel("HARD_SWISH", "INT8 FLOAT32"),
    OwnKernel("LEAKY_RELU", "INT8 INT16 FLOAT32", follows="2026: the scales' ratio in double precision"),
    OwnKernel("LOGISTIC", "INT16", follows="2021 and later: scales that are no powers of two"),
    OwnKernel("LOG_SOFTMAX", "INT8 FLOAT32"),
    OwnKernel("MAX_POOL_2D", "INT16", moves=True),
    OwnKernel("MEAN", "INT8 INT16 FLOAT32", least=2, follows="2022 and later: rounded once"),
    OwnKernel("MIRROR_PAD", _MOVED, least=2, moves=True),
    OwnKernel("MUL", "INT16 INT32", least=2),
    OwnKernel(
        "QUANTIZE", "INT8>INT8,UINT8,INT16,INT32 UINT8>INT8 INT16>INT8,INT16,INT32 INT32>INT8,INT16 FLOAT32>INT16"
    ),
    OwnKernel("REDUCE_MAX", "INT8 FLOAT32", least=2, moves=True),
    OwnKernel("REDUCE_MIN", "INT8 FLOAT32", least=2, moves=True),
    OwnKernel("RELU", "INT8 INT16", rescales=True, follows="2026: the scales' ratio in double precision"),
    OwnKernel("RELU6", "INT16", moves=True),
    OwnKernel("RESHAPE", _MOVED, moves=True),
    OwnKernel("RESIZE_BILINEAR", "INT8 FLOAT32", least=2, moves=True),
    OwnKernel("SHAPE", "INT8>INT32 INT16>INT32 INT32 FLOAT32>INT32 BOOL>INT32"),
    OwnKernel("SLICE", _MOVED, least=3, moves=True),
    OwnKernel("SOFTMAX", "INT16"),
    OwnKernel("SPACE_TO_BATCH_ND", "INT8 FLOAT32", least=3, moves=True, follows="TFLite: pads with the zero point"),
    OwnKernel("SPACE_TO_DEPTH", "INT8 FLOAT32", moves=True),
    OwnKernel("SPLIT_V", _MOVED, least=3, moves=True),
    OwnKernel("SQUARED_DIFFERENCE", "INT8 INT16 INT32 FLOAT32", least=2),
    OwnKernel("SQUEEZE", _MOVED, moves=True),
    OwnKernel("STRIDED_SLICE", _MOVED, least=4, moves=True, ends=True),
    OwnKernel("SUB", "INT16 INT32", least=2),
    OwnKernel("SUM", "INT8 INT16 FLOAT32", least=2, follows="2022 and later: rounded once"),
    OwnKernel(
        "SVDF", "INT8 FLOAT32", least=5, follows="up to October 2026: the state's zero point is added behind its clamp"
    ),
    OwnKernel("TANH", "INT16", follows="2021 and later: scales that are no powers of two"),
    OwnKernel("TRANSPOSE", _MOVED, least=2, moves=True),
    OwnKernel("TRANSPOSE_CONV", "INT32>INT8,INT16,FLOAT32", least=3, optional=(3,)),
    OwnKernel("UNIDIRECTIONAL_SEQUENCE_LSTM", "INT8 INT16", least=20, optional=_LEFT_OUT_OF_LSTM),
    OwnKernel("ZEROS_LIKE", _MOVED),
)


def _with(library: KernelLibrary, kernels: tuple[OwnKernel, ...]) -> KernelLibrary:
    """What an image can do that has these beside those of the library."""
    types = {name: set(kinds) for name, kinds in library.types.items()}
    outputs = {pair: set(kinds) for pair, kinds in library.output_types.items()}
    for kernel in kernels:
        for kind, gives in kernel.pairs:
            known = kind in types.setdefault(kernel.operator, set())
            types[kernel.operator].add(kind)
            outputs.setdefault((kernel.operator, kind), {kind} if known else set()).add(gives)
    names = {name: frozenset(k.operator for k in kernels if getattr(k, name)) for name in ("moves", "rescales")}
    return replace(
        library,
        name="the firmware's TFLM (mid-2020, and operators of our own)",
        types={name: frozenset(kinds) for name, kinds in types.items()},
        output_types={pair: frozenset(kinds) for pair, kinds in outputs.items()},
        per_channel=library.per_channel | {kernel.operator for kernel in kernels if kernel.per_channel},
        same_quantisation=(library.same_quantisation | names["moves"]) - names["rescales"],
        flat=library.flat - {kernel.operator for kernel in kernels if kernel.shapes},
        further_types={**library.further_types, **_FURTHER},
        open_ends=library.open_ends - {kernel.operator for kernel in kernels if kernel.ends},
    )


WITH_OWN = _with(TFLM_2020, OWN_KERNELS)
