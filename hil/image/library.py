"""Knows what a TFLM library that a user has built must be and what its kernels are, and says how to build it.

`python -m hil.image.library` is CMake's way in (firmware/tflm/upstream.cmake).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.errors import HilError, UsageError
from hil.image.archive import Archive, Member, is_elf
from hil.image.tflm import GUIDE, OPTIMISED, Tflm

_REGISTER = re.compile(r"_ZN6tflite(?:\d+tflm_signal)?(\d+)(Register_\w+)")
_OPERATOR_ROW = re.compile(r"HIL_OPERATOR\((\w+), (\w+), (\w+)\)")
# Functions of optimised kernels begin like this.
_KERNEL_SETS = {"arm_": "CMSIS-NN", "esp_nn_": "ESP-NN", "xa_nn_": "Cadence NN", "riscv_": "NMSIS-NN"}
_INTERPRETER = "_ZN6tflite16MicroInterpreterC"
_DYNAMIC_MEMORY = "TfLiteIntArrayCreate"  # compiled only where TF_LITE_STATIC_MEMORY is not defined
_MESSAGES = "_Z11MicroPrintfPKcz"  # compiled only where TF_LITE_STRIP_ERROR_STRINGS is not defined
_COMPRESSION = "AllocateCompressedTensorsList"
_MACHINES = {"EM_ARM": "Arm", "EM_X86_64": "x86-64", "EM_386": "x86", "EM_AARCH64": "64-bit Arm", "EM_RISCV": "RISC-V"}
_VFP_ARGS, _FP_ARCH, _ARCH, _PROFILE = "TAG_ABI_VFP_ARGS", "TAG_FP_ARCH", "TAG_CPU_ARCH", "TAG_CPU_ARCH_PROFILE"
_ENUM_SIZE = "TAG_ABI_ENUM_SIZE"
# Architectures of Cortex-M in the order in which each runs the code of those before it (Arm IHI 0045, Tag_CPU_arch).
_M_ARCHITECTURES = (11, 12, 10, 13, 17, 21)
_SHOWN = 3  # objects that one message names


@dataclass(frozen=True)
class Library:
    """What was found in a library.

    kernels: for people, as the firmware reports it. operators: rows of `upstream_operators.inc` that it has.
    optimised: those of the builtin operators that run in an optimised kernel. definitions: what its headers need.
    """

    kernels: str
    operators: tuple[str, ...]
    optimised: tuple[str, ...]
    definitions: tuple[str, ...]


@dataclass(frozen=True)
class _Fault:
    problem: str
    needs: str


def examine(tflm: Tflm, compiler: str, flags: Sequence[str], rows: Path) -> Library:
    """Look at the library before anything is compiled. compiler, flags: what the firmware is compiled with, the flags
    of its core; rows: `firmware/tflm/upstream_operators.inc`.

    Raises UsageError, with the flags that the library must be built with.
    """
    tflm.check()
    archives = [Archive(file) for file in tflm.library]
    defined = frozenset[str]().union(*(archive.defined for archive in archives))
    faults = [*_interface(defined), *(each for archive in archives for each in _machine(archive, compiler, flags))]
    if faults:
        raise _refused(tflm, faults, flags)
    optimised, kind = _optimised(archives)
    operators = tuple(_operators(defined, rows))
    if not operators:
        raise _refused(tflm, [_Fault("it registers no operator that the firmware knows", "")], flags)
    builtin = [name for name, _, _ in operators if name != "CUSTOM"]
    optimised = tuple(name for name in optimised if name in builtin)
    return Library(
        kernels=_kernels_text(tflm, kind, len(optimised), len(builtin)),
        operators=tuple(f"HIL_OPERATOR({name}, {add})" for name, add, _ in operators),
        optimised=optimised,
        definitions=_definitions(defined),
    )


def machine_flags(firmware: Path, target: str) -> tuple[str, ...]:
    """The compiler's flags for the core of a target, from its port. Raises UsageError."""
    command = ["cmake", f"-DHIL_PORT={target}", "-P", "cmake/machine_flags.cmake"]
    answer = subprocess.run(command, cwd=firmware, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise UsageError(f"{' '.join(command)} failed in {firmware}:\n{answer.stderr}\n  fix: restore it from git")
    return tuple(answer.stderr.split())


# ---- what it must be


def _interface(defined: frozenset[str]) -> Iterator[_Fault]:
    if not any(name.startswith(_INTERPRETER) for name in defined):
        yield _Fault("it has no tflite::MicroInterpreter, so it is no library of TFLM", "")
        return
    if _DYNAMIC_MEMORY in defined:
        yield _Fault(
            "it was built without TF_LITE_STATIC_MEMORY: its structs are larger than those of the firmware",
            "-DTF_LITE_STATIC_MEMORY for each of its objects",
        )
    if _MESSAGES not in defined:
        yield _Fault(
            "it was built with TF_LITE_STRIP_ERROR_STRINGS: it never says why it refuses a model, nor times operators",
            "BUILD_TYPE=release_with_logs, which leaves the strings in",
        )


def _machine(archive: Archive, compiler: str, flags: Sequence[str]) -> Iterator[_Fault]:
    """Objects for another machine, or that call functions another way. All are looked at, one fault names some."""
    wanted = _reference(compiler, flags)
    found: dict[str, list[str]] = {}
    for member in archive.members:
        if not is_elf(member):
            found.setdefault("an object that is no ELF, of link-time optimisation perhaps", []).append(member.name)
            continue
        for problem in _differences(member, wanted):
            found.setdefault(problem, []).append(member.name)
    for problem, names in found.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield _Fault(f"{problem}: {', '.join(names[:_SHOWN])}{more}", " ".join(flags))


def _reference(compiler: str, flags: Sequence[str]) -> Member:
    """An object as the compiler makes it for the firmware: what an archive's objects are held to."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "empty.o"
        command = [compiler, *flags, "-x", "c++", "-c", "/dev/null", "-o", str(made)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise UsageError(f"{' '.join(command)} failed:\n{answer.stderr}\n  fix: hil doctor says what is missing")
        return Member(made.name, made.read_bytes())


def _differences(member: Member, wanted: Member) -> Iterator[str]:
    if (here := _machine_of(member)) != (there := _machine_of(wanted)):
        yield f"built for {here}, the target is {there}"
        return
    has, needs = _attributes(member), _attributes(wanted)
    if not has or not needs:  # not Arm; or an object of assembly, which says nothing of its own
        return
    if has.get(_VFP_ARGS, 0) != needs.get(_VFP_ARGS, 0):
        yield f"built with {_float_abi(has)}, the firmware with {_float_abi(needs)}"
    if has.get(_PROFILE) != needs.get(_PROFILE) or not _runs(has.get(_ARCH), needs.get(_ARCH)):
        yield f"built for the core {_core(has)}, the target has {_core(needs)}"
    if has.get(_FP_ARCH, 0) not in (0, needs.get(_FP_ARCH, 0)):
        yield "built for another floating-point unit than the target's"
    if {has.get(_ENUM_SIZE, 0), needs.get(_ENUM_SIZE, 0)} == {1, 2}:
        yield "built with enums of another size (-fshort-enums)"


def _machine_of(member: Member) -> str:
    header = member.elf.header
    return _MACHINES.get(header["e_machine"], str(header["e_machine"]))


def _attributes(member: Member) -> dict[str, Any]:
    """What an Arm object says of itself (Arm IHI 0045), by pyelftools' names of the tags."""
    from elftools.elf.sections import ARMAttributesSection

    section = member.elf.get_section_by_name(".ARM.attributes")
    if not isinstance(section, ARMAttributesSection):
        return {}
    return {
        attribute.tag: attribute.value
        for part in section.iter_subsections()
        for below in part.iter_subsubsections()
        for attribute in below.iter_attributes()
    }


def _float_abi(attributes: dict[str, Any]) -> str:
    if attributes.get(_VFP_ARGS, 0):
        return "the hard float ABI"
    return "the softfp float ABI" if attributes.get(_FP_ARCH, 0) else "the soft float ABI"


def _core(attributes: dict[str, Any]) -> str:
    return str(attributes.get("TAG_CPU_NAME") or attributes.get(_ARCH))


def _runs(code: object, core: object) -> bool:
    """Whether a core runs code of an architecture."""
    if code == core:
        return True
    order = _M_ARCHITECTURES
    return code in order and core in order and order.index(code) <= order.index(core)


def _refused(tflm: Tflm, faults: Sequence[_Fault], flags: Sequence[str]) -> UsageError:
    files = ", ".join(str(file) for file in tflm.library)
    problems = "\n".join(f"  {fault.problem}" for fault in faults)
    needs = dict.fromkeys(fault.needs for fault in faults if fault.needs)
    wanted = f"; what it lacks: {'; '.join(needs)}" if needs else ""
    built = " ".join([*flags, "-DTF_LITE_STATIC_MEMORY"])
    return UsageError(
        f"{files}: the firmware cannot be built with this library\n{problems}\n"
        f"  fix: build it as {GUIDE} says, every object with {built}{wanted}"
    )


# ---- what it is


def _optimised(archives: Sequence[Archive]) -> tuple[tuple[str, ...], str]:
    """Operators whose registration lies in an object that calls an optimised kernel, and whose kernels those are."""
    names, kinds = [], []
    for archive in archives:
        for symbol in sorted(archive.defined):
            operator = _registered(symbol)
            if operator is None:
                continue
            calls = archive.member_of(symbol).undefined()
            kind = next((kind for start, kind in _KERNEL_SETS.items() if any(c.startswith(start) for c in calls)), None)
            if kind is not None:
                names.append(operator.removeprefix("Register_"))
                kinds.append(kind)
    return tuple(names), " and ".join(dict.fromkeys(kinds))


def _registered(symbol: str) -> str | None:
    """`Register_ADD` for a function of TFLM that registers an operator."""
    found = _REGISTER.match(symbol)
    return found[2][: int(found[1])] if found else None


def _operators(defined: frozenset[str], rows: Path) -> Iterator[tuple[str, str, str]]:
    """The rows whose registering function the library has."""
    registered = {name for symbol in defined if (name := _registered(symbol))}
    for name, add, function in _OPERATOR_ROW.findall(rows.read_text(encoding="utf-8")):
        if function in registered:
            yield name, add, function


def _kernels_text(tflm: Tflm, kind: str, optimised: int, builtin: int) -> str:
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in tflm.library)).hexdigest()[:12]
    names = ", ".join(file.name for file in tflm.library)
    of = f"{kind} kernels for {optimised} of {builtin} operators" if optimised else "reference kernels"
    return f"TFLM upstream ({names}, sha256 {digest}), {of}"


