"""What the gate is asked: policy, quarantine, case tree, state of the sources, and the time at which it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from hil.board.config import Power, board_files, read_board
from hil.gate.demands import Demand, Tree, read_tree
from hil.gate.policy import Policy, PolicyFile
from hil.gate.results import Result
from hil.project.git import Source, source_of
from hil.project.quarantine import Quarantine, load_quarantine


@dataclass(frozen=True)
class Question:
    """now: with a zone. Everything that the answer depends on, beside the runs themselves."""

    policy: Policy
    quarantine: Quarantine
    tree: Tree
    source: Source
    now: datetime

    def demand(self, result: Result) -> Demand | None:
        """What the tree asks of the case; None when it is not below it. Of two cases of a name the path tells."""
        demand = self.tree.demand(result.case.name)
        if demand is None or not result.case.is_twin:
            return demand
        ran = PurePosixPath(result.case.path).parts
        lies = [part for part in PurePosixPath(self.tree.root, demand.path).parts if part not in ("..", "/")]
        shared = min(len(ran), len(lies))  # the run may have been started inside of the tree
        return demand if ran[-shared:] == tuple(lies[-shared:]) else None

    def wanted(self, results: Sequence[Result]) -> Iterator[tuple[Demand, str, Result | None]]:
        """Every case of the tree on every board of the policy, and its result if there is one."""
        found = {(demand.name, result.board): result for result in results if (demand := self.demand(result))}
        for demand in self.tree.cases:
            for board in self.policy.boards:
                yield demand, board, found.get((demand.name, board))


def ask(policy: PolicyFile, board_folders: Sequence[Path], now: datetime | None = None) -> Question:
    """The question that a policy file asks at this moment; board_folders: where board files are looked for. Raises
    UsageError for what it names and is not in order.
    """
    file = policy.quarantine
    tree = read_tree(policy.cases, policy.policy.cases, _power(policy.policy.boards, board_folders))
    quarantine = load_quarantine(file) if file is not None else Quarantine()
    checks = {demand.name: demand.checks for demand in tree.cases}
    quarantine.refuse_unknown(checks, all_cases=not tree.unreadable)
    return Question(policy.policy, quarantine, tree, source_of(policy.file.parent), now or datetime.now(UTC))


def _power(boards: Sequence[str], folders: Sequence[Path]) -> dict[str, Power]:
    """What these boards draw; a board without a file or a [power] table is left out."""
    files = board_files(list(folders))
    found = {board: read_board(files[board]).power for board in boards if board in files}
    return {board: power for board, power in found.items() if power is not None}
