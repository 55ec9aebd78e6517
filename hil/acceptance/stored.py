"""Knows how a stored run is judged again: from run.json, its records and the case on disk to evidence.

It carries what is held against a baseline. The reference's prepared tensors are not stored; they count as the device's.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from hil import runfile
from hil.case.load import load_case
from hil.case.types import Case
from hil.contract.operators import OperatorProfile, OperatorTicks
from hil.contract.stack_seen import StackSeen
from hil.contract.types import Evidence, ImageFacts, InputReference, OutputReference, References
from hil.errors import UsageError
from hil.image.kept import kept_ledger
from hil.ledger import Ledger
from hil.records import FURTHER, Can, ClockSpec, Hello, PreparedColumns, RunRecords
from hil.runfile import Columns, Run

_NEEDED = ("units", "distinct", "reference_gate", "reference_output", "reference_answer")


def stored_evidence(run: Run, name: str, *, sizes: bool = True) -> Evidence:
    """The evidence of one case. sizes: whether those of the image are wanted, which a run without an ELF does not know.
    Raises UsageError for a case that broke, was cut short, or changed since.
    """
    stored = run.case(name)
    again = "run it again to its end"
    if run.document.verdict == "interrupted" or stored.error:
        raise UsageError(f"{run.file}: case {name} was cut short: {stored.error or 'interrupted'}\n  fix: {again}")
    clock, parts = run.document.board.clock, (stored.image, stored.bundle, stored.device)
    if clock is None or None in parts:
        raise UsageError(f"{run.file}: case {name} holds no evidence\n  fix: {again}")
    if stored.memory is None and sizes:
        raise UsageError(
            f"{run.file}: case {name} ran without an ELF, so that the sizes of its image are not known\n"
            f"  fix: name the ELF, image under [firmware] of the board file or --hil-image, and run it again"
        )
    case, columns = _case(run, stored), run.records(stored)
    missing = [key for key in _NEEDED if key not in columns]
    if missing:
        raise UsageError(f"{run.folder / stored.records}: has no column {', '.join(missing)}\n  fix: {again}")
    return _evidence(run, stored, case, columns)


def _case(run: Run, stored: runfile.Case) -> Case:
    """The case on disk, which must be the one that ran."""
    path = Path(stored.path)
    if not path.is_file():
        fix = "call this from the folder that the run was started in"
        raise UsageError(f"{run.file}: case {stored.name}: there is no {path} here\n  fix: {fix}")
    case = load_case(path, kernels=None)
    before, now = stored.manifest.files, dict(case.files)
    other = sorted(file for file in {*before, *now} if before.get(file) != now.get(file))
    if other:
        raise UsageError(f"{path}: changed since this run: {', '.join(other)}\n  fix: run the case again")
    return case


def _evidence(run: Run, stored: runfile.Case, case: Case, columns: Columns) -> Evidence:
    clock, image, bundle, memory = run.document.board.clock, stored.image, stored.bundle, stored.memory
    assert clock is not None  # stored_evidence() asks
    assert image is not None
    assert bundle is not None
    names = columns["name"].tolist()
    return Evidence(
        case=case,
        board=run.document.board.name,
        # Stored units are units already: one a tick.
        clock=ClockSpec(clock.kind, clock.unit, 1, 1, clock.hz or 0, clock.deterministic),
        image=ImageFacts(
            *(image.sha256, image.flash_bytes, image.ram_bytes, image.stack_bytes),
            host=memory is not None and memory.host,
            known=memory is not None,
            ledger=Ledger() if memory is None or memory.host else kept_ledger(run, image.sha256),
        ),
        bundle_bytes=bundle.bytes,
        bundle_sha256=bundle.sha256,
        hello=_hello(stored, case),
        records=_records(columns),
        references=_references(case, columns),
        sections={OperatorProfile: _profile(stored, names), StackSeen: _stack_seen(memory, columns)},
    )


def _stack_seen(memory: runfile.Memory | None, columns: Columns) -> StackSeen:
    """The mark that the harness measured, where the firmware told none."""
    if memory is None or columns["stack_high_water"].any():
        return StackSeen()
    return StackSeen(memory.stack_high_water, size=memory.stack_bytes)


def _profile(stored: runfile.Case, names: list[str]) -> OperatorProfile:
    operators = tuple(OperatorTicks(item.index, item.operator, item.units) for item in stored.operators)
    vector = names.index(stored.operators_vector) if stored.operators_vector in names else -1
    return OperatorProfile(operators, vector)


def _hello(stored: runfile.Case, case: Case) -> Hello:
    assert stored.device is not None
    told: dict[str, Any] = {**stored.device.model_dump(), **(stored.device.model_extra or {})}
    texts = {"operators": tuple(told["operators"]), "labels": tuple(told["labels"])}
    tensors = {"input": case.model.input, "output": case.model.output}
    told |= {"inputs": (), "outputs": ()}
    told["can"] = Can(told.get("can", ~Can(0)))  # a run from before firmware told it was of one that can everything
    return Hello(**{item.name: told[item.name] for item in fields(Hello)} | texts | tensors)


def _records(columns: Columns) -> RunRecords:
    texts, label = np.unique(columns["label"], return_inverse=True)
    names = {item.name for item in fields(RunRecords)} - {"ticks", "label", "label_texts", *FURTHER}
    plain: dict[str, Any] = {name: columns[name] for name in names}
    return RunRecords(
        **plain,
        inputs=tuple(
            PreparedColumns(*(columns[f"{item.name}.{number}"] for item in fields(PreparedColumns)))
            for number in _numbers(columns, "digest")
        ),
        outputs=tuple(columns[f"output.{number}"] for number in _numbers(columns, "output")),
        ticks=columns["units"][:, :3].cumsum(axis=1),
        label=np.where(columns["label"] == "", -1, label).astype(np.int32),
        label_texts=[str(text) for text in texts],
    )


def _numbers(columns: Columns, name: str) -> list[int]:
    """Of the columns `name.1`, `name.2` and so on of further tensors."""
    return [number for number in range(1, len(columns)) if f"{name}.{number}" in columns]


def _references(case: Case, columns: Columns) -> References:
    return References(
        gate=columns["reference_gate"],
        prepared=np.zeros((len(columns["status"]), 0), case.model.input.element.dtype),
        digest=columns["digest"],
        output=columns["reference_output"],
        float_output=columns.get("float_output"),
        float_chain=columns.get("float_chain"),
        winner=columns["winner"],
        score=columns["score"],
        answer=columns["reference_answer"],
        reason=columns["reason"],
        inputs=tuple(
            InputReference(np.zeros((len(columns["status"]), 0)), columns[f"digest.{number}"])
            for number in _numbers(columns, "digest")
        ),
        outputs=tuple(
            OutputReference(
                columns[f"reference_output.{number}"],
                columns.get(f"float_output.{number}"),
                columns.get(f"float_chain.{number}"),
            )
            for number in _numbers(columns, "reference_output")
        ),
    )
