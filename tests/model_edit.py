"""Reads a .tflite into objects that can be changed, and writes it again."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def read_model(data: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def write_model(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor_of(model: schema.ModelT, name: bytes, shape: tuple[int, ...]) -> schema.TensorT:
    found = [t for t in model.subgraphs[0].tensors if name in t.name and tuple(t.shape) == shape]
    assert len(found) == 1, f"the model has {len(found)} tensors {name!r} of shape {shape}"
    return found[0]
