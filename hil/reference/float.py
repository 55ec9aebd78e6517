"""The float reference: the float model on LiteRT, fed with the values that the int8 tensor stands for."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from hil.case.types import Quantisation
from hil.errors import UsageError

THREADS = 1  # one order of summation on every machine


class FloatReference:
    """One float model, ready to run, a vector at a time. LiteRT releases Python's global lock while it computes."""

    def __init__(self, model: bytes, name: str = "the float model") -> None:
        """model: the .tflite file's bytes; name: what messages call it.

        Raises UsageError when LiteRT refuses the model, or when it is no float model.
        """
        self._interpreter = _open(model, name)
        _require_float(self._interpreter, name)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self.input_elements = int(np.prod(self._input["shape"]))
        self.output_elements = int(np.prod(self._output["shape"]))

    def run(self, prepared: NDArray[np.int8], quantisation: Quantisation) -> NDArray[np.float32]:
        """Float outputs float32 [n, output elements] of prepared tensors int8 [n, input elements].

        quantisation: that of the int8 model's input tensor; the float model sees (q - zero point) * scale in float32.
        """
        return self.run_real(dequantise(prepared, quantisation))

    def run_real(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Float outputs float32 [n, output elements] of real values float32 [n, input elements]."""
        outputs = np.empty((len(values), self.output_elements), np.float32)
        for row, real in enumerate(values):
            self._interpreter.set_tensor(self._input["index"], real.reshape(self._input["shape"]))
            self._interpreter.invoke()
            outputs[row] = self._interpreter.get_tensor(self._output["index"]).reshape(-1)
        return outputs


def dequantise(tensor: NDArray[np.int8], quantisation: Quantisation) -> NDArray[np.float32]:
    """Real values float32 of an int8 tensor: (q - zero point) * scale, the product rounded to float32."""
    steps = (tensor.astype(np.int32) - quantisation.zero_point).astype(np.float32)
    return steps * np.float32(quantisation.scale)


def _open(model: bytes, name: str) -> Interpreter:
    try:
        interpreter = Interpreter(model_content=model, num_threads=THREADS)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"{name}: LiteRT refuses this model:\n    {error}\n  fix: convert it with builtin operators only"
        ) from error
    return interpreter


def _require_float(interpreter: Interpreter, name: str) -> None:
    """Refuses int8 anywhere: agreement with a hybrid model (int8 weights, float ends) would hide quantisation loss."""
    ends = (*interpreter.get_input_details(), *interpreter.get_output_details())
    wrong = sorted({np.dtype(end["dtype"]).name for end in ends} - {"float32"})
    if wrong:
        raise UsageError(f"{name}: its ends are {', '.join(wrong)}, not float32\n  fix: name the float model here")
    for tensor in interpreter.get_tensor_details():
        if np.dtype(tensor["dtype"]) == np.int8:
            raise UsageError(
                f'{name}: tensor "{tensor["name"]}" is int8: a quantised or hybrid model is no float reference\n'
                "  fix: convert the float model without converter.optimizations"
            )
