"""Firmware that is not ours is judged on machines of QEMU whose memory no board file describes: cores from the M0 to
the M55, RISC-V, and six kinds of UART. QEMU's count of instructions finds a clock that is wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from machines_bench import ARM, MORE, RISCV, board_config, built, example_copy, need_tools_of, opened, verdicts

from hil.contract.types import Outcome
from hil.errors import BoardError, UsageError
from hil.image.elf import Image

pytestmark = pytest.mark.slow

QUICK = "\n[timeout]\nboot_s = 2.0\nreply_s = 3.0\n"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example_copy(tmp_path_factory.mktemp("machines"))


@pytest.fixture(scope="module")
def m3(example: Path) -> Image:
    return built(example, "mps2_an385")


@pytest.mark.parametrize("machine", [*ARM, *RISCV])
def test_it_is_judged_there(machine: str, example: Path, tmp_path: Path) -> None:
    """The board file says which machine it is, and nothing of its memory or clock."""
    need_tools_of(machine)
    found = verdicts(example, board_config(example, machine), built(example, machine), tmp_path)
    assert [check for check, result in found.items() if result.outcome is Outcome.FAILED] == []
    for check in (
        "input.prepared",
        "execution.output",
        "execution.plain",
        "decision.answer",
        "latency.total.p95",
        "instruments.clock",
        "memory.flash",
        "memory.ram",
    ):
        assert found[check].outcome is Outcome.PASSED, f"{check}: {found[check]}"
    assert found["instruments.clock"].numbers["outer_counter"] == "QEMU's count of executed instructions"


def test_it_is_judged_over_rings_in_shared_memory(example: Path, tmp_path: Path) -> None:
    """All RAM of a RISC-V machine is a file that both map; the firmware holds its own model and has no self-tests."""
    need_tools_of("riscv_virt")
    image = built(example, "riscv_virt_rtt")
    found = verdicts(example, board_config(example, "riscv_virt_rtt"), image, tmp_path)
    assert [check for check, result in found.items() if result.outcome is Outcome.FAILED] == []
    for check in ("input.prepared", "execution.output", "decision.answer", "latency.total.p95", "memory.flash"):
        assert found[check].outcome is Outcome.PASSED, f"{check}: {found[check]}"


@pytest.mark.parametrize("machine", MORE)
def test_it_says_hello_there(machine: str, example: Path, tmp_path: Path) -> None:
    need_tools_of(machine)
    image, config = built(example, machine), board_config(example, machine)
    with opened(config, tmp_path) as board:
        board.provision(image, b"")
        assert board.clock.kind == "instructions"


def test_a_clock_that_is_not_what_the_firmware_says_is_found(tmp_path: Path) -> None:
    """QEMU's LM3S6965 runs at 12.5 MHz until its PLL is set up, whatever the data sheet promises."""
    example = example_copy(tmp_path)
    image = built(example, "lm3s6965evb", CLOCK_HZ="50000000u")
    found = verdicts(example, board_config(example, "lm3s6965evb"), image, tmp_path)
    assert found["instruments.clock"].outcome is Outcome.INVALID
    assert "-75.0 %" in str(found["instruments.clock"].findings)
    assert found["latency.total.p95"].outcome is Outcome.INVALID


def test_a_trap_of_a_riscv_core_is_told_with_its_reason_and_place(tmp_path: Path) -> None:
    need_tools_of("riscv_virt")
    example = example_copy(tmp_path)
    network = example / "src" / "network.c"
    text = network.read_text(encoding="utf-8")
    start = "  int8_t values[2][WIDEST];\n"
    assert text.count(start) == 1
    network.write_text(text.replace(start, f"{start}  *(volatile int*)0x0F000000 = 1;\n"), encoding="utf-8")
    found = verdicts(
        example, board_config(example, "riscv_virt", timeout=QUICK), built(example, "riscv_virt"), tmp_path
    )
    told = str(found["execution.fault"].findings)
    assert found["execution.fault"].outcome is Outcome.FAILED
    assert "store access fault (mcause 7), mtval 0x0f000000" in told
    assert "network.c" in told


