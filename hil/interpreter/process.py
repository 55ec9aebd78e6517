"""An interpreter's process, seen from the harness: started, asked, watched, and gone when it is closed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path

from hil.errors import BenchError, HilError
from hil.interpreter.messages import Values, receive, send
from hil.patience import Patience, turns_of

SILENCE_S = 60.0  # without an answer or a sign of life (hil.interpreter.worker.ALIVE_S), after which it hangs
LAST_WORDS = 4000  # bytes
_LAST_STEP_S = 10.0  # from hanging up to its end
_PACKAGE = str(Path(__file__).resolve().parents[2])
# Isolated, and with the search path of this process: what this one can import, that one can, and no more is read.
_START = """
import json, socket, sys
sys.path[:] = json.loads(sys.argv[1])
from hil.interpreter.worker import main
main(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
"""


class InterpreterRefused(HilError):
    """The interpreter said no. `said`: the exception of its Python side; `words`: what it printed meanwhile."""

    def __init__(self, said: str, words: str) -> None:
        self.said, self.words = said, words
        super().__init__(words or said)


class InterpreterEnded(HilError):
    """The process died or hung while it worked on a request. `how`, as in "was killed by SIGABRT"; `words`: its last
    words.
    """

    def __init__(self, how: str, words: str, closed: bool = False) -> None:
        """closed: this side ended it, on purpose."""
        self.how, self.words, self.closed = how, words, closed
        super().__init__(f"the interpreter's process {how}" + (f"; its last words:\n{words}" if words else ""))


class InterpreterProcess:
    """Starts at once and in the background; `ask` waits. One model is opened in it, so that its end is the model's.

    May be used by several threads, one request at a time. `close` ends it, from any thread and in the midst of a
    request; so does the end of this object, or of the harness.
    """

    def __init__(self) -> None:
        """Raises BenchError when no process can be started."""
        here, there = socket.socketpair()
        life_line, self._life_line = os.pipe()
        self._words = os.memfd_create("hil-interpreter-words")
        self._connection, self._lock, self._closed = here, threading.Lock(), False
        search = json.dumps([_PACKAGE, *(os.path.abspath(folder) for folder in sys.path)])
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, search, str(there.fileno()), str(life_line)],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                pass_fds=(there.fileno(), life_line),
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy's threads are not needed, and start slowly
                start_new_session=True,  # Ctrl-C at the terminal reaches the harness alone
            )
        except OSError as error:
            here.close()
            os.close(self._life_line)
            os.close(self._words)
            raise BenchError(f"the process of an interpreter cannot be started: {error}") from error
        finally:
            there.close()
            os.close(life_line)
        self._release = weakref.finalize(self, _release, self._process, here, self._life_line, self._words)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: str, values: Values, silence_s: float = SILENCE_S) -> Values:
        """The answer to a request of hil.interpreter.worker, which is given `values`.

        Raises InterpreterRefused, and InterpreterEnded when the process ends, is closed, or says nothing for
        `silence_s` seconds, after which it is ended.
        """
        with self._lock:
            if not self._release.alive:
                raise InterpreterEnded("was closed", "", closed=True)
            before = os.fstat(self._words).st_size
            self._connection.settimeout(silence_s)
            try:
                send(self._connection, {"request": request, **values})
                answer = self._answer(silence_s)
                while "alive" in answer:
                    answer = self._answer(silence_s)
            except TimeoutError:
                self._process.kill()
                raise InterpreterEnded(f"hung: no answer in {silence_s:g} s", self._said(before)) from None
            except (EOFError, OSError):
                raise InterpreterEnded(self._how(), self._said(before), self._closed) from None
            if "refused" in answer:
                raise InterpreterRefused(answer["refused"], self._said(before))
            return answer

    def _answer(self, silence_s: float) -> Values:
        """What it says next. Raises TimeoutError, EOFError and OSError."""
        if not Patience(silence_s, lambda: turns_of(self.pid)).await_data(self._connection):
            raise TimeoutError
        return receive(self._connection)

    def close(self) -> None:
        """End the process, and wait until it is gone. Safe to call twice."""
        self._closed = True
        self._process.kill()  # first, so that a thread that waits for an answer lets go of the lock
        with self._lock:
            self._release()

    def _how(self) -> str:
        """How it ended. It has hung up by now, and is about to end if it has not yet."""
        try:
            code = self._process.wait(_LAST_STEP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "closed its connection and did not end"
        if self._closed:
            return "was closed"
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        return f"was killed by {name}" + (", as when memory runs out" if -code == signal.SIGKILL else "")

    def _said(self, since: int) -> str:
        """The end of what it printed since then."""
        end = os.fstat(self._words).st_size
        return os.pread(self._words, LAST_WORDS, max(since, end - LAST_WORDS)).decode(errors="replace").strip()


def _release(process: subprocess.Popen[bytes], connection: socket.socket, life_line: int, words: int) -> None:
    process.kill()
    process.wait()
    connection.close()
    os.close(life_line)
    os.close(words)
