"""Reads board files of other tools, as far as they say what ours say.

* cbuild-run.yml of the CMSIS-Toolbox: "Run and Debug Management" in its page on build information files, and its page
  on pyOCD.
* twister's hardware map: hil.bench.hardware_map.
* pyocd.yaml: "Configuration" in pyOCD's documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hil.bench.hardware_map import connected_platforms, read_hardware_map
from hil.errors import MissingTool, UsageError
from hil.newboard.types import Found, Wanted
from hil.project.places import pip_command

_MODES = ("halt", "pre-reset", "under-reset", "attach")
_NEEDS_CHIP = "give the chip's name at pyOCD with --target: `pyocd list --targets` shows all"
Node = Mapping[str, Any]


def read_source(file: Path, wanted: Wanted) -> Found:
    """What `file` says, told by its content. Raises UsageError that names file and key, MissingTool without PyYAML."""
    content = _load(file)
    if isinstance(content, list):
        return _from_hardware_map(file, content, wanted)
    if isinstance(content, dict) and "cbuild-run" in content:
        return _from_cbuild_run(file, content["cbuild-run"], wanted)
    if isinstance(content, dict) and (
        file.stem.lstrip(".") == "pyocd" or "probes" in content or "target_override" in content
    ):
        return _from_pyocd(file, content, wanted)
    raise UsageError(
        f"{file}: is none of the files that can be read\n"
        "  fix: name a *.cbuild-run.yml of the CMSIS-Toolbox, a twister hardware map, or a pyocd.yaml"
    )


def _load(file: Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingTool("PyYAML", f"to read {file}", pip_command("bench")) from None
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: {error}\n  fix: name a readable YAML file") from error


class _Reader:
    """Takes keys out of a tree, says what is wrong with one, and knows in the end which nobody took."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._taken: set[str] = set()

    def take(self, node: Node, path: str, kind: type | tuple[type, ...]) -> Any:
        """The value at the last word of `path`, None when it is not there. Raises UsageError when it is no `kind`."""
        self._taken.add(path)
        value = node.get(path.rpartition(".")[2])
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is int)):
            raise UsageError(
                f"{self._file}: {path}: {value!r} cannot be read\n  fix: let the tool that made it write it again"
            )
        return value

    def left(self, node: Node, path: str = "") -> Iterator[str]:
        """What nobody took, as `key` or `key: value`."""
        for key, value in node.items():
            name = f"{path}.{key}" if path else str(key)
            if name in self._taken:
                continue
            if isinstance(value, dict) and any(taken.startswith(f"{name}.") for taken in self._taken):
                yield from self.left(value, name)
            else:
                yield name if isinstance(value, dict | list) else f"{name}: {value}"


# ---- cbuild-run.yml


def _from_cbuild_run(file: Path, node: Any, wanted: Wanted) -> Found:
    if not isinstance(node, dict):
        raise UsageError(f"{file}: cbuild-run: is no map\n  fix: build the solution again with cbuild")
    read, settings, origins = _Reader(file), dict[str, Any](), dict[str, str]()

    def set_from(key: str, value: Any, path: str) -> None:
        if value is not None:
            settings[key], origins[key] = value, path

    device = read.take(node, "device", str)
    set_from("pyocd_target", wanted.chip or _chip(device), "--target" if wanted.chip else "device")
    if not settings["pyocd_target"]:
        raise UsageError(f"{file}: device: is missing\n  fix: {_NEEDS_CHIP}")
    debugger = read.take(node, "debugger", dict) or {}
    mode = read.take(debugger, "debugger.connect", str)
    set_from("connect_mode", _one_of(file, "debugger.connect", mode, _MODES) if mode else None, "debugger.connect")
    set_from("swd_hz", read.take(debugger, "debugger.clock", int), "debugger.clock")
    read._taken.discard("debugger")
    if debugger.get("protocol") == "swd":
        read.take(debugger, "debugger.protocol", str)
    resources = read.take(node, "system-resources", dict) or {}
    memory = read.take(resources, "system-resources.memory", list) or []
    read._taken.discard("system-resources")
    ram, odd = _ram(file, memory)
    set_from("ram", ram or None, "system-resources.memory")
    outputs = read.take(node, "output", list) or []
    image, others = _image(file, outputs)
    origins["image"] = "output"
    target = read.take(node, "target-type", str) or wanted.name
    for maker in ("generated-by", "solution", "compiler"):
        read.take(node, maker, str)
    left = (*read.left(node), *odd, *others)
    settings["clock_hz"] = _clock(file, wanted)
    return Found("pyocd", target, f"{target}, from {file.name}", settings, image=image, origins=origins, left=left)


def _chip(device: str | None) -> str:
    """Vendor::Name:processor, of which pyOCD's packs know the name."""
    return (device or "").rpartition("::")[2].partition(":")[0].lower()


def _ram(file: Path, memory: list[Any]) -> tuple[list[list[int]], list[str]]:
    """Regions that are written and not executed from flash: those with `w` in `access`; and what else is there."""
    found, left = [], []
    for number, region in enumerate(memory, 1):
        place = f"system-resources.memory entry {number}"
        if not isinstance(region, dict) or not all(isinstance(region.get(key), int) for key in ("start", "size")):
            raise UsageError(f"{file}: {place}: start and size must be numbers\n  fix: build the solution again")
        if "w" in str(region.get("access", "")):
            found.append([region["start"], region["size"]])
        else:
            left.append(f"{place} ({region.get('name', '?')}): pyOCD's own map of the chip has the flash")
    return found, left


