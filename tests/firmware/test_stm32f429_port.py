"""The port to the STM32F429 on the simulated chip, without a debugger: clock tree, deadline, faults, sleep, log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from native_session import PROJECT, imu_motion

from hil.board.config import BoardConfig
from hil.board.firmware import FirmwareBoard
from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import DeviceFault
from hil.image.build import build
from hil.image.elf import Image
from hil.records import ClockSpec, Status
from hil.virtual.coresight import CoreDebug
from hil.virtual.machine import Machine

pytestmark = pytest.mark.slow

ENOUGH_TICKS, TOO_FEW_TICKS = 1_000_000, 100_000  # a window of imu_motion takes about 530,000
LIMIT_S = 30.0
CONFIG = BoardConfig(name="chip", file=Path("none"), kind="none", target="stm32f429")
CLOCK = ClockSpec("instructions", "instructions", 1, 1, 0, True, 180_000_000)


class Chip(FirmwareBoard):
    """The simulated microcontroller alone. `sent`: what USART3 sent; `baud`: at which rates."""

    def __init__(self, folder: Path) -> None:
        super().__init__(CONFIG, CLOCK, folder / "chip.log")
        self.sent, self.baud = bytearray(), set[float]()
        self.machine = Machine(uart=self._take_byte)
        self.core = CoreDebug(self.machine)

    def _take_byte(self, byte: int, baud: float) -> None:
        self.sent.append(byte)
        self.baud.add(baud)

    @property
    def memory(self) -> Machine:
        return self.machine

    def check_image(self, image: Image) -> None:
        image.require_machine("arm")

    def provision(self, image: Image, bundle: bytes) -> None:
        self._stop()
        start = self._take(image, bundle)
        self.machine.load_elf(image.path)
        self.machine.load([(start, bundle)])
        self._start()
        self._await_boot()

    def _start(self) -> None:
        self._clear()
        self.machine.reset()
        self.machine.resume()

    def _stop(self) -> None:
        self.machine.halt()

    def _require_alive(self) -> None:
        assert not self.machine.lockup

    def close(self) -> None:
        self.machine.close()

    def words(self) -> str:
        return self.sent.decode()

    def patch(self, function: str, code: str) -> None:
        """Put instructions, as hexadecimal bytes, where a function begins."""
        self.machine.halt()
        self.machine.load([(self.image.symbol(function) & ~1, bytes.fromhex(code))])
        self.machine.resume()


@cache
def image() -> Image:
    return Image(build("stm32f429", PROJECT), "arm")


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[Chip]:
    with Chip(tmp_path) as chip:
        yield chip


@pytest.fixture
def running(chip: Chip) -> Chip:
    chip.provision(image(), build_bundle(imu_motion()))
    return chip


def observe(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.001)


def fault_of(chip: Chip) -> DeviceFault:
    """The fault record that the firmware leaves, once its log line is out as well."""
    observe(lambda: b", exception " in chip.sent and chip.sent.endswith(b"\n"))
    with pytest.raises(DeviceFault) as caught:
        chip.check()
    return caught.value


def test_windows_have_the_outputs_of_the_oracle(running: Chip) -> None:
    device, vectors = Device(running), imu_motion().vectors
    assert device.hello.clock == "dwt-cyccnt"
    assert vectors.expected_output is not None
    for index in range(0, 520, 65):
        record = device.run(vectors.payload(index), deadline_ticks=ENOUGH_TICKS)
        assert record.status == Status.DONE
        assert record.output == vectors.expected_output[index].tobytes()
        assert record.canaries == 0


def test_the_clock_tree_is_that_of_180_mhz(running: Chip) -> None:
    machine = running.machine
    assert (machine.rcc.hclk_hz, machine.rcc.apb1_divider) == (180_000_000, 4)
    control = int.from_bytes(machine.read(0x4002_3800, 4), "little")  # RCC_CR
    assert control >> 18 & 1, "HSEBYP: the clock comes from the ST-LINK, there is no crystal"
    assert machine.read(0x4002_3C00, 4) == (0x705).to_bytes(4, "little")  # FLASH_ACR: caches, prefetch, 5 wait states
    assert machine.read(0x4000_7000, 4) == (0x3C000).to_bytes(4, "little")  # PWR_CR: over-drive, scale 1


def test_the_log_is_sent_at_its_rate(running: Chip) -> None:
    assert running.words().startswith("hil firmware ")
    assert "bundle: status 0, detail 0\n" in running.words()
    assert all(rate == pytest.approx(115_200, rel=0.01) for rate in running.baud)


def test_the_cycle_counter_is_never_set_back(running: Chip) -> None:
    device, counts = Device(running), []
    for _ in range(3):
        device.run(imu_motion().vectors.payload(0))
        counts.append(running.machine.cycle_counter())
    assert counts == sorted(counts)
    assert counts[0] > 500_000


@pytest.mark.parametrize(
    ("unit", "register", "flag", "says"),
    [
        ("rcc", 0x00, 1 << 17, "HSE not ready"),
        ("pwr", 0x04, 1 << 16, "over-drive not ready"),
        ("pwr", 0x04, 1 << 17, "over-drive not switched"),
        ("rcc", 0x00, 1 << 25, "PLL not ready"),
        ("rcc", 0x08, 1 << 3, "PLL not switched to"),
    ],
)
def test_a_clock_that_never_comes_is_told(
    chip: Chip, monkeypatch: pytest.MonkeyPatch, unit: str, register: int, flag: int, says: str
) -> None:
    device = getattr(chip.machine, unit)
    read = device.read
    monkeypatch.setattr(device, "read", lambda offset: read(offset) & ~(flag if offset == register else 0))
    with pytest.raises(DeviceFault, match="abort or failed assertion in stage start"):
        chip.provision(image(), build_bundle(imu_motion()))
    fault_of(chip)
    assert chip.words().startswith(f"clock: {says}\n")
    assert all(rate == pytest.approx(115_200, rel=0.01) for rate in chip.baud)


def test_a_log_that_is_stuck_does_not_stop_the_firmware(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chip.machine.usart3, "read", lambda offset: 0)
    chip.provision(image(), build_bundle(imu_motion()))
    assert Device(chip).run(imu_motion().vectors.payload(0)).status == Status.DONE
    assert chip.words() == ""


def test_a_window_that_takes_too_long_leaves_a_fault(running: Chip) -> None:
    with pytest.raises(DeviceFault, match="deadline missed in stage invoke"):
        Device(running).run(imu_motion().vectors.payload(0), deadline_ticks=TOO_FEW_TICKS)


# Each takes the place of the first instructions of EngineInvoke(): what they are, their bytes, the fault, its words.
MISTAKES = [
    ("udf #0", "00de", "usage fault", "undefined instruction"),
    ("movs r0, #0; ldr r0, [r0]", "00200068", "memory management fault", "at address 0x00000000"),
    ("mov.w r0, #0x08000000; str r1, [r0]", "4ff000600160", "memory management fault", "at address 0x08000000"),
    ("movw r0, #0; movt r0, #0x810; str r1, [r0]", "40f20000c0f610000160", "memory management fault", "0x08100000"),
    ("mov.w r0, #0x20000000; adds r0, #1; bx r0", "4ff0005001300047", "memory management fault", "instruction access"),
    ("mov.w r0, #0x60000000; ldr r0, [r0]", "4ff0c0400068", "bus fault", "at address 0x60000000"),
    ("push {r0-r7}; b .-2", "ffb4fde7", "stack overflow", "at address 0x10000"),
    ("bkpt #0, with no debugger", "00be", "hard fault", ""),
]


@pytest.mark.parametrize(("code", "kind", "says"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_of_the_code_leaves_its_record(running: Chip, code: str, kind: str, says: str) -> None:
    device = Device(running)
    running.patch("_ZN3hil12EngineInvokeEv", code)
    with pytest.raises(DeviceFault, match=f"{kind} in stage invoke"):
        device.run(imu_motion().vectors.payload(0))
    assert says in running.postmortem().text


def test_an_interrupt_that_nobody_asked_for_is_told(running: Chip) -> None:
    irq = 37
    for register in (0xE000_E104, 0xE000_E204):  # NVIC_ISER1, NVIC_ISPR1
        running.machine.write(register, (1 << irq - 32).to_bytes(4, "little"))
    assert "hard fault in stage idle" in str(fault_of(running))
    assert running.words().endswith(f", exception {16 + irq}\n")


def test_an_idle_core_sleeps_and_answers(running: Chip) -> None:
    device = Device(running)
    device.run(imu_motion().vectors.payload(0))  # the first window of all finds no capture number to compare with
    awake = device.run(imu_motion().vectors.payload(0))
    observe(lambda: running.machine.sleeping)
    assert device.run(imu_motion().vectors.payload(0)) == awake


BASEPRI = 20  # DCRSR's selector of CONTROL, FAULTMASK, BASEPRI and PRIMASK, a byte each


def test_a_mask_that_a_reset_left_behind_is_cleared_before_the_first_sleep(running: Chip) -> None:
    """Renode 1.16.1 keeps BASEPRI over a reset. With it, the timer would not end the first WFI: the link is dead."""
    machine = running.machine
    machine.reset(hold=True)
    running._clear()
    machine.write_register(BASEPRI, 0x10 << 8)  # what masks all but the watchdog while a stage is timed
    machine.resume()
    running._await_boot()
    observe(lambda: machine.sleeping)
    assert Device(running).hello.bundle_status == 0
    machine.halt()
    assert machine.read_register(BASEPRI) >> 8 & 0xFF == 0