def _definitions(defined: frozenset[str]) -> tuple[str, ...]:
    compressed = any(_COMPRESSION in name for name in defined)
    return ("TF_LITE_STATIC_MEMORY", *(("USE_TFLM_COMPRESSION",) if compressed else ()))


# ---- CMake's way in


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes what CMake includes: definitions, operators and the text of the kernels. 1: the library does not do."""
    parser = argparse.ArgumentParser(prog="hil.image.library")
    for name in ("compiler", "flags", "include", "library", "rows", "out"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args(arguments)
    tflm = Tflm("upstream", _list(given.include), _list(given.library))
    try:
        library = examine(tflm, given.compiler, [flag for flag in given.flags.split(";") if flag], Path(given.rows))
    except HilError as error:
        print(error, file=sys.stderr)
        return 1
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "upstream_library.inc").write_text("\n".join([*library.operators, ""]), encoding="utf-8")
    lines = [
        f"set(HIL_KERNELS_TEXT [==[{library.kernels}]==])",
        f"set(tflm_link_options {' '.join(f'LINKER:--defsym={OPTIMISED}{name}=1' for name in library.optimised)})",
        f"set(tflm_definitions {' '.join(library.definitions)})",
        f"set(tflm_headers {' '.join(f'[==[{folder}]==]' for folder in tflm.headers)})",
        f"set(tflm_libraries {' '.join(f'[==[{file.absolute()}]==]' for file in tflm.library)})",
    ]
    (out / "upstream_library.cmake").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0


def _list(text: str) -> tuple[Path, ...]:
    """A list of CMake's."""
    return tuple(Path(part) for part in text.split(";") if part)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
