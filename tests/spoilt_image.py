"""Knows how tests make firmware that breaks: the real image, with other instructions where a function begins."""

from __future__ import annotations

from pathlib import Path

from elftools.elf.elffile import ELFFile

from hil.image.elf import Image

ENTRY = "_ZN3hil7AppMainEv"  # first function of the application, after the start-up code
SPIN, UNDEFINED = b"\xfe\xe7", b"\x00\xde"  # b . and udf #0, ARMv7-M ARM, A7.7.12 and A7.7.194
RETURN = b"\x70\x47"  # bx lr
# movw/movt r0, AIRCR; movw/movt r1, VECTKEY and SYSRESETREQ; str r1, [r0]; b .
RESET_ITSELF = bytes.fromhex("4ef60c50cef2000040f20401c0f2fa510160fee7")
MASK_INTERRUPTS = b"\x72\xb6"  # cpsid i: a fault behind it escalates to a hard fault


def spoilt(image: Image, file: Path, edits: dict[str, bytes]) -> Path:
    """A copy of the image, in `file`, in which functions (their symbols) begin with other instructions."""
    data = bytearray(image.path.read_bytes())
    for symbol, code in edits.items():
        at = _offset(image, image.symbol(symbol) & ~1)
        data[at : at + len(code)] = code
    file.write_bytes(data)
    return file


def _offset(image: Image, address: int) -> int:
    """Where the byte that is loaded at `address` lies in the file."""
    with image.path.open("rb") as stream:
        for segment in ELFFile(stream).iter_segments("PT_LOAD"):
            inside = address - segment["p_paddr"]
            if 0 <= inside < segment["p_filesz"]:
                return int(segment["p_offset"] + inside)
    raise AssertionError(f"nothing is loaded at {address:#x}")
