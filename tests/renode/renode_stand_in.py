"""A stand-in for Renode, for tests where Renode is not installed. It is not Renode, and its numbers are not Renode's.

It takes Renode's command line, serves the Robot server's XML-RPC in Renode 1.16.1's words, and runs the real firmware
on the project's virtual microcontroller (hil.virtual). It understands the commands that the harness and
boards/stm32f429.resc give, and no others. `--misbehave=WHAT[:COMMAND]` in front of Renode's own arguments makes it
break: COMMAND is the beginning of the monitor command, or the path of the script, on which it does so.
"""

from __future__ import annotations

import mmap
import os
import re
import signal
import sys
import threading
import uuid
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

VERSION = "Renode stand-in for tests, speaks like 1.16.1"
OFFSET = 0x1000  # of the data in a shared segment's file
KEYWORDS = {"ExecuteCommand": ("command", "machine"), "ExecuteScript": ("path",), "StopRemoteServer": ()}
SPECIAL = 20  # selector of CONTROL, FAULTMASK, BASEPRI, PRIMASK
REGISTERS = {"PC": 15, "LR": 14, "SP": 13, "XProgramStatusRegister": 16}  # selectors of hil.virtual's machine
MEMORIES = {"flash": 0x08000000, "ram": 0x20000000, "ccm": 0x10000000}


# A register that Renode's NVIC does not have: a question for it leaves a line in the log.
NVIC, UNKNOWN = 0xE000E000, 0xE000ED38
NO_ICU = (
    "Process terminated. Couldn't find a valid ICU package installed on the system. Please install libicu (or "
    "icu-libs) using your package manager and try again. Alternatively you can set the configuration flag "
    "System.Globalization.Invariant to true if you want to run with no globalization support."
)


class Refused(Exception):
    """A command that the monitor cannot carry out."""


class Memory:
    """A MappedMemory: its file is made when it is first touched."""

    def __init__(self, folder: str, size: int) -> None:
        self.path, self.size = Path(folder) / f"renode-sharedSegment-{uuid.uuid4()}", size
        self._map: mmap.mmap | None = None

    def view(self) -> memoryview:
        if self._map is None:
            with self.path.open("xb+") as file:
                file.truncate(OFFSET + self.size)
                self._map = mmap.mmap(file.fileno(), 0)
        return memoryview(self._map)[OFFSET:]


