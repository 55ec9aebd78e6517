"""Runs one case on one board and collects the evidence: provision, stream, replay, probe. Judges nothing.

The board runs a case once; every contract reads the same evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hil.board.base import Board, Progress
from hil.bundle import build_bundle, sha256
from hil.bundle.compare import differences
from hil.case.types import Case
from hil.contract.types import BundleProbe, Evidence, GateProbe, ScoreProbe
from hil.device import Device
from hil.errors import BoardError, DeviceFault, DeviceSilent
from hil.image.elf import Image
from hil.link.client import LinkCounters
from hil.records import RunRecords
from hil.reference.job import ReferenceJob
from hil.session.passes import first_pass, more_passes, replay, warm_up
from hil.session.probing import probe_bundle, probe_gate, probe_scores, probe_stream
from hil.session.state import SessionState

_U32 = 0xFFFFFFFF


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
    keep: Callable[[RunRecords], None] = lambda _: None,
) -> RunResult:
    """Run `case` with `image` on `board`, whatever the board ran before.

    bundle: provision these bytes in place of the bundle built from the case. keep: is given the records as soon as they
    begin to fill, so that a run that breaks or is interrupted loses none. Raises BenchError when the bench breaks;
    what the firmware does wrong goes into the evidence.
    """
    wanted = build_bundle(case)
    provisioned = wanted if bundle is None else bundle
    job = ReferenceJob(case)
    board.progress = progress
    try:
        device = _connect(board, image, provisioned)
        records = RunRecords.empty(len(case.vectors), case.model.output.elements)
        keep(records)
        run = SessionState(case, device, records, _deadline(case, board), progress)
        replayed = replay_runs = pass_runs = 0
        gate_probes: tuple[GateProbe, ...] = ()
        score_probes: tuple[ScoreProbe, ...] = ()
        bundle_probes: tuple[BundleProbe, ...] = ()
        if device.hello.bundle_status == 0:
            warm_up(run, job)
            first_pass(run, job)
            replayed, replay_runs = replay(run)
            pass_runs = more_passes(run)
            gate_probes = probe_gate(run)
            score_probes = (*probe_scores(run), *probe_stream(run))
            bundle_probes = probe_bundle(board, image, provisioned) if board.probe_bundles else ()
        progress("references", len(case.vectors), len(case.vectors))
        evidence = Evidence(
            case=case,
            board=board.config.name,
            clock=board.clock,
            image=image.facts(),
            bundle_bytes=len(provisioned),
            bundle_sha256=sha256(provisioned),
            bundle_differences=differences(wanted, provisioned),
            hello=device.hello,
            records=run.records,
            references=job.result(),
            faults=tuple(run.faults),
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
        )
        return RunResult(evidence, device.counters, device.inferences)
    finally:
        board.progress = lambda *_: None  # the case's line on the terminal ends with it
        job.close()


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
