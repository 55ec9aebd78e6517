"""Asks the tflite-micro wheel how much arena a model takes; it is a 64-bit host's, and the newest TFLM's."""

from __future__ import annotations

from dataclasses import dataclass

from hil.interpreter.process import InterpreterEnded, InterpreterProcess, InterpreterRefused

ESTIMATE = (
    "an estimate: the tflite-micro wheel's allocation on this 64-bit host, by the newest planner; "
    "the firmware's TFLM on a 32-bit target takes up to half as much again"
)


@dataclass(frozen=True)
class Arena:
    """All in bytes. live: what tensors hold at one time at most, which no interpreter undercuts. wheel: what the wheel
    allocates, None when it does not take the model, and `refusal` says why. what: what kind of figure `wheel` is.
    """

    live: int
    wheel: int | None
    refusal: str
    what: str = ESTIMATE


def ask_arena(model: bytes, live: int) -> Arena:
    """The wheel runs in a process of its own: what the model does to it becomes a refusal."""
    process = InterpreterProcess()
    try:
        answer = process.ask("arena_tflm", {"model": model})
    except InterpreterRefused as refused:
        words = (refused.words or refused.said).splitlines()
        return Arena(live, None, words[0] if words else "it gives no reason")
    except InterpreterEnded as ended:
        return Arena(live, None, f"its process {ended.how}")
    finally:
        process.close()
    return Arena(live, answer["total"], "")
