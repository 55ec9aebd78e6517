"""The int8 oracle: the `tflite-micro` wheel, whose int8 kernels agree with TFLM on a board bit for bit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_micro import runtime

from hil.errors import UsageError
from hil.tensor import Quantisation, TensorContract

ARENA_BYTES = 16 << 20  # more than any microcontroller has; pages that the model leaves alone are never touched


# The wheel's C++ prints its reasons to the process's standard error, so they are read from a process of their own.
ASK_AGAIN = """
import sys
from tflite_micro import runtime
runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size=int(sys.argv[1]))
"""


class Int8Oracle:
    """One int8 model, ready to run. `input` and `output` are the tensor contracts that the wheel reports.

    The wheel holds Python's global lock while an inference runs. One object is for one thread at a time.
    """

    def __init__(self, model: bytes, name: str = "the model", arena_bytes: int = ARENA_BYTES) -> None:
        """model: the .tflite file's bytes; name: what messages call it.

        Raises UsageError when the wheel refuses the model, with its words, or when the model's ends are not int8.
        """
        self._interpreter = _open(model, name, arena_bytes)
        self.input = _contract(self._interpreter.get_input_details(0))
        self.output = _contract(self._interpreter.get_output_details(0))
        for side, tensor in (("input", self.input), ("output", self.output)):
            if tensor.dtype != "INT8":
                raise UsageError(
                    f"{name}: its {side} tensor is {tensor.dtype}, the int8 oracle needs INT8\n"
                    f"  fix: convert with inference_{side}_type = tf.int8"
                )

    def run(self, prepared: NDArray[np.int8]) -> NDArray[np.int8]:
        """Raw outputs int8 [n, output elements] of prepared tensors int8 [n, input elements].

        Variable tensors are set back before every vector, so a row's result does not depend on the rows before it.
        Raises UsageError when the wheel cannot run the model.
        """
        outputs = np.empty((len(prepared), self.output.elements), np.int8)
        for row, tensor in enumerate(prepared):
            self._interpreter.reset()
            self._interpreter.set_input(np.ascontiguousarray(tensor).reshape(self.input.shape), 0)
            self._interpreter.invoke()
            outputs[row] = self._interpreter.get_output(0).reshape(-1)
        return outputs


def _open(model: bytes, name: str, arena_bytes: int) -> Any:
    try:
        return runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
    except Exception as error:  # a damaged flatbuffer makes the wheel's parser raise whatever it stumbles over
        said = _words_of_refusal(model, arena_bytes) or f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{name}: the int8 oracle (tflite-micro) refuses this model:\n{said}\n"
            "  fix: convert to full int8, with one subgraph and operators that TFLM has"
        ) from error


def _words_of_refusal(model: bytes, arena_bytes: int) -> str:
    """What TFLM prints about the model, indented; empty when only the wheel's Python spoke."""
    command = [sys.executable, "-c", ASK_AGAIN, str(arena_bytes)]
    run = subprocess.run(command, input=model, capture_output=True, check=False)
    words, _, _ = run.stderr.decode(errors="replace").partition("Traceback (most recent call last)")
    return "\n".join(f"    {line}" for line in words.splitlines() if line.strip())


def _contract(details: dict[str, Any]) -> TensorContract:
    dtype = np.dtype(details["dtype"])
    shape = tuple(int(size) for size in details["shape"])
    quantisation = details["quantization_parameters"]
    scales, zero_points = quantisation["scales"], quantisation["zero_points"]
    affine = Quantisation(float(scales[0]), int(zero_points[0])) if len(scales) else Quantisation(0.0, 0)
    return TensorContract(dtype.name.upper(), shape, affine, int(np.prod(shape)) * dtype.itemsize)
