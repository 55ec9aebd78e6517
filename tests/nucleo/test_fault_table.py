"""What can go wrong on a bench ends soon, as an error that names its step and the next thing to do.

Each line runs the harness as users do, on the simulated Nucleo with pyOCD's own driver in between. The runner of the
harness (`assert_nothing_left`) holds that no process and no file stays behind.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from harness_process import PASSED, Finished, HarnessRun, observe, run_harness
from native_session import PROJECT, CaseFolder
from nucleo_session import greet_on_nucleo, nucleo_image, on_bench, run_on_nucleo, short_case, spoilt
from spoilt_image import ENTRY, MASK_INTERRUPTS, RETURN, SPIN, UNDEFINED

from hil.image.build import build
from hil.virtual.board import SERIAL_NUMBER

pytestmark = pytest.mark.slow

LIMIT_S = 10.0
TESTS_FAILED, USAGE_ERROR = 1, 4  # pytest.ExitCode


def assert_told(finished: Finished, *wanted: str) -> None:
    """The run is in error, in time, and says all of `wanted` (regular expressions)."""
    assert finished.code == TESTS_FAILED, finished.text
    (case,) = finished.run["cases"]
    assert (finished.run["verdict"], case["verdict"]) == ("error", "error")
    assert case["host_seconds"] < LIMIT_S
    for pattern in (*wanted, r"\n  next: "):
        assert re.search(pattern, case["error"]), (pattern, case["error"])
    first = case["error"].splitlines()[0].partition(": ")[2]
    assert first in finished.text  # on the terminal too


def assert_rest_is_skipped(finished: Finished) -> None:
    """Nothing more was tried on the broken board, and one test alone told why."""
    suite = finished.junit().find("testsuite")
    assert suite is not None
    assert suite.get("errors") == "1"
    assert int(suite.get("skipped", "0")) == int(suite.get("tests", "0")) - 1


# ---- connecting


def test_no_probe(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "no-probe")
    assert_told(finished, "connect: no debug probe is plugged in")
    assert_rest_is_skipped(finished)


def test_two_probes(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "two-probes")
    assert_told(
        finished,
        rf"connect: 2 debug probes are plugged in: {SERIAL_NUMBER}, \w+\n",
        "say which one with --hil-probe=ID",
    )
    assert_rest_is_skipped(finished)


def test_one_of_two_probes_named_by_its_id(case: CaseFolder, tmp_path: Path) -> None:
    finished = greet_on_nucleo(tmp_path, "two-probes", probe=SERIAL_NUMBER)
    assert finished.code == PASSED, finished.text


def test_a_probe_that_is_not_there(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, probe="0BADF00D")
    assert_told(finished, rf"connect: no debug probe with id 0BADF00D; plugged in: {SERIAL_NUMBER}\n")


def test_no_target_power(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "no-target-power")
    rungs = (r"\n    connect: .*", r"\n    connect again: .*", r"\n    connect under reset: .*")
    assert_told(finished, "connect: the board does not answer; tried:", *rungs, r"0\.00 V: it has no power")
    assert_rest_is_skipped(finished)


def test_a_power_cycle_command_is_tried_and_told(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "no-target-power", power_cycle=f"touch {tmp_path / 'cycled'}")
    assert_told(finished, r"\n    power cycle \(touch .*cycled\): done\n    connect after the power cycle: ")
    assert (tmp_path / "cycled").exists()


def test_wrong_board(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "board-id:0740")
    assert_told(finished, r"connect: wrong board: probe \w+ is on .* \(board id 0740\), the board file wants id 0796")
    assert_rest_is_skipped(finished)


def test_wrong_idcode(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "idcode:0x413")
    assert_told(finished, r"connect: wrong chip: .* device id 0x413, the board file wants 0x419")
    assert_rest_is_skipped(finished)


def test_pyocd_target_unknown(case: CaseFolder, tmp_path: Path) -> None:
    """Nothing is started: it is the board file that is wrong."""
    finished = run_on_nucleo(tmp_path, pyocd_target="stm32f429zz")
    assert finished.code == USAGE_ERROR, finished.text
    assert "bench.toml: [virtual_nucleo]: pyocd_target: pyOCD does not know the target 'stm32f429zz'" in finished.text
    assert "\n  fix: did you mean 'stm32f429" in finished.text
    assert not (finished.out / "run.json").exists()


def test_unknown_misbehaviour(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "explode")
    assert finished.code == USAGE_ERROR, finished.text
    assert "bench.toml: [virtual_nucleo]: misbehave: 'explode' is not one" in finished.text


def test_a_second_run_on_the_same_board(case: CaseFolder, tmp_path: Path) -> None:
    """Two simulations on one flash file stand for two runs on one probe."""
    long_case = CaseFolder(tmp_path / "long", name="long", vectors=40).replace("passes = 2", "passes = 5000")
    folder = tmp_path / "second"
    folder.mkdir()
    options = on_bench(tmp_path, flash_image="chip.bin")
    with HarnessRun(tmp_path, *options, long_case.path, board="bench") as first:
        observe(lambda: (tmp_path / "boards" / "chip.bin").exists())
        first.wait_for_file("long.bench.log")
        observe(lambda: (first.out / "long.bench.log").read_bytes())
        second = run_harness(folder, *options, case.path, board="bench")
        assert_told(second, rf"connect: probe \S+ is in use by pid {first.process.pid} \(")
        assert_rest_is_skipped(second)
        assert first.process.poll() is None
        first.process.send_signal(signal.SIGINT)
        assert first.wait().run["verdict"] == "interrupted"


# ---- flashing


def test_unplug_in_mid_flash(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "unplug:flash")
    assert_told(
        finished,
        r"BoardBroken: flash: board bench was lost: .*",
        r"the image in its flash is half-written; the next run of this harness writes it anew",
        "connecting again: no debug probe is plugged in",
    )
    assert_rest_is_skipped(finished)


def test_half_written_flash_is_written_anew(case: CaseFolder, tmp_path: Path) -> None:
    first = run_on_nucleo(tmp_path, "unplug:flash", flash_image="chip.bin")
    assert_told(first, "half-written")
    second = greet_on_nucleo(tmp_path, flash_image="chip.bin")
    assert second.code == PASSED, second.text


@pytest.mark.parametrize(("sector", "name"), [(0, "image"), (5, "image"), (12, "bundle")])
def test_write_protected_flash(sector: int, name: str, case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, f"write-protect:{sector}")
    assert_told(finished, rf"flash: board bench: the {name} cannot be written: .*", "lift the write protection")
    assert_rest_is_skipped(finished)


def test_verify_mismatch(case: CaseFolder, tmp_path: Path) -> None:
    address = nucleo_image().symbol(ENTRY) & ~1
    finished = run_on_nucleo(tmp_path, f"stuck-bit:{address:#x}")
    assert_told(
        finished,
        rf"verify: board bench: the image read back from flash is not what was written: 1 bytes differ, "
        rf"the first at {address:#010x}: wrote 0x\w\w, read 0x\w\w",
        "half-written",
    )
    assert_rest_is_skipped(finished)


def test_truncated_elf(case: CaseFolder, tmp_path: Path) -> None:
    (tmp_path / "half.elf").write_bytes(nucleo_image().path.read_bytes()[:100_000])
    finished = run_on_nucleo(tmp_path, image=tmp_path / "half.elf")
    assert finished.code == USAGE_ERROR, finished.text
    assert "half.elf: truncated ELF file" in finished.text
    assert "\n  fix: " in finished.text


def test_x86_elf(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, image=Path("/proc/self/exe").resolve())
    assert finished.code == USAGE_ERROR, finished.text
    assert re.search(r"built for \w+, but this board runs arm images\n  fix: ", finished.text)


def test_elf_at_a_wrong_address(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, image=build("mps2-an386", PROJECT))
    assert finished.code == USAGE_ERROR, finished.text
    assert "are not in the board's flash (0x08000000-0x081fffff)\n  fix: " in finished.text


# ---- running


def test_firmware_that_never_says_hello(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, image=spoilt(tmp_path / "spins.elf", {ENTRY: SPIN}))
    assert_told(
        finished, "boot: board bench did not open its link within 5 s", r"\n  pc 0x0800\w{4}  hil::AppMain", "spins.elf"
    )


def test_hard_fault(case: CaseFolder, tmp_path: Path) -> None:
    image = spoilt(tmp_path / "faults.elf", {ENTRY: MASK_INTERRUPTS + UNDEFINED})
    finished = run_on_nucleo(tmp_path, image=image)
    assert_told(
        finished,
        "boot: the firmware faulted before it said hello",
        "undefined instruction",
        "exception 3",  # HardFault, ARMv7-M ARM, table B1-4
        r"\n  pc 0x0800\w{4}  hil::AppMain",
    )


def test_lock_up_at_the_start(case: CaseFolder, tmp_path: Path) -> None:
    image = spoilt(tmp_path / "locks.elf", {ENTRY: UNDEFINED, "FaultHandler": UNDEFINED})
    finished = run_on_nucleo(tmp_path, image=image)
    assert_told(finished, "boot: the core of board bench is in lockup", "undefined instruction")


def test_lock_up_in_mid_run_breaks_the_contract(case: CaseFolder, tmp_path: Path) -> None:
    """No bench does that: it is the firmware's doing, and no error of the bench."""
    finished = run_on_nucleo(tmp_path, "lockup:3000000")
    assert finished.code == TESTS_FAILED, finished.text
    assert finished.run["verdict"] == "failed"
    assert "run: the core of board bench is in lockup" in finished.text


