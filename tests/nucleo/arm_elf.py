"""Builds Cortex-M images that are laid out as a test wants them; nothing of them is ever run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hil.image.elf import Image

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
__hil_bundle_start = {bundle:#x};
__hil_bundle_bytes = {room:#x};
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
) -> Image:
    """An ELF whose parts lie at these addresses. reset: an expression of the assembler."""
    folder.mkdir(exist_ok=True)
    (folder / "image.s").write_text(SOURCE.format(stack=stack, reset=reset, size=size))
    (folder / "image.ld").write_text(
        LINK_SCRIPT.format(vectors=vectors, text=text, more=more, bundle=bundle, room=room)
    )
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Timage.ld", "-o", "image.elf"]
    subprocess.run([*command, "image.s"], cwd=folder, check=True)
    return Image(folder / "image.elf")
