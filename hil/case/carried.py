"""From [model] state to the pairs of an output and an input between which the product carries the model's state."""

from __future__ import annotations

from collections.abc import Sequence

from hil.case.types import ModelFile, StatePair
from hil.model.carried import difference, guessed
from hil.model.ends import MOST_CARRIED, MOST_FED
from hil.problems import Say
from hil.project.toml_text import toml_text
from hil.tensor import TensorContract


def with_state(model: ModelFile, state: object, say: Say) -> ModelFile:
    """The model with the state that the case wires, if it does. state: [model] state, which may be a table."""
    if isinstance(state, dict):
        if not state:
            fix = f'write state = {{ "output" = "input" }}, or false{_hint(model)}'
            say(("model", "state"), "it names no pair", fix)
        model = model.carrying(_pairs(model, state, say))
    if len(model.carried) > MOST_CARRIED:
        problem = f"it names {len(model.carried)} pairs, the firmware carries {MOST_CARRIED}"
        say(("model", "state"), problem, "concatenate some states in the network")
    if problem := too_many_fed(model):
        fix = f'wire those that carry state, state = {{ "output" = "input" }}, or concatenate some{_hint(model)}'
        say(("model", "state"), problem, fix)
    return model


def too_many_fed(model: ModelFile) -> str:
    """What is wrong when windows would feed more inputs than the firmware takes, "" when nothing is."""
    fed = len(model.inputs)
    return f"windows feed {fed} inputs of the model, the firmware takes {MOST_FED}" if fed > MOST_FED else ""


def _pairs(model: ModelFile, table: dict[str, str], say: Say) -> list[StatePair]:
    pairs: list[StatePair] = []
    for name, wanted in table.items():
        path = ("model", "state", name)
        output = _named(model.outputs, name)
        if output is None:
            say(path, f"the model has no output {name!r}", f"write one of {_names(model.outputs)}, or leave it out")
            continue
        input = _named(model.inputs, wanted)
        if input is None:
            say(path, f"the model has no input {wanted!r}", f"write one of {_names(model.inputs)}{_hint(model)}")
            continue
        pair = StatePair(output, input, model.outputs[output], model.inputs[input])
        if other := difference(pair.output_tensor, pair.input_tensor):
            problem = f"output {name!r} and input {wanted!r} have {other}: the product copies bytes"
            say(path, problem, f"name the pair that has the same type, shape and quantisation{_hint(model)}")
        elif input in {each.input for each in pairs}:
            problem = f"input {wanted!r} gets two outputs, {name!r} is the second"
            say(path, problem, f"name an input once{_hint(model)}")
        else:
            pairs.append(pair)
    if len(pairs) == len(model.inputs):
        problem = "every input carries state: no window would reach the model"
        say(("model", "state"), problem, "leave the input out that the sensor feeds")
        return []
    return pairs


def wired(pairs: Sequence[StatePair]) -> str:
    """The pairs as [model] state names them."""
    each = (f"{toml_text(pair.output_tensor.name)} = {toml_text(pair.input_tensor.name)}" for pair in pairs)
    return f"{{ {', '.join(each)} }}"


def _named(tensors: Sequence[TensorContract], name: str) -> int | None:
    return next((index for index, tensor in enumerate(tensors) if tensor.name == name), None)


def _names(tensors: Sequence[TensorContract]) -> str:
    return ", ".join(repr(each.name) for each in tensors)


def _hint(model: ModelFile) -> str:
    pairs = guessed(model)
    return f"; these fit each other alone: {wired(pairs)}" if pairs else ""
