"""Finds the windows of a new case: in an .npz, a .csv or a .wav, or made up; and how they become the input tensor."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import MAX_PAYLOAD, ModelFile
from hil.case.vectors import KEYS
from hil.errors import CaseError
from hil.model.graph import read_graph
from hil.problems import reason_of

MADE_UP = 32  # windows
MOST_WINDOWS = 1000  # of a long recording
SEED = 1
_INT16 = np.iinfo(np.int16)
_TIMES = ("timestamp", "time", "t", "ms", "us", "index")


@dataclass(frozen=True)
class Target:
    """The input tensor that windows are for. tensor: its shape without the batch; dtype: numpy's name of its type; low,
    high: the real values that it holds, of a float32 tensor those that the model quantises to first.
    """

    tensor: tuple[int, ...]
    dtype: str
    low: float
    high: float
    scale: float = 0.0
    zero_point: int = 0

    @classmethod
    def of(cls, model: ModelFile, input: int = 0) -> Target:
        """input: which of the model's."""
        contract = model.inputs[input]
        dtype = contract.dtype.lower()
        tensor = contract.shape[1:] if len(contract.shape) > 1 else (*contract.shape, 1)
        scale, zero = contract.quantisation.scale, contract.quantisation.zero_point
        if dtype == "float32":
            return cls(tensor, dtype, *_quantised_range(model, input))
        info = np.iinfo(dtype)
        return cls(tensor, dtype, (int(info.min) - zero) * scale, (int(info.max) - zero) * scale, scale, zero)

    @property
    def real(self) -> bool:
        return self.dtype == "float32"

    @property
    def largest(self) -> float:
        """The largest real value, by its size."""
        return max(abs(self.low), abs(self.high))

    @property
    def samples(self) -> int:
        return self.tensor[0] if self.tensor else 1

    @property
    def channels(self) -> int:
        return math.prod(self.tensor[1:])

    @property
    def elements(self) -> int:
        return math.prod(self.tensor)


def _quantised_range(model: ModelFile, input: int) -> tuple[float, float]:
    """The real values that the QUANTIZE operator behind a float32 input can tell apart; -1 to 1 without one."""
    graph = read_graph(model.data, model.path)
    for operator in graph.operators:
        inner = graph.tensor(operator.outputs[0]) if operator.name == "QUANTIZE" else None
        if inner is not None and inner.scales and operator.inputs[:1] == (graph.inputs[model.fed[input]],):
            info, zero = np.iinfo(inner.dtype.lower()), (*inner.zero_points, 0)[0]
            return (int(info.min) - zero) * inner.scales[0], (int(info.max) - zero) * inner.scales[0]
    return -1.0, 1.0


@dataclass(frozen=True)
class Windows:
    """windows: [n, samples, channels] of the stage's type, or [n, *tensor shape] for tensor/1. others: arrays of
    vectors.npz that came with them. source: where they come from; why: by what prepare was guessed; remarks: what a
    person should know, a sentence each.
    """

    prepare: str
    windows: NDArray[Any]
    source: str
    why: str
    remarks: tuple[str, ...] = ()
    others: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    rate_hz: float | None = None
    full_scale: float | None = None


