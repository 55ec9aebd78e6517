"""Reads a case folder: everything is checked before a board starts, every fault names file, key and fix."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hil.case import limits, output_limits, own, stages
from hil.case.carried import wired, with_state
from hil.case.expected import EXPECTED, from_bytes
from hil.case.lock import BUILD, LOCK, Lock, check_lock, new_lock, read_lock
from hil.case.notes import arena_notes, state_notes, vector_notes
from hil.case.schema import NAME, CaseFile, InputTable
from hil.case.staged import check_finished
from hil.case.toml_file import read_toml
from hil.case.types import BASELINES, Case, Contracts, Decide, InputPart, ModelFile, Vectors
from hil.case.vectors import Wanted, WantedInput, WantedOutput, WantedOwn, read_vectors
from hil.errors import CaseError
from hil.model.carried import guessed
from hil.model.check import check_float_model, check_model, own_operators
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.kernels.upstream import UPSTREAM
from hil.model.tflite import parse_model
from hil.problems import KeyPath, Places, Problem, Say, raise_any, reason_of
from hil.records import GateReason
from hil.reference.gate import judge
from hil.tensor import TensorContract

FILE_NAME = "case.toml"
MOST_ROWS = 5  # of one kind of fault that a message lists


def load_case(path: Path, kernels: KernelLibrary | None = WITH_OWN) -> Case:
    """The case at `path`, a case.toml or its folder; the model must be one that `kernels` runs right, and when that is
    None, one that those of any engine run right.

    Raises CaseError. Checked in this order, the faults of one step in one message: schema; limits and files; models;
    what must fit the model; vectors; case.lock.
    """
    file = _file_of(path)
    case = _load(file, kernels)
    lock = read_lock(file.parent)
    if lock is None:
        return case
    check_lock(file.parent, lock, _lock_of(case))
    return replace(case, locked=True)


def name_of(file: Path) -> str:
    """The name that a case.toml gives itself; one made of its folder's when the file cannot be read so far."""
    try:
        name = tomllib.loads(file.read_text(encoding="utf-8-sig"))["case"]["name"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        name = ""
    if isinstance(name, str) and re.fullmatch(NAME, name):
        return name
    return re.sub(r"[^A-Za-z0-9_-]+", "_", file.resolve().parent.name)[:63] or "case"


def read_case(path: Path) -> Case:
    """The case at `path` as it stands, whatever case.lock says of it. Raises CaseError."""
    return _load(_file_of(path), None)


def write_lock(folder: Path) -> Path:
    """Locks the valid case in `folder` (or of a case.toml) at its version; returns the path of case.lock.

    Raises CaseError when the case is not valid, or when it changed but its version is not above the locked one.
    """
    file = _file_of(folder)
    case = _load(file, None)
    lock = new_lock(file.parent, read_lock(file.parent), _lock_of(case))
    path = file.parent / LOCK
    path.write_text(lock.text(), encoding="utf-8", newline="\n")
    return path


def _file_of(path: Path) -> Path:
    """The case.toml that a path means: itself, or the one in it."""
    try:
        return path / FILE_NAME if path.is_dir() else path
    except (OSError, ValueError, RuntimeError):  # reading it says why
        return path


def _lock_of(case: Case) -> Lock:
    return Lock(case.version, dict(case.files))


class _Report:
    """Collects faults of case.toml under their place in the file."""

    def __init__(self, file: Path, places: Places) -> None:
        self._file, self._places = file, places
        self._problems: list[Problem] = []

    def say(self, path: KeyPath, problem: str, fix: str) -> None:
        self._problems.append(Problem(self._places.name(path), problem, fix))

    def raise_any(self) -> None:
        raise_any(self._file, self._problems)


def _load(file: Path, kernels: KernelLibrary | None) -> Case:
    table, places, data = read_toml(file)
    check_finished(file.parent)
    report = _Report(file, places)
    limits.check(table, report.say)
    contents = _read_files(file.parent, table, report)
    report.raise_any()
    model, float_model = _models(file.parent, table, contents, kernels)
    model = with_state(model, table.model.state, report.say)
    model = replace(model, decided=stages.decided_output(table, model, report.say))
    report.raise_any()
    (first, *further), decide = _stages(table, model, report)
    vectors = _vectors(file, table, contents, model, (first, *further), decide)
    vectors = _with_reference(file, table, contents, model, vectors, report)
    contracts = limits.contracts(table, model, kernels)
    _check_against(table, model, contracts, vectors, report)
    if (first.prepare.own or decide.own) and (file.parent / EXPECTED).is_file():
        key = ("input", "prepare") if first.prepare.own else ("decision", "decide")
        problem = f"{EXPECTED} holds what stages of this project give, and the case has one of the product's own"
        report.say(key, problem, f"remove {EXPECTED}: what is expected stands in {table.input.vectors}")
        report.raise_any()
    files = {FILE_NAME: data, **contents}
    files |= {name: _covered(file.parent / name) for name in (BUILD, EXPECTED) if (file.parent / name).is_file()}
    case = Case(
        path=file,
        name=table.case.name,
        version=table.case.version,
        source=table.case.source,
        rate_hz=table.input.rate_hz,
        model=model,
        float_model=float_model,
        window=first.window,
        gate=first.gate,
        prepare=first.prepare,
        further=tuple(further),
        decide=decide,
        arena_bytes=table.budget.memory.arena_bytes,
        contracts=contracts,
        vectors=vectors,
        keeps_state=bool(table.model.state),
        deadline={kind: ticks for kind, ticks in table.contract.execution.deadline if ticks is not None},
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        expected=from_bytes(files[EXPECTED], file.parent / EXPECTED) if EXPECTED in files else None,
        vectors_file=table.input.vectors,
        notes=(
            *arena_notes(table.budget.memory.arena_bytes),
            *state_notes(table.model.state, model, vectors),
            *vector_notes(vectors, decide),
        ),
        baselines={path.stem: path for path in sorted((file.parent / BASELINES).glob("*.json"))},
    )
    _check_rejects(case, file.parent / table.input.vectors)
    return case


def _covered(path: Path) -> bytes:
    """A file that case.toml does not name, and case.lock covers nevertheless."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CaseError(path, "", f"cannot be read ({reason_of(error)})", "make it readable, or remove it") from None


def _read_files(folder: Path, table: CaseFile, report: _Report) -> dict[str, bytes]:
    """The bytes of the files that case.toml names, by the name it gives them; each file is read once."""
    named: dict[KeyPath, str | None] = {
        ("model", "int8"): table.model.int8,
        ("model", "float"): table.model.float_,
        ("input", "vectors"): table.input.vectors,
        ("input", "reference"): (table.input.reference or "").rpartition(":")[0] or None,
    }
    contents: dict[str, bytes] = {}
    for key, name in named.items():
        if name is None:
            continue
        try:
            content = _content(folder, name, key, report)
        except (OSError, ValueError, RuntimeError) as error:  # NUL, overlong name, loop of links, no permission
            shown = name if len(name) <= 60 else f"{name[:57]}..."
            fix = "make the file readable, or write the name of one that is"
            report.say(key, f"{shown!r} cannot be read ({reason_of(error)})", fix)
        else:
            if content is not None:
                contents[name] = content
    return contents


def _content(folder: Path, name: str, key: KeyPath, report: _Report) -> bytes | None:
    """The bytes of a file of the case; None after a report. Raises what the system says of an unusable path."""
    path = folder / name
    if Path(name).is_absolute() or "\\" in name or not path.resolve().is_relative_to(folder.resolve()):
        fix = "copy the file into the folder and write its path from there, with /"
        report.say(key, f"{name!r} is not a path inside the case's folder", fix)
        return None
    if not path.is_file():
        report.say(key, f"there is no file {name!r} in {folder}", "put it there, or mend the name")
        return None
    return path.read_bytes()


def _models(
    folder: Path, table: CaseFile, contents: Mapping[str, bytes], kernels: KernelLibrary | None
) -> tuple[ModelFile, ModelFile | None]:
    name, float_name = table.model.int8, table.model.float_
    _check_kernels(contents[name], folder / name, kernels, table.model.all_float)
    model = parse_model(contents[name], folder / name)
    model = replace(model, own_operators=own_operators(contents[name], folder / name))
    if float_name is None:
        return model, None
    check_float_model(contents[float_name], folder / float_name, model)
    return model, parse_model(contents[float_name], folder / float_name)


def _check_kernels(data: bytes, file: Path, kernels: KernelLibrary | None, all_float: bool) -> None:
    if kernels is not None:
        check_model(data, file, kernels=kernels, all_float=all_float)
        return
    try:
        check_model(data, file, kernels=WITH_OWN, all_float=all_float)
    except CaseError:
        try:
            check_model(data, file, kernels=UPSTREAM, all_float=all_float)
            return
        except CaseError:
            pass
        raise


def _stages(table: CaseFile, model: ModelFile, report: _Report) -> tuple[tuple[InputPart, ...], Decide]:
    """What feeds each input, and the decide stage."""
    stages.check_tensor_tables(table.input, model, report.say)
    own.check(table, model, report.say)
    report.raise_any()
    given = [(table.input.of(tensor.name), tensor, _saying(report, table.input, tensor)) for tensor in model.inputs]
    windows = [stages.window_of(each, tensor, say) for each, tensor, say in given]
    decide = stages.decide_of(table, model.output, report.say)
    parts = []
    for window, (each, tensor, say) in zip(windows, given, strict=True):
        if window is None:
            report.raise_any()
            raise AssertionError("a window that cannot be made is reported")
        gate = stages.gate_of(each, window, model, say)
        parts.append(InputPart(window, gate, stages.prepare_of(each, window, tensor, say)))
    stages.check_sendable([part.window for part in parts], report.say)
    report.raise_any()
    return tuple(parts), decide


def _saying(report: _Report, table: InputTable, tensor: TensorContract) -> Say:
    """Names a key in the table that it comes from, where an input has one of its own."""
    own = table.tensors.get(tensor.name)

    def say(path: KeyPath, problem: str, fix: str) -> None:
        of_its_own = own is not None and path[1] in own.model_fields_set
        report.say(("input", "tensors", tensor.name, *path[1:]) if of_its_own else path, problem, fix)

    return say


def _vectors(
    file: Path,
    table: CaseFile,
    contents: Mapping[str, bytes],
    model: ModelFile,
    inputs: Sequence[InputPart],
    decide: Decide,
) -> Vectors:
    wanted = Wanted(
        inputs=tuple(
            WantedInput(
                name=f"windows.{tensor.name}" if len(inputs) > 1 else "windows",
                window=part.window,
                tensor_input=part.prepare.id == "tensor",
                shape=tensor.shape[1:] if len(tensor.shape) > 1 else (*tensor.shape, 1),
                tensor=tensor.name if len(inputs) > 1 else "",
            )
            for part, tensor in zip(inputs, model.inputs, strict=True)
        ),
        outputs=tuple(
            WantedOutput(
                name=f"expected_output.{tensor.name}" if model.further_outputs else "expected_output",
                shape=tensor.shape[1:],
                element=tensor.element,
            )
            for tensor in (model.output, *model.further_outputs)
        ),
        labels=decide.labels,
        own=WantedOwn(
            prepared=model.input if inputs[0].prepare.own else None, decision=decide.own, unknown=decide.unknown
        ),
        carried=tuple(pair.input_tensor.name for pair in model.carried),
    )
    name = table.input.vectors
    return read_vectors(contents[name], file.parent / name, wanted)


def _with_reference(
    file: Path, table: CaseFile, contents: Mapping[str, bytes], model: ModelFile, vectors: Vectors, report: _Report
) -> Vectors:
    """The vectors with what the Python reference of the case says of its front end, where it names one."""
    if (reference := table.input.reference) is None:
        return vectors
    if vectors.prepared is not None:
        problem = f"{table.input.vectors} has an array 'prepared' too: which of the two is right?"
        report.say(("input", "reference"), problem, "keep one of them")
    prepared = own.referenced(file.parent, reference, vectors.windows, model.input, report.say)
    report.raise_any()
    return replace(vectors, prepared=prepared)


def _check_against(
    table: CaseFile,
    model: ModelFile,
    contracts: Contracts,
    vectors: Vectors,
    report: _Report,
) -> None:
    """Limits that only make sense with this model and these vectors."""
    output_limits.check_outputs(table, model, report.say)
    limits.check_operators(table, model, report.say)
    if table.model.state and not model.state:
        fix = "take it out: each window is judged by itself, as the model computes it"
        if pairs := guessed(model):
            fix = f"name the outputs that it takes as inputs again, such as state = {wired(pairs)}"
        report.say(("model", "state"), "the model keeps no state: no operator has a variable tensor", fix)
    outputs = model.output.elements
    if "topk" in contracts.agreement and contracts.topk >= outputs:
        problem = f"k is {contracts.topk}, the model has {outputs} outputs: the best {contracts.topk} always agree"
        report.say(
            ("contract", "agreement", "topk", "k"), problem, f"write a k from 1 to {outputs - 1}, or leave topk out"
        )
    if contracts.accuracy and (vectors.label is None or bool((vectors.label < 0).all())):
        fix = f"add an array 'label' to {table.input.vectors}, or leave accuracy out"
        report.say(("contract", "decision", "accuracy"), "the vectors carry no true label", fix)
    if contracts.flash_bytes is not None and contracts.flash_bytes < len(model.data):
        problem = f"{contracts.flash_bytes:,} bytes cannot hold the model, which alone has {len(model.data):,}"
        report.say(("budget", "memory", "flash_bytes"), problem, "raise it: flash counts the image and the bundle")
    report.raise_any()


def _check_rejects(case: Case, file: Path) -> None:
    """The `reject` column, where there is one, is what the gate of docs/pipeline.md says of each vector."""
    if case.vectors.reject is None:
        return
    verdicts = [
        "" if reason == GateReason.VALID else GateReason(reason).name.lower() for reason in judge(case.vectors, case)
    ]
    rows = zip(case.vectors.reject, verdicts, strict=True)
    wrong = [row for row, (column, verdict) in enumerate(rows) if column != verdict]
    problems = [
        Problem(
            "array 'reject'",
            f"row {row} ({case.vectors.name(row)}) expects {case.vectors.reject[row] or 'no rejection'}, "
            f"the gate as [input.gate] sets it finds {verdicts[row] or 'the window valid'}",
            "mend reject, or the limits in [input.gate]",
        )
        for row in wrong[:MOST_ROWS]
    ]
    if len(wrong) > MOST_ROWS:
        more = f"so do {len(wrong) - MOST_ROWS} further rows"
        problems.append(Problem("array 'reject'", more, problems[0].fix))
    raise_any(file, problems)
