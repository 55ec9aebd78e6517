"""Knows how to talk to the Robot server of a running Renode: keywords over XML-RPC, and what its answers mean."""

from __future__ import annotations

import http.client
import xmlrpc.client
from collections.abc import Callable
from typing import Any
from xml.parsers.expat import ExpatError

from hil.errors import BoardError


class RobotTimeout(BoardError):
    """The server took a call and did not answer it in time. It may carry it out yet."""


class Robot:
    """Calls to the Robot server at `port` of this machine. One connection a call, and none is ever repeated.

    timeout_s: of each call; a server that has not answered one in time is not asked again. ended: how the process
    behind the port ended, when it has; asked when a connection breaks.
    All calls raise BoardError, with Renode's own words where it gave any.
    """

    def __init__(self, port: int, timeout_s: float, ended: Callable[[], str | None]) -> None:
        self.port, self.timeout_s, self._ended = port, timeout_s, ended
        self._unanswered = ""

    def command(self, text: str) -> str:
        """One line of Renode's monitor; returns what it printed. The name `command=` lets it contain equals signs."""
        return self.keyword("ExecuteCommand", f"command={text}")

    def script(self, path: str) -> str:
        """Carry out a .resc file."""
        return self.keyword("ExecuteScript", f"path={path}")

    def number(self, text: str) -> int:
        """A command of the monitor that prints one number."""
        answer = self.command(text)
        try:
            return int(answer, 0)
        except ValueError:
            raise BoardError(f"renode: {text!r} answered {answer!r}, a number was expected") from None

    def keyword(self, name: str, *arguments: str) -> str:
        """Run one keyword: exact name, arguments as text, named ones as `name=value`."""
        what = " ".join((name, *(argument.partition("=")[2] or argument for argument in arguments)))
        answer = self._call(what, self.timeout_s, lambda server: server.run_keyword(name, list(arguments)))
        found = answer if isinstance(answer, dict) else {}
        if found.get("status") == "PASS":
            return str(found.get("return", "")).strip()
        if found.get("status") == "FAIL":
            raise BoardError(f"renode refused {what!r}: {_words(found, arguments)}")
        raise BoardError(
            f"renode answered {what!r} with {answer!r}, which is no answer of a Robot server\n{_next_port()}"
        )

    def silence(self) -> str:
        """What it has not answered in time, in words; "" as long as it answers."""
        if not self._unanswered:
            return ""
        return (
            f"{self._unanswered}\n  next: did somebody stop the process (SIGSTOP), or is the machine overloaded? "
            "call_s of the board file gives it longer"
        )

    def stop(self, timeout_s: float) -> None:
        """Ask the server, and with it the process, to end."""
        self._call("stop_remote_server", timeout_s, lambda server: server.stop_remote_server())

    def _call(self, what: str, timeout_s: float, call: Callable[[xmlrpc.client.ServerProxy], object]) -> object:
        if self._unanswered:
            raise RobotTimeout(self.silence())
        transport = _OneCall(timeout_s)
        try:
            with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self.port}/", transport) as server:
                return call(server)
        except xmlrpc.client.Fault as fault:
            raise BoardError(f"renode does not take {what!r}: fault {fault.faultCode}, {fault.faultString}") from fault
        except xmlrpc.client.ProtocolError as error:
            raise BoardError(
                f"renode answered {what!r} with HTTP status {error.errcode} ({error.errmsg})\n{_next_port()}"
            ) from error
        except (ExpatError, xmlrpc.client.ResponseError, UnicodeDecodeError) as error:
            raise BoardError(
                f"renode answered {what!r} with something that is no XML-RPC: {error}\n{_next_port()}"
            ) from error
        except TimeoutError as error:
            self._unanswered = f"renode did not answer {what!r} within {timeout_s:g} s"
            raise RobotTimeout(self.silence()) from error
        except (OSError, http.client.HTTPException) as error:
            raise BoardError(self._broken(what, error)) from error

    def _broken(self, what: str, error: Exception) -> str:
        """A connection that was refused or broke off: say what became of the process."""
        ended = self._ended()
        if ended is not None:
            return f"renode went away during {what!r}: {ended}"
        if isinstance(error, ConnectionRefusedError):
            return f"renode does not listen at port {self.port} any more ({what!r}: {error})\n{_next_port()}"
        return f"renode broke the connection during {what!r} ({type(error).__name__}: {error})\n{_next_port()}"


class _OneCall(xmlrpc.client.Transport):
    """A connection with a time-out that is used once. The library's own would send a broken call a second time."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(headers=[("Connection", "close")])
        self._timeout_s = timeout_s

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(str(host), timeout=self._timeout_s)
        self._connection = str(host), connection  # where the library's own `close` looks for it
        return connection

    def request(self, *arguments: Any, **named: Any) -> Any:
        return self.single_request(*arguments, **named)


def _words(answer: dict[str, object], arguments: tuple[str, ...]) -> str:
    """What Renode says went wrong. It puts the command in front, in quotes, once or twice: that is cut off."""
    text = str(answer.get("error") or "it gave no reason").strip()
    for argument in arguments:
        text = text.rpartition(f"'{argument.partition('=')[2]}'")[2].lstrip(": ")
    return text.removeprefix("KeywordException: ")


def _next_port() -> str:
    return "  next: end other programs that may have taken this port, and run again"
