"""The words of a new case: its case.toml, and what its author should know."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from hil.case.start.plan import FLOAT_ROUNDING, THRESHOLD, Plan
from hil.case.start.state import state_lines, state_notes
from hil.case.start.windows import Windows
from hil.model.cures import COMMAND
from hil.project.toml_text import toml_text


def toml_lines(plan: Plan, folder: Path, vectors: Path | None) -> Iterator[str]:
    """case.toml, line by line. folder: of the case; vectors: the file that the windows come from."""
    windows = plan.windows
    yield "# Written by `hil case new`. What it could not know is a guess, and called one: look at it."
    yield ""
    yield "[case]"
    yield f"name = {toml_text(plan.name)}"
    yield "version = 1"
    yield f"source = {toml_text(_source(plan, vectors))}"
    yield ""
    yield "[model]"
    if plan.cured:
        yield f"# A copy, as `{COMMAND}` writes it. In the model that was given was wrong:"
        yield from (f"# {each}." for each in plan.cured)
    yield f"int8 = {toml_text(plan.model_name)}"
    if plan.model.all_float:
        yield "all_float = true             # nothing in it is quantised: the case judges the float model itself"
    if plan.float_name is not None:
        yield f"float = {toml_text(plan.float_name)}"
    yield from state_lines(plan.model, plan.state_named)
    yield ""
    yield "[input]"
    yield f"# A guess: {windows.why}. docs/case-format.md has the other stages."
    yield f"prepare = {toml_text(windows.prepare)}"
    if windows.prepare != "tensor/1":
        yield f"window = {windows.windows.shape[1]}"
        yield f"channels = {windows.windows.shape[2]}"
    if windows.full_scale is not None:
        yield f"full_scale = {windows.full_scale!r}        # a guess: what 32768 counts are, in the model's unit"
    if windows.rate_hz is not None:
        yield f"rate_hz = {windows.rate_hz!r}"
    for remark in windows.remarks:
        yield f"# {remark}"
    yield from _of_further_inputs(plan)
    yield ""
    yield from _float_limits(plan)
    if plan.labels:
        yield "[decision]"
        yield f"# A guess: {plan.labels_by}."
        if plan.model.further_outputs:
            yield f"output = {toml_text(plan.model.output.name)}"
        yield f"labels = [{', '.join(map(toml_text, plan.labels))}]"
        yield f"threshold = {THRESHOLD}             # a guess"
    else:
        yield "# No [decision]: the output does not look like scores of classes. docs/case-format.md has the table."
    yield ""
    yield "# Limits are left out: without them a run holds the device to its references, and says what it measured."
    yield "# Fill them in from a first run on a board of a 32-bit target, such as qemu:"
    yield f"#   pytest --board=qemu {shlex.quote(str(folder))}"
    yield "#   hil case limits hil-out --write"


def _float_limits(plan: Plan) -> Iterator[str]:
    """What a case of a float32 model cannot do without."""
    if not plan.model.all_float:
        return
    yield "[input.gate]"
    yield "# The range of the windows above; a guess at what the sensor can give."
    yield f"minimum = {min(float(each.windows.min()) for each in plan.inputs)!r}"
    yield f"maximum = {max(float(each.windows.max()) for each in plan.inputs)!r}"
    yield ""
    if plan.tolerance is not None:
        yield "[contract.execution]"
        yield f"tolerance = {plan.tolerance!r}          # a guess: {FLOAT_ROUNDING:g} of the largest output"
        yield ""


def _of_further_inputs(plan: Plan) -> Iterator[str]:
    """Tables of the inputs that [input] does not do for."""
    for tensor, windows in zip(plan.model.inputs[1:], plan.inputs[1:], strict=True):
        own = dict(_keys(windows))
        if own != dict(_keys(plan.windows)):
            yield ""
            yield f"[input.tensors.{toml_text(tensor.name)}]"
            yield f"# A guess: {windows.why}."
            yield from (f"{key} = {value}" for key, value in own.items())


def _keys(windows: Windows) -> Iterator[tuple[str, str]]:
    yield "prepare", toml_text(windows.prepare)
    if windows.prepare != "tensor/1":
        yield "window", str(windows.windows.shape[1])
        yield "channels", str(windows.windows.shape[2])
    if windows.full_scale is not None:
        yield "full_scale", repr(windows.full_scale)


def _source(plan: Plan, vectors: Path | None) -> str:
    model = f"model {plan.model.path.name} (SHA-256 {plan.model.sha256[:16]}...)"
    if vectors is None:
        return f"{model}; {plan.windows.source}"
    digest = hashlib.sha256(vectors.read_bytes()).hexdigest()[:16]
    return f"{model}; {plan.windows.source} (SHA-256 {digest}...)"


def notes(plan: Plan) -> Iterator[str]:
    """What was guessed and what to know, a sentence each."""
    windows = plan.windows
    yield f"{len(windows.windows)} windows: {windows.source}"
    yield f'prepare = "{windows.prepare}" is a guess: {windows.why}'
    yield from windows.remarks
    if plan.cured:
        yield (
            f"the model in the case is a copy, as {COMMAND} writes it: wrong in the given one was "
            f"{'; '.join(plan.cured)}. Ship the copy"
        )
    if plan.model.all_float:
        yield "nothing in the model is quantised, so the case judges the float model itself (all_float = true)"
    yield from state_notes(plan.model, plan.state_named)
    if plan.labels:
        shown = ", ".join((*plan.labels[:4], *("..." for _ in plan.labels[4:5])))
        yield f"labels {shown} are a guess: {plan.labels_by}"
        yield f"threshold = {THRESHOLD} is a guess"
    else:
        yield "no [decision]: the output does not look like scores of classes"
