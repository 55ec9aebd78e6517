"""Writes a case folder for a model: it passes its own check, and everything guessed in it is called a guess."""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.load import FILE_NAME, load_case
from hil.case.schema import MAX_LABELS, NAME
from hil.case.start.state import guessed_state, lasts, state_lines, state_notes
from hil.case.start.windows import Target, Windows, made_up, read_several, read_windows
from hil.case.types import Case, ModelFile
from hil.errors import CaseError, UsageError
from hil.model.check import check_float_model, check_model
from hil.model.cures import COMMAND, cured
from hil.model.graph import model_bytes, read_graph
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.tflite import computes_in_float, parse_model
from hil.problems import reason_of
from hil.project.toml_text import toml_text
from hil.reference.compute import check_models
from hil.reference.int8 import Int8Oracle
from hil.reference.models import carried_of

VECTORS = "vectors.npz"
THRESHOLD = 0.5
FLOAT_ROUNDING = 1e-5  # of the largest output: what float32 kernels of two builds differ by, with room
MADE_UP_STREAM = 8  # windows
_PROBABILITIES = (1 / 256, -128)  # scale and zero point of an int8 softmax or sigmoid


@dataclass(frozen=True)
class NewCase:
    """A case that was written; notes: what was guessed and what to know, a sentence each."""

    case: Case
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """What is about to be written."""

    name: str
    model: ModelFile
    model_name: str
    float_name: str | None
    inputs: tuple[Windows, ...]  # of each
    labels: tuple[str, ...]
    labels_by: str
    tolerance: float | None  # of the outputs of a model that computes in float32 throughout
    cured: tuple[str, ...]  # what was put right of the model as it was given

    @property
    def state(self) -> bool:
        """Whether the model's state is guessed to last from window to window."""
        return lasts(self.model)

    @property
    def windows(self) -> Windows:
        """Of the first input, for most the only one."""
        return self.inputs[0]


def new_case(
    folder: Path,
    model: Path,
    float_model: Path | None = None,
    vectors: Path | None = None,
    kernels: KernelLibrary = WITH_OWN,
) -> NewCase:
    """Write a case for `model` into `folder`, which must not be there yet. kernels: those that will run it.

    Raises UsageError: for a model that the firmware cannot run, a file that does not fit it, a folder that is there.
    Nothing is left behind then.
    """
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder}: is there already, and nothing is overwritten\n  fix: name a folder that is not")
    data, done = _cured(model_bytes(model), model)
    check_model(data, model, kernels=kernels, all_float=computes_in_float(read_graph(data, model)))
    read = parse_model(data, model)
    files = {_safe(model.name, "model_int8.tflite"): data}
    float_name = None
    if float_model is not None:
        float_data = model_bytes(float_model)
        check_float_model(float_data, float_model, read)
        float_name = _safe(float_model.name, "model_float.tflite")
        float_name = "model_float.tflite" if float_name in files else float_name
        files[float_name] = float_data
    read = read.carrying(guessed_state(read))
    inputs, others = _windows(read, vectors)
    read = replace(read, decided=_scores(read))
    labels, labels_by, arrays = _labels(read, others)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", folder.resolve().name)[:63] or "case"
    assert re.fullmatch(NAME, name)
    tolerance = _tolerance(read, inputs) if read.all_float else None
    plan = _Plan(name, read, next(iter(files)), float_name, inputs, labels, labels_by, tolerance, done)
    if plan.state and vectors is None:
        arrays["sequence"] = np.arange(len(plan.windows.windows)) // MADE_UP_STREAM
    names = [f".{tensor.name}" for tensor in read.inputs] if len(inputs) > 1 else [""]
    windows = {f"windows{name}": each.windows for name, each in zip(names, inputs, strict=True)}
    files[VECTORS] = _archive({**windows, **arrays})
    files[FILE_NAME] = "\n".join((*_toml(plan, folder, vectors), "")).encode()
    return NewCase(_written(folder, files, model, float_model, kernels), tuple(_notes(plan)))


def _cured(data: bytes, file: Path) -> tuple[bytes, tuple[str, ...]]:
    """What cannot be put right is left to check_model, which tells it with all that is wrong beside it."""
    try:
        return cured(data, file)
    except CaseError:
        return data, ()


def _tolerance(model: ModelFile, inputs: Sequence[Windows]) -> float | None:
    """What two builds of a float32 model may differ by, in the unit of its outputs; None when those are no real
    numbers.
    """
    if not any(output.element.real for output in model.outputs):
        return None
    pairs = zip(inputs, model.inputs, strict=True)
    tensors = [each.windows.reshape(len(each.windows), -1).astype(input.element.dtype) for each, input in pairs]
    with closing(Int8Oracle(model.data, str(model.path), carried=carried_of(model))) as oracle:
        outputs = [output for output in oracle.answers(tensors) if output.dtype.kind == "f"]
    largest = max(float(np.nan_to_num(np.abs(each), posinf=0.0).max(initial=0.0)) for each in outputs)
    return float(f"{FLOAT_ROUNDING * (largest or 1.0):.1g}")


