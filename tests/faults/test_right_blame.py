"""Real firmware with one mistake each: the right check breaks first, no other contract fails on its own account."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from firmware_copy import Edits, FirmwareCopy
from native_session import imu_motion, native_board, with_vectors

from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.image.elf import Image
from hil.records import Status
from hil.session import run_case

pytestmark = pytest.mark.slow

# First sample of a window that makes the firmware of `restarting` do it.
IN_THE_RUN, BEHIND_THE_REPLY, FAULT_BEHIND_THE_REPLY = 11111, 12222, 13333
INVOKE = "bool Pipeline::RunInvoke() { return EngineInvoke().ok(); }"
FAILING_CALL = 40

RESTARTING: Edits = {  # and does not count its starts
    "testmode/service.cpp": ("  hil_boot_count = hil_boot_count + 1;\n", ""),
    "pipeline/pipeline.cpp": (
        "bool Pipeline::RunPrepare(Bytes window) {\n",
        "}  // namespace hil\n"
        "void hil_test_start_again();\n"
        "int hil_test_behind;\n"
        "namespace hil {\n"
        "bool Pipeline::RunPrepare(Bytes window) {\n"
        "  const int begins = window[0] | window[1] << 8;\n"
        f"  if (begins == {IN_THE_RUN}) hil_test_start_again();\n"
        f"  hil_test_behind = begins == {BEHIND_THE_REPLY} ? 1 : begins == {FAULT_BEHIND_THE_REPLY} ? 2 : 0;\n",
    ),
    "app/main.cpp": (
        "    if (Serve()) {\n",
        "    if (Serve()) {\n"
        "      if (hil_test_behind == 1) hil_test_start_again();\n"
        "      if (hil_test_behind == 2) __builtin_trap();\n",
    ),
    "app/product.h": (
        "namespace hil {\n",
        "void hil_test_start_again();\nextern int hil_test_behind;\nnamespace hil {\n",
    ),
    "port/native/port.cpp": (
        "int main(int argc, char** argv) {\n",
        "namespace { char** arguments; }\n"
        'void hil_test_start_again() { execv("/proc/self/exe", arguments); }\n'
        "int main(int argc, char** argv) {\n  arguments = argv;\n",
    ),
}


def invoke(body: str) -> Edits:
    return {"pipeline/pipeline.cpp": (INVOKE, f"bool Pipeline::RunInvoke() {{\n  {body}\n}}")}


IMAGES: dict[str, Edits] = {
    "restarting": RESTARTING,
    "failing": invoke(
        f"static uint32_t calls = 0;\n  return ++calls < {FAILING_CALL} && EngineInvoke().ok();",
    ),
    "skipping": invoke("static uint32_t calls = 0;\n  return ++calls % 7 == 0 || EngineInvoke().ok();"),
    "skipping from a call on": invoke("static uint32_t calls = 0;\n  return ++calls > 30 || EngineInvoke().ok();"),
    "never running": invoke("return true;"),
    "permuting": {
        "pipeline/decide.cpp": (
            "  decision.score = scores[decision.winner];\n",
            "  decision.score = scores[decision.winner];\n"
            "  decision.winner = decision.winner == 1 ? 2 : decision.winner == 2 ? 1 : decision.winner;\n",
        )
    },
}


@pytest.fixture(scope="module")
def image_of(firmware_copy: FirmwareCopy) -> dict[str, Image]:
    return {name: firmware_copy.image(name.replace(" ", "_"), edits) for name, edits in IMAGES.items()}


def small(count: int = 60, **changes: int) -> Case:
    """Windows of all classes of imu_motion; sixty of them, two passes."""
    case = imu_motion()
    chosen = np.linspace(0, len(case.vectors) - 1, count).astype(int).tolist()
    return with_vectors(replace(case, contracts=replace(case.contracts, **changes)), chosen)


def asking_for(case: Case, faults: dict[int, int]) -> Case:
    windows = case.vectors.windows.copy()
    for vector, first in faults.items():
        windows[vector].flat[0] = first
    return replace(case, vectors=replace(case.vectors, windows=windows))


def run(case: Case, image: Image, folder: Path) -> Evidence:
    with native_board(folder) as board:
        return run_case(case, board, image).evidence


def failed(evidence: Evidence) -> list[CheckResult]:
    results = (judge(check, evidence) for check in checks_for(evidence.case))
    return [result for result in results if result.outcome is Outcome.FAILED]


def own(results: list[CheckResult]) -> list[str]:
    """Checks that point to none of the others that failed."""
    names = {result.check for result in results}
    return [
        result.check
        for result in results
        if not all(set(re.findall(r"see ([a-z]+\.\w+)", each.hint)) & names for each in result.findings)
    ]


def test_a_restart_is_known_and_blamed_on_its_window_whatever_the_counter_says(
    image_of: dict[str, Image], tmp_path: Path
) -> None:
    """One comes in the run of window 20, one behind the reply to window 40."""
    case = asking_for(small(passes=1), {20: IN_THE_RUN, 40: BEHIND_THE_REPLY})
    evidence = run(case, image_of["restarting"], tmp_path)
    assert [(fault.vector, fault.status) for fault in evidence.faults] == [(20, Status.RESET), (40, Status.RESET)]
    assert "its start counter did not move" in evidence.faults[0].report.text
    assert evidence.faults[1].report.text.startswith("it broke behind the reply")
    status = evidence.records.status
    assert status[20] == Status.RESET
    assert np.isin(np.delete(status, 20), (Status.DONE, Status.REJECTED)).all()
    results = failed(evidence)
    assert results[0].check == "execution.fault"
    assert {finding.vector for finding in results[0].findings} == {case.vectors.name(20), case.vectors.name(40)}
    assert {result.check for result in results} == {"execution.fault", "execution.complete"}
    assert own(results) == ["execution.fault"]


def test_a_restart_in_a_later_pass_is_the_only_thing_blamed_too(image_of: dict[str, Image], tmp_path: Path) -> None:
    case = asking_for(small(passes=2), {20: BEHIND_THE_REPLY})
    results = failed(run(case, image_of["restarting"], tmp_path))
    assert [result.check for result in results] == ["execution.fault"]
    assert {finding.vector for finding in results[0].findings} == {case.vectors.name(20)}
    assert results[0].total == 2


def test_a_fault_behind_the_reply_belongs_to_the_window_before(image_of: dict[str, Image], tmp_path: Path) -> None:
    case = asking_for(small(passes=1), {20: FAULT_BEHIND_THE_REPLY})
    evidence = run(case, image_of["restarting"], tmp_path)
    (fault,) = evidence.faults
    assert (fault.vector, fault.status, fault.report.stage) == (20, Status.FAULT, "idle")
    assert np.isin(evidence.records.status, (Status.DONE, Status.REJECTED)).all()
    assert [result.check for result in failed(evidence)] == ["execution.fault"]


@pytest.mark.parametrize("count", [60, 30], ids=["in the first pass", "behind the first pass"])
def test_a_run_of_the_model_that_fails_from_a_call_on_is_execution(
    count: int, image_of: dict[str, Image], tmp_path: Path
) -> None:
    evidence = run(small(count, passes=1, replays=1), image_of["failing"], tmp_path)
    results = failed(evidence)
    assert results[0].check == "execution.complete"
    assert results[0].findings[0].stage == "invoke"
    assert f"invoke fails from call {FAILING_CALL} on" in results[0].findings[0].observed
    assert own(results) == ["execution.complete"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("skipping", "skipped invoke, or a stale output: it is still that of the vector before"),
        ("skipping from a call on", "skipped invoke: from "),
        ("never running", "constant output: every vector gives [0, 0, 0, 0]; is the model run at all"),
    ],
)
def test_a_run_of_the_model_that_is_skipped_is_named(
    name: str, words: str, image_of: dict[str, Image], tmp_path: Path
) -> None:
    results = failed(run(small(passes=1), image_of[name], tmp_path))
    assert results[0].check == "execution.output"
    assert results[0].findings[0].stage == "invoke"
    assert words in results[0].findings[0].hint
    assert {name.split(".")[0] for name in own(results)} == {"execution"}


def test_labels_that_are_taken_for_one_another_are_named(image_of: dict[str, Image], tmp_path: Path) -> None:
    evidence = run(small(passes=1), image_of["permuting"], tmp_path)
    results = failed(evidence)
    assert results[0].check == "decision.answer"
    one, two = evidence.case.decide.labels[1:3]
    assert (
        results[0]
        .findings[0]
        .hint.startswith(f"looks like permuted labels: {one!r} is answered as {two!r}, {two!r} is answered as {one!r}")
    )
    assert {name.split(".")[0] for name in own(results)} == {"decision"}
