"""The int8 oracle: the `tflite-micro` wheel, whose integer kernels agree with TFLM on a board bit for bit. It runs
models with other ends, and float models, as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hil.errors import UsageError
from hil.interpreter.process import InterpreterProcess
from hil.reference.interpreted import Carried, InterpretedModel, Interpreter
from hil.tensor import INPUT_TYPES, OUTPUT_TYPES, Elements

ARENA_BYTES = 16 << 20  # more than any microcontroller has; pages that the model leaves alone are never touched
TFLM = Interpreter(
    title="the int8 oracle (tflite-micro)",
    open="open_tflm",
    run="run_tflm",
    refusal_fix="convert to full int8, with one subgraph and operators that TFLM has",
)


class Int8Oracle(InterpretedModel):
    """One model under test, ready to run. `input` and `output` are the first of its inputs and outputs."""

    def __init__(
        self,
        model: bytes,
        name: str = "the model",
        arena_bytes: int = ARENA_BYTES,
        process: InterpreterProcess | None = None,
        carried: Sequence[Carried] = (),
    ) -> None:
        """model: the .tflite file's bytes; name: what messages call it; process: one started before, for this model;
        carried: its inputs that carry state.

        Raises UsageError when the wheel refuses the model, in its words, or does not survive it, and when the type of
        one of the model's ends is none that a product takes.
        """
        super().__init__(TFLM, model, name, process, carried, arena_bytes=arena_bytes)
        self.input, self.output = self.inputs[0], self.outputs[0]
        ends = [("input", each, [*INPUT_TYPES]) for each in self.inputs]
        ends += [("output", each, [*OUTPUT_TYPES]) for each in self.outputs]
        for side, tensor, types in ends:
            known = [each.name for each in types]
            if tensor.dtype not in known:
                self.close()
                raise UsageError(
                    f"{name}: its {side} tensor is {tensor.dtype}, the int8 oracle takes {', '.join(known)}\n"
                    f"  fix: convert with inference_{side}_type = tf.int8"
                )

    def run(self, *prepared: Elements, fresh: NDArray[np.bool_] | None = None) -> Elements:
        """Raw outputs [n, output elements] of prepared tensors [n, input elements] of each input, in the types of the
        model's ends; the first output alone.

        fresh: bool [n], where all that the model keeps is set back, the first row among them; by default before every
        row, so that its result does not depend on the rows before it.
        Raises UsageError when the wheel cannot run the model.
        """
        return self.answers(prepared, fresh)[0]
