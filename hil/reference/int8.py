"""The int8 oracle: the `tflite-micro` wheel, whose int8 kernels agree with TFLM on a board bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.errors import UsageError
from hil.interpreter.process import InterpreterProcess
from hil.reference.interpreted import InterpretedModel, Interpreter, contract

ARENA_BYTES = 16 << 20  # more than any microcontroller has; pages that the model leaves alone are never touched
TFLM = Interpreter(
    title="the int8 oracle (tflite-micro)",
    open="open_tflm",
    run="run_tflm",
    refusal_fix="convert to full int8, with one subgraph and operators that TFLM has",
)


class Int8Oracle(InterpretedModel):
    """One int8 model, ready to run. `input` and `output` are the tensor contracts that the wheel reports."""

    def __init__(
        self,
        model: bytes,
        name: str = "the model",
        arena_bytes: int = ARENA_BYTES,
        process: InterpreterProcess | None = None,
    ) -> None:
        """model: the .tflite file's bytes; name: what messages call it; process: one started before, for this model.

        Raises UsageError when the wheel refuses the model, in its words, or does not survive it, and when the model's
        ends are not int8.
        """
        super().__init__(TFLM, model, name, process, arena_bytes=arena_bytes)
        self.input, self.output = contract(self.opened["input"]), contract(self.opened["output"])
        for side, tensor in (("input", self.input), ("output", self.output)):
            if tensor.dtype != "INT8":
                self.close()
                raise UsageError(
                    f"{name}: its {side} tensor is {tensor.dtype}, the int8 oracle needs INT8\n"
                    f"  fix: convert with inference_{side}_type = tf.int8"
                )

    def run(self, prepared: NDArray[np.int8]) -> NDArray[np.int8]:
        """Raw outputs int8 [n, output elements] of prepared tensors int8 [n, input elements].

        Variable tensors are set back before every vector, so a row's result does not depend on the rows before it.
        Raises UsageError when the wheel cannot run the model.
        """
        outputs: NDArray[np.int8] = self.answers(prepared, self.output.elements, np.int8)
        return outputs
