"""Stages that are the product's own: what a case may say of them, and what it is told of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hil.case.schema import CaseFile, DecisionTable, InputTable
from hil.case.types import OWN, Decide, ModelFile, Window
from hil.errors import CaseError
from hil.interpreter.process import InterpreterEnded, InterpreterProcess, InterpreterRefused
from hil.problems import Say
from hil.tensor import Elements, TensorContract

REFERENCE_S = 300.0  # without an answer, after which a reference hangs
_OF_ARGMAX = ("threshold", "release", "debounce", "cooldown", "output")
_OF_SCALE = ("full_scale", "offset", "source_channels")
_EXAMPLES = {
    "window": "window = 40, the samples of one window",
    "channels": "channels = 6, the values of one sample",
    "dtype": 'dtype = "int16", the type of one value',
}


def window_of(table: InputTable, say: Say) -> Window | None:
    """The raw window that the case writes down; None after a report."""
    missing = [key for key in _EXAMPLES if getattr(table, key) is None]
    for key in missing:
        say(("input", key), f'it is missing; prepare = "{OWN}" needs it', f"add {_EXAMPLES[key]}")
    if missing:
        return None
    assert table.dtype is not None
    assert table.window is not None
    assert table.channels is not None
    return Window(table.dtype, table.window, table.channels)


def decide_of(part: DecisionTable, say: Say) -> Decide:
    """A decide stage of which the labels are known."""
    for key in _OF_ARGMAX:
        if key in part.model_fields_set:
            problem = f'decide = "{OWN}" does not use it: the rules of the stage are the product\'s'
            say(("decision", key), problem, 'remove the line, or take decide = "argmax/1"')
    return Decide(OWN, 0, labels=part.labels, unknown=part.unknown)


def check(table: CaseFile, model: ModelFile, say: Say) -> None:
    """Reports keys that only say something of stages of the product's own, and what such a case cannot have."""
    own_prepare = table.input.prepare == OWN
    own_decide = table.decision is not None and table.decision.decide == OWN
    given = {
        ("input", "dtype"): table.input.dtype,
        ("input", "reference"): table.input.reference,
        ("contract", "input", "prepared_lsb"): table.contract.input.prepared_lsb,
        ("contract", "input", "prepared_tolerance"): table.contract.input.prepared_tolerance,
    }
    for path, value in given.items():
        if value is not None and not own_prepare:
            say(path, f'it is for prepare = "{OWN}"; {table.input.prepare} is known bit for bit', "remove the line")
    if table.contract.decision.score_tolerance is not None and not own_decide:
        problem = f'it is for decide = "{OWN}"; the other decide stages are known exactly'
        say(("contract", "decision", "score_tolerance"), problem, "remove the line")
    if own_prepare:
        _check_prepare(table, model, say)
    if own_decide and model.further_outputs:
        problem = f'decide = "{OWN}" takes a model with one output, this one has {len(model.outputs)}'
        say(("decision", "decide"), problem, "leave out [decision], or take a decide stage of docs/pipeline.md")


def _check_prepare(table: CaseFile, model: ModelFile, say: Say) -> None:
    if len(model.inputs) > 1 or table.input.tensors:
        problem = f'prepare = "{OWN}" takes a model with one input that windows feed, this one has {len(model.inputs)}'
        say(("input", "prepare"), problem, "take a stage of docs/pipeline.md for each input")
        return
    for name in _OF_SCALE:
        if getattr(table.input, name) is not None:
            say(("input", name), f'prepare = "{OWN}" does not use it', 'remove the line, or take prepare = "scale/1"')
    real = model.input.element.real
    key, other = ("prepared_tolerance", "prepared_lsb") if real else ("prepared_lsb", "prepared_tolerance")
    if getattr(table.contract.input, other) is not None:
        say(("contract", "input", other), f"the input is {model.input.element.dtype}", f"write {key}")


def referenced(
    folder: Path, reference: str, windows: NDArray[np.generic], tensor: TensorContract, say: Say
) -> Elements | None:
    """What the Python function `FILE.py:NAME` makes of the windows: [n, input elements]; None after a report. It runs
    in a process of its own. Raises CaseError that names file and function when it cannot be run, or gives no such
    tensor.
    """
    name, _, function = reference.rpartition(":")
    if not name.endswith(".py") or not function.isidentifier():
        problem = f"{reference!r} names no function in a Python file"
        say(("input", "reference"), problem, 'write "front_end.py:function", a file in the folder of the case')
        return None
    file, where = folder / name, f"function {function!r}"
    process = InterpreterProcess()
    try:
        values = {"file": str(file), "function": function, "windows": windows}
        found = process.ask("front_end", values, REFERENCE_S)["prepared"]
    except (InterpreterRefused, InterpreterEnded) as error:
        said = error.said if isinstance(error, InterpreterRefused) else str(error)
        problem = "it cannot be run as the reference of the front end: " + said
        raise CaseError(file, where, problem, "mend it; it takes windows [n, samples, channels]") from None
    finally:
        process.close()
    return _tensor(file, where, found, len(windows), tensor)


def _tensor(file: Path, where: str, found: NDArray[np.generic], n: int, tensor: TensorContract) -> Elements:
    dtype = tensor.element.dtype
    if found.dtype == dtype and found.shape in prepared_shapes(n, tensor):
        return np.ascontiguousarray(found).reshape(n, tensor.elements)
    wanted = f"{dtype} [{n}, {tensor.elements}]"
    problem = f"it gives {found.dtype} {list(found.shape)}, the model's input tensors are {wanted}"
    raise CaseError(file, where, problem, f"return one row of {tensor.elements} {dtype} values for each window")


def prepared_shapes(n: int, tensor: TensorContract) -> Sequence[tuple[int, ...]]:
    """The shapes that n tensors of this contract may be written in: flat, or as the model has them."""
    return [(n, tensor.elements), (n, *tensor.shape[1:])]
