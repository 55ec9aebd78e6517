"""What the user asked of one invocation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hil.board.config import BoardConfig, load_board


@dataclass(frozen=True)
class Settings:
    """What the user asked for. image and bundle replace what would be built; board_folders are searched in order.
    options: BENCH_OPTIONS of hil.board.config; quarantine: file of checks that are known to fail.
    """

    board: str
    out: Path
    board_folders: tuple[Path, ...]
    image: Path | None = None
    bundle: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    quarantine: Path | None = None

    def board_config(self) -> BoardConfig:
        """The board's file. Raises UsageError for an unknown board or a wrong file."""
        return load_board(self.board, list(self.board_folders))

    def given_bundle(self) -> bytes | None:
        """The bundle that is provisioned in place of the one made from the case, if one was named."""
        return self.bundle.read_bytes() if self.bundle else None
