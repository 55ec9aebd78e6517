"""An interpreter's process that answers from a table, and what it says of the models that the tests here open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from hil.interpreter.process import SILENCE_S, InterpreterEnded, InterpreterProcess
from hil.reference.int8 import Int8Oracle

END = {"dtype": "int8", "shape": [1, 2, 3], "scales": [0.5, 9.0], "zero_points": [-3, 9]}
REAL_END = {"dtype": "float32", "shape": [1, 6], "scales": [], "zero_points": []}
WORDS = {**END, "dtype": "int16", "shape": [1, 2]}
DIED = InterpreterEnded("was killed by SIGABRT", "last\n\nwords")
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Process:
    """Answers each request from a table, and keeps what it was asked. An answer may raise."""

    def __init__(self, **answers: Answer) -> None:
        self.answers, self.closed = answers, 0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.silences: list[float] = []

    def ask(self, request: str, values: dict[str, Any], silence_s: float = SILENCE_S) -> dict[str, Any]:
        self.asked.append((request, values))
        self.silences.append(silence_s)
        return self.answers[request](values)

    def close(self) -> None:
        self.closed += 1


def as_process(process: Process) -> InterpreterProcess:
    return cast(InterpreterProcess, process)


def says(**values: Any) -> Answer:
    return lambda _: values


def fails(error: Exception) -> Answer:
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        raise error

    return answer


def doubled(values: dict[str, Any]) -> dict[str, Any]:
    return {"outputs": values["tensors"][:, :2] * 2}


def sized(end: dict[str, Any], elements: int) -> dict[str, Any]:
    return {**end, "shape": [1, elements]}


def oracle_of(process: Process, name: str = "m.tflite") -> Int8Oracle:
    return Int8Oracle(b"model", name, process=as_process(process))


def opened(*outputs: dict[str, Any]) -> dict[str, Answer]:
    return {"open_tflm": says(inputs=[END], outputs=outputs or [END])}


def asked_to_run(process: Process) -> list[dict[str, Any]]:
    """The values of each request behind the first, which opens the model."""
    return [values for _, values in process.asked[1:]]
