"""Reads the pages: their fenced blocks, and the commands that a reader would type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGES = (
    PROJECT / "README.md",
    *sorted((PROJECT / "docs").glob("**/*.md")),
    *PROJECT.glob("golden_vectors/*/README.md"),
    *PROJECT.glob("examples/*/README.md"),
)
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
_EXIT_CODE = re.compile(r"# exit code (\d+)")


@dataclass(frozen=True)
class Command:
    """What a reader types; a line that ends with a backslash goes on in the next. line: where it stands in the page."""

    text: str
    line: int

    @property
    def exit_code(self) -> int:
        """0, unless its comment begins with `exit code N`."""
        found = _EXIT_CODE.search(self.text)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Block:
    """A fenced block. language: its first word; title: the file that a reader writes it to, "" for none."""

    language: str
    title: str
    text: str
    line: int  # of its first line

    @property
    def commands(self) -> list[Command]:
        """Of `sh` every line that is no comment; of `console`, which shows answers too, those behind `$ `."""
        lines = list(enumerate(self.text.splitlines(), self.line))
        if self.language == "console":
            lines = [(number, line[2:]) for number, line in lines if line.startswith("$ ")]
        elif self.language != "sh":
            return []
        return _joined([(number, line) for number, line in lines if line.strip() and not line.startswith("#")])


def _joined(lines: list[tuple[int, str]]) -> list[Command]:
    found: list[Command] = []
    for number, line in lines:
        if found and found[-1].text.endswith("\\"):
            found[-1] = Command(f"{found[-1].text}\n{line}", found[-1].line)
        else:
            found.append(Command(line, number))
    return found


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        title = re.search(r'title="([^"]+)"', match[1])
        language = (match[1].split() or [""])[0]
        line = text.count("\n", 0, match.start()) + 2
        found.append(Block(language, title[1] if title else "", match[2], line))
    return found
