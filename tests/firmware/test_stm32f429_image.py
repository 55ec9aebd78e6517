"""The one image of NUCLEO-F429ZI, its simulation and Renode: it lies where the chip has memory (RM0090, memory map)."""

from __future__ import annotations

import shlex
import struct
import subprocess
from itertools import pairwise

import pytest
from native_session import PROJECT

from hil.image.build import build
from hil.image.elf import Image

KIB = 1024
BANK_1 = range(0x0800_0000, 0x0810_0000)
BANK_2 = range(0x0810_0000, 0x0820_0000)
SRAM = range(0x2000_0000, 0x2003_0000)
CCM = range(0x1000_0000, 0x1001_0000)
EXCEPTIONS, INTERRUPTS = 16, 91  # Armv7-M; RM0090, vector table of the STM32F42x
RESERVED = {7, 8, 9, 10, 13}


@pytest.fixture(scope="module")
def image() -> Image:
    return Image(build("stm32f429", PROJECT), "arm")


def inside(start: int, size: int, memory: range) -> bool:
    return memory.start <= start and start + size <= memory.stop


def vectors(image: Image) -> list[int]:
    data = image.path.read_bytes()
    (offset,) = struct.unpack_from("<I", data, 28)  # e_phoff
    entry_bytes, entries = struct.unpack_from("<HH", data, 42)  # e_phentsize, e_phnum
    for at in range(offset, offset + entries * entry_bytes, entry_bytes):
        kind, start, _, address = struct.unpack_from("<4I", data, at)
        if kind == 1 and address == BANK_1.start:
            return list(struct.unpack_from(f"<{EXCEPTIONS + INTERRUPTS}I", data, start))
    raise AssertionError("no segment starts where the core looks for its vectors")


def test_all_that_is_programmed_lies_in_bank_1(image: Image) -> None:
    assert min(segment.load_address for segment in image.segments) == BANK_1.start
    for segment in image.segments:
        assert inside(segment.load_address, segment.file_bytes, BANK_1)


def test_the_bundle_has_bank_2_for_itself(image: Image) -> None:
    assert image.symbol("__hil_bundle_start") == BANK_2.start
    assert image.symbol("__hil_bundle_bytes") == len(BANK_2)


def test_every_section_lies_in_a_memory_of_the_chip(image: Image) -> None:
    for section in image.sections:
        where = [memory for memory in (BANK_1, SRAM, CCM) if inside(section.address, section.size, memory)]
        assert where, f"{section.name} at {section.address:#x}, {section.size:#x} bytes"
        assert (where != [BANK_1]) == (section.writable or not section.stored), section.name


def test_no_two_sections_overlap(image: Image) -> None:
    places = sorted((section.address, section.address + section.size) for section in image.sections)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))


def test_the_stack_ends_where_there_is_no_memory(image: Image) -> None:
    guard, low, top = (image.symbol(f"__hil_stack_{name}") for name in ("guard", "low", "top"))
    assert guard == CCM.start
    assert (low - guard, top - low) == (1 * KIB, 8 * KIB)
    assert top in CCM


def test_what_a_reset_must_leave_alone_is_not_loaded(image: Image) -> None:
    shared = next(section for section in image.sections if section.name == ".hil_shared")
    assert not shared.stored
    for name in ("_SEGGER_RTT", "hil_fault_record", "hil_boot_count", "hil_rtt_up", "hil_rtt_down"):
        assert image.symbol(name) in range(shared.address, shared.address + shared.size), name
    cleared = range(image.symbol("__hil_bss_start"), image.symbol("__hil_bss_end"))
    assert shared.address + shared.size <= cleared.start or shared.address >= cleared.stop


def test_the_core_finds_its_vectors(image: Image) -> None:
    stack, reset, *others = vectors(image)
    assert stack % 8 == 0
    assert inside(stack - 4 * KIB, 4 * KIB, CCM)
    assert stack - 4 * KIB >= image.symbol("__hil_stack_top")
    assert reset == image.symbol("ResetHandler") == image.entry
    for number, handler in enumerate(others, start=2):
        if number in RESERVED:
            assert handler == 0
        elif number == EXCEPTIONS - 1:
            assert handler == image.symbol("SysTickHandler")
        else:
            assert handler == image.symbol("FaultHandler"), f"exception {number}"
    assert all(handler % 2 == 1 and handler in BANK_1 for handler in (reset, *others) if handler)


def test_there_is_no_heap(image: Image) -> None:
    for name in ("malloc", "_malloc_r", "calloc", "realloc", "free", "_sbrk", "_sbrk_r", "_Znwj", "_Znaj"):
        assert not image.has_symbol(name), name


def test_a_stack_that_the_chip_has_no_room_for_does_not_link(image: Image) -> None:
    folder = image.path.parent
    listed = subprocess.run(
        ["ninja", "-t", "commands", image.path.name], cwd=folder, capture_output=True, text=True, check=True
    )
    link = listed.stdout.splitlines()[-1].removeprefix(": && ").removesuffix(" && :")
    assert "=__hil_stack_bytes=8192" in link
    too_deep = link.replace("=8192", "=65536").replace("hil_firmware.elf", "/dev/null")
    too_deep = too_deep.replace("hil_firmware.map", "/dev/null")
    done = subprocess.run(shlex.split(too_deep), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "region `CCM' overflowed" in done.stderr