def test_unplug_in_mid_run(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "unplug:run:400")
    assert_told(
        finished, "BoardBroken: run: board bench was lost: .*", "connecting again: no debug probe is plugged in"
    )
    assert "Error during" not in finished.text  # pyOCD's own complaints while the session is closed
    assert_rest_is_skipped(finished)


def test_a_board_that_comes_back_serves_the_next_case(case: CaseFolder, tmp_path: Path) -> None:
    short_case(tmp_path / "small" / "next", name="next")
    finished = run_on_nucleo(tmp_path, "unplug:run:400:back")
    assert finished.code == TESTS_FAILED
    lost, whole = finished.run["cases"]
    words = r"BoardError: run: board bench was lost: .*\n  it answers again\n  while .* ran\n  next: "
    assert re.search(words, lost["error"])
    assert whole["verdict"] == "passed"


def test_cases_behind_a_broken_board_are_skipped_and_reported_as_not_run(case: CaseFolder, tmp_path: Path) -> None:
    short_case(tmp_path / "small" / "next", name="next")
    finished = run_on_nucleo(tmp_path, "no-probe")
    assert finished.code == TESTS_FAILED
    assert_rest_is_skipped(finished)
    first, second = finished.run["cases"]
    assert (first["verdict"], second["verdict"]) == ("error", "error")
    assert second["error"].startswith("not run: NoProbe: connect: no debug probe is plugged in")


