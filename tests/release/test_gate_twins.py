"""Two cases of one name in a run are told apart: by path, in what is said, and in what the tree asks of each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from made_run import made_case, made_check, made_run, write_run

from hil.errors import UsageError
from hil.gate.demands import Demand, Tree
from hil.gate.gate import decide
from hil.gate.policy import Policy
from hil.gate.question import Question
from hil.gate.reasons import Kind
from hil.gate.results import gather
from hil.project.git import Source
from hil.project.quarantine import Quarantine
from hil.report.markdown import summary
from hil.report.terminal import case_table
from hil.runfile import Run, read_run

TREE, ELSEWHERE = "golden_vectors/motion/case.toml", "drafts/motion/case.toml"
QUESTION = Question(
    Policy(boards=("qemu",), cases="golden_vectors", baseline="optional", clean_tree=False),
    Quarantine(),
    Tree(
        root="golden_vectors",
        cases=[
            Demand(
                name="motion",
                version=1,
                path="motion/case.toml",
                locked=True,
                files={},
                checks=["execution.repeat"],
                limits={},
                clocks={},
                margin=0.0,
                confidence=0.95,
                baselines={},
            )
        ],
    ),
    Source(),
    datetime(2026, 3, 1, 11, tzinfo=UTC),
)


def twin(path: str, **changes: Any) -> dict[str, Any]:
    check = made_check("execution.repeat", 0.0) | {"value": None}
    return made_case("motion", title=f"motion ({path})", path=path, checks=[check]) | changes


def twins(folder: Path, *, broken: str = "") -> Run:
    """A run of both; the check of one of them failed."""
    cases = [twin(TREE), twin(ELSEWHERE)]
    for case in cases:
        if case["path"] == broken:
            case["verdict"] = "failed"
            case["checks"][0] |= {"outcome": "failed", "findings_total": 1}
    return read_run(write_run(folder, made_run(*cases)))


def whats(run: Run, kind: Kind) -> list[str]:
    return [reason.what for reason in decide([run], QUESTION).reasons if reason.kind is kind]


@pytest.mark.parametrize("broken", [TREE, ELSEWHERE])
def test_the_gate_says_which_of_the_two_failed(tmp_path: Path, broken: str) -> None:
    assert whats(twins(tmp_path, broken=broken), Kind.BROKEN) == [f"motion ({broken}) on qemu: execution.repeat"]


def test_the_tree_asks_of_the_one_that_lies_in_it(tmp_path: Path) -> None:
    run = twins(tmp_path)
    found = {demand.name: result for demand, _, result in QUESTION.wanted(gather([run]))}
    assert found["motion"] is not None
    assert found["motion"].case.path == TREE
    notes = "\n".join(decide([run], QUESTION).notes)
    assert f"motion ({ELSEWHERE}) on qemu: the case is not below golden_vectors" in notes


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (TREE, True),
        (f"/home/somebody/product/{TREE}", True),
        ("motion/case.toml", True),  # the run was started inside of golden_vectors
        (ELSEWHERE, False),
        ("golden_vectors/other/motion/case.toml", False),
    ],
)
def test_a_path_below_the_tree_is_one_however_it_is_written(tmp_path: Path, path: str, asked: bool) -> None:
    (result,) = gather([read_run(write_run(tmp_path, made_run(twin(path, title=f"motion ({path})"))))])
    assert (QUESTION.demand(result) is not None) == asked


def test_a_case_that_was_alone_in_one_run_and_one_of_two_in_another_is_ambiguous(tmp_path: Path) -> None:
    alone = read_run(write_run(tmp_path / "alone", made_run(made_case("motion"))))
    with pytest.raises(UsageError, match=r"motion on qemu is in .* and as motion \(.*\) in .*\n  fix: "):
        gather([alone, twins(tmp_path / "both")])


def test_a_command_that_is_given_the_name_asks_which(tmp_path: Path) -> None:
    run = twins(tmp_path)
    with pytest.raises(UsageError) as caught:
        run.case("motion")
    assert f'fix: say which: "motion ({TREE})" or "motion ({ELSEWHERE})"' in str(caught.value)
    assert run.case(f"motion ({ELSEWHERE})").path == ELSEWHERE


def test_terminal_and_summary_name_both(tmp_path: Path) -> None:
    run = twins(tmp_path)
    told = [next(case_table(case, run.document.board)) for case in run.document.cases]
    for path, line in zip((TREE, ELSEWHERE), told, strict=True):
        assert line.startswith(f"motion ({path}) version 1 on qemu: PASSED")
        assert f"motion ({path})" in summary(run)
