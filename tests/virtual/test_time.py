"""One tick is one executed instruction: the counter, the timers, and that both repeat."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from hil.virtual.stm32f4 import Timer
from hil.virtual.systick import CONTROL, RELOAD, VALUE, SysTick
from tests.virtual.program import Run

Start = Callable[..., Run]
COUNTER_ON = """
    store 0xE000EDFC, 0x01000000
    store 0xE0001000, 1
    ldr r5, =0xE0001004
"""
SYSTICK_EVERY = "store 0xE000E014, {reload}\nstore 0xE000E018, 0\nstore 0xE000E010, 7\n"


@pytest.mark.parametrize("turns", [1, 2, 7, 1000, 123_457])
def test_the_counter_counts_each_executed_instruction(start: Start, turns: int) -> None:
    source = (
        COUNTER_ON
        + f"""
    load r4, {turns}
    ldr r0, [r5]
1:  subs r4, #1
    bne 1b
    ldr r1, [r5]
    nop
    ldr r2, [r5]
    subs r1, r0
    put r1
    subs r2, r0
    put r2
    finish
"""
    )
    assert start(source).finish().results(2) == [2 * turns + 1, 2 * turns + 3]


def test_the_counter_is_exact_across_calls_stores_devices_and_conditional_blocks(start: Start) -> None:
    source = (
        COUNTER_ON
        + """
    mov r4, #5000
    ldr r6, [r5]
    ldr r8, =0xE000ED08
1:  bl called                @ 1
    ldr r0, [r8]             @ 1: a device
    cmp r0, r0               @ 1
    ite eq                   @ 1
    addeq r1, #1             @ 1
    addne r1, #2             @ not executed
    subs r4, #1              @ 1
    bne 1b                   @ 1
    ldr r1, [r5]
    subs r1, r6
    put r1
    finish
.thumb_func
called:
    push {r4, lr}            @ 1
    vmov s0, r4              @ 1
    pop {r4, pc}             @ 1
"""
    )
    fpu_on = "store 0xE000ED88, 0x00F00000\n"
    assert start(fpu_on + source).finish().results(1) == [5000 * 10 + 2]


def test_an_interrupt_in_the_middle_does_not_change_what_the_rest_counts(start: Start) -> None:
    source = (
        (
            COUNTER_ON
            + SYSTICK_EVERY.format(reload=9_999)
            + """
    ldr r0, [r5]
    load r4, 100000
1:  subs r4, #1
    bne 1b
    ldr r1, [r5]
    store 0xE000E010, 0
    subs r3, r1, r0
    finish
.thumb_func
sys_tick:
    adds r6, #1
    bx lr
"""
        )
        .replace("    subs r3, r1, r0\n", "")
        .replace("store 0xE000E010, 0\n", "subs r1, r0\n put r1\n put r6\n")
    )
    counted, interrupts = start(source).finish().results(2)
    assert interrupts == 20
    assert counted == 200_003 + 2 * interrupts  # load, two of `load`, the loop, two a handler


def test_systick_interrupts_exactly_every_reload_plus_one_cycles(start: Start) -> None:
    source = (
        COUNTER_ON
        + SYSTICK_EVERY.format(reload=2_999)
        + """
    b .
.thumb_func
sys_tick:
    ldr r0, [r5]
    put r0
    adds r6, #1
    cmp r6, #6
    beq 1f
    bx lr
1:  finish
"""
    )
    times = start(source).finish().results(6)
    assert [after - before for before, after in pairwise(times)] == [3_000] * 5


def test_tim5_counts_its_own_clock_and_interrupts_at_its_overflow(start: Start) -> None:
    """With APB1 at a quarter of HCLK the timer runs at half of it (RM0090, 6.2)."""
    source = (
        COUNTER_ON
        + """
    store 0x40023808, 0x1400         @ PPRE1: HCLK / 4
    store 0x40023840, 8
    store 0x40000C28, 9              @ PSC: every tenth cycle
    store 0x40000C2C, 499            @ ARR: 500 counts
    store 0x40000C14, 1              @ UG
    store 0x40000C10, 0
    store 0x40000C0C, 1              @ UIE
    store 0xE000E104, 0x40000        @ IRQ 50
    store 0x40000C00, 1
    b .
