"""Both models of a case, each open in its interpreter: the oracle and, when there is one, the float reference."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, ModelFile
from hil.errors import CaseError, HilError
from hil.interpreter.process import InterpreterProcess
from hil.reference.float import FloatReference
from hil.reference.int8 import Int8Oracle
from hil.reference.interpreted import Carried
from hil.reference.prepare import real_values
from hil.tensor import Elements, TensorContract, paired


@dataclass(frozen=True)
class Outputs:
    """What both models answer: oracle [n, output elements] in the type of the model under test, and float32 [n, output
    elements] or None without a float model: `real` to the prepared tensors, `chain` to the raw windows (None too where
    the tensor is the window). Rows that were not asked for, or that the gate rejects, hold zeros. further: the same of
    the outputs beside the one that is decided on.
    """

    oracle: Elements
    real: NDArray[np.float32] | None
    chain: NDArray[np.float32] | None
    further: tuple[Outputs, ...] = ()

    @classmethod
    def empty(cls, case: Case) -> Outputs:
        """The columns of all vectors of a case, to be filled with `put`."""
        first, *further = (cls._of(case, output) for output in (case.model.output, *case.model.further_outputs))
        return replace(first, further=tuple(further))

    @classmethod
    def _of(cls, case: Case, output: TensorContract) -> Outputs:
        shape = len(case.vectors), output.elements
        real = np.zeros(shape, np.float32) if case.float_model is not None else None
        known = real is not None and sources_of(case) is not None and not tensors_are_windows(case)
        chain = np.zeros(shape, np.float32) if known else None
        return cls(np.zeros(shape, output.element.dtype), real, chain)

    def put(self, rows: NDArray[np.intp], answers: Outputs) -> None:
        """Fill these rows; `answers` has one row for each of them."""
        self.oracle[rows] = answers.oracle
        for column, some in ((self.real, answers.real), (self.chain, answers.chain)):
            if column is not None and some is not None:
                column[rows] = some
        for own, others in zip(self.further, answers.further, strict=True):
            own.put(rows, others)

    def take(self, rows: NDArray[np.intp]) -> Outputs:
        """These rows alone."""
        real, chain = (None if column is None else column[rows] for column in (self.real, self.chain))
        return Outputs(self.oracle[rows], real, chain, tuple(each.take(rows) for each in self.further))


def tensors_are_windows(case: Case) -> bool:
    """Whether nothing is prepared: there is no way from a raw window to the tensor that could lose anything."""
    return all(each.prepare.id == "tensor" for each in case.of_inputs)


def sources_of(case: Case) -> Sequence[NDArray[np.generic]] | None:
    """What the float model gets of each input by the whole way, [n, ...]: the raw windows, or what the case says that
    they are worth behind a front end of the product's own; None where it does not say.
    """
    if not case.prepare.own:
        return (case.vectors.windows, *case.vectors.further)
    return None if case.vectors.prepared_float is None else (case.vectors.prepared_float,)


class CaseModels:
    """Opened when they are first asked for, by whichever thread; `start` lets their processes get ready beforehand.

    `close` it on every exit path; that may be done from any thread, and ends what is being computed.
    """

    def __init__(self, case: Case) -> None:
        self._case, self._lock = case, threading.Lock()
        self._processes: list[InterpreterProcess] = []
        self._oracle: Int8Oracle | None = None
        self._error: HilError | None = None  # why they cannot be opened: told to each who asks
        self._floating: FloatReference | None = None

    def start(self) -> None:
        """Start the interpreters' processes in the background, once. Raises BenchError when there can be none."""
        if not self._processes:
            models = [model for model in (self._case.model, self._case.float_model) if model is not None]
            self._processes = [InterpreterProcess() for _ in models]

    def open(self) -> None:
        """Open both, once. Raises UsageError when a model is refused or its interpreter does not survive it, CaseError
        when it does not fit the case, and what the first attempt raised, whatever it was: its processes are closed.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._oracle is not None:
                return
            try:
                self._open()
            except HilError as error:
                self._error = error
                raise

    def _open(self) -> None:
        self.start()
        case = self._case
        oracle = Int8Oracle(
            case.model.data, str(case.model.path), process=self._processes[0], carried=carried_of(case.model)
        )
        if case.float_model is not None:
            state = _carried_floats(case.model, case.float_model)
            floating = FloatReference(case.float_model.data, str(case.float_model.path), self._processes[1], state)
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
        prepared: Sequence[Elements],
        windows: Sequence[NDArray[np.generic]] | None = None,
        fresh: NDArray[np.bool_] | None = None,
    ) -> Outputs:
        """What both say to prepared tensors [n, input elements] of each input. windows: [n, ...] of each input, the raw
        ones that they were made of; without them there is no `chain`. fresh: bool [n], where the models' state begins
        anew, the first row among them; by default at every row. Raises UsageError when a model cannot be run.
        """
        case, real, chain = self._case, None, None
        if self.floating is not None:
            inputs = zip(prepared, case.model.inputs, strict=True)
            real = self._float_answers([tensor.quantisation.real32(each) for each, tensor in inputs], fresh)
            if windows is not None and not tensors_are_windows(case):
                sources = zip(windows, case.of_inputs, strict=True)
                values = [real_values(each, one.prepare, one.model.input) for each, one in sources]
                chain = self._float_answers(values, fresh)
        first, *further = (
            Outputs(output, None if real is None else real[index], None if chain is None else chain[index])
            for index, output in enumerate(case.model.decided_first(self.oracle.answers(prepared, fresh)))
        )
        return replace(first, further=tuple(further))

    def _float_answers(
        self, tensors: Sequence[NDArray[np.float32]], fresh: NDArray[np.bool_] | None
    ) -> Sequence[NDArray[np.float32]]:
        """Of the float model, for inputs in the order of the model under test; outputs in the order of `Outputs`."""
        model, other = self._case.model, self._case.float_model
        assert self.floating is not None
        assert other is not None
        inputs, outputs = paired(model.every_input, other.inputs), paired(model.outputs, other.outputs)
        given = {inputs[index]: tensor for index, tensor in zip(model.fed, tensors, strict=True)}
        found = self.floating.answers([given[index] for index in sorted(given)], fresh)
        return model.decided_first([found[index] for index in outputs])

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


def carried_of(model: ModelFile, mistakes: Mapping[int, str] = MappingProxyType({})) -> tuple[Carried, ...]:
    """The state that is carried from outputs to inputs, for the oracle. mistakes: by the pair's place."""
    return tuple(
        Carried(pair.output, pair.input, pair.input_tensor.quantisation.zero_point, mistakes.get(place, ""))
        for place, pair in enumerate(model.carried)
    )


