"""Duty cycle, average power and battery life of a product that sleeps between inferences (docs/budgets.md)."""

from __future__ import annotations

from dataclasses import dataclass

from hil.board.config import Power

HOURS_A_DAY = 24


@dataclass(frozen=True)
class Energy:
    """duty: share of the time awake, above 1 when the product cannot keep up; power and energy mean nothing then and
    are None. battery_days: None without a battery.
    """

    duty: float
    average_mw: float | None = None
    daily_mwh: float | None = None
    battery_days: float | None = None


def energy(power: Power, inference_s: float, per_second: float, battery_mwh: float | None = None) -> Energy:
    """What `per_second` inferences of `inference_s` seconds each cost.

    duty = rate (inference + wake); average = duty active + (1 - duty) sleep + rate wake energy. battery_mwh replaces
    that of `power`.
    """
    duty = per_second * (inference_s + power.wake_ms / 1000)
    if duty > 1:
        return Energy(duty)
    wake_mw = per_second * power.wake_uj / 1000  # uJ a second are uW
    average_mw = duty * power.active_mw + (1 - duty) * power.sleep_mw + wake_mw
    daily_mwh = average_mw * HOURS_A_DAY
    battery = battery_mwh if battery_mwh is not None else power.battery_mwh
    return Energy(duty, average_mw, daily_mwh, battery / daily_mwh if battery is not None else None)