.thumb_func
irq50:
    ldr r0, [r5]
    put r0
    store 0x40000C10, 0
    adds r6, #1
    cmp r6, #4
    beq 1f
    bx lr
1:  finish
"""
    )
    times = start(source).finish().results(4)
    assert [after - before for before, after in pairwise(times)] == [500 * 10 * 2] * 3


def test_a_timer_whose_flag_is_not_cleared_interrupts_again(start: Start) -> None:
    source = """
    store 0x40023840, 8
    store 0x40000C2C, 99
    store 0x40000C0C, 1
    store 0xE000E104, 0x40000
    store 0x40000C00, 1
    b .
.thumb_func
irq50:
    adds r6, #1
    cmp r6, #3
    it ne
    bxne lr
    store 0x40000C00, 0
    store 0x40000C10, 0
    put r6
    finish
"""
    assert start(source).finish().results(1) == [3]


def test_a_sleeping_core_executes_nothing_and_its_timers_go_on(start: Start) -> None:
    source = (
        COUNTER_ON
        + SYSTICK_EVERY.format(reload=179_999)
        + """
    ldr r0, [r5]
    wfi
    ldr r1, [r5]
    subs r1, r0
    put r1
    put r6
    finish
.thumb_func
sys_tick:
    adds r6, #1
    bx lr
"""
    )
    run = start(source).finish()
    assert run.results(2) == [4, 1]  # load and WFI, two of the handler
    assert run.machine.now - run.machine.instructions > 170_000


def test_the_counter_goes_on_in_sleep_where_the_debug_unit_keeps_its_clock_on(start: Start) -> None:
    source = (
        COUNTER_ON
        + SYSTICK_EVERY.format(reload=179_999)
        + """
    store 0xE0042004, 1
    ldr r0, [r5]
    wfi
    ldr r1, [r5]
    subs r1, r0
    put r1
    finish
.thumb_func
sys_tick:
    bx lr
"""
    )
    run = start(source).finish()
    (counted,) = run.results(1)
    assert 170_000 < counted <= 180_000


def test_two_runs_count_the_same(start: Start) -> None:
    source = (
        COUNTER_ON
        + SYSTICK_EVERY.format(reload=777)
        + """
    load r4, 300000
1:  subs r4, #1
    bne 1b
    ldr r0, [r5]
    put r0
    put r6
    finish
.thumb_func
sys_tick:
    adds r6, #1
    bx lr
"""
    )
    first, second = start(source), start(source)
    for _ in range(50):  # a debugger that asks does not move the count
        second.machine.read(0xE000ED08, 4)
    assert first.finish().results(2) == second.finish().results(2)


def test_systick_counts_down_reloads_and_flags() -> None:
    timer = SysTick()
    timer.write(RELOAD, 9, 0)
    timer.write(VALUE, 0, 0)
    timer.write(CONTROL, 7, 100)
    assert timer.next_event() == 110
    assert [timer.read(VALUE, now) for now in (100, 101, 102, 109)] == [0, 9, 8, 1]
    assert not timer.fired
    assert (timer.read(VALUE, 110), timer.fired) == (0, True)
    assert timer.read(CONTROL, 110) == 0x10007
    assert timer.read(CONTROL, 110) == 7
    assert timer.read(VALUE, 111) == 9
    assert timer.next_event() == 120


def test_timer_counts_up_and_wraps_after_its_auto_reload_value() -> None:
    now = [0]
    timer = Timer(lambda: now[0], lambda: 2)
    for offset, value in ((Timer.PSC, 4), (Timer.ARR, 9), (Timer.EGR, 1), (Timer.SR, 0), (Timer.DIER, 1)):
        timer.write(offset, value)
    timer.write(Timer.CR1, 1)
    assert timer.next_event() == 100
    found = []
    for now[0] in (0, 9, 10, 95, 99, 100, 250):
        found.append((timer.read(Timer.CNT), timer.interrupt))
    assert found == [(0, False), (0, False), (1, False), (9, False), (9, False), (0, True), (5, True)]