def test_without_icount_time_is_the_hosts(example: Path, m3: Image, tmp_path: Path) -> None:
    config = board_config(
        example_copy(tmp_path),
        "mps2_an385",
        ("icount_shift = 6                  # one instruction is 2^6 ns of emulated time\n", ""),
    )
    with opened(config, tmp_path) as board:
        board.provision(m3, b"")
        assert (board.clock.kind, board.clock.unit, board.clock.deterministic) == ("host time", "ns", False)
        with board.outside() as outside:
            assert outside.counter == ""
            assert outside.memory is not None
            vectors = m3.loads()[0][1][:64]
            assert outside.memory.read(0, 64) == vectors


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (('machine = "mps2-an385"', 'machine = "mps2-an358"'), r"machine: .* has no 'mps2-an358'\n.*mps2-an385"),
        (('link = "uart"', 'link = "uart"\ncpu = "cortex-m33x"'), r"cpu: .* has no 'cortex-m33x'\n.*cortex-m33"),
        (('link = "uart"', 'link = "uart"\ncpu = "cortex-m4"'), r"cpu: This board can only be used with CPU cortex-m3"),
        (('link = "uart"', 'link = "uart"\nuart = 6'), r"uart: mps2-an385 has no UART 6\n  fix: it has UARTs 0 to 4"),
        (('link = "uart"', 'link = "uart"\nsystem = "riscv64"'), r"system: Input should be 'arm' or 'riscv32'"),
        (('link = "uart"', 'link = "uart"\narguments = ["-icount", "8"]'), r"arguments: -icount is given by the harn"),
        (('link = "uart"', 'link = "uart"\narguments = ["-m", "8M"]'), r"Invalid RAM size, should be 16 MiB"),
        (('link = "uart"', 'link = "uart"\nram_base = 0'), r"flash_base and flash_bytes and ram_bytes are missing"),
    ],
)
def test_what_this_qemu_does_not_have_is_named(edit: tuple[str, str], said: str, tmp_path: Path) -> None:
    config = board_config(example_copy(tmp_path), "mps2_an385", edit)
    with pytest.raises(UsageError, match=said):
        opened(config, tmp_path)


def test_an_image_for_another_core_is_refused(example: Path, tmp_path: Path) -> None:
    need_tools_of("riscv_virt")
    riscv = built(example, "riscv_virt")
    with (
        opened(board_config(example_copy(tmp_path), "mps2_an385"), tmp_path) as board,
        pytest.raises(UsageError, match="built for riscv, but this board runs arm images"),
    ):
        board.provision(riscv, b"")


def test_an_image_that_lies_where_the_machine_has_no_memory_is_refused(example: Path, tmp_path: Path) -> None:
    stm32 = built(example, "netduinoplus2")
    with (
        opened(board_config(example_copy(tmp_path), "mps2_an385"), tmp_path) as board,
        pytest.raises(UsageError, match=r"at 0x08000000-.*: mps2-an385 has no memory there"),
    ):
        board.provision(stm32, b"")


def test_an_image_that_the_core_does_not_start_in_is_refused(example: Path, tmp_path: Path) -> None:
    """A Cortex-M33 looks for its vectors where its board says; here nothing lies there."""
    m3_in_ram = example_copy(tmp_path / "moved")
    file = m3_in_ram / "machines" / "mps2_an385.mk"
    file.write_text(file.read_text().replace("ORIGIN = 0x00000000", "ORIGIN = 0x00200000"), encoding="utf-8")
    image = built(m3_in_ram, "mps2_an385")
    with (
        opened(board_config(example_copy(tmp_path), "mps2_an385"), tmp_path) as board,
        pytest.raises(UsageError, match="the core starts at 0x00000000, where the image holds nothing"),
    ):
        board.provision(image, b"")


def test_a_firmware_that_speaks_over_another_uart_is_told_so(m3: Image, tmp_path: Path) -> None:
    config = board_config(
        example_copy(tmp_path), "mps2_an385", ('link = "uart"', 'link = "uart"\nuart = 1'), timeout=QUICK
    )
    with opened(config, tmp_path) as board, pytest.raises(BoardError) as caught:
        board.provision(m3, b"")
    said = str(caught.value)
    assert "not one byte came from UART 1 of mps2-an385" in said
    assert "cortex_m.c" in said
    assert "it has UARTs 0 to 4" in said
