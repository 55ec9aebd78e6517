"""Guesses for a new case what of its model is state and how long it lasts, and says so in case.toml."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.case.carried import wired, with_state
from hil.case.notes import shown_state
from hil.case.types import ModelFile, StatePair
from hil.errors import CaseError
from hil.model.carried import guessed
from hil.model.state import keeps_streams
from hil.problems import Problem, raise_any


def guessed_state(model: ModelFile) -> tuple[StatePair, ...]:
    """The outputs that are taken for inputs of the next window. A tensor without a scale says too little of itself."""
    return tuple(pair for pair in guessed(model) if pair.input_tensor.quantisation.scale)


def with_named_state(model: ModelFile, pairs: Sequence[str]) -> ModelFile:
    """The model with the state that `OUTPUT=INPUT` names. Raises CaseError that names what is wrong with a pair."""
    named: dict[str, str] = {}
    outputs = [tensor.name for tensor in model.outputs]
    for pair in pairs:  # a name may hold a =, too
        ends = [(pair[:at], pair[at + 1 :]) for at, letter in enumerate(pair) if letter == "="]
        output, input = next((each for each in ends if each[0] in outputs), ends[0] if ends else ("", ""))
        if not output or not input or output in named:
            problem = "the output is named twice" if output and input else "it is no OUTPUT=INPUT"
            raise CaseError(model.path, f"--state {pair}", problem, f"the outputs are {', '.join(map(repr, outputs))}")
        named[output] = input
    problems: list[Problem] = []
    wired_up = with_state(model, named, lambda path, problem, fix: problems.append(Problem("--state", problem, fix)))
    raise_any(model.path, problems)
    return wired_up


def lasts(model: ModelFile) -> bool:
    """Whether the model's state is guessed to last from window to window. model: with what is carried."""
    return keeps_streams(model.operators) or bool(model.carried)


def state_lines(model: ModelFile, named: bool) -> Iterator[str]:
    """The lines of [model] about its state. named: the user said what of it is carried."""
    pairs = guessed(model)
    if model.carried and named:
        yield f"state = {wired(model.carried)}"
    elif model.carried:
        yield "# A guess: each of these outputs has the type, shape and quantisation of one input: it is taken for"
        yield "# the state that the product carries to the next window of a stream (sequence in the vectors)."
        yield f"state = {wired(model.carried)}"
    elif model.state:
        yield f"# The model keeps state: {shown_state(model.state)}."
        yield "# A guess: true where it lasts from window to window of a stream (sequence in the vectors), else false."
        yield f"state = {str(lasts(model)).lower()}"
    elif pairs:
        yield "# Is an output the state that the product carries to the next window? Then wire it; its input needs no"
        yield "# windows:"
        yield f"# state = {wired(pairs)}"


def state_notes(model: ModelFile, named: bool) -> Iterator[str]:
    """What was guessed of its state. named: as for state_lines."""
    if model.carried and named:
        return
    if model.carried:
        yield f"that the product carries state through {', '.join(map(str, model.carried))} is a guess"
    elif model.state:
        shown = "from window to window of a stream" if lasts(model) else "no longer than a window"
        yield f"the model keeps state ({shown_state(model.state)}); that it lasts {shown} is a guess"