def _windows(model: ModelFile, vectors: Path | None) -> tuple[tuple[Windows, ...], dict[str, NDArray[Any]]]:
    """The windows of each input, and the other arrays that came with them."""
    targets = {tensor.name: Target.of(model, index) for index, tensor in enumerate(model.inputs)}
    if vectors is None:
        return tuple(made_up(target, index) for index, target in enumerate(targets.values())), {}
    if len(targets) > 1:
        several, others = read_several(vectors, targets)
        return tuple(several), others
    windows = read_windows(vectors, Target.of(model))
    return (windows,), dict(windows.others)


def _safe(name: str, otherwise: str) -> str:
    """The file's own name, unless the case needs it for something else, or nobody could write it into case.toml."""
    taken = name in (FILE_NAME, VECTORS, "expected.npz", "case.lock", "build.py")
    return otherwise if taken or not name.isprintable() or "\\" in name else name


def _archive(arrays: dict[str, NDArray[Any]]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # the stub takes one of them for allow_pickle
    return stream.getvalue()


def _written(
    folder: Path, files: dict[str, bytes], model: Path, float_model: Path | None, kernels: KernelLibrary
) -> Case:
    """The folder with these files, once it has passed its own check. Messages name the models as they were given."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({reason_of(error)})\n  fix: name another folder") from None
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        case = load_case(folder, kernels)
        check_models(_called(case, model, float_model))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(f"{folder}: cannot be written ({reason_of(error)})\n  fix: name another folder") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return case


def _called(case: Case, model: Path, float_model: Path | None) -> Case:
    if case.float_model is not None and float_model is not None:
        case = replace(case, float_model=replace(case.float_model, path=float_model))
    return replace(case, model=replace(case.model, path=model))


# ---- labels ----------------------------------------------------------------------------------------------------------


def _labels(model: ModelFile, arrays: dict[str, NDArray[Any]]) -> tuple[tuple[str, ...], str, dict[str, NDArray[Any]]]:
    """Labels, none where the output is no set of classes; by what they were guessed; the arrays that go with them."""
    count = model.output.elements
    given: NDArray[Any] | None = arrays.get("label")
    if not _probabilities(model) or not 1 <= count <= MAX_LABELS:
        if given is not None and given.dtype.kind == "U":
            del arrays["label"]
        return (), "", arrays
    by = f"the output holds probabilities, of {count} elements"
    if given is None or given.dtype.kind != "U":
        return tuple(f"class_{index}" for index in range(count)), by, arrays
    texts = sorted({text for text in given.tolist() if text})
    if len(texts) == count and "unknown" not in texts:
        return tuple(texts), f"{by}; the {count} labels of the vectors, in the order of the alphabet", arrays
    rest = {name: array for name, array in arrays.items() if name != "label"}
    why = f"{by}; the labels of the vectors ({', '.join(texts[:5])}) are left out: which is which is not known"
    return tuple(f"class_{index}" for index in range(count)), why, rest


def _scores(model: ModelFile) -> int:
    """The first output that looks like scores of classes, else the first."""
    return next((index for index in range(len(model.outputs)) if _probabilities(replace(model, decided=index))), 0)


def _probabilities(model: ModelFile) -> bool:
    """Whether the output comes of a softmax or a sigmoid, or looks like it."""
    graph = read_graph(model.data, model.path)
    wanted, last = graph.outputs[model.decided], ""
    for operator in reversed(graph.operators):
        if wanted in operator.outputs:
            last = operator.name
            if last not in ("QUANTIZE", "DEQUANTIZE", "RESHAPE"):
                break
            wanted = operator.inputs[0]
    quantisation = model.output.quantisation
    looks = model.output.dtype == "INT8" and (quantisation.scale, quantisation.zero_point) == _PROBABILITIES
    return looks or last in ("SOFTMAX", "LOGISTIC")


# ---- case.toml -------------------------------------------------------------------------------------------------------


def _toml(plan: _Plan, folder: Path, vectors: Path | None) -> Iterator[str]:
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
    yield from state_lines(plan.model)
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


def _float_limits(plan: _Plan) -> Iterator[str]:
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


def _of_further_inputs(plan: _Plan) -> Iterator[str]:
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


def _source(plan: _Plan, vectors: Path | None) -> str:
    model = f"model {plan.model.path.name} (SHA-256 {plan.model.sha256[:16]}...)"
    if vectors is None:
        return f"{model}; {plan.windows.source}"
    digest = hashlib.sha256(vectors.read_bytes()).hexdigest()[:16]
    return f"{model}; {plan.windows.source} (SHA-256 {digest}...)"


def _notes(plan: _Plan) -> Iterator[str]:
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
    yield from state_notes(plan.model)
    if plan.labels:
        shown = ", ".join((*plan.labels[:4], *("..." for _ in plan.labels[4:5])))
        yield f"labels {shown} are a guess: {plan.labels_by}"
        yield f"threshold = {THRESHOLD} is a guess"
    else:
        yield "no [decision]: the output does not look like scores of classes"
