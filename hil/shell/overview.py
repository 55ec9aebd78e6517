"""`hil --help`: one line for each command, in groups."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from hil.shell.tree import commands_of


def overview(parser: argparse.ArgumentParser, groups: Mapping[str, Sequence[str]]) -> str:
    """The commands that take no further word, below the title of the group that their first word stands in."""
    found = [command for command in commands_of(parser) if not command.below]
    width = max(len(command.name) for command in found)
    blocks = []
    for title, names in groups.items():
        listed = [command for name in names for command in found if command.words[0] == name]
        blocks.append("\n".join([f"{title}:", *(f"  {each.name:<{width}}  {each.help}" for each in listed)]))
    return "\n\n".join(blocks)
