"""From [input], [decision] and the model's tensors to the parameters of the stages (arithmetic: docs/pipeline.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from hil.case import own
from hil.case.schema import MAX_CHANNELS, CaseFile, DecisionTable, GateTable, InputTable
from hil.case.toml_file import EXAMPLES
from hil.case.types import MAX_PAYLOAD, OWN, Channel, Decide, Gate, ModelFile, Prepare, Window
from hil.problems import Say
from hil.reference.decide import raw_threshold
from hil.tensor import ROUNDED_TYPES, Quantisation, TensorContract

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
FLOAT32_MAX = float(np.finfo(np.float32).max)
STAGE_WINDOWS = {"scale": "int16", "quantize": "float32"}  # of tensor/1 the tensor's own type
REAL_INPUT = 'prepare = "tensor/1", with windows of float32 that hold what the model takes'
ONLY_SCALE = ("full_scale", "offset", "source_channels")


def window_of(table: InputTable, tensor: TensorContract, say: Say) -> Window | None:
    """The raw window; None after a report. For `tensor/1` a sample is a row of the first dimension after the batch."""
    stage, _ = split_name(table.prepare)
    if stage == OWN:
        return own.window_of(table, say)
    if stage == "tensor":
        for key in ("window", "channels"):
            if getattr(table, key) is not None:
                say(("input", key), "with tensor/1 the model's input tensor is the window", "remove the line")
        rows = tensor.shape[1:] if len(tensor.shape) > 1 else (*tensor.shape, 1)
        return _sendable(Window(tensor.element.dtype.name, rows[0], math.prod(rows[1:])), "prepare", say)
    missing = [key for key in ("window", "channels") if getattr(table, key) is None]
    examples = {
        "window": "window = 40, the samples of one window",
        "channels": "channels = 6, the values of one sample",
    }
    for key in missing:
        say(("input", key), f"it is missing; {table.prepare} needs it", f"add {examples[key]}")
    if table.window is None or table.channels is None:
        return None
    return _sendable(Window(STAGE_WINDOWS[stage], table.window, table.channels), "window", say)


def check_sendable(windows: Sequence[Window], say: Say) -> None:
    """Reports windows of several inputs that no frame can carry together."""
    size = sum(window.bytes for window in windows)
    if len(windows) > 1 and size > MAX_PAYLOAD:
        problem = f"the windows of all inputs are {size:,} bytes together; a frame of the link carries {MAX_PAYLOAD:,}"
        say(("input", "prepare"), problem, "take shorter windows, or smaller model inputs")


def check_tensor_tables(table: InputTable, model: ModelFile, say: Say) -> None:
    """Reports tables of inputs that the model does not have."""
    names = [tensor.name for tensor in model.inputs]
    carried = [pair.input_tensor.name for pair in model.carried]
    for name in table.tensors:
        if name in carried:
            problem = f"input {name!r} carries state ([model] state): nothing is prepared for it"
            say(("input", "tensors", name), problem, "leave the table out, or take the input out of [model] state")
        elif name not in names:
            fix = f"write one of {', '.join(map(repr, names))}, or leave the table out"
            say(("input", "tensors", name), f"the model has no input {name!r}", fix)


def decided_output(table: CaseFile, model: ModelFile, say: Say) -> int:
    """Index of the output that [decision] is about; of several it must name it. 0 without a [decision]."""
    given = None if table.decision is None else table.decision.output
    names = [tensor.name for tensor in model.outputs]
    if given is None:
        if table.decision is not None and len(names) > 1:
            problem = f"the model has {len(names)} outputs, and output does not say which one is decided on"
            say(("decision", "output"), problem, f"write output = {_one_of(names)}")
        return 0
    if isinstance(given, int) and 0 <= given < len(names):
        return given
    if given not in names:
        say(("decision", "output"), f"the model has no output {given!r}", f"write output = {_one_of(names)}")
        return 0
    return names.index(str(given))


def _one_of(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _sendable(window: Window, key: str, say: Say) -> Window:
    """The window itself; one that no frame can carry is reported."""
    if window.bytes > MAX_PAYLOAD:
        size = f"{window.samples} samples x {window.channels} channels of {window.dtype} are {window.bytes:,} bytes"
        problem = f"{size}; a frame of the link carries {MAX_PAYLOAD:,}"
        say(("input", key), problem, "take a shorter window, fewer channels or a smaller model input")
    return window


def split_name(name: str) -> tuple[str, int]:
    """`scale/1` to ("scale", 1); a stage of the product's own has the version 0."""
    stage, _, version = name.partition("/")
    return stage, int(version or 0)


