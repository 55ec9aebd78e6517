"""Builds Cortex-M images that are laid out as a test wants them; nothing of them is ever run."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hil.image.elf import Image

# Where the firmware of a board would have them, in RAM.
AGENT = {"_SEGGER_RTT": 0x2000_4000, "hil_fault_record": 0x2000_4100}

SOURCE = """\
.syntax unified
.thumb
.section .vectors, "a"
  .word {stack}
  .word {reset}
.section .text, "ax"
.thumb_func
.global start
start: b start
  .space {size}
.section .more, "a"
  .word 0x12345678
"""

LINK_SCRIPT = """\
ENTRY(start)
SECTIONS {{
  .vectors {vectors:#x} : {{ KEEP(*(.vectors)) }}
  .text {text:#x} : {{ *(.text) }}
  .more {more:#x} : {{ KEEP(*(.more)) }}
}}
"""


def build_elf(
    folder: Path,
    *,
    stack: str = "0x20001000",
    reset: str = "start",
    size: int = 64,
    vectors: int = 0x0800_0000,
    text: int = 0x0800_0100,
    more: int = 0x0800_1000,
    bundle: int = 0x0810_0000,
    room: int = 0x10_0000,
    without: str = "",
    flags: Sequence[str] = (),
) -> Image:
    """An ELF whose parts lie at these addresses. reset: an expression of the assembler; without: a symbol that it
    lacks.
    """
    folder.mkdir(exist_ok=True)
    (folder / "image.s").write_text(SOURCE.format(stack=stack, reset=reset, size=size))
    symbols = {"__hil_bundle_start": bundle, "__hil_bundle_bytes": room, **AGENT}
    script = LINK_SCRIPT.format(vectors=vectors, text=text, more=more)
    script += "".join(f"{name} = {value:#x};\n" for name, value in symbols.items() if name != without)
    (folder / "image.ld").write_text(script)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Timage.ld", "-o", "image.elf"]
    subprocess.run([*command, *flags, "image.s"], cwd=folder, check=True)
    return Image(folder / "image.elf")


def patched(image: Image, offset: int, data: bytes) -> Image:
    """The image with these bytes of its file changed."""
    whole = bytearray(image.path.read_bytes())
    whole[offset : offset + len(data)] = data
    file = image.path.with_name("patched.elf")
    file.write_bytes(whole)
    return Image(file)


def header_at(image: Image, table: str, index: int) -> int:
    """File offset of a program or section header ("program", "section") of a 32-bit ELF (System V ABI, chapter 4)."""
    start, size = {"program": (28, 32), "section": (32, 40)}[table]
    return int(struct.unpack_from("<I", image.path.read_bytes(), start)[0]) + index * size
