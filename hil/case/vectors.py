"""Reads vectors.npz: what its arrays must be to fit the case, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.npz import Arrays
from hil.case.own import prepared_shapes
from hil.case.types import MAX_PAYLOAD, Vectors, Window, sent_bytes
from hil.case.window_shape import axes, shape_fault
from hil.errors import CaseError
from hil.problems import Problem, raise_any
from hil.records import GateReason
from hil.tensor import Elements, ElementType, TensorContract

KEYS = ("windows", "label", "reject", "samples", "sequence", "name", "expected_output")
# `stale` cannot be expected of a vector: each gets a capture number of its own.
REASONS = tuple(reason.name.lower() for reason in GateReason if reason not in (GateReason.VALID, GateReason.STALE))
LAST_CHARACTER, SURROGATES = 0x10FFFF, range(0xD800, 0xE000)  # Unicode
LONGEST_FACTOR = 4  # wrong-length vectors: at most so many windows
WHOLE, TEXT = "whole numbers (integer)", "text (numpy <U)"


@dataclass(frozen=True)
class WantedInput:
    """What the windows of one input must be. name: of their array; shape: of the tensor, without the batch; tensor: its
    name where there are several inputs.
    """

    name: str
    window: Window
    tensor_input: bool  # tensor/1: a window is the input tensor
    shape: tuple[int, ...]
    tensor: str = ""

    @property
    def samples_name(self) -> str:
        """Of the array of what is really sent."""
        return f"samples.{self.tensor}" if self.tensor else "samples"

    @property
    def window_shape(self) -> tuple[int, ...]:
        return self.shape if self.tensor_input else (self.window.samples, self.window.channels)


@dataclass(frozen=True)
class WantedOutput:
    """What expected outputs must be; fields as in WantedInput."""

    name: str
    shape: tuple[int, ...]
    element: ElementType


@dataclass(frozen=True)
class WantedOwn:
    """What may be expected of stages of the product's own. prepared: the input of its front end, None where that is
    none of its own; decision: whether its decide stage is; unknown: the text of the answer of none.
    """

    prepared: TensorContract | None = None
    decision: bool = False
    unknown: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays that the file may hold for them."""
        prepared = ("prepared", "prepared_float") if self.prepared is not None else ()
        return (*prepared, *(("answer", "score") if self.decision else ()))


