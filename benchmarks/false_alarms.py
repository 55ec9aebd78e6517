"""Runs a clean firmware many times, the machine busy, and prints run by run what it was accused of; best is nothing.

python benchmarks/false_alarms.py [--runs 300] [--boards qemu native nucleo-virtual] [--idle]

The runs are shared out to the boards; on every core another program wants the processor. Ends with 1 at any finding.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

from hil.board.base import Board
from hil.board.config import kind_module, load_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.image.build import build
from hil.image.elf import Image
from hil.session import run_case

PROJECT = Path(__file__).resolve().parent.parent
CASE = PROJECT / "golden_vectors" / "imu_motion"
BOARDS = ("qemu", "native", "nucleo-virtual")
RUNS = 300

sys.path.insert(0, str(PROJECT / "tests"))
from busy_machine import busy_machine  # noqa: E402  the tests' own


def clean_runs(board: str, runs: int, folder: Path) -> Iterator[list[str]]:
    """What each of `runs` runs of imu_motion on one board has to say; the case is provisioned anew each time."""
    config = load_board(board, [PROJECT / "boards"])
    image = Image(build(config.target, PROJECT))
    opened: Board = kind_module(config).open_board(config, folder / f"{board}.log")
    with closing(opened) as device:
        for _ in range(runs):
            yield findings(device, image)


def findings(board: Board, image: Image) -> list[str]:
    """All that one run of the case has to say, and damage on the link, which no run should need to mend."""
    case = load_case(CASE / "case.toml")
    result = run_case(case, board, image)
    results = [judge(check, result.evidence) for check in checks_for(case)]
    assert Outcome.PASSED in {result.outcome for result in results}
    found = [str(finding) for result in results for finding in result.findings]
    found += [f"{result.check} is invalid: {result.reason}" for result in results if result.outcome is Outcome.INVALID]
    return found + [f"damaged frames: {result.link.damaged}"] * (result.link.damaged > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS, help=f"on all boards together (default: {RUNS})")
    parser.add_argument("--boards", nargs="+", default=list(BOARDS), metavar="BOARD")
    parser.add_argument("--idle", action="store_true", help="nothing else wants the processor")
    options = parser.parse_args()
    accused = 0
    with tempfile.TemporaryDirectory() as folder, nullcontext() if options.idle else busy_machine():
        for number, board in enumerate(options.boards):
            runs = len(range(number, options.runs, len(options.boards)))
            began = time.perf_counter()
            alarms = 0
            for done, found in enumerate(clean_runs(board, runs, Path(folder)), 1):
                alarms += bool(found)
                after = f"{alarms} of {done} runs with a finding, {time.perf_counter() - began:.0f} s"
                print("\n".join([f"{board}: {after}", *(f"  {line}" for line in found)]), flush=True)
            accused += alarms
    return 1 if accused else 0


if __name__ == "__main__":
    sys.exit(main())
