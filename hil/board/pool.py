"""A board that there is several times: the devices that its file lists in [[pool]], and which one a process holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hil.bench.port import holders
from hil.bench.probe_lock import ProbeLock, Taken, command_line, holder
from hil.board.config import BoardConfig, kind_module, kind_settings
from hil.errors import BoardBroken, UsageError
from hil.validation import explain

_POLL_S = 0.1
Say = Callable[[str], None]


@dataclass(frozen=True)
class Device:
    """One of them. name: the keys that tell it from the others; config: the board file with this device's own keys."""

    name: str
    config: BoardConfig
    values: tuple[str, ...]  # of those keys; a device file by the file that it leads to

    @property
    def lock(self) -> str:
        """What all runs of this machine call it."""
        return f"pool {' '.join(self.values)}"


def devices(config: BoardConfig) -> tuple[Device, ...]:
    """Those of the file's [[pool]], or those of them that an option such as hil-probe names; none without a pool.

    A kind says in DEVICE_KEYS which keys of its table tell one device from another, and which option may choose among
    them ("" for none). Raises UsageError that names file, entry and key.
    """
    if not config.pool:
        return ()
    keys: Mapping[str, str] = getattr(kind_module(config), "DEVICE_KEYS", {})
    if not keys:
        raise UsageError(
            f"{config.file}: [[pool]]: each worker starts a {config.kind!r} board of its own, which is a program\n"
            f"  fix: take [[pool]] out: `pytest -n N` runs on N of them"
        )
    found = [_device(config, number, entry, keys) for number, entry in enumerate(config.pool, 1)]
    for number, device in enumerate(found, 1):
        if device.values in [other.values for other in found[: number - 1]]:
            raise UsageError(
                f"{config.file}: [[pool]] entry {number}: {device.name} is there twice\n"
                f"  fix: give each entry a {' or '.join(keys)} of its own"
            )
    return tuple(_chosen(config, found, keys))


def each(config: BoardConfig) -> list[BoardConfig]:
    """The board file once for each of its devices; as it is without a pool."""
    return [device.config for device in devices(config)] or [config]


def _device(config: BoardConfig, number: int, entry: Mapping[str, Any], keys: Mapping[str, str]) -> Device:
    place = f"{config.file}: [[pool]] entry {number}"
    options = {name: value for name, value in config.options.items() if name not in keys.values()}
    own = config.model_copy(update={"settings": {**config.settings, **entry}, "pool": (), "options": options})
    model = kind_settings(config.kind)
    try:
        table = model.model_validate(own.settings)
    except ValidationError as error:
        raise UsageError(f"{place}: {explain(error, model)}") from error
    if missing := [key for key in keys if not entry.get(key)]:
        raise UsageError(f"{place}: {missing[0]}: is missing\n  fix: it tells this device from the others: write it")
    named = {key: str(getattr(table, key)) for key in keys}
    name = ", ".join(f"{key} {value}" for key, value in named.items())
    return Device(
        name, own, tuple(os.path.realpath(value) if os.path.exists(value) else value for value in named.values())
    )


def _chosen(config: BoardConfig, found: Sequence[Device], keys: Mapping[str, str]) -> Iterator[Device]:
    """Those that the options leave. Raises UsageError when that is none."""
    wanted = {at: config.options.get(option, "").lower() for at, option in enumerate(keys.values()) if option}
    chosen = [each for each in found if all(part in each.values[at].lower() for at, part in wanted.items())]
    if not chosen:
        named = " and ".join(
            f"--{option}={config.options[option]}" for option in keys.values() if option in config.options
        )
        there = ", ".join(each.name for each in found)
        raise UsageError(f"{config.file}: [[pool]]: no entry fits {named}; there are {there}\n  fix: name one of them")
    return iter(chosen)


class Held:
    """A device that is this process's until `close`; the kernel takes it back when the process ends without it."""

    def __init__(self, device: Device) -> None:
        """Raises Taken, with the process id, when somebody else has it."""
        self.device = device
        try:
            self._lock = ProbeLock(device.lock, 0)
        except Taken:
            users = [pid for pid in (holder(device.lock),) if pid]
            raise Taken(f"connect: {device.name} is in use by {_who(users)}\n  next: wait for it to end") from None

    def close(self) -> None:
        """Let others have it. Safe to call twice."""
        self._lock.close()


def take(
    config: BoardConfig,
    pool: Sequence[Device],
    say: Say,
    broken: Callable[[], Collection[str]] = frozenset,
    ours: Callable[[], frozenset[int]] = frozenset,
) -> Held:
    """A device of the board that nobody uses; waits for one. say: told who holds them meanwhile. broken: names of those
    that are not worth a try; ours: processes of this run, which are waited for without a limit.

    Raises BoardBroken, which names who holds them, after `pool_wait_s` of the board file, and when all are broken.
    """
    said, since = "", time.monotonic()
    while True:
        given_up = broken()
        if not (left := [device for device in pool if device.name not in given_up]):
            raise BoardBroken(f"connect: board {config.name}: all of its {len(pool)} devices are broken")
        users: dict[str, list[int]] = {}
        for device in left:
            found = _try(device)
            if isinstance(found, Held):
                return found
            users[device.name] = found
        if (who := _told(users)) != said:
            say(f"board {config.name}: waiting for a free device: {who}")
            said = who
        if not ours().isdisjoint(pid for pids in users.values() for pid in pids):
            since = time.monotonic()
        if time.monotonic() - since > config.pool_wait_s:
            raise BoardBroken(
                f"connect: board {config.name}: no device was free within {config.pool_wait_s:g} s: {who}\n"
                f"  next: wait for them to end, or raise pool_wait_s in {config.file}"
            )
        time.sleep(_POLL_S)


def _try(device: Device) -> Held | list[int]:
    """The device, or who has it."""
    try:
        held = Held(device)
    except Taken:
        pid = holder(device.lock)
        return [pid] if pid else []
    if users := list(_users(device)):
        held.close()
        return users
    return held


def _users(device: Device) -> Iterator[int]:
    """Who uses the device without having taken it from the pool, as far as this user may see."""
    for value in device.values:
        if (pid := holder(value)) is not None:
            yield pid
        if value.startswith("/"):
            yield from holders(value)


def _told(users: Mapping[str, Sequence[int]]) -> str:
    return "; ".join(f"{name} is in use by {_who(pids)}" for name, pids in users.items())


def _who(pids: Sequence[int]) -> str:
    return ", ".join(f"pid {pid} ({command_line(pid)})" for pid in pids) or "another user or container"