def _image(file: Path, outputs: list[Any]) -> tuple[str, list[str]]:
    """The first ELF that is loaded, as seen from the source's folder, and the rest."""
    image, left = "", []
    for number, output in enumerate(outputs, 1):
        if not isinstance(output, dict) or not isinstance(output.get("file"), str):
            raise UsageError(f"{file}: output entry {number}: file: is missing\n  fix: build the solution again")
        if not image and output.get("type") == "elf" and "image" in str(output.get("load", "image")):
            image = output["file"]
        else:
            left.append(f"output entry {number}: {output['file']}")
    return image, left


# ---- twister's hardware map


def _from_hardware_map(file: Path, entries: list[Any], wanted: Wanted) -> Found:
    """Serial ports; with a chip, debug probes. One board is one device, several of a platform are a pool."""
    there = connected_platforms(file)
    platform = wanted.platform or (there[0] if len(there) == 1 else "")
    if not platform:
        raise UsageError(
            f"{file}: connected boards of {len(there)} platforms: {', '.join(there) or 'none'}\n"
            "  fix: name one with --platform"
        )
    boards = read_hardware_map(file, platform)
    left = sorted({f"{key} of each entry" for entry in entries for key in entry if key in _OF_TWISTER})
    rows: list[dict[str, Any]] = []
    for board in boards:
        row: dict[str, Any] = {"probe": board.probe} if wanted.chip else {}
        if board.serial:
            row["serial" if wanted.chip else "port"] = board.serial
        elif not wanted.chip:
            raise UsageError(
                f"{file}: board {board.probe} of platform {platform!r}: serial: is missing\n"
                f"  fix: name its port; or, to go through its debug probe, {_NEEDS_CHIP}"
            )
        if board.baud:
            row["baud"] = board.baud
        rows.append(row)
    origins = {
        "probe": "id or probe_id",
        "port": "serial",
        "serial": "serial",
        "baud": "baud",
        "pyocd_target": "--target",
    }
    common: dict[str, Any] = {}
    if wanted.chip:
        common = {"pyocd_target": wanted.chip, "clock_hz": _clock(file, wanted)}
    else:
        left.append("id of each entry: a board behind a serial port needs none; --target goes through the probe")
        if wanted.clock_hz:
            common["clock_hz"] = wanted.clock_hz
    kind = "pyocd" if wanted.chip else "serial"
    description = f"{platform}, from {file.name}"
    if len(rows) == 1:
        return Found(kind, platform, description, {**common, **rows[0]}, origins=origins, left=tuple(left))
    return Found(kind, platform, description, common, tuple(rows), origins=origins, left=tuple(left))


# Keys that twister knows and a board file does not (Zephyr's hwmap-schema.yaml).
_OF_TWISTER = (
    "product", "runner", "runner_params", "fixtures", "pre_script", "post_script", "post_flash_script",
    "script_param", "flash_timeout", "flash_with_test", "flash_before", "notes", "available",
)  # fmt: skip


# ---- pyocd.yaml


def _from_pyocd(file: Path, node: Node, wanted: Wanted) -> Found:
    read = _Reader(file)
    settings, origins = _of_pyocd(file, read, node, "")
    probes = read.take(node, "probes", dict) or {}
    pool, left = [], list[str]()
    for number, own in probes.items():
        if not isinstance(own, dict | None):
            raise UsageError(f"{file}: probes.{number}: is no map\n  fix: write its options below it")
        mine = _Reader(file)
        row, _ = _of_pyocd(file, mine, own or {}, f"probes.{number}.")
        left += mine.left({f"probes.{number}.{key}": value for key, value in (own or {}).items()})
        pool.append({"probe": str(number), **row})
    if wanted.probe:
        pool = [row for row in pool if wanted.probe.lower() in row["probe"].lower()]
        if not pool:
            raise UsageError(
                f"{file}: probes: none has {wanted.probe!r} in its id\n  fix: name one of {', '.join(map(str, probes))}"
            )
    if wanted.chip:
        settings["pyocd_target"], origins["pyocd_target"] = wanted.chip, "--target"
    rows = [{**settings, **row} for row in pool] or [settings]
    if not all(row.get("pyocd_target") for row in rows):
        raise UsageError(f"{file}: target_override: is missing\n  fix: write it; or {_NEEDS_CHIP}")
    settings.setdefault("clock_hz", _clock(file, wanted))
    origins["probe"] = "probes"
    left = [*read.left(node), *left]
    description = f"from {file.name}"
    if len(pool) == 1:
        settings, pool = {**settings, **pool[0]}, []
    return Found("pyocd", wanted.name, description, settings, tuple(pool), origins=origins, left=tuple(left))


def _of_pyocd(file: Path, read: _Reader, node: Node, place: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Options that a board file has too, with what they are called in the source."""
    check: dict[str, tuple[str, type, Callable[[Any], Any]]] = {
        "pyocd_target": ("target_override", str, str),
        "connect_mode": ("connect_mode", str, lambda mode: _one_of(file, f"{place}connect_mode", mode, _MODES)),
        "swd_hz": ("frequency", int, int),
    }
    settings, origins = {}, {}
    for key, (theirs, kind, convert) in check.items():
        read._taken.add(f"{place}{theirs}")
        if (value := read.take(node, theirs, kind)) is not None:
            settings[key], origins[key] = convert(value), f"{place}{theirs}"
    return settings, origins


# ---- all


def _one_of(file: Path, place: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{file}: {place}: there is no {value!r}\n  fix: write one of {', '.join(known)}")
    return value


def _clock(file: Path, wanted: Wanted) -> int:
    if wanted.clock_hz is None:
        raise UsageError(
            f"{file}: does not say at what rate the core runs\n  fix: give it with --clock-hz, such as 180000000"
        )
    return wanted.clock_hz
