"""The kernels of today's TensorFlow Lite Micro, read from their sources of August 2026 (tflite-micro at 90b983c2,
`lite/micro/kernels`, the type checks in each kernel).

A library that a user built may be of another day. What it lacks its resolver says before the first window, and its
kernels check types themselves; so this table is for a plain word before anything starts.
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.model.kernels.library import KernelLibrary


def _types(table: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """From types -> operators, both in one string, to operator -> types."""
    return {name: frozenset(types.split()) for types, names in table.items() for name in names.split()}


_ALL = "INT8 UINT8 INT16 INT32 INT64 FLOAT32 BOOL"
_COMPARISONS = "EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL"
_CAST = "INT8 INT16 INT32 UINT32 FLOAT32 BOOL"  # BOOL: from it only
_COMPARED = "INT8 INT16 INT32 INT64 FLOAT32 BOOL"
_NUMBERS = frozenset({"INT8", "INT16", "INT32", "INT64", "FLOAT32", "BOOL"})
UPSTREAM = KernelLibrary(
    name="today's TFLM",
    types=_types(
        {
            "INT8 INT16 FLOAT32": "CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED AVERAGE_POOL_2D MAX_POOL_2D SOFTMAX "
            "LOGISTIC TANH RELU RELU6 LEAKY_RELU PRELU BATCH_MATMUL TRANSPOSE TRANSPOSE_CONV EXPAND_DIMS MEAN SUM "
            "REDUCE_MAX REDUCE_MIN RESIZE_NEAREST_NEIGHBOR ABS RSQRT UNIDIRECTIONAL_SEQUENCE_LSTM",
            "INT8 FLOAT32": "ADD_N ARG_MAX ARG_MIN BATCH_TO_SPACE_ND CUMSUM DEPTH_TO_SPACE ELU HARD_SWISH "
            "L2_NORMALIZATION LOG_SOFTMAX RESIZE_BILINEAR SPACE_TO_BATCH_ND SPACE_TO_DEPTH SVDF",
            "INT8 INT16 INT32 FLOAT32": "ADD SUB MUL SQUARED_DIFFERENCE PAD PADV2 SPLIT SPLIT_V UNPACK "
            "DYNAMIC_UPDATE_SLICE",
            "INT8 INT32 FLOAT32": "DIV GATHER GATHER_ND",
            "INT8 INT32 INT64 FLOAT32": "MIRROR_PAD ZEROS_LIKE",
            "INT8 INT16 INT32 INT64 FLOAT32": "MAXIMUM MINIMUM PACK",
            "INT8 INT16 INT32 FLOAT32 BOOL": "STRIDED_SLICE SLICE",
            _CAST: "CAST",
            _COMPARED: f"{_COMPARISONS} CONCATENATION",
            _ALL: "RESHAPE SQUEEZE SHAPE REVERSE_V2 BROADCAST_TO WHILE",
            "INT32 INT64": "BROADCAST_ARGS FILL",
            "INT32": "EMBEDDING_LOOKUP",
            "FLOAT32": "CEIL COS EXP FLOOR FLOOR_DIV FLOOR_MOD L2_POOL_2D LOG NEG ROUND SIN SQRT SQUARE",
            "BOOL": "IF LOGICAL_AND LOGICAL_NOT LOGICAL_OR REDUCE_ALL SELECT_V2",
            "FLOAT32 INT8 UINT8 INT16 INT32": "QUANTIZE",
            "INT8 UINT8 INT16": "DEQUANTIZE",
            "RESOURCE": "ASSIGN_VARIABLE READ_VARIABLE",
            "": "CALL_ONCE VAR_HANDLE",
        }
    ),
    output_types={
        ("QUANTIZE", "FLOAT32"): frozenset({"INT8", "UINT8", "INT16"}),
        ("QUANTIZE", "INT8"): frozenset({"INT8", "UINT8", "INT16", "INT32"}),
        ("QUANTIZE", "UINT8"): frozenset({"INT8"}),
        ("QUANTIZE", "INT16"): frozenset({"INT8", "INT16", "INT32"}),
        ("QUANTIZE", "INT32"): frozenset({"INT8", "INT16"}),
        **{("DEQUANTIZE", kind): frozenset({"FLOAT32"}) for kind in ("INT8", "UINT8", "INT16")},
        ("SOFTMAX", "INT8"): frozenset({"INT8", "INT16"}),
        ("READ_VARIABLE", "RESOURCE"): _NUMBERS,
        **{("SHAPE", kind): frozenset({"INT32"}) for kind in _ALL.split()},
        **{("CAST", kind): frozenset(_CAST.split()) - {"BOOL"} for kind in _CAST.split()},
        **{("FILL", kind): _NUMBERS - {"BOOL"} for kind in ("INT32", "INT64")},
        **{(name, "BOOL"): _NUMBERS for name in ("IF", "SELECT_V2")},
        **{("WHILE", kind): _NUMBERS for kind in _ALL.split()},
        ("EMBEDDING_LOOKUP", "INT32"): frozenset({"INT8", "FLOAT32"}),
        **{(name, kind): frozenset({"INT32"}) for name in ("ARG_MAX", "ARG_MIN") for kind in ("INT8", "FLOAT32")},
        **{(name, kind): frozenset({"BOOL"}) for name in _COMPARISONS.split() for kind in _COMPARED.split()},
    },
    output_quantisation={
        "SOFTMAX": (1 / 256, -128),
        "LOGISTIC": (1 / 256, -128),
        "TANH": (1 / 128, 0),
        "L2_NORMALIZATION": (1 / 128, 0),
    },
    per_channel=frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}),
    same_quantisation=frozenset(
        {
            *("RELU6", "CONCATENATION", "MAXIMUM", "MINIMUM", "PAD", "PADV2", "MIRROR_PAD", "MAX_POOL_2D"),
            *("AVERAGE_POOL_2D", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "STRIDED_SLICE", "SLICE", "SPLIT", "SPLIT_V"),
            *("PACK", "UNPACK", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE", "GATHER", "GATHER_ND", "SPACE_TO_DEPTH"),
            *("DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"),
        }
    ),
    custom=frozenset(
        {
            *("CIRCULAR_BUFFER", "TFLM_DECODE", "TFLite_Detection_PostProcess", "SignalDelay", "SignalEnergy"),
            *("SignalFftAutoScale", "SignalFilterBank", "SignalFilterBankLog", "SignalFilterBankSpectralSubtraction"),
            *("SignalFilterBankSquareRoot", "SignalFramer", "SignalIrfft", "SignalOverlapAdd", "SignalPCAN"),
            *("SignalRfft", "SignalStacker", "SignalWindow"),
        }
    ),
    any_subgraphs=True,
    unread_inputs=True,
    grouped=frozenset({"CONV_2D"}),
)
