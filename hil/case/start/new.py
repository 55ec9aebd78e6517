"""Writes a case folder for a model: it passes its own check, and everything guessed in it is called a guess."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.carried import too_many_fed
from hil.case.load import FILE_NAME, load_case
from hil.case.schema import NAME
from hil.case.start.labels import guessed_labels, scores
from hil.case.start.plan import FLOAT_ROUNDING, Plan
from hil.case.start.state import guessed_state, with_named_state
from hil.case.start.text import notes, toml_lines
from hil.case.start.windows import Target, Windows, made_up, read_several, read_windows
from hil.case.types import Case, ModelFile
from hil.errors import CaseError, UsageError
from hil.model.check import check_float_model, check_model
from hil.model.cures import cured
from hil.model.graph import model_bytes, read_graph
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.tflite import computes_in_float, parse_model
from hil.problems import reason_of
from hil.project.schemas import schema_line
from hil.reference.compute import check_models
from hil.reference.int8 import Int8Oracle
from hil.reference.models import carried_of

VECTORS = "vectors.npz"
MADE_UP_STREAM = 8  # windows


@dataclass(frozen=True)
class NewCase:
    """A case that was written; notes: what was guessed and what to know, a sentence each."""

    case: Case
    notes: tuple[str, ...]


def new_case(
    folder: Path,
    model: Path,
    float_model: Path | None = None,
    vectors: Path | None = None,
    kernels: KernelLibrary = WITH_OWN,
    state: Sequence[str] = (),
    schema: str = "",
) -> NewCase:
    """Write a case for `model` into `folder`, which must not be there yet. kernels: those that will run it; state:
    `OUTPUT=INPUT` for each state that the product carries, else they are guessed; schema: the line of case.toml that
    names its schema, by default that of the nearest one around.

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
    read = with_named_state(read, state) if state else read.carrying(guessed_state(read))
    if problem := too_many_fed(read):
        fix = "name those that carry state with --state OUTPUT=INPUT, one for each pair (docs/models.md)"
        raise CaseError(model, "inputs", problem, fix)
    inputs, others = _windows(read, vectors)
    read = replace(read, decided=scores(read))
    labels, labels_by, arrays = guessed_labels(read, others)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", folder.resolve().name)[:63] or "case"
    assert re.fullmatch(NAME, name)
    tolerance = _tolerance(read, inputs) if read.all_float else None
    plan = Plan(name, read, next(iter(files)), float_name, inputs, labels, labels_by, tolerance, done, bool(state))
    if plan.state and vectors is None:
        arrays["sequence"] = np.arange(len(plan.windows.windows)) // MADE_UP_STREAM
    names = [f".{tensor.name}" for tensor in read.inputs] if len(inputs) > 1 else [""]
    windows = {f"windows{name}": each.windows for name, each in zip(names, inputs, strict=True)}
    files[VECTORS] = _archive({**windows, **arrays})
    head = (line, "") if (line := schema or schema_line(folder, "case")) else ()
    files[FILE_NAME] = "\n".join((*head, *toml_lines(plan, folder, vectors), "")).encode()
    return NewCase(_written(folder, files, model, float_model, kernels), tuple(notes(plan)))


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