def gate_of(table: InputTable, window: Window, model: ModelFile, say: Say) -> Gate:
    """The validity gate; without limits in the file, the range of the type and no flat-line rule. Of a float32 tensor
    the range that the model can convert.
    """
    integer = window.dtype != "float32"
    info = np.iinfo(window.dtype) if integer else np.finfo(np.float32)
    lowest, highest = float(info.min), float(info.max)
    given = table.gate
    stage = split_name(table.prepare)[0]
    is_tensor, is_own = stage == "tensor", stage == OWN
    if is_tensor and not integer and model.reach < highest:
        reach = float(np.float32(model.reach))
    else:
        reach = max(highest, -lowest)
    if not is_own:
        _check_float_gate(given, model, say)
    wanted = {"minimum": given.minimum, "maximum": given.maximum, "min_span": given.min_span}
    for key, value in wanted.items():
        if value is None:
            continue
        path = ("input", "gate", key)
        floor, ceiling = (0.0, highest - lowest) if key == "min_span" else (lowest, highest)
        if not floor <= value <= ceiling:
            say(
                path,
                f"{value:g} is outside of {window.dtype}'s {floor:g} to {ceiling:g}",
                "give it in units of the window's values",
            )
        elif integer and value != int(value):
            say(path, f"{value:g} is not whole, the window's values are {window.dtype}", "write a whole number")
    minimum = max(lowest, -reach) if given.minimum is None else given.minimum
    maximum = min(highest, reach) if given.maximum is None else given.maximum
    if max(-minimum, maximum) > reach:
        beyond = "minimum" if -minimum > reach else "maximum"
        problem = f"the model's QUANTIZE converts up to {reach:g}: what it makes of more differs from build to build"
        say(("input", "gate", beyond), problem, f"write limits between {-reach:g} and {reach:g}")
    if minimum > maximum:
        problem = f"minimum {minimum:g} is above maximum {maximum:g}: every window would be rejected"
        say(("input", "gate"), problem, "exchange them, or mend the wrong one")
    elif given.min_span > maximum - minimum:
        problem = f"{given.min_span:g} is more than maximum - minimum: every window would be flat"
        say(("input", "gate", "min_span"), problem, f"write at most {maximum - minimum:g}")
    known = not is_own or "gate" in table.model_fields_set
    return Gate(_float32(minimum), _float32(maximum), _float32(given.min_span), known)


def _check_float_gate(given: GateTable, model: ModelFile, say: Say) -> None:
    """Numbers as large as a float32 can be overflow inside such a model, in each build at another place."""
    if model.all_float and (given.minimum is None or given.maximum is None):
        problem = "minimum and maximum are missing: a float32 model overflows on values that no sensor gives"
        say(("input", "gate"), problem, "write the range of the windows' values, such as minimum = -1.0, maximum = 1.0")


def _float32(value: float) -> float:
    return float(np.float32(max(-FLOAT32_MAX, min(FLOAT32_MAX, value))))


def prepare_of(table: InputTable, window: Window, tensor: TensorContract, say: Say) -> Prepare:
    """The prepare stage's parameters, fitted to the model's input tensor."""
    stage, version = split_name(table.prepare)
    if stage == OWN:
        return Prepare(stage, version)
    if stage != "tensor" and tensor.element not in ROUNDED_TYPES:
        problem = f"{table.prepare} rounds to steps of the input's scale, the input is {tensor.dtype} and has none"
        say(("input", "prepare"), problem, f"write {REAL_INPUT}")
        return Prepare(stage, version)
    if stage != "scale":
        for key in ONLY_SCALE:
            if getattr(table, key) is not None:
                say(("input", key), f"{table.prepare} does not use it", 'remove the line, or take prepare = "scale/1"')
    if stage == "scale":
        channels = _channels(table, window, tensor.quantisation, say)
        _check_elements(window.samples, len(channels), tensor, say)
        return Prepare(stage, version, channels=channels)
    if stage == "quantize":
        _check_elements(window.samples, window.channels, tensor, say)
        factor = np.float32(1) / np.float32(tensor.quantisation.scale)
        if not np.isfinite(factor):
            say(
                ("input", "prepare"),
                f"the input scale {tensor.quantisation.scale:g} has no float32 reciprocal",
                "train with scaled inputs",
            )
        return Prepare(stage, version, factor=float(factor))
    return Prepare(stage, version)


def _check_elements(samples: int, channels: int, tensor: TensorContract, say: Say) -> None:
    if samples * channels != tensor.elements:
        problem = f"{samples} samples x {channels} channels are {samples * channels} values"
        whole = tensor.elements % channels == 0
        fix = f"write window = {tensor.elements // channels}" if whole else "change channels or source_channels"
        shape = list(tensor.shape)
        say(("input", "window"), f"{problem}, the model's input tensor {shape} holds {tensor.elements}", fix)


