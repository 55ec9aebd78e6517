"""Guesses for a new case what of its model is state and how long it lasts, and says so in case.toml."""

from __future__ import annotations

from collections.abc import Iterator

from hil.case.carried import wired
from hil.case.notes import shown_state
from hil.case.types import ModelFile, StatePair
from hil.model.carried import guessed
from hil.model.state import keeps_streams


def guessed_state(model: ModelFile) -> tuple[StatePair, ...]:
    """The outputs that are taken for inputs of the next window. A tensor without a scale says too little of itself."""
    return tuple(pair for pair in guessed(model) if pair.input_tensor.quantisation.scale)


def lasts(model: ModelFile) -> bool:
    """Whether the model's state is guessed to last from window to window. model: with what is carried."""
    return keeps_streams(model.operators) or bool(model.carried)


def state_lines(model: ModelFile) -> Iterator[str]:
    """The lines of [model] about its state."""
    pairs = guessed(model)
    if model.carried:
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


def state_notes(model: ModelFile) -> Iterator[str]:
    """What was guessed of its state."""
    if model.carried:
        yield f"that the product carries state through {', '.join(map(str, model.carried))} is a guess"
    elif model.state:
        shown = "from window to window of a stream" if lasts(model) else "no longer than a window"
        yield f"the model keeps state ({shown_state(model.state)}); that it lasts {shown} is a guess"
