"""The SysTick timer of the Cortex-M4 (Arm DDI 0403E, B3.3)."""

from __future__ import annotations

CONTROL, RELOAD, VALUE, CALIBRATION = 0xE000E010, 0xE000E014, 0xE000E018, 0xE000E01C
_ENABLE, _INTERRUPT, _CORE_CLOCK, _COUNTED = 1, 2, 4, 1 << 16


class SysTick:
    """Counts down from the reload value to 0 and begins again; times are in HCLK cycles.

    With the reference clock (bit 2 clear) it counts every eighth cycle.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._control = 0
        self._reload = 0
        self._value = 0
        self._since = 0  # when the value was `_value`
        self.fired = False  # reached 0 with its interrupt enabled, and nobody has asked since

    def read(self, address: int, now: int) -> int:
        self.advance(now)
        if address == CONTROL:
            value = self._control
            self._control &= ~_COUNTED
            return value
        return {RELOAD: self._reload, VALUE: self._value, CALIBRATION: 0x40000000 | 22499}.get(address, 0)

    def write(self, address: int, value: int, now: int) -> None:
        self.advance(now)
        if address == CONTROL:
            self._control = self._control & _COUNTED | value & 7
            self._since = now
        elif address == RELOAD:
            self._reload = value & 0xFFFFFF
        elif address == VALUE:
            self._value, self._since = 0, now
            self._control &= ~_COUNTED

    def next_event(self) -> int | None:
        """When it will reach 0 with its interrupt enabled; None: never."""
        if self._control & 3 != 3 or not (self._value or self._reload):
            return None
        ticks = self._value or 1 + self._reload  # a value of 0 is reloaded first
        return self._since + ticks * self._tick()

    def advance(self, now: int) -> None:
        """Count down to `now`."""
        if not self._control & _ENABLE or not (self._value or self._reload):
            self._since = now
            return
        ticks = (now - self._since) // self._tick()
        self._since += ticks * self._tick()
        if ticks < self._value:
            self._value -= ticks
            return
        if self._value:
            self._reached_zero()
        past, self._value = ticks - self._value, 0
        if self._reload and past:
            turns, past = divmod(past, self._reload + 1)
            if turns:
                self._reached_zero()
            self._value = (self._reload + 1 - past) % (self._reload + 1)

    def _reached_zero(self) -> None:
        self._control |= _COUNTED
        self.fired = self.fired or bool(self._control & _INTERRUPT)

    def _tick(self) -> int:
        return 1 if self._control & _CORE_CLOCK else 8
