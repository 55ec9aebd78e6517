"""Knows which models say elsewhere than in their operators what their weights mean, and whose operators are custom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from hil.problems import Problem

COMPRESSION = "COMPRESSION_METADATA"  # tflite-micro, tensorflow/lite/micro/docs/compression.md
DECODE = "TFLM_DECODE"  # the custom operator that took its place in 2026
UNCOMPRESSED_FIX = "take the model as it was before tflite-micro's compression tool"
CUSTOM_FIX = "convert with allow_custom_ops = False and rebuild the layer from builtin operators"
# Whose custom operators these are, by how their code begins.
_MAKERS: Mapping[str, str] = {
    DECODE: UNCOMPRESSED_FIX,
    "Flex": "convert without tf.lite.OpsSet.SELECT_TF_OPS, and rebuild the layer from builtin operators",
    "ethos-u": "this is what Vela wrote for an Ethos-U; take the model that Vela was given",
    "Signal": "it is a part of TFLM's audio front end: compute the features before the model, take the model behind it",
    "TFLite_Detection_PostProcess": "cut it off, and decode the boxes in the product",
}


def custom_fix(code: str) -> str:
    """How to do without the custom operator `code`."""
    return next((fix for start, fix in _MAKERS.items() if code.startswith(start)), CUSTOM_FIX)


def encoded(data: bytes) -> Iterator[Problem]:
    """Refuses metadata that changes the meaning of weights. data: of a model that hil.model.graph could read."""
    if COMPRESSION in metadata_names(data):
        problem = (
            f"{COMPRESSION}: its weights are stored as indices into tables, "
            "and the firmware's TFLM would take the indices for weights, without an error"
        )
        yield Problem("metadata", problem, UNCOMPRESSED_FIX)


def metadata_names(data: bytes) -> list[str]:
    """What the metadata of a model is called, in the order of the file."""
    model: Any = schema.Model.GetRootAs(data, 0)
    entries = (model.Metadata(index) for index in range(model.MetadataLength()))
    return [(entry.Name() or b"").decode("utf-8", "replace") for entry in entries]
