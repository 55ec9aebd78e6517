"""Writes a model's flatbuffer anew, with every vector where its type wants it; no more changes than is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.model.graph import IDENTIFIER

DATA_ALIGNMENT = 16  # as schema.fbs asks for, and more than any type needs


def rewritten(data: bytes, shapes: Mapping[int, tuple[int, ...]] | None = None) -> bytes:
    """The same model, aligned. data: of a model that hil.model.graph could read; shapes: of the first subgraph's
    tensors that get another one.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for index, shape in (shapes or {}).items():
        model.subgraphs[0].tensors[index].shape = list(shape)
    return packed(model)


def cut(data: bytes, operators: int, outputs: Sequence[int]) -> bytes:
    """The model with only its first operators, and these tensors as outputs; aligned."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    model.subgraphs[0].operators = model.subgraphs[0].operators[:operators]
    model.subgraphs[0].outputs = list(outputs)
    model.signatureDefs = []  # they name outputs that are gone
    return packed(model)


def packed(model: Any) -> bytes:
    """The file of a model that is given as an object of the schema (`ModelT`), aligned."""
    model.buffers = [_Buffer(buffer) for buffer in model.buffers]
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class _Buffer:
    """A buffer that is written with an alignment of its own; the generated code gives it that of bytes."""

    def __init__(self, buffer: Any) -> None:
        self._data = b"" if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes()

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the generated code calls it so)
        if self._data:
            builder.StartVector(1, len(self._data), DATA_ALIGNMENT)
            builder.head -= len(self._data)
            builder.Bytes[builder.head : builder.head + len(self._data)] = self._data
            values = builder.EndVector()
        schema.BufferStart(builder)
        if self._data:
            schema.BufferAddData(builder, values)
        return int(schema.BufferEnd(builder))
