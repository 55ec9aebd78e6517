"""No run is called untrusted because it failed: whatever a device does wrong, what hil writes of it is consistent."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_evidence import CYCLES, N, build_evidence

from hil.board.config import BoardConfig
from hil.contract import checks_for, judge
from hil.contract.types import Evidence
from hil.gate import integrity
from hil.gate.demands import demand_of
from hil.gate.results import gather
from hil.records import Status
from hil.report.run_json import CaseReport, case_document, clock_document, dump, records_archive, run_document
from hil.runfile import read_run

DAMAGES: dict[str, Any] = {
    "output": st.integers(-128, 127),
    "answer": st.integers(-1, 3),
    "winner": st.integers(0, 3),
    "digest": st.integers(0, 2**32 - 1),
    "gate": st.integers(0, 5),
    "status": st.sampled_from([Status.REJECTED, Status.INVOKE_FAILED, Status.NOT_RUN, Status.FAULT]),
    "ticks": st.integers(0, 10**7).map(lambda ticks: [ticks, 2 * ticks + 1, 3 * ticks + 5]),
    "arena_high_water": st.integers(0, 10**6),
    "stack_high_water": st.integers(0, 10**6),
}
damages = st.sampled_from(sorted(DAMAGES)).flatmap(lambda name: st.tuples(st.just(name), DAMAGES[name]))
vectors = st.lists(st.integers(0, N - 1), min_size=1, max_size=40) | st.just(list(range(N)))


def written(evidence: Evidence, folder: Path) -> list[str]:
    """What the gate finds inconsistent in the run that hil writes of this evidence."""
    archive = records_archive(evidence.case, evidence.records, evidence)
    (folder / "r.npz").write_bytes(archive)
    results = [judge(check, evidence) for check in checks_for(evidence.case)]
    report = CaseReport(
        evidence.case, results, evidence, records_file="r.npz", records_sha256=hashlib.sha256(archive).hexdigest()
    )
    document = run_document(
        [case_document(report)],
        BoardConfig(name="made", file=Path("made.toml"), kind="qemu", target="made"),
        clock_document(evidence.clock),
        interrupted=False,
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
    )
    (folder / "run.json").write_bytes(dump(document))
    demand = demand_of(evidence.case, "case.toml")
    return [reason.what for result in gather([read_run(folder)]) for reason in integrity.result_reasons(result, demand)]


def test_a_run_that_breaks_nothing_is_trusted_on_either_clock(tmp_path: Path) -> None:
    evidence = build_evidence()
    assert written(evidence, tmp_path) == []
    assert written(replace(evidence, clock=CYCLES), tmp_path) == []


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(vectors, damages), min_size=1, max_size=3))
def test_a_device_that_does_anything_wrong_is_not_called_a_forger(tmp_path: Path, broken: list[Any]) -> None:
    evidence = build_evidence()
    for rows, (name, value) in broken:
        getattr(evidence.records, name)[rows] = np.array(value)
    assert written(evidence, tmp_path) == []
