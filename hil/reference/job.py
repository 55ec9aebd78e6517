"""The references of a case, computed beside the board: what the stream needs at once, the models' answers in processes
that a thread waits for.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.ma
from numpy.typing import NDArray

from hil.case.types import Case
from hil.reference.compute import model_outputs, prepare_all
from hil.reference.models import CaseModels, Outputs

_END_S = 10.0  # longest wait for the thread on the way out


class _Cancelled(Exception):
    """The run ended before the references were needed."""


class ReferenceJob:
    """Starts at once; `result` waits for the end. `close` stops it; call it on every exit path.

    `stimuli`, what the device should see, is there from the start. `models` may be asked by others too, in their turn.
    """

    def __init__(self, case: Case, rows: NDArray[np.intp], models: CaseModels | None = None) -> None:
        """rows: the vectors whose answers are wanted. models: those of the case, which `close` closes; by default new
        ones.
        """
        self.models = models or CaseModels(case)
        self.models.start()
        self.stimuli = prepare_all(case)
        self._rows = rows
        self._cancelled = threading.Event()
        self._outputs: Outputs | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._compute, args=(case,), name="references", daemon=True)
        self._thread.start()

    def result(self) -> Outputs:
        """Wait for the models' answers. Raises what their computation raised (UsageError when a model is refused)."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._outputs is not None
        return self._outputs

    def close(self) -> None:
        """End the interpreters, and what is being computed; a thread that does not end holds nobody up."""
        self._cancelled.set()
        self.models.close()
        self._thread.join(_END_S)

    def _compute(self, case: Case) -> None:
        try:
            self._outputs = model_outputs(case, self.stimuli, self._rows, self._stop_when_cancelled, models=self.models)
        except BaseException as error:
            self._error = error

    def _stop_when_cancelled(self, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise _Cancelled
