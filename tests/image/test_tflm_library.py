"""What is asked of a TFLM library before anything is compiled: real archives, made by the Arm compiler."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from tflm_libraries import INTERPRETER, M4, PROJECT, ROWS, SOURCES, WITH_CMSIS_NN, make_headers, make_library

from hil.errors import UsageError
from hil.image.elf import Image
from hil.image.library import Library, examine, machine_flags, main
from hil.image.tflm import UPSTREAM_SYMBOL, Tflm

pytestmark = pytest.mark.usefixtures("arm_elf")  # the compiler is there


def looked_at(*archives: Path, flags: tuple[str, ...] = M4, compiler: str = "arm-none-eabi-g++") -> Library:
    folder = archives[0].parent / "headers"
    return examine(Tflm("upstream", (make_headers(folder),), archives), compiler, flags, ROWS)


def refusal(*archives: Path, flags: tuple[str, ...] = M4, compiler: str = "arm-none-eabi-g++") -> str:
    with pytest.raises(UsageError) as caught:
        looked_at(*archives, flags=flags, compiler=compiler)
    return str(caught.value)


# ---- what it is


def test_a_library_of_reference_kernels_says_so_with_its_hash(tmp_path: Path) -> None:
    archive = make_library(tmp_path)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:12]
    library = looked_at(archive)
    assert library.kernels == f"TFLM upstream (libtensorflow-microlite.a, sha256 {digest}), reference kernels"
    assert library.optimised == ()


def test_only_what_the_library_registers_becomes_an_operator(tmp_path: Path) -> None:
    assert looked_at(make_library(tmp_path)).operators == (
        "HIL_OPERATOR(ADD, AddAdd)",
        "HIL_OPERATOR(CONV_2D, AddConv2D)",
    )


def test_kernels_that_call_cmsis_nn_are_told_from_reference_ones_in_the_same_library(tmp_path: Path) -> None:
    library = looked_at(make_library(tmp_path, WITH_CMSIS_NN))
    assert library.optimised == ("CONV_2D",)
    assert "CMSIS-NN kernels for 1 of 2 operators" in library.kernels


def test_cmsis_nn_that_no_kernel_calls_counts_for_nothing(tmp_path: Path) -> None:
    unused = SOURCES | {"arm": WITH_CMSIS_NN["arm_convolve_wrapper_s8"]}
    assert "reference kernels" in looked_at(make_library(tmp_path, unused)).kernels


def test_operators_of_signal_are_found_in_their_namespace(tmp_path: Path) -> None:
    signal = SOURCES | {"energy": "namespace tflite::tflm_signal { float* Register_ENERGY() { return nullptr; } }"}
    assert "HIL_OPERATOR(CUSTOM, AddEnergy)" in looked_at(make_library(tmp_path, signal)).operators


def test_a_library_with_compression_has_its_headers_read_with_it(tmp_path: Path) -> None:
    text = "namespace tflite { struct MicroAllocator { int AllocateCompressedTensorsList(); }; "
    text += "int MicroAllocator::AllocateCompressedTensorsList() { return 0; } }"
    definitions = looked_at(make_library(tmp_path, SOURCES | {"micro_allocator": text})).definitions
    assert definitions == ("TF_LITE_STATIC_MEMORY", "USE_TFLM_COMPRESSION")
    assert looked_at(make_library(tmp_path / "without")).definitions == ("TF_LITE_STATIC_MEMORY",)


def test_kernels_and_cmsis_nn_may_lie_in_libraries_of_their_own(tmp_path: Path) -> None:
    sources = dict(WITH_CMSIS_NN)
    arm = {"arm": sources.pop("arm_convolve_wrapper_s8")}
    first, second = make_library(tmp_path / "a", sources), make_library(tmp_path / "b", arm)
    assert looked_at(first, second).optimised == ("CONV_2D",)


def test_the_image_says_which_operators_run_in_an_optimised_kernel(tmp_path: Path) -> None:
    """By what CMake is given for the linker, and a linker that does it."""
    archive, headers, out = make_library(tmp_path, WITH_CMSIS_NN), make_headers(tmp_path / "headers"), tmp_path / "out"
    given = ["--compiler=arm-none-eabi-g++", f"--flags={';'.join(M4)}", f"--include={headers}", f"--rows={ROWS}"]
    assert main([*given, f"--library={archive}", f"--out={out}"]) == 0
    options = re.findall(r"LINKER:(\S+?)[ )]", (out / "upstream_library.cmake").read_text())
    assert len(options) == 1
    source = f'extern "C" void _start() {{}} extern "C" {{ int {UPSTREAM_SYMBOL}; }}'
    command = ["arm-none-eabi-g++", *M4, "-nostdlib", "-x", "c++", "-", "-o", str(tmp_path / "image.elf")]
    command += [f"-Wl,{option}" for option in options]
    subprocess.run(command, input=source, text=True, check=True)
    assert Image(tmp_path / "image.elf").facts().optimised == {"CONV_2D"}


# ---- what it must be


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"),
            "built with the soft float ABI, the firmware with the hard",
        ),
        (("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16"), "built with the softfp float ABI"),
        (("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"), "another floating-point unit"),
        (("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard", "-mfpu=auto"), "built for the core"),
        (("-mcpu=cortex-a9", "-marm", "-mfloat-abi=hard", "-mfpu=vfpv3-d16"), "built for the core"),
        ((*M4, "-fno-short-enums"), "built with enums of another size"),
    ],
)
def test_a_library_for_another_core_or_abi_is_refused_with_the_flags_it_needs(
    tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    text = refusal(make_library(tmp_path, flags=flags))
    assert words in text
    assert f"every object with {' '.join(M4)} -DTF_LITE_STATIC_MEMORY" in text
    assert "docs/upstream.md" in text


def test_code_of_a_smaller_core_does(tmp_path: Path) -> None:
    """As the architecture has it: a Cortex-M4 runs the integer code of a Cortex-M3."""
    smaller = ("-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft")
    whole = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft")
    assert looked_at(make_library(tmp_path, flags=smaller), flags=whole).operators


def test_a_library_for_the_host_is_refused_for_a_board_and_the_other_way_round(tmp_path: Path) -> None:
    host = make_library(tmp_path / "host", flags=(), prefix="")
    board = make_library(tmp_path / "board")
    assert "built for x86-64, the target is Arm" in refusal(host) or "built for 64-bit Arm" in refusal(host)
    assert "built for Arm, the target is" in refusal(board, flags=(), compiler="g++")
    assert looked_at(host, flags=(), compiler="g++").operators


def test_one_object_among_many_that_was_built_another_way_is_named(tmp_path: Path) -> None:
    soft = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft")
    text = refusal(make_library(tmp_path, others={"conv": soft}))
    assert "the soft float ABI, the firmware with the hard float ABI: conv.o\n" in text


def test_a_library_without_static_memory_is_refused(tmp_path: Path) -> None:
    sources = SOURCES | {"common": 'extern "C" int* TfLiteIntArrayCreate(int) { return nullptr; }'}
    text = refusal(make_library(tmp_path, sources))
    assert "built without TF_LITE_STATIC_MEMORY: its structs are larger" in text


def test_a_library_without_its_messages_is_refused_with_the_build_that_has_them(tmp_path: Path) -> None:
    text = refusal(make_library(tmp_path, {name: SOURCES[name] for name in ("micro_interpreter", "add")}))
    assert "TF_LITE_STRIP_ERROR_STRINGS" in text
    assert "BUILD_TYPE=release_with_logs" in text


def test_several_faults_are_told_at_once(tmp_path: Path) -> None:
    soft = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft")
    text = refusal(make_library(tmp_path, {"micro_interpreter": INTERPRETER, "add": SOURCES["add"]}, flags=soft))
    assert "TF_LITE_STRIP_ERROR_STRINGS" in text
    assert "soft float ABI" in text


def test_another_library_than_tflm_is_refused(tmp_path: Path) -> None:
    assert "no tflite::MicroInterpreter" in refusal(make_library(tmp_path, {"other": "float other() { return 1; }"}))


def test_a_library_without_an_operator_is_refused(tmp_path: Path) -> None:
    sources = {name: SOURCES[name] for name in ("micro_interpreter", "micro_log")}
    assert "registers no operator" in refusal(make_library(tmp_path, sources))


def test_objects_of_link_time_optimisation_that_are_no_elf_are_refused(tmp_path: Path) -> None:
    archive = make_library(tmp_path)
    (tmp_path / "bitcode.o").write_bytes(b"BC\xc0\xde and more")
    subprocess.run(["arm-none-eabi-ar", "rcs", str(archive), str(tmp_path / "bitcode.o")], check=True)
    assert "an object that is no ELF" in refusal(archive)


# ---- the file


def test_a_thin_archive_is_refused(tmp_path: Path) -> None:
    assert "thin archive" in refusal(make_library(tmp_path, ar="rcsT"))


def test_an_archive_without_its_index_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    archive = make_library(tmp_path, ar="rcS")
    assert f"ranlib {archive}" in refusal(archive)


@pytest.mark.parametrize("kept", [0, 7, 8, 60, 1500])
def test_what_was_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    archive = make_library(tmp_path)
    archive.write_bytes(archive.read_bytes()[:kept])
    text = refusal(archive)
    assert str(archive) in text
    assert "\n  fix: " in text


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "libtensorflow-microlite.a"
    file.write_bytes(b"\x7fELF and so on")
    assert "it is no archive" in refusal(file)


# ---- the firmware's side


@pytest.mark.parametrize("target", ["mps2-an386", "stm32f429"])
def test_the_flags_of_a_core_are_those_of_its_port(target: str) -> None:
    assert machine_flags(PROJECT / "firmware", target) == M4


def test_cmake_gets_what_it_includes_or_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive, headers, out = make_library(tmp_path), make_headers(tmp_path / "headers"), tmp_path / "out"
    given = [f"--{name}={value}" for name, value in (("compiler", "arm-none-eabi-g++"), ("flags", ";".join(M4)))]
    given += [f"--include={headers}", f"--rows={ROWS}", f"--out={out}"]
    assert main([*given, f"--library={archive}"]) == 0
    assert "HIL_OPERATOR(ADD, AddAdd)\n" in (out / "upstream_library.inc").read_text()
    script = tmp_path / "show.cmake"
    script.write_text(f'include({out}/upstream_library.cmake)\nmessage("${{HIL_KERNELS_TEXT}}|${{tflm_libraries}}")\n')
    answer = subprocess.run(["cmake", "-P", str(script)], capture_output=True, text=True, check=True)
    assert "set(tflm_link_options )\n" in (out / "upstream_library.cmake").read_text()
    assert answer.stderr.startswith("TFLM upstream (libtensorflow-microlite.a, sha256 ")
    assert answer.stderr.endswith(f"reference kernels|{archive}\n")
    assert main([*given, f"--library={tmp_path / 'nothing.a'}"]) == 1
    assert "no such file" in capsys.readouterr().err
