"""Runs many small models on one board in one start of `firmware/app/kernel_bench.cpp`, and on the oracle."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tflite_micro import runtime

from hil.board.base import Board
from hil.board.config import kind_module, load_board
from hil.image.elf import Image

PROJECT = Path(__file__).resolve().parents[2]
ARENA_BYTES = 96 << 10
_ORACLE_ARENA_BYTES = 1 << 20
_JOB = struct.Struct("<8I")
_ALIGNMENT = 16
_POLL_S = 2e-3
Tensors = list[NDArray[np.generic]]


@dataclass(frozen=True)
class Trial:
    """A model, and windows for it: one array for each input of the model. outputs: how many the model has. stream: the
    windows follow one another, and what the model keeps lasts.
    """

    model: bytes
    windows: list[Tensors]
    outputs: int = 1
    stream: bool = False


@dataclass(frozen=True)
class Answer:
    """status 0: it ran, on an arena of two patterns and to the same outputs. outputs: bytes of all windows."""

    status: int
    detail: int
    outputs: bytes


def oracle(trial: Trial) -> bytes:
    """The outputs of all windows, as bytes one behind the other. Raises what the wheel raises."""
    interpreter = runtime.Interpreter.from_bytes(trial.model, arena_size=_ORACLE_ARENA_BYTES)
    outputs = []
    for window in trial.windows:
        if not trial.stream:
            interpreter.reset()  # what it keeps from run to run
        for index, tensor in enumerate(window):
            interpreter.set_input(tensor, index)
        interpreter.invoke()
        for index in range(trial.outputs):
            outputs.append(np.ascontiguousarray(interpreter.get_output(index)).tobytes())
    return b"".join(outputs)


class KernelBench:
    """One board with the bench's image; a context manager."""

    def __init__(self, board: str, image: Image, folder: Path) -> None:
        config = load_board(board, [PROJECT / "boards"])
        self._image = image
        self._board: Board = kind_module(config).open_board(config, folder / f"{board}.log")

    def __enter__(self) -> KernelBench:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()

    def run(self, trials: Sequence[Trial], output_bytes: Sequence[int], arena_bytes: int = ARENA_BYTES) -> list[Answer]:
        """Each trial's answer. output_bytes: of all windows of each."""
        memory, image = self._board.memory, self._image
        models = _Pile(image.symbol("__hil_bundle_start"), image.symbol("__hil_bundle_bytes"))
        data = _Pile(models.start + models.room, (16 << 20) - (models.start + models.room - 0x2100_0000))
        jobs = []
        for trial, size in zip(trials, output_bytes, strict=True):
            windows = b"".join(np.ascontiguousarray(tensor).tobytes() for window in trial.windows for tensor in window)
            model, inputs, outputs = models.put(trial.model), data.put(windows), data.put(bytes(size))
            jobs.append((model, len(trial.model), inputs, outputs, len(trial.windows), int(trial.stream), 0xFFFF, 0))
        table = data.put(b"".join(_JOB.pack(*job) for job in jobs))
        order = image.symbol("hil_kernel_bench")
        memory.write(data.start, data.bytes())
        memory.write(order, struct.pack("<5I", table, len(jobs), arena_bytes, 0, 0))
        self._board.provision(image, models.bytes())
        memory.write(order + 12, struct.pack("<I", 1))
        while struct.unpack("<I", memory.read(order + 16, 4))[0] != len(jobs):
            self._board.check()
            time.sleep(_POLL_S)
        ended = [_JOB.unpack(memory.read(table + _JOB.size * index, _JOB.size)) for index in range(len(jobs))]
        return [
            Answer(job[6], job[7], memory.read(job[3], size)) for job, size in zip(ended, output_bytes, strict=True)
        ]


class _Pile:
    """Bytes laid one behind the other from an address on, aligned."""

    def __init__(self, start: int, room: int) -> None:
        self.start, self.room, self._data = start, room, bytearray()

    def put(self, data: bytes) -> int:
        self._data += bytes(-len(self._data) % _ALIGNMENT)
        address = self.start + len(self._data)
        self._data += data
        assert len(self._data) <= self.room, "the trials do not fit; make fewer or smaller ones"
        return address

    def bytes(self) -> bytes:
        return bytes(self._data) or bytes(4)