@dataclass(frozen=True)
class Wanted:
    """What the case needs of its vectors: the output that is decided on comes first. labels: empty without a decide
    stage. carried: names of inputs that windows do not feed.
    """

    inputs: tuple[WantedInput, ...]
    outputs: tuple[WantedOutput, ...]
    labels: tuple[str, ...]
    carried: tuple[str, ...] = ()
    own: WantedOwn = WantedOwn()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all arrays that the file may hold."""
        others = [name for name in KEYS if name not in ("windows", "samples", "expected_output")]
        lengths = [each.samples_name for each in self.inputs]
        outputs = [each.name for each in self.outputs]
        return (*(each.name for each in self.inputs), *others, *lengths, *outputs, *self.own.names)


def read_vectors(data: bytes, file: Path, wanted: Wanted) -> Vectors:
    """The vectors in the bytes of an .npz. Raises CaseError that names array, what is expected and what was found."""
    arrays = Arrays(data, file, wanted.names, wanted.carried)
    windows, *further = (_windows(arrays, each) for each in wanted.inputs)
    n = len(windows)
    for each, some in zip(wanted.inputs[1:], further, strict=True):
        if len(some) != n:
            problem = f"it has {len(some)} windows, {wanted.inputs[0].name!r} has {n}"
            raise CaseError(file, f"array {each.name!r}", problem, "save one window of each input for each vector")
    problems: list[Problem] = []
    reader = _Columns(arrays, n, problems)
    label = reader.labels(wanted)
    reject = reader.reject()
    samples, *lengths = reader.samples(wanted.inputs)
    sequence = reader.whole("sequence", -1)
    names = reader.names()
    expected, *others = (reader.expected_output(each) for each in wanted.outputs)
    prepared, prepared_float = reader.prepared(wanted.own.prepared)
    answer, score = (reader.answer(wanted), reader.score()) if wanted.own.decision else (None, None)
    if reject is not None:
        problems += _wrong_lengths(reject, wanted.inputs, (samples, *lengths))
    raise_any(file, problems)
    return Vectors(
        windows,
        samples,
        names,
        label,
        reject,
        sequence,
        expected,
        tuple(further),
        tuple(others),
        tuple(lengths),
        prepared,
        prepared_float,
        answer,
        score,
    )


def _windows(arrays: Arrays, wanted: WantedInput) -> NDArray[Any]:
    """[n, samples, channels], or [n, *tensor shape without the batch] for tensor/1."""
    header = arrays.header(wanted.name)
    where = f"array {wanted.name!r}"
    if header is None:
        raise CaseError(arrays.file, where, "it is missing", "save the raw windows under this name")
    dtype, shape = header
    forms = [wanted.window_shape, (1, *wanted.window_shape)] if wanted.tensor_input else [wanted.window_shape]
    right = dtype.newbyteorder("=") == np.dtype(wanted.window.dtype)
    if not right or shape[1:] not in forms:
        raise CaseError(arrays.file, where, *_wrong_windows(dtype, shape, wanted, right, forms))
    if shape[0] == 0:
        raise CaseError(arrays.file, where, "there are no vectors (n = 0)", "a case needs at least one window")
    return arrays.read(wanted.name).reshape(shape[0], *wanted.window_shape)


def _wrong_windows(
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    wanted: WantedInput,
    right_type: bool,
    forms: Sequence[tuple[int, ...]],
) -> tuple[str, str]:
    """Problem and fix of windows of another type or shape."""
    expected = f"{wanted.window.dtype} {_shape('n', wanted.window_shape)} {axes(wanted.window_shape)}"
    problem = f"expected {expected}, found {dtype.newbyteorder('=')} {list(shape)}"
    if shape[1:] in forms:
        return f"{problem}: the type is another one", _type_fix(dtype, wanted)
    fault = shape_fault(shape, wanted.window_shape)
    if fault is not None:
        type_fix = "" if right_type else f", and save them as {wanted.window.dtype}"
        return f"{problem}: {fault.problem}", fault.fix + type_fix
    if wanted.tensor_input:
        return problem, "save quantised input tensors, or take another prepare stage in [input]"
    fix = f"save one window per row as {wanted.window.dtype}, or mend window, channels and prepare in [input]"
    return problem, fix


def _type_fix(dtype: np.dtype[Any], wanted: WantedInput) -> str:
    """What to do about windows of the right shape whose values have another type."""
    if wanted.tensor_input:
        return f"save input tensors of {wanted.window.dtype}, or take another prepare stage in [input]"
    if wanted.window.dtype == "int16" and dtype.kind == "f":
        return 'save the counts of the sensor as int16; for real values write prepare = "quantize/1" in [input]'
    if wanted.window.dtype == "float32" and dtype.kind in "iu":
        return 'save real values as float32; for the counts of a sensor write prepare = "scale/1" in [input]'
    return f"save them as {wanted.window.dtype}"


def _shape(first: str, rest: Sequence[int]) -> str:
    return f"[{', '.join((first, *map(str, rest)))}]"


class _Columns:
    """The arrays beside `windows`, each with n rows; faults go to `problems`."""

    def __init__(self, arrays: Arrays, n: int, problems: list[Problem]) -> None:
        self._arrays, self._n, self._problems = arrays, n, problems

    def whole(self, name: str, lowest: int) -> NDArray[np.int64] | None:
        """An integer [n] array with values from `lowest` up."""
        if not self._fits(name, "iu", WHOLE):
            return None
        values = self._arrays.read(name)
        if values.min() < lowest or values.max() > np.iinfo(np.int64).max:
            row = int(np.argmax((values < lowest) | (values > np.iinfo(np.int64).max)))
            self._say(name, f"row {row} is {values[row]}, {lowest} is the least", "mend the row")
            return None
        return values.astype(np.int64)

    def labels(self, wanted: Wanted) -> NDArray[np.int64] | None:
        """Class indices, -1 unknown; text is looked up in the case's labels, which [n] integers must not exceed."""
        header = self._arrays.header("label")
        if header is not None and header[0].kind == "U":
            texts = self._text("label")
            return None if texts is None else self._label_text(texts, wanted.labels)
        values = self._label_numbers(header)
        if values is not None and wanted.labels and values.max() >= len(wanted.labels):
            row = int(np.argmax(values))
            fix = "count the classes from 0 in the order of labels, -1 for unknown"
            self._say("label", f"row {row} is {values[row]}, the case has {len(wanted.labels)} labels", fix)
        return values

    def _label_numbers(self, header: tuple[np.dtype[Any], tuple[int, ...]] | None) -> NDArray[np.int64] | None:
        if header is None or header[0].kind != "f":
            return self.whole("label", -1)
        values = self._arrays.read("label")
        nans = int(np.isnan(values).sum())
        found = f"{header[0]}" + (f" with {nans} NaN" if nans else "")
        self._say("label", f"expected {WHOLE} or {TEXT}, found {found}", "save class numbers as int64, -1 for unknown")
        return None

    def _label_text(self, values: list[str], labels: tuple[str, ...]) -> NDArray[np.int64] | None:
        places = {label: index for index, label in enumerate(labels)} | {"": -1}
        strange = {text: int(row) for row, text in reversed(list(enumerate(values))) if text not in places}
        for text, row in sorted(strange.items(), key=lambda each: each[1])[:5]:
            known = (
                f"one of {', '.join(map(repr, labels))}" if labels else "a number, as the case has no [decision] labels"
            )
            self._say(
                "label", f"row {row} is {text!r}, which is no label of the case", f'write {known}, or "" for unknown'
            )
        return None if strange else np.array([places[text] for text in values], np.int64)

    def reject(self) -> tuple[str, ...] | None:
        """Gate reasons expected, "" for none."""
        values = self._text("reject")
        if values is None:
            return None
        for row, text in enumerate(values):
            if text == "stale":
                problem = f"row {row}: 'stale' cannot happen, each vector is sent with a capture number of its own"
                self._say("reject", problem, "take the vector out: hil probes staleness itself, in input.gate")
                return None
            if text not in ("", *REASONS):
                self._say(
                    "reject", f"row {row}: {text!r} is no reason of the gate", f'write {", ".join(REASONS)} or ""'
                )
                return None
        return tuple(values)

    def names(self) -> tuple[str, ...] | None:
        """Names for reports; an empty one becomes the row's number."""
        given = self._text("name")
        if given is None:
            return None
        values = [text or f"#{row}" for row, text in enumerate(given)]
        first: dict[str, int] = {}
        for row, text in enumerate(values):
            if first.setdefault(text, row) != row:
                self._say("name", f"rows {first[text]} and {row} are both {text!r}", "give each vector its own name")
                return None
        return tuple(values)

    def expected_output(self, wanted: WantedOutput) -> Elements | None:
        """[n, *output shape without the batch] in the type of the output; flat rows are taken too."""
        name, shape, element = wanted.name, wanted.shape, wanted.element
        header = self._arrays.header(name)
        if header is None:
            return None
        flat = (int(np.prod(shape)),)
        right = header[0].newbyteorder("=") == element.dtype
        if not right or header[1] not in [(self._n, *form) for form in (shape, flat, (1, *shape))]:
            expected = f"{element.dtype} {_shape(str(self._n), shape)}"
            self._say(
                name,
                f"expected {expected}, found {header[0]} {list(header[1])}",
                f"save the raw {element.dtype} outputs",
            )
            return None
        return self._arrays.read(name).reshape(self._n, *shape)

    def prepared(self, tensor: TensorContract | None) -> tuple[Elements | None, NDArray[np.float32] | None]:
        """What a front end of the product's own must give, and the real values that it stands for; None for neither."""
        if tensor is None:
            return None, None
        return self._tensors("prepared", tensor.element.dtype, tensor), self._tensors(
            "prepared_float", np.dtype(np.float32), tensor
        )

    def _tensors(self, name: str, dtype: np.dtype[Any], tensor: TensorContract) -> NDArray[Any] | None:
        header = self._arrays.header(name)
        if header is None:
            return None
        forms = prepared_shapes(self._n, tensor)
        if header[0].newbyteorder("=") != dtype or header[1] not in forms:
            expected = f"{dtype} {list(forms[0])}"
            fix = "save one tensor for each window, as the model takes it"
            self._say(name, f"expected {expected}, found {header[0].newbyteorder('=')} {list(header[1])}", fix)
            return None
        return self._arrays.read(name).reshape(self._n, tensor.elements)

    def answer(self, wanted: Wanted) -> NDArray[np.int64] | None:
        """Indices of the labels that a decide stage of the product's own must answer; -1, "" or the text for it: none
        of them.
        """
        header = self._arrays.header("answer")
        if header is not None and header[0].kind == "U":
            texts = self._text("answer")
            known = {wanted.own.unknown: -1, "": -1} | {label: place for place, label in enumerate(wanted.labels)}
            for row, text in enumerate(texts or ()):
                if text not in known:
                    fix = f"write one of {', '.join(map(repr, wanted.labels))}, or {wanted.own.unknown!r}"
                    self._say("answer", f"row {row} is {text!r}, which is no label of the case", fix)
                    return None
            return None if texts is None else np.array([known[text] for text in texts], np.int64)
        values = self.whole("answer", -1)
        if values is not None and values.max() >= len(wanted.labels):
            row = int(np.argmax(values))
            problem = f"row {row} is {values[row]}, the case has {len(wanted.labels)} labels"
            self._say("answer", problem, "count the labels from 0, -1 for none of them")
            return None
        return values

    def score(self) -> NDArray[np.float64] | None:
        """Scores that a decide stage of the product's own must tell; NaN where none is expected."""
        if not self._fits("score", "fiu", "numbers"):
            return None
        return self._arrays.read("score").astype(np.float64)

    def samples(self, inputs: Sequence[WantedInput]) -> list[NDArray[np.int64] | None]:
        """Samples really sent of each input; what they come to must still fit into one frame."""
        found = [self._samples(each) for each in inputs]
        sent = sent_bytes([(each.window.bytes, each.window.samples) for each in inputs], found)
        if len(inputs) > 1 and sent is not None:
            self._check_together(inputs, found, sent)
        return found

    def _samples(self, wanted: WantedInput) -> NDArray[np.int64] | None:
        name, window = wanted.samples_name, wanted.window
        values = self.whole(name, 0)
        if values is None:
            return None
        most = min(LONGEST_FACTOR * window.samples, MAX_PAYLOAD * window.samples // window.bytes)
        if values.max() > most:
            row = int(np.argmax(values > most))
            limits = f"{LONGEST_FACTOR} windows and {MAX_PAYLOAD:,} bytes are the most"
            fix = f"write at most {most}; a window that is one sample too long shows the same"
            self._say(name, f"row {row} is {values[row]}: {limits}", fix)
            return None
        return values

    def _check_together(
        self, inputs: Sequence[WantedInput], samples: Sequence[NDArray[np.int64] | None], sent: NDArray[np.int64]
    ) -> None:
        """The windows of all inputs travel as one, and the gate knows only how long that is (docs/pipeline.md)."""
        named = next(each for each, values in zip(inputs, samples, strict=True) if values is not None)
        if sent.max() > MAX_PAYLOAD:
            row = int(np.argmax(sent > MAX_PAYLOAD))
            problem = f"row {row} comes to {sent[row]:,} bytes with the other inputs: {MAX_PAYLOAD:,} are the most"
            self._say(named.samples_name, problem, "send less of one of them; one sample too many shows the same")
            return
        lengths = zip(inputs, samples, strict=True)
        other = np.logical_or.reduce([values != each.window.samples for each, values in lengths if values is not None])
        hidden = other & (sent == sum(each.window.bytes for each in inputs))
        if hidden.any():
            row = int(np.argmax(hidden))
            problem = f"row {row} sends as many bytes as the windows of all inputs have: no gate can tell the lengths"
            self._say(named.samples_name, problem, "change the length of one input alone")

    def _text(self, name: str) -> list[str] | None:
        """A text [n] array. What has no UTF-8 form is refused: no report could name it."""
        if not self._fits(name, "U", TEXT):
            return None
        array = self._arrays.read(name)
        codes = np.frombuffer(array.tobytes(), np.uint32).reshape(self._n, -1)
        strange = (codes > LAST_CHARACTER) | ((codes >= SURROGATES.start) & (codes < SURROGATES.stop))
        if strange.any():  # found in the codes: numpy cannot even turn all of them into str
            row = int(np.argmax(strange.any(axis=1)))
            code = int(codes[row][strange[row]][0])
            problem = f"row {row} holds the code {code:#x}, which is no character"
            self._say(name, problem, "write the whole character, or leave it out")
            return None
        values: list[str] = array.tolist()
        return values

    def _fits(self, name: str, kinds: str, wanted: str) -> bool:
        """Whether the array is there, of one of the dtype kinds, with n rows; a fault is reported."""
        header = self._arrays.header(name)
        if header is None:
            return False
        dtype, shape = header
        if dtype.kind in kinds and shape == (self._n,):
            return True
        fix = "save one entry per window" if dtype.kind in kinds else f"save it as {wanted}"
        self._say(name, f"expected {wanted} of shape [{self._n}], found {dtype.newbyteorder('=')} {list(shape)}", fix)
        return False

    def _say(self, name: str, problem: str, fix: str) -> None:
        self._problems.append(Problem(f"array {name!r}", problem, fix))


def _wrong_lengths(
    reject: tuple[str, ...], inputs: Sequence[WantedInput], samples: Sequence[NDArray[np.int64] | None]
) -> list[Problem]:
    """The gate judges the length first: `reject` is "length" exactly where not all of a window is sent, or more."""
    pairs = [(each, values) for each, values in zip(inputs, samples, strict=True) if values is not None]
    names = " or ".join(each.samples_name for each, _ in pairs) or inputs[0].samples_name
    for row, reason in enumerate(reject):
        other = [each for each, values in pairs if values[row] != each.window.samples]
        if (reason == "length") != bool(other):
            shown = other[0] if other else inputs[0]
            sent = next((int(values[row]) for each, values in pairs if each is shown), shown.window.samples)
            problem = f"row {row} expects {reason or 'no'} rejection but sends {sent} of {shown.window.samples} samples"
            fix = f'write "length" exactly where {names} differs from window'
            return [Problem("array 'reject'", problem, fix)]
    return []
