"""The float reference: the float model on LiteRT, fed with real values or those of prepared tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hil.errors import UsageError
from hil.interpreter.process import InterpreterProcess
from hil.reference.interpreted import Carried, InterpretedModel, Interpreter
from hil.tensor import Elements, Quantisation

LITERT = Interpreter(
    title="LiteRT",
    open="open_litert",
    run="run_litert",
    refusal_fix="convert it with builtin operators only",
)


class FloatReference(InterpretedModel):
    """One float model, ready to run."""

    def __init__(
        self,
        model: bytes,
        name: str = "the float model",
        process: InterpreterProcess | None = None,
        carried: Sequence[Carried] = (),
    ) -> None:
        """model: the .tflite file's bytes; name: what messages call it; process: one started before, for this model;
        carried: its inputs that carry state.

        Raises UsageError when LiteRT refuses the model or does not survive it, and when it is no float model.
        """
        super().__init__(LITERT, model, name, process, carried)
        try:
            self._require_float()
        except UsageError:
            self.close()
            raise

    def run(
        self, prepared: Elements, quantisation: Quantisation, fresh: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Float outputs float32 [n, output elements] of prepared tensors [n, input elements].

        quantisation: that of the input tensor of the model under test; the float model sees (q - zero point) * scale in
        float32, and the tensor itself where it is not quantised. fresh: as in `InterpretedModel.answers`. Raises
        UsageError when LiteRT cannot run the model.
        """
        return self.run_real(quantisation.real32(prepared), fresh)

    def run_real(self, tensors: NDArray[np.float32], fresh: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Float outputs float32 [n, output elements] of input tensors float32 [n, input elements]; fresh, errors as in
        `run`.
        """
        return self.answers([tensors], fresh)[0]

    def _require_float(self) -> None:
        """Refuses int8 anywhere: agreement with a hybrid model (int8 weights, float ends) would hide quantisation
        loss.
        """
        wrong = sorted({each["dtype"] for side in ("inputs", "outputs") for each in self.opened[side]} - {"float32"})
        if wrong:
            raise UsageError(
                f"{self.name}: its ends are {', '.join(wrong)}, not float32\n  fix: name the float model here"
            )
        for tensor, dtype in self.opened["tensors"]:
            if dtype == "int8":
                raise UsageError(
                    f'{self.name}: tensor "{tensor}" is int8: a quantised or hybrid model is no float reference\n'
                    "  fix: convert the float model without converter.optimizations"
                )
