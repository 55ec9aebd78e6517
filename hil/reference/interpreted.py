"""A model in an interpreter's process: a refusal, a crash and a hang all become one error that names the model, the
operator and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hil.errors import UsageError
from hil.interpreter.messages import Values, numbered
from hil.interpreter.process import SILENCE_S, InterpreterEnded, InterpreterProcess, InterpreterRefused
from hil.reference.culprit import find_culprit
from hil.tensor import Quantisation, TensorContract

BLOCK_BYTES = 1 << 20  # of the tensors in one request: small enough to stop between two of them


@dataclass(frozen=True)
class Interpreter:
    """Who runs a model: what messages call it, its two requests (hil.interpreter.worker), what cures a refusal."""

    title: str
    open: str
    run: str
    refusal_fix: str


@dataclass(frozen=True)
class Carried:
    """An input that gets an output of the row before: their indices among the model's; zero: what stands for real 0, at
    the beginning of a stream; mistake: one of hil.interpreter.carried, to know what it would look like.
    """

    output: int
    input: int
    zero: float
    mistake: str = ""

    @property
    def value(self) -> list[object]:
        """As the interpreter's process takes it."""
        return [self.output, self.input, self.zero, self.mistake]


class InterpretedModel:
    """One model, open in a process of its own. `close` it, or leave that to the end of the object. inputs, outputs: the
    tensor contracts that the interpreter reports, in the order of the model.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        model: bytes,
        name: str,
        process: InterpreterProcess | None,
        carried: Sequence[Carried] = (),
        **options: object,
    ) -> None:
        """process: one that has been started and holds no model yet; by default a new one. carried: the inputs that
        carry state. options: further values of the `open` request. Raises UsageError when the interpreter refuses the
        model, or does not survive it.
        """
        self.name, self.carried = name, tuple(carried)
        self._interpreter, self._model, self._options = interpreter, model, options
        self._process = process or InterpreterProcess()
        try:
            self.opened = self._process.ask(interpreter.open, {"model": model, **options}, SILENCE_S)
        except InterpreterRefused as refused:
            self.close()
            raise UsageError(
                f"{name}: {interpreter.title} refuses this model:\n{_words_of(refused)}\n"
                f"  fix: {interpreter.refusal_fix}"
            ) from None
        except InterpreterEnded as ended:
            self.close()
            raise self._fatal(ended, "while the model was set up", None) from None
        self.inputs, self.outputs = (
            tuple(contract(each) for each in self.opened[side]) for side in ("inputs", "outputs")
        )

    def answers(
        self,
        tensors: Sequence[NDArray[Any]],
        fresh: NDArray[np.bool_] | None = None,
        carried: Sequence[Carried] | None = None,
    ) -> tuple[NDArray[Any], ...]:
        """Of each output [n, elements] for n tensors of each input that carries no state, in blocks. Raises UsageError
        as the opening.

        fresh: bool [n], where the model's state begins anew, the first row among them; by default at every row. No
        block ends amid a stream, so that nobody else's request comes between two of its rows. carried: in place of the
        model's own, with mistakes; then there is one block.
        """
        n = len(tensors[0])
        outputs = tuple(np.empty((n, each.elements), each.element.dtype) for each in self.outputs)
        begins = np.ones(n, np.bool_) if fresh is None else fresh
        rows = max(1, BLOCK_BYTES // max(1, sum(each[:1].nbytes for each in tensors)))
        pairs = [each.value for each in (self.carried if carried is None else carried)]
        state = {"carried": pairs} if pairs else {}
        for block in _blocks(begins, rows) if carried is None else [slice(0, n)]:
            given = numbered("tensors", [np.ascontiguousarray(each[block]) for each in tensors])
            answer = self.ask(self._interpreter.run, {**given, **state, "fresh": begins[block]})
            for name, output in numbered("outputs", outputs).items():
                output[block] = answer[name]
        return outputs

    def ask(self, request: str, values: Values) -> Values:
        """The answer to a request of hil.interpreter.worker about this model.

        Raises UsageError when the interpreter refuses it or does not survive it, and InterpreterEnded when the process
        was closed.
        """
        try:
            return self._process.ask(request, values, SILENCE_S)
        except InterpreterRefused as refused:
            raise UsageError(
                f"{self.name}: {self._interpreter.title} cannot run this model:\n{_words_of(refused)}\n"
                f"  fix: {self._interpreter.refusal_fix}"
            ) from None
        except InterpreterEnded as ended:
            raise self._fatal(ended, "while the model ran", values) from None

    def close(self) -> None:
        """End the process. Safe to call twice, from any thread, and while a request is being worked on."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fatal(self, ended: InterpreterEnded, when: str, tensors: Values | None) -> UsageError | InterpreterEnded:
        """The error of a model that its interpreter does not survive."""
        if ended.closed:
            return ended
        found = find_culprit(self._model, self._interpreter.open, self._interpreter.run, tensors, self._options)
        words = f"; its last words:\n{_indented(ended.words)}" if ended.words else ""
        return UsageError(
            f"{self.name}: {found.where}: {self._interpreter.title} {ended.how} {when}{words}\n{found.advice}"
        )


def _blocks(fresh: NDArray[np.bool_], most: int) -> Iterator[slice]:
    """Pieces of about `most` rows that begin where `fresh` is set."""
    start = 0
    for begin in [] if not len(fresh) else [*np.flatnonzero(fresh)[1:].tolist(), len(fresh)]:
        if begin - start >= most or begin == len(fresh):
            yield slice(start, begin)
            start = begin


def contract(described: Values) -> TensorContract:
    """What an interpreter says of an input or output tensor."""
    dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
    scales, zero_points = described["scales"], described["zero_points"]
    affine = Quantisation(scales[0], zero_points[0]) if scales else Quantisation(0.0, 0)
    return TensorContract(dtype.name.upper(), shape, affine, int(np.prod(shape)) * dtype.itemsize)


def _words_of(refused: InterpreterRefused) -> str:
    return _indented(refused.words or refused.said)


def _indented(words: str) -> str:
    return "\n".join(f"    {line}" for line in words.splitlines() if line.strip())
