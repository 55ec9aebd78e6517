"""Knows the system tools that building and emulating need: how to find and install them, how new they must be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hil.errors import MissingTool, UsageError

HOST_TARGETS = frozenset({"native"})  # built by the host's own compiler; every other target is an Arm one
_PROBE_TIMEOUT_S = 20


@dataclass(frozen=True)
class Tool:
    """One tool. `include`: for a library, the header whose compilation proves it. `minimum`: a version, as (3, 22)."""

    name: str
    program: str
    purpose: str
    package: str  # Debian's and Ubuntu's name
    minimum: tuple[int, ...] = ()
    include: str = ""


CMAKE = Tool("cmake", "cmake", "to build the firmware", "cmake", minimum=(3, 22))
NINJA = Tool("ninja", "ninja", "to build the firmware", "ninja-build")
CARGO = Tool("cargo", "cargo", "to get the TensorFlow Lite Micro sources", "cargo")
ARM_GCC = Tool("arm-none-eabi-g++", "arm-none-eabi-g++", "to build Cortex-M images", "gcc-arm-none-eabi", minimum=(10,))
NEWLIB = Tool("newlib", "arm-none-eabi-g++", "to build Cortex-M images", "libnewlib-arm-none-eabi", include="stdint.h")
LIBSTDCXX = Tool(
    "libstdc++ (arm)",
    "arm-none-eabi-g++",
    "to build Cortex-M images",
    "libstdc++-arm-none-eabi-newlib",
    include="array",
)
HOST_GCC = Tool("g++", "g++", "to build the native image", "g++", minimum=(9,))

BUILD_TOOLS = (CMAKE, NINJA, CARGO)
ARM_TOOLS = (ARM_GCC, NEWLIB, LIBSTDCXX)


def tools_of_target(target: str) -> tuple[Tool, ...]:
    """The tools that building the firmware for `target` takes."""
    return (*BUILD_TOOLS, HOST_GCC) if target in HOST_TARGETS else (*BUILD_TOOLS, *ARM_TOOLS)


def identity(program: str | None) -> tuple[object, ...]:
    """Which program this is: an upgrade keeps the path, but not size and time."""
    if program is None:
        return ()
    facts = Path(program).resolve().stat()
    return program, facts.st_size, facts.st_mtime_ns


def find_version(tool: Tool, path: str | None = None) -> str | None:
    """Version text of the tool on `path` (default: PATH), "" when it does not tell, None when it is not there."""
    program = shutil.which(tool.program, path=path)
    if program is None:
        return None
    if tool.include:
        return "" if _compiles(program, tool.include, path) else None
    answer = _run([program, "--version"], path)
    match = re.search(r"\d+\.\d+(\.\d+)?", answer.stdout) if answer is not None else None
    return match.group(0) if match else None


def is_enough(tool: Tool, version: str) -> bool:
    """Whether `version` is not older than the tool's minimum."""
    return not tool.minimum or tuple(int(part) for part in version.split(".")) >= tool.minimum


def install_command(packages: list[str], path: str | None = None) -> str:
    """The one command that installs Debian packages; on other systems their names."""
    names = " ".join(sorted(set(packages)))
    if shutil.which("apt-get", path=path):
        return f"sudo apt-get install -y --no-install-recommends {names}"
    return f"install what Debian calls: {names}"


def require_programs(tools: tuple[Tool, ...]) -> None:
    """Raise MissingTool for the first whose program is not on PATH; its fix installs all that are missing."""
    missing = [tool for tool in tools if shutil.which(tool.program) is None]
    if missing:
        raise MissingTool(missing[0].program, missing[0].purpose, install_command([tool.package for tool in missing]))


def require_tools(tools: tuple[Tool, ...]) -> None:
    """As `require_programs`, and for one that is too old or a library without its headers. Runs each tool."""
    require_programs(tools)
    for tool in tools:
        version = find_version(tool)
        install = install_command([tool.package])
        if version is None and not tool.include:
            raise UsageError(
                f"{tool.program} is needed {tool.purpose}; {shutil.which(tool.program)} is there, but does not answer\n"
                f"  fix: see what `{tool.program} --version` says, and mend that; or {install}"
            )
        if version is None:
            raise MissingTool(tool.name, tool.purpose, install)
        if not is_enough(tool, version):
            wanted = ".".join(str(part) for part in tool.minimum)
            raise MissingTool(
                f"{tool.name} {wanted}", f"{tool.purpose} ({version} is too old)", install_command([tool.package])
            )


def _compiles(compiler: str, header: str, path: str | None) -> bool:
    arguments = [compiler, "-x", "c++", "-std=c++17", "-fsyntax-only", "-"]
    answer = _run(arguments, path, f"#include <{header}>\n")
    return answer is not None and answer.returncode == 0


def _run(arguments: list[str], path: str | None, text: str = "") -> subprocess.CompletedProcess[str] | None:
    environment = {**os.environ, "LC_ALL": "C"} | ({"PATH": path} if path is not None else {})
    try:
        return subprocess.run(
            arguments,
            input=text,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=_PROBE_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
