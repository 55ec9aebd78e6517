"""The kernels of TensorFlow Lite Micro of mid-2020, read from their sources (`lite/micro/kernels` of the crate
`tfmicro` 0.1.0: `all_ops_resolver.cc` for the operators, the type checks in each kernel for the variants).
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.model.kernels.library import KernelLibrary


def _types(table: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """From types -> operators, both in one string, to operator -> types."""
    return {name: frozenset(types.split()) for types, names in table.items() for name in names.split()}


_COMPARISONS = "EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL"
TFLM_2020 = KernelLibrary(
    name="the firmware's TFLM (mid-2020)",
    types=_types(
        {
            "INT8 UINT8 FLOAT32": "FULLY_CONNECTED CONV_2D DEPTHWISE_CONV_2D AVERAGE_POOL_2D MAX_POOL_2D SOFTMAX ADD "
            "SUB MUL PRELU RELU RELU6 L2_NORMALIZATION STRIDED_SLICE RESIZE_NEAREST_NEIGHBOR ARG_MAX ARG_MIN",
            "INT8 FLOAT32": "LOGISTIC TANH",
            "INT8 UINT8 FLOAT32 INT32": "PAD PADV2 UNPACK",
            "INT8 UINT8 FLOAT32 INT16 INT32": "SPLIT",
            "INT8 UINT8 FLOAT32 INT32 INT64": "CONCATENATION PACK MAXIMUM MINIMUM GREATER GREATER_EQUAL "
            "LESS LESS_EQUAL",
            "INT8 UINT8 FLOAT32 INT16 INT32 INT64 BOOL": "RESHAPE",
            "INT8 UINT8 FLOAT32 INT32 INT64 BOOL": "EQUAL NOT_EQUAL",
            "FLOAT32": "ABS SIN COS LOG SQRT RSQRT SQUARE FLOOR CEIL ROUND NEG MEAN",
            "BOOL": "LOGICAL_OR LOGICAL_AND LOGICAL_NOT",
            "FLOAT32 INT16": "QUANTIZE",
            "INT8 UINT8 INT16": "DEQUANTIZE",
        }
    ),
    output_types={
        ("QUANTIZE", "FLOAT32"): frozenset({"INT8", "UINT8"}),
        ("QUANTIZE", "INT16"): frozenset({"INT8"}),
        ("DEQUANTIZE", "INT8"): frozenset({"FLOAT32", "INT32"}),
        ("DEQUANTIZE", "INT16"): frozenset({"FLOAT32", "INT32"}),
        ("DEQUANTIZE", "UINT8"): frozenset({"FLOAT32"}),
        ("SOFTMAX", "INT8"): frozenset({"INT8", "INT16"}),
        **{
            (name, kind): frozenset({"INT32"})
            for name in ("ARG_MAX", "ARG_MIN")
            for kind in ("INT8", "UINT8", "FLOAT32")
        },
        **{
            (name, kind): frozenset({"BOOL"})
            for name in _COMPARISONS.split()
            for kind in ("INT8", "UINT8", "FLOAT32", "INT32", "INT64", "BOOL")
        },
    },
    output_quantisation={
        "SOFTMAX": (1 / 256, -128),
        "LOGISTIC": (1 / 256, -128),
        "TANH": (1 / 128, 0),
        "L2_NORMALIZATION": (1 / 128, 0),
    },
    per_channel=frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"}),
    same_quantisation=frozenset(
        {
            *("RELU", "RELU6", "CONCATENATION", "MAXIMUM", "MINIMUM", "PAD", "PADV2", "MAX_POOL_2D", "AVERAGE_POOL_2D"),
            *("RESHAPE", "STRIDED_SLICE", "SPLIT", "PACK", "UNPACK", "RESIZE_NEAREST_NEIGHBOR"),
        }
    ),
    flat=frozenset({"FULLY_CONNECTED"}),
    open_ends=frozenset({"STRIDED_SLICE"}),
)
