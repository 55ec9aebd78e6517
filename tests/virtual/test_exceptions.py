"""Exception entry and return, priorities and masks. Expected values: Arm DDI 0403E (ARMv7-M), B1.5."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.virtual.program import RESULTS, Run

Start = Callable[..., Run]

ON_PROCESS_STACK = """
    load r0, {stack:#x}
    msr psp, r0
    movs r0, #2
    msr control, r0
    isb
"""
STORE_FRAME = """
.thumb_func
svc:
    put lr
    mrs r0, psp
    put r0
    mrs r1, ipsr
    put r1
    mov r4, #8
1:  ldr r1, [r0], #4
    put r1
    subs r4, #1
    bne 1b
    bx lr
"""


@pytest.mark.parametrize(("stack", "skipped"), [(0x20008000, 0), (0x20007FFC, 4)])
def test_the_frame_holds_the_registers_and_is_aligned_to_eight_bytes(start: Start, stack: int, skipped: int) -> None:
    source = (
        ON_PROCESS_STACK.format(stack=stack)
        + """
    movs r0, #10
    movs r1, #11
    movs r2, #12
    movs r3, #13
    mov r12, #22
    mov lr, #33
    cmp r0, #10
    svc 0
after:
    put r3
    mrs r0, psp
    put r0
    mrs r0, ipsr
    put r0
    finish
"""
        + STORE_FRAME
    )
    run = start(source).finish()
    lr, frame, ipsr, *words = run.results(14)
    assert (lr, ipsr) == (0xFFFFFFFD, 11)
    assert frame == stack - skipped - 32
    assert words[:6] == [10, 11, 12, 13, 22, 33]
    assert words[6] == run.labels["after"]
    assert words[7] == 0x61000000 | (0x200 if skipped else 0)  # Z and C of the comparison, Thumb, alignment
    assert words[8:] == [13, stack, 0]  # back: r3, the stack pointer as before, thread mode


def test_a_handler_that_is_interrupted_is_returned_to_in_handler_mode(start: Start) -> None:
    source = """
    store 0xE000ED20, 0x00C00000     @ PendSV at 0xC0: below SVCall
    svc 0
    put r6
    finish
.thumb_func
svc:
    put lr
    store 0xE000ED20, 0x00000000
    store 0xE000ED1C, 0x80000000     @ SVCall at 0x80: now PendSV comes between
    store 0xE000ED04, 0x10000000
    dsb
    put r5
    mov r6, #7
    bx lr
.thumb_func
pend_sv:
    put lr
    mov r5, #5
    bx lr
"""
    assert start(source).finish().results(4) == [0xFFFFFFF9, 0xFFFFFFF1, 5, 7]


@pytest.mark.parametrize(("automatic", "code", "kept"), [(True, 0xFFFFFFE9, 0x40800000), (False, 0xFFFFFFF9, 0)])
def test_floating_point_registers_are_stacked_where_fpccr_says_so(
    start: Start, automatic: bool, code: int, kept: int
) -> None:
    source = f"""
    store 0xE000ED88, 0x00F00000
    store 0xE000EF34, {0xC0000000 if automatic else 0:#x}
    dsb
    isb
    vmov.f32 s0, #4.0
    svc 0
    vmov r0, s0
    put r0
    finish
.thumb_func
svc:
    put lr
    movs r0, #0
    vmov s0, r0
    bx lr
"""
    assert start(source).finish().results(2) == [code, kept]


def test_pending_interrupts_come_by_priority_and_then_by_number(start: Start) -> None:
    names = "".join(f".thumb_func\nirq{number}:\n movs r0, #{number}\n put r0\n bx lr\n" for number in (3, 5, 6, 9))
    source = (
        """
    store 0xE000E400, 0x40000000     @ IRQ 3 at 0x40
    store 0xE000E404, 0x00802000     @ IRQ 5 at 0x20, IRQ 6 at 0x80
    store 0xE000E408, 0x00002000     @ IRQ 9 at 0x20
    cpsid i
    store 0xE000E100, 0x268
    store 0xE000E200, 0x268
    cpsie i
    isb
1:  load r0, 0x20000000+16
    cmp r7, r0
    bne 1b
    finish
"""
        + names
    )
    assert start(source).finish().results(4) == [5, 9, 3, 6]


def test_basepri_holds_back_its_level_and_below_but_not_above(start: Start) -> None:
    source = """
    store 0xE000E400, 0x00004080     @ IRQ 0 at 0x80, IRQ 1 at 0x40
    movs r0, #0x80
    msr basepri, r0
    store 0xE000E100, 3
    store 0xE000E200, 3
    mov r4, #1000
1:  subs r4, #1
    bne 1b
    movs r1, #0x55
    put r1
    movs r0, #0
    msr basepri, r0
    mov r4, #1000
1:  subs r4, #1
    bne 1b
    finish
.thumb_func
irq0: movs r1, #0x10
    put r1
    bx lr
.thumb_func
irq1: movs r1, #0x11
    put r1
    bx lr
"""
    assert start(source).finish().results(3) == [0x11, 0x55, 0x10]


def test_an_interrupt_of_the_same_group_does_not_preempt(start: Start) -> None:
    source = """
    store 0xE000ED0C, 0x05FA0600     @ one bit of group priority
    store 0xE000E400, 0x00001020     @ IRQ 0 at 0x20, IRQ 1 at 0x10: one group, IRQ 1 first
    store 0xE000E100, 3
    store 0xE000E200, 1
    mov r4, #1000
1:  subs r4, #1
    bne 1b
    finish
.thumb_func
irq0: movs r1, #1
    put r1
    push {r4, lr}
    store 0xE000E200, 2
    mov r4, #1000
1:  subs r4, #1
    bne 1b
    movs r1, #2
    put r1
    pop {r4, pc}
.thumb_func
irq1: movs r1, #3
    put r1
    bx lr
"""
    assert start(source).finish().results(3) == [1, 2, 3]


def test_wfi_ends_under_primask_without_the_handler(start: Start) -> None:
    source = """
    cpsid i
    store 0xE000E014, 17999
    store 0xE000E018, 0
    store 0xE000E010, 7
    wfi
    ldr r1, =0xE000ED04
    ldr r1, [r1]
    put r1
    put r6
    cpsie i
    isb
    mov r4, #1000
1:  subs r4, #1
    bne 1b
    put r6
    finish
.thumb_func
sys_tick: mov r6, #6
    bx lr
"""
    icsr, before, after = start(source).finish().results(3)
    assert icsr >> 26 & 1  # SysTick pending
    assert (before, after) == (0, 6)


def test_a_reset_request_keeps_ram_and_forgets_the_core(start: Start) -> None:
    source = f"""
    load r0, {RESULTS + 0x100:#x}
    ldr r1, [r0]
    adds r1, #1
    str r1, [r0]
    ldr r2, =0xE000E100
    ldr r2, [r2]
    mrs r3, primask
    orrs r2, r3
    str r2, [r0, r1, lsl #2]
    cmp r1, #3
    beq 1f
    cpsid i
    store 0xE000E100, 0xFF
    store 0xE000ED0C, 0x05FA0004
    b .
1:  finish
"""
    run = start(source).finish()
    assert [run.word(RESULTS + 0x100 + 4 * i) for i in range(4)] == [3, 0, 0, 0]