def test_busy_serial_port(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "serial-busy")
    assert_told(finished, r"log: serial port /dev/pts/\d+ is in use by pid \d+ \(.+\)", "end that program")
    assert_rest_is_skipped(finished)


def test_a_serial_port_that_is_not_there(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, serial="/dev/ttyNONE")
    assert_told(finished, r"log: port /dev/ttyNONE: .*No such file")


def test_garbage_on_the_serial_port_hints_at_the_baud_rate(case: CaseFolder, tmp_path: Path) -> None:
    """The log is no contract: it matters when something else broke."""
    image = spoilt(tmp_path / "faults.elf", {"hil_agent_start_sized": UNDEFINED})
    finished = run_on_nucleo(tmp_path, "uart-garbage", image=image)
    assert_told(finished, r"bytes from /dev/pts/\d+ are no text: is the firmware's UART at 115200 baud\?")


# ---- what must not be an error


def test_garbage_in_the_log_of_a_run_that_passes_is_told_in_the_log(case: CaseFolder, tmp_path: Path) -> None:
    finished = run_on_nucleo(tmp_path, "uart-garbage")
    assert finished.code == PASSED, finished.text
    log = (finished.out / "small.bench.log").read_bytes()
    assert re.search(rb"\n\(\d+ of \d+ bytes from /dev/pts/\d+ are no text: .* may be wrong\)\n$", log)


