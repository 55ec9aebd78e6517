"""Faults: which handler, which status bits, which address. Expected values: Arm DDI 0403E, B1.5.14 and B3.2.15."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.virtual.program import Run

Start = Callable[..., Run]
MEM_MANAGE, BUS_FAULT, USAGE_FAULT, HARD_FAULT = 4, 5, 6, 3
FORCED = 1 << 30

HANDLER = """
.thumb_func
hard_fault:
.thumb_func
mem_manage:
.thumb_func
bus_fault:
.thumb_func
usage_fault:
    load r3, 0x20010000
    mov sp, r3
    mrs r1, ipsr
    put r1
    ldr r2, =0xE000ED28
    ldr r1, [r2]
    put r1
    ldr r1, [r2, #4]
    put r1
    ldr r1, [r2, #12]
    put r1
    ldr r1, [r2, #16]
    put r1
    finish
"""
ENABLE = "store 0xE000ED24, 0x70000\n"
# 1 KB without access at 0x20004000, flash read-only, RAM not executable; all else as without MPU.
GUARDS = """
    store 0xE000ED9C, 0x20000010
    store 0xE000EDA0, 0x13070023     @ 256 KB, read and write, no execution
    store 0xE000ED9C, 0x08000011
    store 0xE000EDA0, 0x06070029     @ 2 MB, read only
    store 0xE000ED9C, 0x20004012
    store 0xE000EDA0, 0x10070013     @ 1 KB, no access
    store 0xE000ED94, 5
    dsb
    isb
"""
CAUSES = {
    "read of nothing": ("ldr r1, =0x60000000\n ldr r0, [r1]", BUS_FAULT, 0x8200, None, 0x60000000),
    "write to nothing": ("ldr r1, =0x20030000\n str r0, [r1]", BUS_FAULT, 0x8200, None, 0x20030000),
    "call into nothing": ("ldr r1, =0x60000001\n bx r1", BUS_FAULT, 0x0100, None, None),
    "call into a peripheral": ("ldr r1, =0x40020001\n bx r1", MEM_MANAGE, 0x0001, None, None),
    "undefined instruction": ("udf 0", USAGE_FAULT, 0x00010000, None, None),
    "call without Thumb": ("ldr r1, =0x08000100\n bx r1", USAGE_FAULT, 0x00020000, None, None),
    "guard read": (GUARDS + "ldr r1, =0x20004010\n ldr r0, [r1]", MEM_MANAGE, 0x0082, 0x20004010, None),
    "guard written": (GUARDS + "ldr r1, =0x200043FC\n str r0, [r1]", MEM_MANAGE, 0x0082, 0x200043FC, None),
    "below the guard": (GUARDS + "ldr r1, =0x20004400\n str r0, [r1]\n udf 0", USAGE_FAULT, 0x00010000, None, None),
    "read-only flash written": (GUARDS + "ldr r1, =0x08080000\n str r0, [r1]", MEM_MANAGE, 0x0082, 0x08080000, None),
    "call into RAM": (GUARDS + "ldr r1, =0x20000001\n bx r1", MEM_MANAGE, 0x0001, None, None),
    # The frame of the fault cannot be stored there either.
    "push into the guard": (
        GUARDS + "load r3, 0x20004408\n mov sp, r3\n push {r0-r3}",
        *(MEM_MANAGE, 0x0092, 0x200043F8, None),
    ),
    "stacking into the guard": (GUARDS + "load r3, 0x20004410\n mov sp, r3\n svc 0", MEM_MANAGE, 0x0010, None, None),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_fault_goes_to_its_handler_with_its_status(start: Start, cause: str) -> None:
    code, handler, status, mmfar, bfar = CAUSES[cause]
    number, cfsr, hfsr, found_mmfar, found_bfar = start(ENABLE + code + "\nb .\n" + HANDLER).finish().results(5)
    assert (number, hex(cfsr), hfsr) == (handler, hex(status), 0)
    assert mmfar in (None, found_mmfar)
    assert bfar in (None, found_bfar)


@pytest.mark.parametrize("prepare", ["", ENABLE + "cpsid i\n"], ids=["not enabled", "masked"])
def test_a_fault_that_cannot_be_taken_becomes_a_hard_fault(start: Start, prepare: str) -> None:
    code = prepare + "ldr r1, =0x60000000\n ldr r0, [r1]\n b .\n" + HANDLER
    assert start(code).finish().results(3) == [HARD_FAULT, 0x8200, FORCED]


def test_a_wrong_exception_return_is_a_usage_fault(start: Start) -> None:
    code = ENABLE + "svc 0\n b .\n.thumb_func\nsvc: ldr r0, =0xFFFFFFF5\n bx r0\n" + HANDLER
    assert start(code).finish().results(2) == [USAGE_FAULT, 0x00040000]


def test_a_breakpoint_without_a_debugger_is_a_hard_fault(start: Start) -> None:
    assert start("bkpt 0\n b .\n" + HANDLER).finish().results(3) == [HARD_FAULT, 0, 1 << 31]


def test_the_faulting_instruction_is_not_executed_and_can_be_returned_past(start: Start) -> None:
    code = """
    store 0xE000ED24, 0x70000
    load r0, 0x60000000
    movs r1, #1
fault:
    ldr r1, [r0], #4
    put r0
    put r1
    finish
.thumb_func
bus_fault:
    ldr r2, [sp, #24]
    put r2
    adds r2, #4
    str r2, [sp, #24]
    bx lr
"""
    run = start(code).finish()
    assert run.results(3) == [run.labels["fault"], 0x60000000, 1]


def test_a_fault_in_the_hard_fault_handler_locks_the_core_up(start: Start) -> None:
    run = start("udf 0\n.thumb_func\nhard_fault: udf 0\n")
    run.wait(lambda: run.machine.lockup)
    run.machine.halt()
    assert run.machine.read_register(15) == 0xFFFFFFFE
    assert run.machine.read_register(16) & 0x1FF == HARD_FAULT


def test_a_blank_chip_locks_up(start: Start) -> None:
    run = start("b .")
    run.machine.halt()
    run.machine.load([(0x08000000, b"\xff" * 0x1000)])
    run.machine.reset()
    run.wait(lambda: run.machine.lockup)


def test_the_mpu_is_off_in_the_hard_fault_handler_unless_told_otherwise(start: Start) -> None:
    read_guard = ".thumb_func\nhard_fault: ldr r1, =0x20004000\n ldr r0, [r1]\n finish\n"
    assert start(GUARDS + "udf 0\n" + read_guard).finish()
    run = start(GUARDS.replace("0xE000ED94, 5", "0xE000ED94, 7") + "udf 0\n" + read_guard)
    run.wait(lambda: run.machine.lockup)