def made_up(target: Target, input: int = 0) -> Windows:
    """Seeded input tensors: noise, and slow walks, over all that the tensor holds; others for each input."""
    random, elements = np.random.default_rng(SEED + input), target.elements
    if elements == 1:
        flat = np.linspace(0, 1, MADE_UP)[:, None]
    else:
        noise = random.uniform(0, 1, (MADE_UP // 2, elements))
        walks = random.normal(0, 1, (MADE_UP - len(noise), target.samples, target.channels)).cumsum(1)
        walks = walks.reshape(len(walks), -1)
        walks = (walks - walks.min(1, keepdims=True)) / np.ptp(walks, axis=1, keepdims=True)
        flat = np.concatenate([noise, walks])
    if target.real:
        values = target.low + (target.high - target.low) * flat
    else:
        info = np.iinfo(target.dtype)
        values = np.round(int(info.min) + (int(info.max) - int(info.min)) * flat)
    return Windows(
        "tensor/1",
        values.astype(target.dtype).reshape(MADE_UP, *target.tensor),
        f"made up by hil case new (noise and slow walks, seed {SEED}): they mean nothing to the model",
        "there are no recordings yet, so the windows are input tensors",
        ("with recordings, write the case anew, into another folder: add --vectors FILE to hil case new",),
    )


def read_windows(file: Path, target: Target) -> Windows:
    """The windows in an .npz, a .csv or a .wav file. Raises CaseError that names the file, what is in it, and what fits
    the model's input tensor.
    """
    readers = {".npz": _npz, ".csv": _csv, ".wav": _wav}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise CaseError(file, "", f"its name ends in {file.suffix!r}", f"name a file of {', '.join(readers)}")
    try:
        found = reader(file, target)
    except OSError as error:
        raise CaseError(file, "", f"cannot be read ({reason_of(error)})", "name a file that is there") from None
    return _beyond(found, target)


def read_several(file: Path, targets: Mapping[str, Target]) -> tuple[list[Windows], dict[str, NDArray[Any]]]:
    """The windows of each of several inputs, by the tensor's name, in an .npz; and the other arrays of vectors.npz that
    came with them. Raises CaseError as read_windows.
    """
    if file.suffix.lower() != ".npz":
        problem = f"the model has {len(targets)} inputs, and this file holds windows of one"
        raise CaseError(file, "", problem, f"save an .npz with {', '.join(f'windows.{name}' for name in targets)}")
    try:
        arrays = _arrays(file)
    except OSError as error:
        raise CaseError(file, "", f"cannot be read ({reason_of(error)})", "name a file that is there") from None
    found = []
    for name, target in targets.items():
        key = f"windows.{name}"
        values = arrays.get(key)
        if values is None or not _is_windows(values, target) or values.dtype.kind not in "iuf" or not len(values):
            held = "it is missing" if values is None else f"it is {values.dtype} {list(values.shape)}"
            wanted = f"save numbers [n, {', '.join(map(str, target.tensor))}] under this name, n at least 1"
            raise CaseError(file, f"array {key!r}", held, wanted)
        typed = _typed(values.reshape(-1, target.samples, target.channels), target, file)
        found.append(_beyond(replace(typed, source=f"array {key} of {file.name}"), target))
    return found, {name: arrays[name] for name in KEYS if name in arrays and not name.startswith("windows")}


# ---- .npz ------------------------------------------------------------------------------------------------------------


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    with file.open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except Exception as error:  # of a damaged file numpy raises whatever the part that it stumbled over does
            problem = f"cannot be read as plain arrays ({error})"
            raise CaseError(file, "", problem, "save it with numpy.savez, and numbers or text in it") from None


def _npz(file: Path, target: Target) -> Windows:
    arrays = _arrays(file)
    listed = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in arrays.items()) or "nothing"
    wanted = f"windows [n, {', '.join(map(str, target.tensor))}], or a recording [samples, {target.channels}]"
    names = ["windows"] if "windows" in arrays else [name for name in arrays if _is_windows(arrays[name], target)]
    names = names or [name for name in arrays if _is_recording(arrays[name], target)]
    if len(names) != 1 or not (_is_windows(arrays[names[0]], target) or _is_recording(arrays[names[0]], target)):
        found = f"{len(names)} arrays fit ({', '.join(names)})" if len(names) > 1 else "no array fits"
        problem = f"{found}; the model takes {wanted}, the file holds {listed}"
        raise CaseError(file, "", problem, "save the one that is meant under the name windows, with numpy.savez")
    values, remarks = arrays[names[0]], tuple[str, ...]()
    others: dict[str, NDArray[Any]] = {}
    if _is_windows(values, target):
        values = values.reshape(-1, target.samples, target.channels)
        others = {name: arrays[name] for name in KEYS if name in arrays and name != "windows"}
    else:
        values, remarks = _cut(values.reshape(-1, target.channels), target.samples)
    if left := [name for name in arrays if name not in (*KEYS, *names)]:
        remarks += (f"left out of {file.name}: {', '.join(left)}",)
    if values.dtype.kind not in "iuf" or not len(values):
        problem = f"array {names[0]!r} holds {len(values)} windows of {values.dtype}"
        raise CaseError(file, "", problem, "save at least one, as numbers")
    found_windows = _typed(values, target, file)
    return replace(
        found_windows,
        source=f"array {names[0]} of {file.name}",
        remarks=remarks + found_windows.remarks,
        others=others,
    )


def _is_windows(array: NDArray[Any], target: Target) -> bool:
    forms = {target.tensor, (1, *target.tensor), (target.samples, target.channels), (target.elements,)}
    return array.ndim > 1 and array.shape[1:] in forms


def _is_recording(array: NDArray[Any], target: Target) -> bool:
    if target.channels == 1 and array.ndim == 1:
        return len(array) >= target.samples
    return array.ndim == 2 and array.shape[1] == target.channels and len(array) >= target.samples


# ---- .csv ------------------------------------------------------------------------------------------------------------


def _csv(file: Path, target: Target) -> Windows:
    """One sample a row, or one whole window a row."""
    header, rows = _rows(file)
    remarks: tuple[str, ...] = ()
    columns = rows.shape[1]
    if columns == target.channels + 1 and header and header[0].strip().lower() in _TIMES:
        rows, remarks = rows[:, 1:], (f"column {header[0].strip()!r} of {file.name} is time, and left out",)
    elif columns not in (target.channels, target.elements):
        named = f" ({', '.join(header)})" if header else ""
        problem = f"it has {columns} columns{named}; a sample of the model's input has {target.channels} values"
        raise CaseError(file, "line 1", problem, "keep the columns that the model was trained on, in that order")
    if rows.shape[1] == target.channels:
        if len(rows) < target.samples:
            problem = f"it has {len(rows)} samples; a window of the model has {target.samples}"
            raise CaseError(file, "", problem, "record at least one window")
        windows, cut = _cut(rows, target.samples)
        remarks += cut
    else:
        windows = rows.reshape(-1, target.samples, target.channels)
    whole = bool((rows == np.round(rows)).all()) and bool((np.abs(rows) <= _INT16.max).all())
    if whole and np.abs(rows).max(initial=0) > 2 * target.largest:
        windows = windows.astype(np.int16)  # counts of a sensor, by their size
    found = _typed(windows, target, file)
    return replace(found, source=f"recording {file.name}", remarks=remarks + found.remarks)


def _rows(file: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Header, empty without one, and values [rows, columns]."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except ValueError:
        raise CaseError(file, "", "not UTF-8 text", "save the file as UTF-8") from None
    delimiter = _delimiter([line for line in text[:4096].splitlines() if line.strip()])
    lines = list(enumerate(csv.reader(text.splitlines(), delimiter=delimiter), 1))
    lines = [(number, line) for number, line in lines if any(entry.strip() for entry in line)]
    header = lines.pop(0)[1] if lines and not _all_numbers(lines[0][1]) else []
    values = []
    for number, line in lines:
        if not _all_numbers(line):
            problem = f"{delimiter.join(line)[:60]!r} is no row of finite numbers"
            raise CaseError(file, f"line {number}", *_no_numbers(line, header, problem))
        values.append([float(entry) for entry in line])
        if len(values[-1]) != len(values[0]):
            problem = f"it has {len(values[-1])} values, the rows before have {len(values[0])}"
            raise CaseError(file, f"line {number}", problem, "give every row the same columns")
    if not values:
        raise CaseError(file, "", "it has no row of numbers", "one sample a row, one channel a column")
    return header, np.array(values)


def _delimiter(lines: list[str]) -> str:
    """A semicolon or a tab that every line has: the commas beside it are decimal ones."""
    return next((mark for mark in ";\t" if lines and all(mark in line for line in lines[:-1] or lines)), ",")


def _no_numbers(line: list[str], header: list[str], problem: str) -> tuple[str, str]:
    """Problem and fix of a line in which an entry is no finite number: which one, and what usually makes it."""
    place = next(place for place, entry in enumerate(line) if not _all_numbers([entry]))
    named = f" ({header[place].strip()})" if place < len(header) else ""
    problem += f": column {place + 1}{named} is {line[place][:20]!r}"
    if _all_numbers([line[place].replace(",", ".")]):
        return problem, "write a decimal point in place of the comma"
    if len(line) == 1 and len(line[0].split()) > 1:
        return problem, "put a comma, a semicolon or a tab between the columns"
    if place == len(line) - 1 and not line[place].strip():
        return problem, "take the separator at the end of each line away"
    return problem, "mend the line or take it out; one line of names may stand above the numbers, and no column of text"


def _all_numbers(line: list[str]) -> bool:
    try:
        return all(math.isfinite(float(entry)) for entry in line)
    except ValueError:
        return False


# ---- .wav ------------------------------------------------------------------------------------------------------------


def _wav(file: Path, target: Target) -> Windows:
    from scipy.io import wavfile

    with file.open("rb") as stream, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")  # a file that ends early is read as far as it goes
        try:
            rate, samples = wavfile.read(stream)
        except Exception as error:  # of a damaged header scipy raises whatever it stumbles over
            raise CaseError(file, "", f"is no .wav file that can be read ({error})", "save it as 16-bit PCM") from None
    if samples.dtype != np.int16:
        found = {"int32": "24 or 32 bits wide", "uint8": "8 bits wide"}.get(str(samples.dtype), str(samples.dtype))
        raise CaseError(file, "", f"its samples are {found}, 16-bit PCM is wanted", "save it as 16-bit PCM")
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    if channels not in (1, target.tensor[-1]):  # taken as they lie, the channels would be mixed into one
        problem = f"it has {channels} channels, the last axis of the model's input {list(target.tensor)} is another"
        raise CaseError(file, "", problem, "save one channel, or as many as the model takes")
    if target.elements % channels or len(samples) < target.elements // channels:
        problem = f"it has {len(samples)} samples of {channels} channels, the model's input {target.elements} values"
        raise CaseError(file, "", problem, "record longer")
    windows, remarks = _cut(samples.reshape(-1, channels), target.elements // channels)
    remarks += tuple(f"{file.name} is damaged: {each.message}" for each in warned if "EOF" in str(each.message))
    where = f"recording {file.name}, {rate} Hz"
    remarks += ("a model that takes features (MFCC, spectrogram) gets raw samples here, which mean nothing to it",)
    if target.real:
        tensors = (windows / np.float32(32768)).astype(np.float32).reshape(len(windows), *target.tensor)
        why = "the input tensor is float32; a .wav holds int16, and 32768 of it stand for 1.0"
        return Windows("tensor/1", tensors, where, why, remarks, rate_hz=float(rate))
    why = "a .wav holds int16 counts, and 32768 of them stand for 1.0"
    return Windows("scale/1", windows, where, why, remarks, rate_hz=float(rate), full_scale=1.0)


# ---- what they are ---------------------------------------------------------------------------------------------------


def _cut(samples: NDArray[Any], length: int) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Windows [n, length, channels] one behind the other, and what is to be said of it."""
    count = min(len(samples) // length, MOST_WINDOWS)
    remarks: tuple[str, ...] = (f"windows of {length} samples, cut one behind the other without overlap",)
    if rest := len(samples) - count * length:
        remarks += (f"the last {rest:,} samples of the recording are left out",)
    return samples[: count * length].reshape(count, length, -1), remarks


def _typed(values: NDArray[Any], target: Target, file: Path) -> Windows:
    """The stage that takes windows [n, samples, channels] of this type."""
    kind, tensors = values.dtype, (len(values), *target.tensor)
    if kind == np.dtype(target.dtype) or (target.real and kind.kind == "f"):
        why = f"the windows are {target.dtype}, as the input tensor is"
        return Windows("tensor/1", values.astype(target.dtype).reshape(tensors), "", why)
    if target.real:
        why = "the input tensor is float32, and takes the values of the windows as they are"
        return Windows("tensor/1", values.astype(np.float32).reshape(tensors), "", why)
    if kind == np.uint8 and target.dtype == "int8":
        why = "the windows are uint8: pixels, of which an int8 tensor holds the value less 128"
        return Windows("tensor/1", (values.astype(np.int16) - 128).astype(np.int8).reshape(tensors), "", why)
    if kind.kind in "iu":
        if values.min() < _INT16.min or values.max() > _INT16.max:
            problem = f"its values reach from {values.min()} to {values.max()}, and counts of a sensor have 16 bits"
            raise CaseError(file, "", problem, "save counts as int16, or real values as float32")
        why = "the windows are whole numbers: counts of a sensor. full_scale is the real value of 32768 of them"
        full_scale = float(f"{target.largest:.4g}")
        remark = f"full_scale = {full_scale:g} is a guess: it lets all counts fill the model's input range"
        return Windows("scale/1", values.astype(np.int16), "", why, (remark,), full_scale=full_scale)
    windows = values.astype(np.float32)
    if windows[0].nbytes <= MAX_PAYLOAD:
        return Windows("quantize/1", windows, "", "the windows are real values, as the model was trained on")
    info = np.iinfo(target.dtype)
    quantised = np.clip(np.round(windows / target.scale) + target.zero_point, info.min, info.max)
    why = f"float32 windows of {windows[0].nbytes:,} bytes are longer than a frame carries, so they are quantised here"
    return Windows("tensor/1", quantised.astype(target.dtype).reshape(tensors), "", why)


def _beyond(found: Windows, target: Target) -> Windows:
    """Says when many values do not fit the input tensor: another unit than the model's is the usual reason."""
    if found.prepare == "tensor/1" and not target.real:
        return found
    real = found.windows.astype(np.float64) * (1.0 if found.full_scale is None else found.full_scale / 32768)
    share = float(((real < target.low - target.scale) | (real > target.high + target.scale)).mean())
    if share < 0.01:
        return found
    holds = f"{target.low:.4g} to {target.high:.4g}, which the input tensor holds"
    said = f"{100 * share:.0f} % of the values lie beyond {holds}: are they in another unit than the model's?"
    return replace(found, remarks=(*found.remarks, said))
