"""What the images of two runs take, and the symbols that are not as they were, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hil.image.kept import kept_ledger
from hil.ledger import Ledger, changes
from hil.ledger_text import change_lines
from hil.runfile import read_run

_MOST = 12  # symbols


def sizes_side_by_side(first: Path, second: Path) -> list[str]:
    """Lines for each pair of images of one target that both runs kept and that differ; none for other pairs.

    first, second: a run.json, or its folder. Raises UsageError when one is no run.
    """
    return list(_lines(first, second))


def _lines(first: Path, second: Path) -> Iterator[str]:
    one, two = read_run(first), read_run(second)
    if one.document.board.target != two.document.board.target:
        return  # other ports and other linker scripts: nothing would be the same
    others = {case.called: case for case in two.document.cases}
    seen = set[tuple[str, str]]()
    ledgers: dict[tuple[int, str], Ledger] = {}
    for case in one.document.cases:
        other = others.get(case.called)
        if case.image is None or other is None or other.image is None:
            continue
        pair = case.image.sha256, other.image.sha256
        if pair[0] == pair[1] or pair in seen:
            continue
        seen.add(pair)
        for side, run in enumerate((one, two)):
            ledgers.setdefault((side, pair[side]), kept_ledger(run, pair[side]))
        before, after = ledgers[0, pair[0]], ledgers[1, pair[1]]
        if before.known and after.known:
            yield f"bytes of the images, {pair[0][:12]} (first) to {pair[1][:12]} (second)"
            yield from change_lines(changes(before, after), _MOST)
