"""Runs one case on one board and collects the evidence: provision, stream, replay, probe. Judges nothing.

The board runs a case once; every contract reads the same evidence. Several boards can share the vectors: each runs
`run_share`, and `conclude` makes one case of their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hil.board.base import Board, Progress
from hil.bundle import build_bundle, sha256
from hil.bundle.compare import differences
from hil.case.types import Case
from hil.contract.types import BundleProbe, Evidence, GateProbe, OperatorTicks, ScoreProbe
from hil.device import Device
from hil.errors import BoardError, DeviceFault, DeviceSilent
from hil.image.elf import Image
from hil.link.client import LinkCounters
from hil.records import RunRecords
from hil.reference.compute import prepare_all, references
from hil.reference.job import ReferenceJob
from hil.session.part import Part, merge, total
from hil.session.passes import first_pass, more_passes, replay, warm_up
from hil.session.probing import has_memory, probe_bundle, probe_gate, probe_scores, probe_stream
from hil.session.profile import profile
from hil.session.share import Share, whole
from hil.session.state import NO_VECTOR, SessionState

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
    return conclude(case, [part], board, image, bundle=bundle)


def run_share(
    case: Case,
    share: Share,
    board: Board,
    image: Image,
    *,
    bundle: bytes | None = None,
    progress: Progress = lambda *_: None,
    keep: Keep = lambda _: None,
) -> Part:
    """Run one share of `case`; arguments and errors as in `run_case`."""
    provisioned = build_bundle(case) if bundle is None else bundle
    job = ReferenceJob(case, share.rows(case))
    board.progress = progress
    try:
        device = _connect(board, image, provisioned)
        records = RunRecords.empty(len(case.vectors), case.model.output.elements)
        keep(records)
        run = SessionState(case, share.groups(case), device, records, _deadline(case, board), progress)
        replayed = replay_runs = pass_runs = 0
        gate_probes: tuple[GateProbe, ...] = ()
        score_probes: tuple[ScoreProbe, ...] = ()
        bundle_probes: tuple[BundleProbe, ...] = ()
        operators: tuple[OperatorTicks, ...] = ()
        operators_vector = NO_VECTOR
        if device.hello.bundle_status == 0:
            warm_up(run, job)
            first_pass(run, job)
            if share.lead:
                replayed, replay_runs = replay(run)
            pass_runs = more_passes(run)
            if share.lead:
                operators, operators_vector = profile(run)
                gate_probes = probe_gate(run)
                score_probes = probe_scores(run)
                bundle_probes = probe_bundle(board, image, provisioned) if board.probe_bundles else ()
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
            prepared_differences=tuple(run.prepared),
            replayed=replayed,
            replay_runs=replay_runs,
            pass_runs=pass_runs,
            replay_differences=tuple(run.differences),
            gate_probes=gate_probes,
            score_probes=score_probes,
            bundle_probes=bundle_probes,
            probes_bundles=board.probe_bundles,
            probe_outputs=tuple(run.probe_outputs),
            other_canaries=run.other_canaries,
            operators=operators,
            operators_vector=operators_vector,
        )
    finally:
        board.progress = lambda *_: None  # the case's line on the terminal ends with it
        job.close()


def conclude(
    case: Case, parts: Sequence[Part], board: Board, image: Image, *, bundle: bytes | None = None
) -> RunResult:
    """What one board would have left that ran all shares.

    parts: of every share. A decide stage with a memory gets a stream through the whole pipeline, made of answers that
    any of the shares brought; `board` is provisioned again for that, and is not touched otherwise. Raises BenchError.
    """
    wanted = build_bundle(case)
    provisioned = wanted if bundle is None else bundle
    part = merge(case, parts)
    if has_memory(case.decide) and part.hello.bundle_status == 0 and not part.stopped:
        part = _with_stream(case, part, board, image, provisioned)
    evidence = Evidence(
        case=case,
        board=board.config.name,
        clock=part.clock,
        image=image.facts(),
        bundle_bytes=len(provisioned),
        bundle_sha256=sha256(provisioned),
        bundle_differences=differences(wanted, provisioned),
        hello=part.hello,
        records=part.records,
        references=references(case, prepare_all(case), part.outputs),
        faults=part.faults,
        prepared_differences=part.prepared_differences,
        replayed=part.replayed,
        replay_runs=part.replay_runs,
        pass_runs=part.pass_runs,
        replay_differences=part.replay_differences,
        gate_probes=part.gate_probes,
        score_probes=part.score_probes,
        bundle_probes=part.bundle_probes,
        probes_bundles=part.probes_bundles,
        probe_outputs=part.probe_outputs,
        other_canaries=part.other_canaries,
        operators=part.operators,
        operators_vector=part.operators_vector,
    )
    return RunResult(evidence, part.link, part.inferences)


def _with_stream(case: Case, part: Part, board: Board, image: Image, bundle: bytes) -> Part:
    """`part`, and what the stream through the pipeline brought."""
    device = _connect(board, image, bundle)
    run = SessionState(case, [], device, part.records, _deadline(case, board), lambda *_: None)
    probes = probe_stream(run)
    return replace(
        part,
        link=total([part.link, device.counters]),
        inferences=part.inferences + device.inferences,
        faults=(*part.faults, *run.faults),
        score_probes=(*part.score_probes, *probes),
        other_canaries=part.other_canaries | run.other_canaries,
    )


def _connect(board: Board, image: Image, bundle: bytes) -> Device:
    try:
        board.provision(image, bundle)
        return Device(board)
    except DeviceFault as error:
        text = f"the firmware faulted before it said hello\n{board.postmortem().text}"
        raise BoardError(f"boot: {text}\n  next: mend it at that place; no window has reached it yet") from error
    except DeviceSilent as error:
        text = f"the firmware did not say hello: {error}\n{board.postmortem().text}"
        raise BoardError(f"boot: {text}\n  next: does {image.path} hold the test agent of this harness?") from error


def _deadline(case: Case, board: Board) -> int:
    """The case's deadline in ticks of this board's clock; 0, the port's longest, when the case sets none for it."""
    clock = board.clock
    units = case.deadline.get(clock.unit)
    if units is None and clock.kind == "cycles" and "ms" in case.deadline:
        units = case.deadline["ms"] * clock.hz // 1000
    if units is None:
        return 0
    return max(1, min(_U32, units * clock.denominator // clock.numerator))