class Monitor:
    """Renode's command interpreter, as far as it is used."""

    def __init__(self, misbehave: str) -> None:
        self.misbehave = misbehave
        self.variables: dict[str, str] = {}
        self.memories: dict[str, Memory] = {}
        self.uart: Any = None
        self.log: Any = None
        self._machine: Any = None
        self._running = False
        self.commands: list[tuple[str, Callable[..., str]]] = [
            (r'\$(\w+)="(.*)"', self._set),
            (r"logFile (\S+) true", self._log_file),
            (r'mach create "board"', lambda: ""),
            (r"machine LoadPlatformDescription (\S+)", self._load),
            (r"sysbus\.usart3 CreateFileBackend (\S+) true", self._uart_file),
            (r'emulation SetGlobalQuantum "[\d.]+"', lambda: ""),
            (r"start|machine Start", self._start),
            (r"machine Pause", self._pause),
            (r"machine Reset", self._reset),
            (r"sysbus ReadDoubleWord (\w+)", self._read),
            (r"sysbus\.cpu (\w+)", self._register),
            (r"version", lambda: VERSION),
        ]

    def command(self, text: str) -> str:
        for pattern, action in self.commands:
            if found := re.fullmatch(pattern, text):
                return action(*(self._value(part) for part in found.groups()))
        raise Refused(f"No such command or device: {text.split()[0]}\n")

    def script(self, path: str) -> str:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except OSError:
            raise Refused(f"Could not find file '{path}'") from None
        return "".join(self.command(line.partition("#")[0].strip()) for line in lines if line.partition("#")[0].strip())

    def close(self) -> None:
        if self._machine is not None:
            self._machine.close()

    @property
    def machine(self) -> Any:
        """The virtual microcontroller, made when it is first needed: its Unicorn takes half a second to load."""
        if self._machine is None:
            from hil.virtual.coresight import CoreDebug
            from hil.virtual.machine import Machine

            views = {name: memory.view() for name, memory in self.memories.items()}
            self._machine = Machine(flash=views["flash"], sram=views["ram"], uart=self._send, ccm=views["ccm"])
            CoreDebug(self._machine)  # the cycle counter is switched on there
            keep_basepri(self._machine.core)
        return self._machine

    # ---- commands

    def _value(self, text: str) -> str:
        return self.variables.get(text.removeprefix("$"), text) if text.startswith("$") else text

    def _set(self, name: str, value: str) -> str:
        self.variables[name] = value.replace('\\"', '"').replace("\\\\", "\\")
        return ""

    def _log_file(self, path: str) -> str:
        Path(path).touch(exist_ok=False)
        self.log = open(path, "a", encoding="utf-8")  # noqa: SIM115, it lives as long as the process
        return ""

    def _load(self, path: str) -> str:
        text = Path(path).read_text(encoding="utf-8")
        base = re.search(r'using "\./(.*)"', text)
        whole = (Path(path).parent / base[1]).read_text(encoding="utf-8") if base else ""
        if bad := re.search(r"^(\w+): (Bad\.\w+) @", whole, re.M):
            at = whole[: bad.start()].count("\n") + 1
            raise Refused(f"Error E04: Could not resolve type: '{bad[2]}'.\nAt {path}:{at}:1:\n{bad[0]}\n^")
        for name in MEMORIES:
            root = re.search(rf'^{name}: {{ sharedMemoryFileRoot: "(.*)" }}$', text, re.M)
            size = re.search(rf"^{name}: Memory\.MappedMemory @ .*?segmentSize: (\w+)", whole, re.M | re.S)
            assert root is not None, text
            assert size is not None, whole
            self.memories[name] = Memory(root[1].replace('\\"', '"').replace("\\\\", "\\"), int(size[1], 0))
        return ""

    def _uart_file(self, path: str) -> str:
        self.uart = open(path, "xb", buffering=0)  # noqa: SIM115, it lives as long as the process
        return ""

    def _send(self, byte: int, _baud: float) -> None:
        self.uart.write(bytes([byte]))

    def _start(self) -> str:
        self._running = True
        if self.misbehave == "aborts":
            print(
                "12:00:00.0000 [ERROR] cpu: CPU abort [PC=0x60000000]: Trying to execute code outside RAM or ROM at "
                "0x60000000.",
                file=self.log,
                flush=True,
            )
        elif self.misbehave != "stands-still":
            self.machine.resume()
        return "Starting emulation...\n"

    def _pause(self) -> str:
        self._running = False
        self.machine.halt()
        return ""

    def _reset(self) -> str:
        self.machine.reset(hold=not self._running)
        return ""

    def _read(self, address: str) -> str:
        number = int(address, 0)
        for name, base in MEMORIES.items():
            view = self.memories[name].view()
            if base <= number < base + len(view):
                return f"0x{int.from_bytes(view[number - base :][:4], 'little'):08X}\n\n"
        if number == UNKNOWN:
            print(
                f"12:00:00.0000 [WARNING] nvic: Unhandled read from offset {number - NVIC:#X}.",
                file=self.log,
                flush=True,
            )
        return f"0x{int.from_bytes(self.machine.read(number, 4), 'little'):08X}\n\n"

    def _register(self, name: str) -> str:
        if name == "ExecutedInstructions":
            return f"0x{self.machine.instructions:x}\n\n"
        if name not in REGISTERS:
            raise Refused(f"sysbus.cpu does not provide a field, method or property {name}.\n")
        return f"0x{self.machine.read_register(REGISTERS[name]):x}\n\n"


def keep_basepri(core: Any) -> None:
    """Renode 1.16.1 keeps BASEPRI over a reset, that of the machine and that by AIRCR (`NVIC.Reset()` forgets it)."""
    reset = core.reset

    def reset_all_but_basepri() -> None:
        basepri = core.masks()[2]
        reset()
        core.write_register(SPECIAL, core.read_register(SPECIAL) | basepri << 8)

    core.reset = reset_all_but_basepri


