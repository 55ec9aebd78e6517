"""Knows how the workers of one run share its work: who does a piece, and how the others learn what came of it.

All goes through files in one folder. A piece is done under a lock that the kernel releases when its holder ends,
however it ends: what a worker leaves undone, another takes up.
"""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


class Crew:
    """One worker's view. folder: the crew's own, for this user only, as results are pickled; name: of this worker;
    workers: how many there are. Results may be anything but None.
    """

    def __init__(self, folder: Path, name: str, workers: int) -> None:
        self.folder, self.name, self.workers = folder, name, workers

    def once(self, piece: str, work: Callable[[], Result]) -> Result:
        """The result of a piece of work, done by whichever worker comes first. Waits for it; what `work` raises goes to
        the worker that does it, and leaves the piece to the next one.
        """
        done: Result | None = self.result(piece)
        if done is None:
            with self.alone(piece):
                done = self._do(piece, work)
        return done

    def offer(self, piece: str, work: Callable[[], Result]) -> None:
        """The same without waiting: left alone when another worker is at it."""
        with self._locked(piece, fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            if held:
                self._do(piece, work)

    def result(self, piece: str) -> Any | None:
        """What came of a piece, None when it is not done."""
        try:
            return pickle.loads(self._file(piece).read_bytes())
        except FileNotFoundError:
            return None

    def results(self, prefix: str) -> list[Any]:
        """What came of all pieces whose names begin so, by name."""
        names = sorted(file.stem for file in self.folder.glob(f"{prefix}*.result"))
        return [self.result(name) for name in names]

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keep the others of the crew out, waiting for them first."""
        with self._locked(name, fcntl.LOCK_EX):
            yield

    def _do(self, piece: str, work: Callable[[], Result]) -> Result:
        done: Result | None = self.result(piece)
        if done is not None:
            return done
        done = work()
        part = self.folder / f"{piece}.part"
        part.write_bytes(pickle.dumps(done))
        os.replace(part, self._file(piece))
        return done

    def _file(self, piece: str) -> Path:
        return self.folder / f"{piece}.result"

    @contextmanager
    def _locked(self, name: str, operation: int) -> Iterator[bool]:
        with (self.folder / f"{name}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, operation)
            except BlockingIOError:
                yield False
                return
            yield True
