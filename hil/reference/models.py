"""Both models of a case, each open in its interpreter: the oracle and, when there is one, the float reference."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.errors import CaseError, UsageError
from hil.interpreter.process import InterpreterProcess
from hil.reference.float import FloatReference
from hil.reference.int8 import Int8Oracle
from hil.reference.prepare import real_values
from hil.tensor import Elements


@dataclass(frozen=True)
class Outputs:
    """What both models answer: oracle [n, output elements] in the type of the model under test, and float32 [n, output
    elements] or None without a float model: `real` to the prepared tensors, `chain` to the raw windows (None too where
    the tensor is the window). Rows that were not asked for, or that the gate rejects, hold zeros.
    """

    oracle: Elements
    real: NDArray[np.float32] | None
    chain: NDArray[np.float32] | None

    @classmethod
    def empty(cls, case: Case) -> Outputs:
        """The columns of all vectors of a case, to be filled with `put`."""
        shape = len(case.vectors), case.model.output.elements
        real = np.zeros(shape, np.float32) if case.float_model is not None else None
        chain = None if real is None or case.prepare.id == "tensor" else np.zeros(shape, np.float32)
        return cls(np.zeros(shape, case.model.output.element.dtype), real, chain)

    def put(self, rows: NDArray[np.intp], answers: Outputs) -> None:
        """Fill these rows; `answers` has one row for each of them."""
        self.oracle[rows] = answers.oracle
        for column, some in ((self.real, answers.real), (self.chain, answers.chain)):
            if column is not None and some is not None:
                column[rows] = some

    def take(self, rows: NDArray[np.intp]) -> Outputs:
        """These rows alone."""
        real, chain = (None if column is None else column[rows] for column in (self.real, self.chain))
        return Outputs(self.oracle[rows], real, chain)


class CaseModels:
    """Opened when they are first asked for, by whichever thread; `start` lets their processes get ready beforehand.

    `close` it on every exit path; that may be done from any thread, and ends what is being computed.
    """

    def __init__(self, case: Case) -> None:
        self._case, self._lock = case, threading.Lock()
        self._processes: list[InterpreterProcess] = []
        self._oracle: Int8Oracle | None = None
        self._error: UsageError | None = None  # why they cannot be opened: told to each who asks
        self._floating: FloatReference | None = None

    def start(self) -> None:
        """Start the interpreters' processes in the background, once. Raises BenchError when there can be none."""
        if not self._processes:
            models = [model for model in (self._case.model, self._case.float_model) if model is not None]
            self._processes = [InterpreterProcess() for _ in models]

    def open(self) -> None:
        """Open both, once. Raises UsageError when a model is refused or its interpreter does not survive it, CaseError
        when it does not fit the case.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._oracle is not None:
                return
            try:
                self._open()
            except UsageError as error:
                self._error = error
                raise

    def _open(self) -> None:
        self.start()
        case = self._case
        oracle = Int8Oracle(case.model.data, str(case.model.path), process=self._processes[0])
        if case.float_model is not None:
            floating = FloatReference(case.float_model.data, str(case.float_model.path), self._processes[1])
            _require_fit(case, floating)
            self._floating = floating
        self._oracle = oracle

    @property
    def oracle(self) -> Int8Oracle:
        """The oracle; opened when it is not yet, with the errors of `open`."""
        self.open()
        assert self._oracle is not None
        return self._oracle

    @property
    def floating(self) -> FloatReference | None:
        """The float model, None when the case has none; opened when it is not yet, with the errors of `open`."""
        self.open()
        return self._floating

    def answer(
        self,
        prepared: Elements,
        windows: NDArray[np.generic] | None = None,
        fresh: NDArray[np.bool_] | None = None,
    ) -> Outputs:
        """What both say to prepared tensors [n, input elements]. windows: [n, ...], the raw ones that they were
        made of; without them there is no `chain`. fresh: bool [n], where the models' state begins anew, the first row
        among them; by default at every row. Raises UsageError when a model cannot be run.
        """
        output, case = self.oracle.run(prepared, fresh), self._case
        if self.floating is None:
            return Outputs(output, None, None)
        real, chain = self.floating.run(prepared, case.model.input.quantisation, fresh), None
        if windows is not None and case.prepare.id != "tensor":
            chain = self.floating.run_real(real_values(windows, case.prepare, case.model.input), fresh)
        return Outputs(output, real, chain)

    def close(self) -> None:
        """End both processes. Safe to call twice."""
        for process in self._processes:
            process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _require_fit(case: Case, floating: FloatReference) -> None:
    sizes = (floating.input_elements, floating.output_elements)
    wanted = (case.model.input.elements, case.model.output.elements)
    if sizes != wanted:
        raise CaseError(
            case.path,
            "model.float",
            f"takes {sizes[0]} and gives {sizes[1]} values, the int8 model {wanted[0]} and {wanted[1]}",
            "name the float model that the int8 model was converted from",
        )
