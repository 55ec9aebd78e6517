"""Firmware of others in QEMU, over the UART: what is wrong with it, or with its board file, is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from c_bare_bench import EXAMPLE, Mistake, built, copy_of, verdicts

from hil.board.config import read_board
from hil.board.qemu import open_board
from hil.cli import main
from hil.contract.types import Outcome
from hil.errors import BoardError, UsageError

pytestmark = pytest.mark.slow

QEMU = "bare-qemu"


def board_file(example: Path, *edits: tuple[str, str]) -> Path:
    """The example's board file, with a short patience."""
    file = example / "boards" / f"{QEMU}.toml"
    text = file.read_text(encoding="utf-8") + "\n[timeout]\nboot_s = 2.0\nreply_s = 3.0\n"
    for right, wrong in edits:
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_of(EXAMPLE, tmp_path_factory.mktemp("right"))
    built(copy, QEMU)
    return copy


def test_a_firmware_that_never_polls_is_found_where_it_is(example: Path, tmp_path: Path) -> None:
    copy = copy_of(example, tmp_path, Mistake("src/main.c", "if (!hil_agent_poll(&agent))", "if (agent.answered)"))
    image, log = built(copy, QEMU), tmp_path / "log"
    log.touch()
    with open_board(read_board(board_file(copy)), log) as board, pytest.raises(BoardError) as caught:
        board.provision(image, b"")
    said = str(caught.value)
    assert said.startswith(
        "boot: board bare-qemu did not say hello within 2 s: not one byte came from UART 0 of mps2-an386"
    )
    assert "main.c" in said
    assert "next: is the core above where it should be" in said
    assert "it has UARTs 0 to 4" in said


def test_a_fault_is_found_where_the_firmware_parks(example: Path, tmp_path: Path) -> None:
    """It keeps no fault record: its handler is an endless loop, in which the monitor finds the core."""
    wild = Mistake(
        "src/network.c",
        "  int8_t values[2][WIDEST];\n",
        "  int8_t values[2][WIDEST];\n  *(volatile int*)0xF0000000 = 0;\n",
    )
    copy = copy_of(example, tmp_path, wild)
    board_file(copy)
    failed = [result for result in verdicts(copy, QEMU) if result.outcome is Outcome.FAILED]
    assert failed[0].check == "execution.fault"
    assert "startup.c" in failed[0].findings[0].hint + failed[0].findings[0].observed


def test_firmware_that_reads_bundles_needs_the_link_in_memory(example: Path, tmp_path: Path) -> None:
    file = board_file(copy_of(example, tmp_path), ('bundle = "none"', 'bundle = "case"'))
    with pytest.raises(UsageError, match=r'\[qemu\] link: "uart" is for firmware that holds its own model'):
        open_board(read_board(file), tmp_path / "log")


def test_the_link_in_memory_needs_the_memory(example: Path, tmp_path: Path) -> None:
    file = board_file(copy_of(example, tmp_path), ('link = "uart"', 'link = "memory"'))
    with pytest.raises(UsageError, match="shared_base and shared_bytes are missing"):
        open_board(read_board(file), tmp_path / "log")


def test_ping_starts_the_image_and_prints_what_it_tells(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copy_of(example, tmp_path))
    assert main(["ping", "--board", QEMU]) == 0
    said = capsys.readouterr().out
    assert "case              c_bare\n" in said
    assert "can plain         yes\n" in said


def test_ping_says_that_the_image_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copy_of(EXAMPLE, tmp_path)
    (copy / "build" / "mps2_an386.elf").unlink(missing_ok=True)
    monkeypatch.chdir(copy)
    assert main(["ping", "--board", QEMU]) == 2
    assert "mps2_an386.elf" in capsys.readouterr().err
