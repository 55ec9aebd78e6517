"""Writes a model of dense int8 layers, and the table of the front end, as C: export.py CASE_FOLDER OUTPUT.c"""

from __future__ import annotations

import hashlib
import math
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.case.types import ModelFile
from hil.model.tflite import parse_model
from hil.reference.decide import raw_threshold

_LINE = 24  # values


def main() -> None:
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    case = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    file = folder / case["model"]["int8"]
    data = file.read_bytes()
    model = parse_model(data, file)
    if set(model.operators) != {"FULLY_CONNECTED"}:
        raise SystemExit(f"{file}: has {', '.join(model.operators)}; src/network.c knows FULLY_CONNECTED only")
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    parts = [
        '#include "model.h"',
        *_layers(graph),
        _tensor("model_input", model, "inputs"),
        _tensor("model_output", model, "outputs"),
        _array("const uint8_t", "model_hash", list(hashlib.sha256(data).digest())),
        *_front_end(folder / "front_end.toml"),
        *_decision(case["decision"], model),
    ]
    output.write_text("/* Written by export.py. */\n" + "\n".join(parts) + "\n", encoding="utf-8")


def _layers(model: Any) -> list[str]:
    """Weights, biases and factors, in the order of the model's operators."""
    graph, text, rows = model.subgraphs[0], [], []
    for place, operator in enumerate(graph.operators):
        source, weights, bias, output = (graph.tensors[i] for i in (*operator.inputs, *operator.outputs))
        text.append(_array("static const int8_t", f"weights{place}", _values(model, weights, np.int8)))
        text.append(_array("static const int32_t", f"bias{place}", _values(model, bias, np.int32)))
        # The product of the scales is one of float32, as in tensorflow/lite/kernels/kernel_util.cc.
        product = np.float32(source.quantization.scale[0]) * np.float32(weights.quantization.scale[0])
        factor, shift = _fixed(float(product) / float(np.float32(output.quantization.scale[0])))
        zero, relu = int(output.quantization.zeroPoint[0]), operator.builtinOptions.fusedActivationFunction == 1
        outputs, inputs = weights.shape
        rows.append(
            f"  {{weights{place}, bias{place}, {inputs}, {outputs}, {int(source.quantization.zeroPoint[0])}, {zero}, "
            f"{factor}, {shift}, {max(-128, zero) if relu else -128}}},"
        )
    return [*text, f"const layer layers[LAYERS] = {{\n{chr(10).join(rows)}\n}};"]


def _values(model: Any, tensor: Any, dtype: type) -> list[int]:
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes()
    return [int(value) for value in np.frombuffer(data, dtype)]


def _fixed(real: float) -> tuple[int, int]:
    """real = factor * 2^(shift - 31), with a factor of 31 bits."""
    share, shift = math.frexp(real)
    factor = math.floor(share * 2**31 + 0.5)
    return (factor // 2, shift + 1) if factor == 1 << 31 else (factor, shift)


def _tensor(name: str, model: ModelFile, side: str) -> str:
    contract = getattr(model, side)[0]
    quantisation = contract.quantisation
    return f"const quantisation {name} = {{{float.hex(quantisation.scale)}f, {quantisation.zero_point}}};"


def _front_end(file: Path) -> list[str]:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return [_array("const int32_t", f"statistic_{key}", table[key]) for key in ("offset", "gain")]


def _decision(table: dict[str, Any], model: ModelFile) -> list[str]:
    """Labels, and thresholds as raw scores that a score must be above."""
    quantisation = model.outputs[0].quantisation
    labels = ", ".join(f'"{label}"' for label in table["labels"])
    raw = {key: raw_threshold(table[key], quantisation) for key in ("threshold", "release")}
    return [
        f"const char *const labels[LABELS] = {{{labels}}};",
        *(f"const int32_t score_{key} = {value};" for key, value in raw.items()),
        f"const uint32_t debounce = {table['debounce']};",
    ]


def _array(kind: str, name: str, values: list[int]) -> str:
    lines = (", ".join(map(str, values[i : i + _LINE])) for i in range(0, len(values), _LINE))
    return f"{kind} {name}[] = {{\n  " + ",\n  ".join(lines) + "\n};"


if __name__ == "__main__":
    main()
