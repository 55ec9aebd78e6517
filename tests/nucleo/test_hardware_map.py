"""A twister hardware map gives probe ids and serial ports, or is refused with file, entry and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.bench.hardware_map import MappedBoard, read_hardware_map
from hil.errors import UsageError

# As `twister --generate-hardware-map` writes it, with what an owner adds (Zephyr, "Test Runner (Twister)").
MAP = """\
- connected: true
  id: 066CFF505750827567154312
  platform: nucleo_f429zi
  product: STM32 STLink
  runner: openocd
  serial: /dev/ttyACM0
- baud: 57600
  connected: true
  id: "000683759358"
  platform: nucleo_f429zi/stm32f429xx nucleo_f207zg
  product: J-Link
  runner: jlink
  probe_id: "0690FF01"
  serial: /dev/ttyACM1
- connected: true
  id: 0D28-1
  platform: [frdm_k64f, frdm_k64f/mk64f12]
  product: DAPLink CMSIS-DAP
  runner: pyocd
- connected: false
  id: 066CFF000000000000000000
  platform: nucleo_f429zi
  product: unknown
  runner: unknown
  serial: null
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "map.yaml"
    file.write_text(text)
    return file


def test_the_connected_boards_of_a_platform_are_read(tmp_path: Path) -> None:
    assert read_hardware_map(written(tmp_path, MAP), "nucleo_f429zi") == [
        MappedBoard("066CFF505750827567154312", "/dev/ttyACM0", None),
        MappedBoard("0690FF01", "/dev/ttyACM1", 57600),
    ]
    assert read_hardware_map(written(tmp_path, MAP), "frdm_k64f") == [MappedBoard("0D28-1", "", None)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", r"(?s)map.yaml: .*line 1.*\n  fix: "),
        ("a: 1\n", r"map.yaml: is no list\n  fix: "),
        ("- 3\n", r"map.yaml: entry 1: is no map\n  fix: "),
        ("- id: x\n  platform: p\n", r"entry 1: connected: must be true or false"),
        (
            "- connected: true\n  id: 683759358\n  platform: p\n",
            r"entry 1: id: \d+ is no text\n  fix: put it in quotes",
        ),
        ("- connected: true\n  platform: p\n", r"entry 1: id: is missing\n  fix: "),
        ("- connected: true\n  id:\n  platform: p\n", r"entry 1: id: is missing\n  fix: "),
        ("- connected: true\n  id: x\n  probe_id: ''\n  platform: p\n", r"entry 1: probe_id: is missing"),
        (
            "- connected: true\n  id: x\n  platform: p\n  serail: /dev/ttyACM0\n",
            r"entry 1: serail: unknown key\n  fix: write 'serial'",
        ),
        ("- conected: true\n  id: x\n  platform: p\n", r"entry 1: conected: unknown key\n  fix: write 'connected'"),
        ("- connected: true\n  probe-id: x\n  platform: p\n", r"entry 1: probe-id: .*\n  fix: write 'probe_id'"),
        ("[" * 5000, r"map.yaml: .*\n  fix: name a twister hardware map"),
        ("- connected: 2024-13-45\n", r"map.yaml: month must be in 1..12\n  fix: "),
        ("- connected: true\n  id: x\n  platform: p\n  baud: fast\n", r"entry 1: baud: 'fast' is no rate"),
        ("- connected: true\n  id: x\n  platform: p\n  serial_pty: socat\n", r"entry 1: serial_pty: .* not supported"),
        (
            "- connected: true\n  id: x\n  platform: q\n",
            r"no connected board of platform 'p'; connected are q\n  fix: ",
        ),
        ("- connected: false\n  id: x\n  platform: p\n", r"no connected board of platform 'p'; connected are none"),
    ],
)
def test_a_wrong_map_names_file_entry_and_fix(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        read_hardware_map(written(tmp_path, text), "p")
    assert "map.yaml" in str(caught.value)


def test_no_key_of_twister_is_taken_for_a_slip(tmp_path: Path) -> None:
    """All keys of Zephyr's schema that are not read here, and one of older versions."""
    others = ["available", "notes", "product", "runner", "runner_params", "post_script", "post_flash_script"]
    others += ["pre_script", "fixtures", "flash_timeout", "flash_with_test", "flash_before", "script_param"]
    text = "- connected: true\n  id: x\n  platform: p\n" + "".join(
        f"  {key}: x\n" for key in [*others, "flash-timeout"]
    )
    assert read_hardware_map(written(tmp_path, text), "p") == [MappedBoard("x", "", None)]


def test_a_map_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone.yaml: .*No such file"):
        read_hardware_map(tmp_path / "gone.yaml", "p")