def _channels(table: InputTable, window: Window, quantisation: Quantisation, say: Say) -> tuple[Channel, ...]:
    """One entry per tensor channel: source, offset, gain."""
    sources = table.source_channels if table.source_channels is not None else tuple(range(window.channels))
    if len(sources) > MAX_CHANNELS:
        say(
            ("input", "channels"), f"{len(sources)} tensor channels, {MAX_CHANNELS} are the most", "send fewer channels"
        )
    for source in sources:
        if not 0 <= source < window.channels:
            problem = f"there is no channel {source}; the window has 0 to {window.channels - 1}"
            say(("input", "source_channels"), problem, "count the channels from 0, or raise channels")
    if table.full_scale is None:
        example = "full_scale = 39.24, the model's input units that 32768 counts stand for"
        say(("input", "full_scale"), "it is missing; scale/1 needs it", f"add {example}")
        return tuple(Channel(source, 0, 0) for source in sources)
    scales = _one_each("full_scale", table.full_scale, len(sources), say)
    offsets = _one_each("offset", 0 if table.offset is None else table.offset, len(sources), say)
    for offset in offsets:
        if not INT32_MIN <= offset <= INT32_MAX:
            say(("input", "offset"), f"{offset} does not fit 32 bits", "give the offset in counts of the sensor")
    gains = [_gain(scale, quantisation, say) for scale in scales]
    return tuple(Channel(*each) for each in zip(sources, map(int, offsets), gains, strict=True))


def _one_each(key: str, value: float | Sequence[float], channels: int, say: Say) -> tuple[float, ...]:
    """A number stands for all tensor channels; a list has one for each."""
    if not isinstance(value, Sequence):
        return (value,) * channels
    if len(value) == channels:
        return tuple(value)
    problem = f"it has {len(value)} values for {channels} tensor channels"
    say(("input", key), problem, f"give {channels} values, or one number for all")
    return (value[0],) * channels


def gain(full_scale: float, scale: float) -> int:
    """Q16.16 gain of `scale/1`: `full_scale / scale * 65536` to the nearest whole, halves to even, in exact arithmetic.

    `full_scale` counts as the decimal that it prints as, `scale` as the float32 value that the model stores.
    """
    return round(Fraction(repr(full_scale)) / Fraction(scale) * 65536)


def _gain(full_scale: float, quantisation: Quantisation, say: Say) -> int:
    found = gain(float(full_scale), quantisation.scale)
    if INT32_MIN <= found <= INT32_MAX and found != 0:
        return found
    largest = quantisation.scale * (INT32_MAX / 65536)
    gives = f"{full_scale:g} / input scale {quantisation.scale:g} gives the gain {found:,}"
    problem = f"{gives}, which is 0 or does not fit 32 bits"
    say(
        ("input", "full_scale"),
        problem,
        f"give the model's input units per 32768 counts; the model takes up to {largest:g}",
    )
    return 0


def decide_of(table: CaseFile, tensor: TensorContract, say: Say) -> Decide:
    """The decide stage with raw thresholds; `none/1` without a [decision] table."""
    part = table.decision
    if part is None:
        return Decide("none", 1)
    _check_labels(part, tensor, say)
    if part.decide == OWN:
        return own.decide_of(part, say)
    if part.threshold is None:
        say(("decision", "threshold"), "the key is missing", f"add {EXAMPLES['decision.threshold']}")
        return Decide("argmax", 1, labels=part.labels, unknown=part.unknown)
    release = part.threshold if part.release is None else part.release
    _check_score("threshold", part.threshold, tensor, say)
    if part.release is not None:
        _check_score("release", part.release, tensor, say)
    if release > part.threshold:
        problem = f"release {release:g} is above threshold {part.threshold:g}"
        say(("decision", "release"), problem, "write a release at or below the threshold")
    return Decide(
        id="argmax",
        version=1,
        threshold=raw_threshold(part.threshold, tensor.quantisation, tensor.element),
        release=raw_threshold(release, tensor.quantisation, tensor.element),
        debounce=part.debounce,
        cooldown=part.cooldown,
        labels=part.labels,
        unknown=part.unknown,
    )


def _check_labels(part: DecisionTable, tensor: TensorContract, say: Say) -> None:
    path = ("decision", "labels")
    if doubled := sorted({label for label in part.labels if part.labels.count(label) > 1}):
        say(path, f"{', '.join(map(repr, doubled))} occurs more than once", "give each output element its own label")
    if len(part.labels) != tensor.elements and part.decide != OWN:
        problem = (
            f"{len(part.labels)} labels, the model's output tensor {list(tensor.shape)} has {tensor.elements} elements"
        )
        say(path, problem, f"list {tensor.elements} labels, in the order of the output")
    if part.unknown in part.labels:
        fix = 'give the answer below the threshold another text, such as unknown = "no answer"'
        say(("decision", "unknown"), f"{part.unknown!r} is also a label", fix)


def _check_score(key: str, score: float, tensor: TensorContract, say: Say) -> None:
    """A score that the output cannot show never decides anything."""
    element = tensor.element
    ends = np.array([-FLOAT32_MAX, FLOAT32_MAX] if element.real else [element.low, element.high])
    lowest, highest = tensor.quantisation.real(ends).tolist()
    if lowest <= score <= highest:
        return
    shown = f"the output shows {lowest:g} to {highest:g}"
    percent = lowest <= score / 100 <= highest and score > 1
    fix = f"it is a score, not percent: write {score / 100:g}" if percent else "choose a score that the model can give"
    effect = "no window would ever be accepted" if score > highest else "every window would be accepted"
    say(("decision", key), f"{score:g} is out of reach, {shown}: {effect}", fix)