def _carried_floats(model: ModelFile, other: ModelFile) -> tuple[Carried, ...]:
    """The same for the float model `other`, which may have its tensors in another order."""
    inputs, outputs = paired(model.every_input, other.inputs), paired(model.outputs, other.outputs)
    return tuple(Carried(outputs[pair.output], inputs[pair.input], 0.0) for pair in model.carried)


def _require_fit(case: Case, floating: FloatReference) -> None:
    model, other = case.model, case.float_model
    assert other is not None
    inputs, outputs = paired(model.every_input, other.inputs), paired(model.outputs, other.outputs)
    sizes = (_sizes(floating.inputs, inputs), _sizes(floating.outputs, outputs))
    wanted = (_sizes(model.every_input), _sizes(model.outputs))
    if sizes != wanted:
        raise CaseError(
            case.path,
            "model.float",
            f"takes {sizes[0]} and gives {sizes[1]} values, the int8 model {wanted[0]} and {wanted[1]}",
            "name the float model that the int8 model was converted from",
        )


def _sizes(tensors: Sequence[TensorContract], order: Sequence[int] | None = None) -> str:
    """Elements of each, as in `240` or `240, 64`."""
    indices = range(len(tensors)) if order is None else order
    return ", ".join(str(tensors[index].elements) for index in indices)
