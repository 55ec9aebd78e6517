"""A valid case folder to break, and helpers that change one thing of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from tflite_builder import dense_model, float_model

TOML = """\
[case]
name = "toy"
version = 3
source = "made by the tests"

[model]
int8 = "model_int8.tflite"
float = "model_float.tflite"

[input]
rate_hz = 10.0
prepare = "scale/1"
window = 4
channels = 2
full_scale = [39.24, 34.9]

[input.gate]
minimum = -32767
maximum = 32767

[decision]
labels = ["a", "b", "c", "d"]
threshold = 0.60
release = 0.50
debounce = 2
cooldown = 1

[contract.input]
saturation = { max = 0.05 }

[contract.execution]
lsb = 0
[contract.execution.deadline]
instructions = 2_000_000_000
ms = 2000

[contract.decision]
accuracy = { min = 0.90 }

[contract.agreement]
top1 = { min = 0.98 }
topk = { min = 0.99, k = 2 }
cosine = { min = 0.99 }
sqnr_db = { min = 20.0 }
max_abs_error = { max = 0.1 }
spearman = { min = 0.9 }
flips = { max = 0, band = 0.1 }

[contract.latency]
confidence = 0.9
warmup = 2

[budget.memory]
arena_bytes = 8192
arena_headroom = 0.10
flash_bytes = 600_000
ram_bytes = 400_000
stack_bytes = 8192
stack_headroom = 0.25

[budget.latency.instructions]
total.p50 = 2_000_000
total.p99 = 3_000_000
invoke.p95 = 2_500_000
[budget.latency.cycles]
total.p99_ms = 25.0
total.p99 = 3_000_000
"""


def windows(n: int = 6, dtype: str = "int16", shape: tuple[int, ...] = (4, 2)) -> np.ndarray:
    return (np.arange(n * int(np.prod(shape))).reshape(n, *shape) % 100).astype(dtype)


def npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


class Folder:
    """A case folder; `replace` and `line` change case.toml, `write` any file."""

    def __init__(self, path: Path) -> None:
        self.path, self.toml = path, path / "case.toml"
        self.write("case.toml", TOML)
        self.write("model_int8.tflite", dense_model())
        self.write("model_float.tflite", float_model())
        self.write("vectors.npz", npz(windows=windows(), label=np.array([0, 1, 2, 3, -1, 0])))

    def write(self, name: str, content: str | bytes) -> Folder:
        (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def replace(self, old: str, new: str) -> Folder:
        text = self.toml.read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        return self.write("case.toml", text.replace(old, new))

    def line_of(self, text: str) -> int:
        return next(n for n, line in enumerate(self.toml.read_text().splitlines(), 1) if text in line)