def test_a_slow_probe_still_passes(case: CaseFolder, tmp_path: Path) -> None:
    finished = greet_on_nucleo(tmp_path, "slow:2")
    assert finished.code == PASSED, finished.text


def test_a_run_without_a_log_passes(case: CaseFolder, tmp_path: Path) -> None:
    finished = greet_on_nucleo(tmp_path, "serial-busy", serial="none")
    assert finished.code == PASSED, finished.text


def test_an_identical_image_and_bundle_are_not_written_again(case: CaseFolder, tmp_path: Path) -> None:
    """The second chip loses its cable at the first word that is programmed."""
    first = greet_on_nucleo(tmp_path, flash_image="chip.bin")
    assert first.code == PASSED, first.text
    second = greet_on_nucleo(tmp_path, "unplug:flash:1", flash_image="chip.bin")
    assert second.code == PASSED, second.text


def test_a_new_bundle_leaves_the_image_alone_and_the_other_way_round(case: CaseFolder, tmp_path: Path) -> None:
    first = greet_on_nucleo(tmp_path, flash_image="chip.bin")
    assert first.code == PASSED, first.text
    image_sectors, bundle_sectors = (
        [f"write-protect:{n}" for n in range(12)],
        [f"write-protect:{n}" for n in range(12, 24)],
    )
    case.replace("threshold = 0.60", "threshold = 0.61")
    second = greet_on_nucleo(tmp_path, *image_sectors, flash_image="chip.bin")
    assert second.code == PASSED, second.text
    # An empty handler with other padding behind its return: another image that does the same.
    third = greet_on_nucleo(
        tmp_path,
        *bundle_sectors,
        image=spoilt(tmp_path / "other.elf", {"SysTickHandler": RETURN + b"\xc0\x46"}),
        flash_image="chip.bin",
    )
    assert third.code == PASSED, third.text


# ---- somebody stops the run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "SIGTERM", "KILL"])
def test_a_run_that_is_stopped_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    CaseFolder(tmp_path / "long", name="long", vectors=40).replace("passes = 2", "passes = 5000")
    with HarnessRun(tmp_path, *on_bench(tmp_path), "long", board="bench") as run:
        log = run.wait_for_file("long.bench.log")
        observe(log.read_bytes)
        run.process.send_signal(number)
        finished = run.wait()
    if number is not signal.SIGKILL:
        assert finished.run["verdict"] == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_stopped_in_mid_flash_says_so(number: signal.Signals, case: CaseFolder, tmp_path: Path) -> None:
    """The slow probe makes programming last; a word of the first sector is there, one of the last is not yet."""
    chip = tmp_path / "boards" / "chip.bin"
    options = on_bench(tmp_path, "slow:1", flash_image="chip.bin")
    with HarnessRun(tmp_path, *options, "small", board="bench") as run:
        observe(lambda: chip.exists() and chip.read_bytes()[:4] not in (b"", b"\xff" * 4))
        run.process.send_signal(number)
        finished = run.wait()
    assert finished.run["verdict"] == "interrupted"
    assert "the image in its flash is half-written; the next run of this harness writes it anew" in finished.text
    again = greet_on_nucleo(tmp_path, flash_image="chip.bin")
    assert again.code == PASSED, again.text
