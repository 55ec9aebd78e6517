"""Holds a place of labgrid and says at which address its serial port is.

labgrid stays a program of its own environment, spoken to through `labgrid-client`: its package brings a fork of
pyserial, which would take the place of pyserial here.
"""

from __future__ import annotations

import json
import select
import shlex
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from hil.errors import BoardBroken

SCHEME = "labgrid://"
CLIENT = "labgrid-client"
_HELD = "held"
_POLL_S = 0.05
_ANSWER_S = 60.0  # longest wait for the coordinator
_RELEASE_S = 30.0
# Acquires the place, and releases it when its standard input closes: that happens however the harness ends.
_GUARD = f"""
trap '' INT TERM HUP PIPE
said=$("$1" -p "$2" acquire 2>&1) || {{ printf '%s\\n' "$said"; exit 1; }}
echo {_HELD}
cat > /dev/null
"$1" -p "$2" release > /dev/null 2>&1
"""


class Place:
    """A place that is this process's until `close`; port: of pyserial, such as rfc2217://HOST:PORT."""

    def __init__(self, name: str, client: str = CLIENT) -> None:
        """Acquire it. Raises BoardBroken with labgrid's words: somebody has it, or there is no coordinator."""
        self.name, self._client = name, client
        self._guard: subprocess.Popen[str] | None = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", client, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self._await_guard(self._guard)
            self.port = self._address()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release it. Safe to call twice."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        assert guard.stdin is not None, "made so"
        assert guard.stdout is not None, "made so"
        guard.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # it goes on by itself, also when this process ends
            guard.wait(_RELEASE_S)
        guard.stdout.close()

    def _await_guard(self, guard: subprocess.Popen[str]) -> None:
        assert guard.stdout is not None, "made so"
        if not select.select([guard.stdout], [], [], _ANSWER_S)[0]:
            raise BoardBroken(
                f"connect: labgrid did not answer within {_ANSWER_S:g} s\n"
                "  next: is its coordinator there? LG_COORDINATOR says where it is looked for"
            )
        if guard.stdout.readline().strip() == _HELD:
            return
        guard.wait()
        raise BoardBroken(
            f"connect: labgrid place {self.name} cannot be acquired: {self._refusal()}\n"
            f"  next: `{self._client} -p {self.name} show` says who has it; LG_COORDINATOR says where labgrid is"
        )

    def _refusal(self) -> str:
        """Why, asked once more: what the guard was told may have several lines, the last of which counts."""
        command = [self._client, "-p", self.name, "show"]
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        holder = next((line.strip() for line in found.stdout.splitlines() if line.strip().startswith("acquired: ")), "")
        words = (found.stderr.strip().splitlines() or ["it was refused"])[-1]
        return f"it is {holder.replace(':', ' by', 1)}" if holder and not holder.endswith("None") else words

    def _address(self) -> str:
        """What the place's serial port is called at pyserial, told by labgrid's own export of its driver."""
        setup = {
            "targets": {"main": {"resources": {"RemotePlace": {"name": self.name}}, "drivers": {"SerialDriver": {}}}}
        }
        with tempfile.TemporaryDirectory(prefix="hil-labgrid-") as folder:
            (Path(folder) / "place.yaml").write_text(json.dumps(setup), encoding="utf-8")  # JSON is YAML
            command = [self._client, "-c", f"{folder}/place.yaml", "-p", self.name, "export", "--format", "json"]
            found = _exported(command, Path(folder) / "port.json")
        try:
            scheme = {"raw": "socket", "rfc2217": "rfc2217"}[found["LG__SERIALDRIVER_PROTOCOL"]]
            return f"{scheme}://{found['LG__SERIALDRIVER_HOST']}:{found['LG__SERIALDRIVER_PORT']}"
        except KeyError as error:
            raise BoardBroken(
                f"connect: labgrid place {self.name} has no serial port in the network: {error} is not told\n"
                "  next: match a NetworkSerialPort, or a USBSerialPort that its exporter offers, to the place"
            ) from error


def _exported(command: list[str], file: Path) -> dict[str, Any]:
    """What the export command writes to the file, whole, before it waits to be ended. Raises BoardBroken with its last
    words when it writes nothing.
    """
    child = subprocess.Popen(
        [*command, str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + _ANSWER_S
    try:
        while not file.exists() and child.poll() is None and time.monotonic() < end:
            time.sleep(_POLL_S)
    finally:
        child.terminate()
        try:
            _, words = child.communicate(timeout=_RELEASE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            _, words = child.communicate()
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    last = (words.strip().splitlines() or ["nothing"])[-1]
    raise BoardBroken(f"connect: {command[0]} told no address: {last}\n  next: run it by hand: {shlex.join(command)} -")