class Server:
    """The methods of the Robot server."""

    def __init__(self, misbehave: str) -> None:
        self.how, _, self.at = misbehave.partition(":")
        self.monitor = Monitor(misbehave)
        self.server: Any = None

    def get_keyword_names(self) -> list[str]:
        return list(KEYWORDS)

    def run_keyword(self, name: str, arguments: list[str]) -> dict[str, Any]:
        if name not in KEYWORDS:
            raise xmlrpc.client.Fault(1, f'Keyword "{name}" not found')
        if not arguments or len(arguments) > len(KEYWORDS[name]):
            words = f'Arguments types do not match any available keyword "{name}" : [{", ".join(arguments)}]'
            raise xmlrpc.client.Fault(2, words)
        text = arguments[0].removeprefix(f"{KEYWORDS[name][0]}=")
        if self.at and text.startswith(self.at):
            wrong = self._misbehave(text)
            if wrong is not None:
                return wrong
        try:
            run = self.monitor.command if name == "ExecuteCommand" else self.monitor.script
            return {"status": "PASS", "return": run(text)}
        except Refused as refused:
            return self._failed(text, str(refused))

    def stop_remote_server(self) -> bool:
        if self.how == "no-stop":
            threading.Event().wait()
        threading.Thread(target=self.server.shutdown).start()
        return True

    def _failed(self, text: str, why: str) -> dict[str, Any]:
        inner = f"There was an error executing command '{text}'{why}"
        return {
            "status": "FAIL",
            "error": f"KeywordException: Could not execute command '{text}': {inner}",
            "traceback": "KeywordException:   at Antmicro.Renode.RobotFramework.RenodeKeywords.ExecuteCommand",
        }

    def _misbehave(self, text: str) -> dict[str, Any] | None:
        match self.how:
            case "fail":
                return self._failed(text, "Something of Renode's own broke.\n")
            case "fault":
                raise xmlrpc.client.Fault(2, f"Arguments types do not match any available keyword: [{text}]")
            case "odd":
                return {"state": "PASS"}
            case "number":
                return {"status": "PASS", "return": "eleven"}
            case "hang":
                threading.Event().wait()
            case "crash":
                print("Unhandled exception. System.OutOfMemoryException", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            case "break":
                os.close(self.server.socket.fileno())
                raise ConnectionAbortedError
        return None


class Handler(SimpleXMLRPCRequestHandler):
    """Answers that are none, where the misbehaviour asks for it."""

    rpc_paths = ("/",)

    def do_POST(self) -> None:  # noqa: N802, the name is the library's
        how = self.server.misbehave  # type: ignore[attr-defined]
        if how == "no-xml":
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", "12")
            self.end_headers()
            self.wfile.write(b"hello there\n")
        elif how == "http-500":
            self.send_error(500, "Internal Server Error")
        else:
            super().do_POST()

    def log_message(self, *_: Any) -> None:
        pass


def serve(misbehave: str) -> int:
    if misbehave == "dies":
        print("Unhandled exception. System.TypeInitializationException", file=sys.stderr)
        print("\n".join(f"   at Antmicro.Renode.Program.Step{step}()" for step in range(100)), file=sys.stderr)
        print("Aborted (core dumped)", file=sys.stderr)
        return 134
    methods = Server(misbehave)
    folder = Path(os.environ["TMPDIR"]) / f"renode-{os.getpid()}"
    folder.mkdir()
    with SimpleXMLRPCServer(("127.0.0.1", 0), Handler, allow_none=False, logRequests=False) as server:
        server.misbehave = misbehave  # type: ignore[attr-defined]
        methods.server = server
        server.register_instance(methods)
        port = str(server.server_address[1])
        if misbehave == "no-port":
            print("Could not create port file", flush=True)
            threading.Event().wait()
        if misbehave == "refused":
            server.server_close()
            (folder / "robot_port").write_text(port)
            threading.Event().wait()
        (folder / "robot_port").write_text("many" if misbehave == "odd-port" else port)
        server.serve_forever(poll_interval=0.02)
    methods.monitor.close()
    return 0


def main(arguments: list[str]) -> int:
    misbehave = ""
    if arguments and arguments[0].startswith("--misbehave="):
        misbehave = arguments.pop(0).partition("=")[2]
    if misbehave == "no-stop":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if misbehave == "no-icu":
        trace = "\n".join(f"   at System.Globalization.CultureData.Step{step}()" for step in range(30))
        print(f"{NO_ICU}\n{trace}", file=sys.stderr)
        return 134
    if arguments == ["--version"]:
        if misbehave == "version-hangs":
            threading.Event().wait()
        print("Renode v1.15.3.12345" if misbehave == "old" else VERSION)
        return 1 if misbehave == "version-fails" else 0
    if arguments != ["--disable-xwt", "--console", "--plain", "--hide-log", "--robot-server-port", "0"]:
        print(f"Unexpected options detected: {' '.join(arguments)}")
        return 0
    return serve(misbehave)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
