"""A stand-in for Renode with a machine of its user's, for tests where Renode is not installed. It is not Renode.

It speaks as renode_stand_in.py does, and runs the real firmware on QEMU's netduinoplus2, whose USART1 it calls
`sysbus.usart1`. It understands the commands that the harness gives for a link over a UART, and those of a script such
as a user of Renode writes; a platform file it believes unread. An instruction takes 8 ns, which are 125 MIPS.
"""

from __future__ import annotations

import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import renode_stand_in
from renode_stand_in import Refused

QEMU = ("qemu-system-arm", "-M", "netduinoplus2", "-nodefaults", "-display", "none", "-icount", "shift=3,sleep=on")
MIPS = 125
REGISTERS = {"PC": "pc", "SP": "sp", "LR": "lr"}


class Monitor(renode_stand_in.Monitor):
    """Renode's command interpreter, as far as it is used here."""

    def __init__(self, misbehave: str) -> None:
        super().__init__(misbehave)
        self._child: Any = None
        self._control: Any = None
        self._elf = self._name = ""
        self._server: socket.socket | None = None
        self._line: socket.socket | None = None
        self._connected = self._running = False
        self.commands = [
            (r'\$(\w+)="(.*)"', self._set),
            (r"logFile (\S+) true", self._log_file),
            (r"using sysbus", lambda: ""),
            (r'mach (?:create|set) "(\w+)"', self._named),
            (r"machine LoadPlatformDescription (\S+)", self._load),
            (r"sysbus LoadELF (\S+)", self._load_elf),
            (r'emulation CreateServerSocketTerminal (\d+) "hil" false', self._listen),
            (r"connector Connect (\S+) hil", self._connect),
            (r"start", self._start),
            (r"pause", self._pause),
            (r"machine Reset", self._reset),
            (r"sysbus\.cpu (\w+)", self._register),
            (r"version", lambda: renode_stand_in.VERSION),
        ]

    def close(self) -> None:
        self._end()

    def script(self, path: str) -> str:
        text = Path(path).read_text(encoding="utf-8").replace("$ORIGIN", str(Path(path).parent))
        return "".join(self.command(line) for line in script_lines(text))

    # ---- commands

    def _named(self, name: str) -> str:
        if self._name not in ("", name):
            raise Refused(f"Could not find machine [{name}]\n")
        self._name = name
        return ""

    def _load(self, path: str) -> str:
        if not Path(path.removeprefix("@")).is_file():
            raise Refused(f"Could not find file '{path}'\n")
        return ""

    def _load_elf(self, path: str) -> str:
        from hil.image.elf import Image

        if Image(Path(path)).machine != "arm":
            raise Refused("This ELF is for another architecture\n")
        self._elf = path
        return ""

    def _listen(self, port: str) -> str:
        self._server = socket.create_server(("127.0.0.1", int(port)))
        return ""

    def _connect(self, uart: str) -> str:
        if uart != "sysbus.usart1":
            raise Refused("Parameters did not match the signature\n")
        self._connected = True
        return ""

    def _start(self) -> str:
        from hil.board.qemu_control import Control
        from hil.child import Child

        self._running = True
        if self._elf and self._connected and self._child is None:
            if self._line is None:
                assert self._server is not None
                self._line, _ = self._server.accept()
            self._control = Control("stand-in", dict)
            control, fds = self._control.open()
            line = self._line.fileno()
            serial = ("-chardev", f"socket,id=link,fd={line}", "-serial", "chardev:link")
            program = shutil.which(QEMU[0]) or QEMU[0]
            self._child = Child([program, *QEMU[1:], "-kernel", self._elf, *control, *serial], (*fds, line))
        return "Starting emulation...\n"

    def _pause(self) -> str:
        self._running = False
        return "Pausing emulation...\n"

    def _reset(self) -> str:
        self._end()
        return ""

    def _register(self, name: str) -> str:
        if name == "PerformanceInMips":
            return f"0x{MIPS:08X}\n\n"
        if name == "ExecutedInstructions" and self._control is not None:
            self._control.stand_still()
            count = self._control.instructions()
            self._control.go_on()
            return f"0x{count:016X}\n\n"
        if name in REGISTERS and self._control is not None:
            return f"0x{self._control.registers()[REGISTERS[name]]:x}\n\n"
        raise Refused(f"sysbus.cpu does not provide a field, method or property {name}.\n")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            self._control.close()
            self._control = None


def script_lines(text: str) -> list[str]:
    """The commands of a script, without comments; a macro is carried out where it is run."""
    macros = dict(re.findall(r'macro (\w+)\n"""\n(.*?)\n"""', text, re.S))
    rest = re.sub(r'macro \w+\n""".*?"""', "", text, flags=re.S)
    lines: list[str] = []
    for line in (line.partition("#")[0].strip() for line in rest.splitlines()):
        run = re.fullmatch(r"runMacro \$(\w+)", line)
        lines += [part.strip() for part in macros[run[1]].splitlines()] if run else [line] if line else []
    return lines


if __name__ == "__main__":
    renode_stand_in.Monitor = Monitor  # type: ignore[misc]
    sys.exit(renode_stand_in.main(sys.argv[1:]))
