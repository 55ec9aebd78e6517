"""Runs one case on one board and collects the evidence: provision, stream, replay, probe. Judges nothing.

The board runs a case once; every contract reads the same evidence. Several boards can share the vectors: each runs
`run_share`, and `conclude` makes one case of their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hil.board.base import Board, Progress
from hil.bundle import sha256
from hil.bundle.compare import differences
from hil.case.types import Case
from hil.contract.operators import FirstOperator
from hil.contract.state import WrongPairs
from hil.contract.types import Evidence, VectorFault
from hil.device import Device
from hil.errors import BoardError, DeviceEnded, DeviceFault, DeviceSilent
from hil.image.elf import Image
from hil.link.client import LinkCounters
from hil.records import RunRecords, Status
from hil.reference.compute import prepare_all, references
from hil.reference.job import ReferenceJob
from hil.reference.models import CaseModels
from hil.session.first_operator import first_operator
from hil.session.own_stages import with_own_decisions, with_tensors_of_the_device
from hil.session.part import Part, empty_records, merge, total
from hil.session.room import bundle_of, require_room
from hil.session.share import Share, whole
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope
from hil.session.steps import Sections, take, wanted
from hil.session.steps import merge as merge_sections
from hil.session.wrong_pairs import wrong_pairs

_U32 = 0xFFFFFFFF
Keep = Callable[[RunRecords], None]


@dataclass
class RunResult:
    """The evidence, what the bench had to mend on the way, and how many inferences it took."""

    evidence: Evidence
    link: LinkCounters
    inferences: int


def run_case(
    case: Case,
    board: Board,
    image: Image,
    *,
    bundle: bytes | None = None,
    progress: Progress = lambda *_: None,
    keep: Keep = lambda _: None,
) -> RunResult:
    """Run `case` with `image` on `board`, whatever the board ran before.

    bundle: provision these bytes in place of the bundle built from the case. keep: is given the records as soon as they
    begin to fill, so that a run that breaks or is interrupted loses none. Raises BenchError when the bench breaks;
    what the firmware does wrong goes into the evidence.
    """
    part = run_share(case, whole(case), board, image, bundle=bundle, progress=progress, keep=keep)
    return conclude(case, [part], board, image, bundle=bundle, progress=progress)


def run_share(
    case: Case,
    share: Share,
    board: Board,
    image: Image,
    *,
    bundle: bytes | None = None,
    progress: Progress = lambda *_: None,
    keep: Keep = lambda _: None,
    models: CaseModels | None = None,
) -> Part:
    """Run one share of `case`; arguments and errors as in `run_case`. Raises CaseError when the bundle has no room.

    models: the case's references when they are open already; they are closed behind the share.
    """
    provisioned = bundle_of(case, board, image) if bundle is None else bundle
    if provisioned:
        require_room(case, image, len(provisioned))
    job = ReferenceJob(case, share.rows(case), models)
    board.progress = progress
    try:
        device, start_fault = _connect(case, board, image, provisioned)
        records = empty_records(case)
        keep(records)
        deadline = _deadline(case, board)
        run = SessionState(
            case,
            share.groups(case),
            share.lead,
            device,
            image,
            provisioned,
            job.stimuli,
            job.models,
            records,
            deadline,
            progress,
            faults=[start_fault] if start_fault else [],
        )
        scopes = (Scope.SHARE, Scope.LEAD, Scope.EACH) if share.lead else (Scope.SHARE, Scope.EACH)
        sections = take(wanted(case, *scopes), run) if device.hello.bundle_status == 0 else {}
        progress("references", len(case.vectors), len(case.vectors))
        return Part(
            share=share,
            clock=board.clock,
            hello=device.hello,
            records=run.records,
            outputs=job.result(),
            link=device.counters,
            inferences=device.inferences,
            faults=tuple(run.faults),
            stopped=run.stopped,
            other_canaries=run.other_canaries,
            sections=sections,
        )
    finally:
        board.progress = lambda *_: None  # the case's line on the terminal ends with it
        job.close()


def conclude(
    case: Case,
    parts: Sequence[Part],
    board: Board,
    image: Image,
    *,
    bundle: bytes | None = None,
    progress: Progress = lambda *_: None,
) -> RunResult:
    """What one board would have left that ran all shares.

    parts: of every share. Steps that need the records of all shares are taken here: `board` is provisioned again for
    those, and is not touched otherwise. Raises BenchError.
    """
    wanted_bundle = bundle_of(case, board, image)
    provisioned = wanted_bundle if bundle is None else bundle
    part, stimuli = merge(case, parts), prepare_all(case)
    if case.own_stages:
        part, stimuli = with_tensors_of_the_device(case, part, stimuli)
    steps = wanted(case, Scope.WHOLE)
    if steps and part.hello.bundle_status == 0 and not part.stopped:
        device, _ = _connect(case, board, image, provisioned)
        deadline = _deadline(case, board)
        with CaseModels(case) as models:
            run = SessionState(
                case, [], True, device, image, provisioned, stimuli, models, part.records, deadline, progress
            )
            part = _joined(part, run, take([*steps, *wanted(case, Scope.EACH)], run))
    evidence = Evidence(
        case=case,
        board=board.config.name,
        clock=part.clock,
        image=image.facts(board.config.sizes.symbols, board.config.sizes.memory),
        bundle_bytes=len(provisioned),
        bundle_sha256=sha256(provisioned) if provisioned else "",
        bundle_differences=differences(wanted_bundle, provisioned) if wanted_bundle else (),
        hello=part.hello,
        records=part.records,
        references=with_own_decisions(case, references(case, stimuli, part.outputs), part.records),
        faults=part.faults,
        other_canaries=part.other_canaries,
        sections=part.sections,
    )
    if (found := first_operator(evidence, board, image)).operators:
        evidence = replace(evidence, sections={**evidence.sections, FirstOperator: found})
    if (alone := wrong_pairs(evidence, board, image)).pairs:
        evidence = replace(evidence, sections={**evidence.sections, WrongPairs: alone})
    return RunResult(evidence, part.link, part.inferences)


def _joined(part: Part, run: SessionState, sections: Sections) -> Part:
    """`part`, and what the steps behind all shares brought."""
    return replace(
        part,
        link=total([part.link, run.device.counters]),
        inferences=part.inferences + run.device.inferences,
        faults=(*part.faults, *run.faults),
        other_canaries=part.other_canaries | run.other_canaries,
        sections=merge_sections([part.sections, sections]),
    )


def _connect(case: Case, board: Board, image: Image, bundle: bytes) -> tuple[Device, VectorFault | None]:
    """The agent, and the fault by which the firmware does not start with this bundle but does without one: then the
    agent is that of a board without a bundle. Raises BoardError when it does not start either way.
    """
    try:
        board.provision(image, bundle)
        return Device(board, case.model), None
    except DeviceFault as error:
        report = board.postmortem()
        device = _without_bundle(board, image, len(bundle)) if report.stage == "start" else None
        if device is not None:
            return device, VectorFault(NO_VECTOR, Status.FAULT, report)
        text = f"the firmware faulted before it said hello\n{report.text}"
        raise BoardError(f"boot: {text}\n  next: mend it at that place; no window has reached it yet") from error
    except DeviceSilent as error:
        text = f"the firmware did not say hello: {error}\n{board.postmortem().text}"
        raise BoardError(f"boot: {text}\n  next: does {image.path} hold the test agent of this harness?") from error


def _without_bundle(board: Board, image: Image, size: int) -> Device | None:
    """The agent of the firmware that has no bundle to set up; None when it does not start so either."""
    try:
        board.provision(image, bytes(size))
        return Device(board)
    except (DeviceFault, DeviceSilent, DeviceEnded):
        return None


def _deadline(case: Case, board: Board) -> int:
    """The case's deadline in ticks of this board's clock; 0, the port's longest, when the case sets none for it."""
    clock = board.clock
    units = case.deadline.get(clock.unit)
    if units is None and clock.kind == "cycles" and "ms" in case.deadline:
        units = case.deadline["ms"] * clock.hz // 1000
    if units is None:
        return 0
    return max(1, min(_U32, units * clock.denominator // clock.numerator))
