"""Images are held to the flash of their board before anything is written, and only sectors that differ are written."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from arm_elf import build_elf, header_at, patched
from hypothesis import given
from hypothesis import strategies as st

from hil.bench.target import check_chip, known_memory
from hil.errors import UsageError
from hil.image.elf import Image
from hil.image.flash import (
    Layout,
    Piece,
    Range,
    check_apart,
    check_firmware,
    check_machine,
    check_placement,
    differing,
    joined,
    mismatch,
)

# RM0090 (STM32F42x): 2 MB in two banks of 4x16, 1x64, 7x128 kB; the table that pyOCD must agree with.
SECTORS = [
    start
    for bank in (0x0800_0000, 0x0810_0000)
    for start in (*range(bank, bank + 0x1_0000, 0x4000), *range(bank + 0x2_0000, bank + 0x10_0000, 0x2_0000))
] + [0x0801_0000, 0x0811_0000]
LAYOUT = Layout(
    flash=(Range(0x0800_0000, 0x0820_0000),),
    ram=(Range(0x2000_0000, 0x2003_0000), Range(0x1000_0000, 0x1001_0000)),
    boot=0x0800_0000,
)


def sector_of(address: int) -> tuple[int, int]:
    start = max(start for start in SECTORS if start <= address)
    following = [other for other in SECTORS if other > start]
    return start, min(following, default=0x0820_0000) - start


def test_a_good_image_is_taken(tmp_path: Path) -> None:
    image = build_elf(tmp_path)
    check_firmware(image)
    check_placement(image, LAYOUT)
    check_apart(image, Range(0x0810_0000, 0x0820_0000), sector_of, LAYOUT.flash)


@pytest.mark.parametrize("stack", [0x2003_0000, 0x1001_0000, 0x2000_0004])
def test_a_stack_may_lie_in_any_ram_and_start_behind_its_end(tmp_path: Path, stack: int) -> None:
    check_placement(build_elf(tmp_path, stack=hex(stack)), LAYOUT)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"vectors": 0, "text": 0x100, "more": 0x1000}, r"0x0000....-0x0000.... are not in the board's flash"),
        ({"more": 0x2000_0000}, r"4 bytes at 0x20000000-0x20000003 are not in the board's flash"),
        ({"more": 0x081F_FFFE}, r"4 bytes at 0x081ffffe-0x08200001 are not in the board's flash"),
        ({"vectors": 0x0800_4000, "text": 0x0800_4100, "more": 0x0800_5000}, r"no vector table at 0x08000000"),
        ({"stack": "0x20030004"}, r"initial stack pointer 0x20030004 is not in RAM"),
        ({"stack": "0x20000000"}, r"initial stack pointer 0x20000000 is not in RAM"),
        ({"stack": "0x20001002"}, r"initial stack pointer 0x20001002 is not in RAM"),
        ({"stack": "0xffffffff", "reset": "0xffffffff"}, r"initial stack pointer 0xffffffff is not in RAM"),
        ({"reset": "0x08000100"}, r"reset vector 0x08000100 is even: no Thumb code"),
        ({"reset": "0x08010001"}, r"reset vector 0x08010001 points at nothing"),
    ],
)
def test_an_image_that_could_not_run_is_refused_with_the_fix(tmp_path: Path, change: dict, problem: str) -> None:
    image = build_elf(tmp_path, **change)
    with pytest.raises(UsageError, match=problem) as caught:
        check_placement(image, LAYOUT)
    assert str(image.path) in str(caught.value)
    assert "\n  fix: " in str(caught.value)


def test_an_image_for_the_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"built for \w+, but this board runs arm images\n  fix: "):
        check_machine(Image(Path("/proc/self/exe").resolve()))


@pytest.mark.parametrize("symbol", ["_SEGGER_RTT", "hil_fault_record", "__hil_bundle_start", "__hil_bundle_bytes"])
def test_firmware_without_a_symbol_of_the_agent_is_refused(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(UsageError, match=rf"has no symbol '{symbol}'\n  fix: "):
        check_firmware(build_elf(tmp_path, without=symbol))


@pytest.mark.parametrize("symbol", ["__hil_bundle_start", "__hil_bundle_bytes", "hil_fault_record"])
def test_firmware_that_holds_its_own_model_needs_the_link_alone(symbol: str, tmp_path: Path) -> None:
    check_firmware(build_elf(tmp_path, without=symbol), own_model=True)


def test_firmware_that_holds_its_own_model_needs_the_link(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no symbol '_SEGGER_RTT'"):
        check_firmware(build_elf(tmp_path, without="_SEGGER_RTT"), own_model=True)


def test_stripped_firmware_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no symbol table \(it was stripped\)\n  fix: "):
        check_firmware(build_elf(tmp_path, flags=["-s"]))


def test_a_big_endian_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a big-endian image; .*\n  fix: "):
        check_firmware(build_elf(tmp_path, flags=["-mbig-endian"]))


@pytest.mark.parametrize("kind", [1, 3], ids=["object file", "position-independent"])
def test_an_image_without_fixed_addresses_is_refused(tmp_path: Path, kind: int) -> None:
    e_type = 16  # offset in the ELF header
    with pytest.raises(UsageError, match=r"is not linked to fixed addresses\n  fix: "):
        check_firmware(patched(build_elf(tmp_path), e_type, struct.pack("<H", kind)))


def test_parts_that_overlap_are_refused(tmp_path: Path) -> None:
    image = build_elf(tmp_path, more=0x0808_0000)
    p_paddr = 12
    at = next(
        header_at(image, "program", index) + p_paddr
        for index, segment in enumerate(image.segments)
        if segment.load_address == 0x0808_0000
    )
    check_firmware(patched(image, at, struct.pack("<I", 0x0808_0004)))
    with pytest.raises(UsageError, match=r"the parts at 0x08000000-.* and 0x08000004-0x08000007 overlap\n  fix: "):
        check_firmware(patched(image, at, struct.pack("<I", 0x0800_0004)))


@pytest.mark.parametrize("more", [0x080F_FFFE, 0x0810_0000, 0x0817_0000, 0x081F_FFFC])
def test_an_image_that_lies_in_the_room_for_the_bundle_is_refused(tmp_path: Path, more: int) -> None:
    with pytest.raises(UsageError, match=r"lies in the room for the bundle, 0x08100000-0x081fffff\n  fix: "):
        check_firmware(build_elf(tmp_path, more=more))


@pytest.mark.parametrize("more", [0x080F_FFFC, 0x0820_0000])
def test_an_image_may_lie_right_beside_the_room_for_the_bundle(tmp_path: Path, more: int) -> None:
    check_firmware(build_elf(tmp_path, more=more))


@pytest.mark.parametrize(
    ("more", "room", "problem"),
    [
        (0x0810_0000, Range(0x0810_0000, 0x0820_0000), "shares a flash sector with the bundle"),
        (0x0811_0000, Range(0x0810_0000, 0x0812_0000), "shares a flash sector with the bundle"),
        (0x0810_4000, Range(0x0810_0000, 0x0810_4010), "shares a flash sector with the bundle"),
        (0x0800_1000, Range(0x0810_0000, 0x0820_0001), "is not in the board's flash"),
    ],
)
def test_image_and_bundle_never_share_a_sector(tmp_path: Path, more: int, room: Range, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        check_apart(build_elf(tmp_path, more=more), room, sector_of, LAYOUT.flash)


def test_the_sector_before_the_room_for_the_bundle_may_be_taken(tmp_path: Path) -> None:
    image = build_elf(tmp_path, more=0x080F_FFFC)
    check_apart(image, Range(0x0810_0000, 0x0810_0001), sector_of, LAYOUT.flash)


# ---- what is written


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 0x4_0000)), max_size=6), st.integers(1, 0x5_0000))
def test_exactly_the_sectors_that_differ_are_written(changes: list[tuple[int, int]], size: int) -> None:
    wanted = Piece(0x0800_0000, bytes(size))
    chip = bytearray(size)
    for value, at in changes:
        if at < size:
            chip[at] = value
    parts = differing([wanted], lambda address, count: bytes(chip[address - 0x0800_0000 :][:count]), sector_of)
    wrong = {sector_of(0x0800_0000 + at)[0] for at, byte in enumerate(chip) if byte}
    assert {sector_of(part.address)[0] for part in parts} == wrong
    for part in parts:
        start, length = sector_of(part.address)
        assert part.address == start
        assert part.range.end == min(start + length, 0x0800_0000 + size)


def test_all_pieces_of_a_sector_are_written_together() -> None:
    """The sector is erased as a whole: the piece that was right must come back too."""
    pieces = [Piece(0x0800_0000, b"right"), Piece(0x0800_1000, b"wrong"), Piece(0x0800_4000, b"other sector")]
    chip = {0x0800_0000: b"right", 0x0800_1000: b"stale", 0x0800_4000: b"other sector"}
    assert differing(pieces, lambda address, count: chip[address], sector_of) == pieces[:2]


def test_a_mismatch_names_the_first_byte_and_counts_all() -> None:
    pieces = [Piece(0x100, b"abcd"), Piece(0x200, b"efgh")]
    chip = {0x100: b"abcd", 0x200: b"eXgY"}
    found = mismatch(pieces, lambda address, count: chip[address])
    assert str(found) == "2 bytes differ, the first at 0x00000201: wrote 0x66, read 0x58"
    assert mismatch(pieces[:1], lambda address, count: chip[address]) is None


def test_ranges_that_touch_are_one() -> None:
    assert joined([Range(8, 12), Range(0, 4), Range(4, 8), Range(20, 24)]) == (Range(0, 12), Range(20, 24))


# ---- pyOCD's knowledge of the chip


def test_pyocd_knows_the_flash_and_ram_of_the_chip() -> None:
    known = known_memory("STM32F429xI")
    assert known is not None
    assert known.flash == LAYOUT.flash
    assert known.boot == LAYOUT.boot
    assert LAYOUT.ram[0] in known.ram


def test_an_unknown_chip_is_named_with_the_closest() -> None:
    check_chip("stm32f429xi", "b.toml")
    with pytest.raises(UsageError, match=r"b.toml: .*'stm32f492xi'\n  fix: did you mean '?stm32f4"):
        check_chip("stm32f492xi", "b.toml")
