"""Words the three-way comparison of a case: float model, simulated int8 and device over the same labelled vectors, and
what input, quantisation and device change of each figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hil.report.page.words import clip, percent, plural
from hil.runfile import Answered, Answers, Case

HEADER = ("", "float", "simulated int8", "device", "by input", "by quantisation", "by device")
_NONE = "none"


@dataclass(frozen=True)
class Row:
    """One figure of all sides in words, and what each step changes of it. counts: how many vectors it is of."""

    name: str
    float: str
    int8: str
    device: str
    by_input: str
    by_quantisation: str
    by_device: str

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.name,
            self.float,
            self.int8,
            self.device,
            self.by_input,
            self.by_quantisation,
            self.by_device,
        )


def rows(case: Case) -> list[Row]:
    """The whole table; empty for a case without labelled vectors."""
    answers, decision = case.answers, case.decision
    if answers is None or decision is None:
        return []
    return [
        _row("accuracy", answers, lambda side: side.accuracy, percent, _points),
        _row("accepted", answers, lambda side: side.accepted, _count, _more),
        _row("wrongly accepted", answers, lambda side: side.wrongly_accepted, _count, _more),
        _row(f"answered {clip(decision.unknown, 60)!r}", answers, lambda side: side.unknown, _count, _more),
        *(_recall(answers, decision.labels, at) for at, count in enumerate(answers.labelled) if count),
    ]


def _recall(answers: Answers, labels: list[str], at: int) -> Row:
    name = f"recall of {clip(labels[at], 60)} ({plural(answers.labelled[at], 'vector')})"
    return _row(name, answers, lambda side: side.recall[at] or 0.0, percent, _points)


def _row(
    name: str,
    answers: Answers,
    figure: Callable[[Answered], float],
    say: Callable[[float], str],
    change: Callable[[float], str],
) -> Row:
    int8, device = figure(answers.int8), figure(answers.device)
    if answers.float_chain is None or answers.float_tensor is None:
        return Row(name, _NONE, say(int8), say(device), "", "", change(device - int8))
    chain, tensor = figure(answers.float_chain), figure(answers.float_tensor)
    steps = (tensor - chain, int8 - tensor, device - int8)
    return Row(name, say(chain), say(int8), say(device), *map(change, steps))


def gap_sentence(answers: Answers) -> str:
    """What the device's accuracy is behind the float model's, and whose it is."""
    if answers.float_chain is None or answers.gap is None:
        return f"Over {plural(answers.vectors, 'labelled vector')}, each window decided alone; there is no float model."
    behind = answers.device.accuracy - answers.float_chain.accuracy
    gap = answers.gap
    shares = f"input {_points(gap.input)}, quantisation {_points(gap.quantisation)}, device {_points(gap.device)}"
    over = f"over {plural(answers.vectors, 'labelled vector')}, each window decided alone"
    if behind == 0:
        return f"The device is as accurate as the float model {over}: {shares}."
    side = "below" if behind < 0 else "above"
    return f"The device's accuracy is {_points(abs(behind)).lstrip('+')} {side} the float model's {over}: {shares}."


def lines(case: Case) -> Iterator[str]:
    """The short form for a terminal: accuracy, the worst recall, thresholded figures."""
    answers = case.answers
    if answers is None or case.decision is None:
        return
    table = rows(case)
    yield f"  answers     {_sides(table[0])}; {_shares(answers)}"
    worst = min((value, at) for at, value in enumerate(answers.device.recall) if value is not None)[1]
    yield f"              worst {_sides(_recall(answers, case.decision.labels, worst))}"
    yield f"              {', '.join(_short(row) for row in table[1:4])} of {plural(answers.vectors, 'vector')}"


def _sides(row: Row) -> str:
    told = [] if row.float == _NONE else [f"float {row.float}"]
    return f"{row.name} " + ", ".join((*told, f"int8 {row.int8}", f"device {row.device}"))


def _short(row: Row) -> str:
    return f"{row.name} {'/'.join(side for side in (row.float, row.int8, row.device) if side != _NONE)}"


def _shares(answers: Answers) -> str:
    gap = answers.gap
    if gap is None:
        return "no float model"
    steps = (("input", gap.input), ("quantisation", gap.quantisation), ("device", gap.device))
    return "of the gap " + ", ".join(f"{name} {_points(value)}" for name, value in steps)


def _points(change: float) -> str:
    """Per cent points with their sign."""
    return f"{100 * change:+.3g} points" if change else "0"


def _count(value: float) -> str:
    return f"{int(value):,}"


def _more(change: float) -> str:
    return f"{int(change):+,}" if change else "0"
