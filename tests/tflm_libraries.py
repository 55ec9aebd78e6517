"""Builds small libraries that look like TFLM's from outside: the symbols by which hil knows one, and no more."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ROWS = PROJECT / "firmware" / "tflm" / "upstream_operators.inc"
M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
INTERPRETER = (
    "namespace tflite { struct MicroInterpreter { MicroInterpreter(); }; MicroInterpreter::MicroInterpreter() {} }"
)
MESSAGES = "void MicroPrintf(const char*, ...) {}"
SOURCES = {
    "micro_interpreter": INTERPRETER,
    "micro_log": MESSAGES,
    "add": "namespace tflite { float Register_ADD() { return 1; } }",
    "conv": "namespace tflite { float Register_CONV_2D() { return 1; } float Register_CONV_2D_INT8() { return 2; } }",
}
WITH_CMSIS_NN = SOURCES | {
    "conv": 'extern "C" float arm_convolve_wrapper_s8(); namespace tflite { float Register_CONV_2D() '
    "{ return arm_convolve_wrapper_s8(); } }",
    "arm_convolve_wrapper_s8": 'extern "C" float arm_convolve_wrapper_s8() { return 1; }',
}


def make_library(
    folder: Path,
    sources: Mapping[str, str] = SOURCES,
    flags: Sequence[str] = M4,
    others: Mapping[str, Sequence[str]] | None = None,
    prefix: str = "arm-none-eabi-",
    ar: str = "rcs",
) -> Path:
    """An archive of one object for each of `sources`. others: flags of objects that are compiled another way."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        given = [*((others or {}).get(name, flags)), "-std=c++17", "-O1", "-x", "c++", "-c", "-"]
        subprocess.run([f"{prefix}g++", *given, "-o", str(folder / f"{name}.o")], input=text, text=True, check=True)
    library = folder / "libtensorflow-microlite.a"
    library.unlink(missing_ok=True)
    objects = [str(folder / f"{name}.o") for name in sources]
    subprocess.run([f"{prefix}ar", ar, str(library), *objects], check=True, capture_output=True)
    return library


def make_headers(folder: Path) -> Path:
    """A folder that has the headers by which hil knows TFLM's checkout, empty ones."""
    for name in ("tensorflow/lite/micro/micro_interpreter.h", "flatbuffers/flatbuffers.h"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder
