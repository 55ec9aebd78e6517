"""The commands of an argparse parser, as a flat list: what is typed, in a line each, and the options of each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """names: all ways to write it; help: one line; takes_value: whether a word belongs to it."""

    names: tuple[str, ...]
    help: str
    takes_value: bool


@dataclass(frozen=True)
class Command:
    """words: what is typed behind `hil`, none for the command itself; below: the next words that there are."""

    words: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    below: tuple[str, ...]

    @property
    def name(self) -> str:
        return " ".join(self.words)


def commands_of(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), text: str = "") -> Iterator[Command]:
    """The command and all below it, in the order in which they were added."""
    actions = parser._actions  # argparse offers no other way to look at a parser
    branches = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    options = tuple(
        Option(tuple(action.option_strings), _line(action.help), action.nargs != 0)
        for action in actions
        if action.option_strings
    )
    choices = {name: below for branch in branches for name, below in branch.choices.items()}
    texts = {each.dest: _line(each.help) for branch in branches for each in branch._choices_actions}
    yield Command(words, text, options, tuple(choices))
    for name, below in choices.items():
        yield from commands_of(below, (*words, name), texts.get(name, ""))


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
