"""The table of docs/boards.md of what an emulator lets through: each row is run on the real firmware."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from native_session import PROJECT, imu_motion
from spoilt_image import MASK_INTERRUPTS, UNDEFINED, spoilt

from hil.board.config import kind_module, load_board
from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import DeviceFault
from hil.image.build import build
from hil.image.elf import Image

pytestmark = pytest.mark.slow

INVOKE = "_ZN3hil12EngineInvokeEv"
LEAVE = bytes.fromhex("0020 7047")  # movs r0, #0; bx lr
CODE = {
    "undefined instruction": UNDEFINED,
    "reads where no memory is": bytes.fromhex("4ff0c040 0068"),  # mov.w r0, #0x60000000; ldr r0, [r0]
    "writes where no memory is": bytes.fromhex("4ff0c040 0060"),  # ...; str r0, [r0]
    "jumps to where no memory is": bytes.fromhex("4ff0c040 0130 0047"),  # ...; adds r0, #1; bx r0
    "reads through a null pointer": bytes.fromhex("0020 0068"),  # movs r0, #0; ldr r0, [r0]
    "`LDM` at an address that four does not divide": bytes.fromhex("6846 0130 06c8"),  # mov r0, sp; adds r0, #1; ldmia
    "`LDRD` at an address that four does not divide": bytes.fromhex("6846 0130 d0e90012"),
    "divides by zero": bytes.fromhex("0120 0021 90fbf1f0"),  # movs r0, #1; movs r1, #0; sdiv r0, r0, r1
}
BEHIND_CPSID = re.compile(r",? behind `cpsid i`$")


def rows() -> dict[str, dict[str, str]]:
    """What the table says, by row and board."""
    text = (PROJECT / "docs" / "boards.md").read_text(encoding="utf-8")
    table = text.partition("## What an emulator lets through")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    boards = [name.strip("`") for name in lines[0][1:]]
    return {line[0]: dict(zip(boards, line[1:], strict=True)) for line in lines[2:]}


def code_of(row: str) -> bytes:
    return (MASK_INTERRUPTS if BEHIND_CPSID.search(row) else b"") + CODE[BEHIND_CPSID.sub("", row)] + LEAVE


@cache
def image_of(target: str) -> Image:
    return Image(build(target, PROJECT))


@pytest.mark.parametrize("name", ["qemu", "nucleo-virtual"])
@pytest.mark.parametrize("row", rows())
def test_the_table_tells_what_the_emulator_does(name: str, row: str, tmp_path: Path) -> None:
    config = load_board(name, [PROJECT / "boards"])
    image = Image(spoilt(image_of(config.target), tmp_path / "spoilt.elf", {INVOKE: code_of(row)}))
    with kind_module(config).open_board(config, tmp_path / "log") as board:
        board.provision(image, build_bundle(imu_motion()))
        device = Device(board)
        if rows()[row][name] == "goes through":
            device.run(imu_motion().vectors.payload(0))
            return
        with pytest.raises(DeviceFault, match="in stage invoke") as told:
            device.run(imu_motion().vectors.payload(0))
    assert rows()[row][name] == "fault"
    assert told.value.fault.registers["cfsr"], "the advice rests on it"
