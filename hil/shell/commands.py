"""`hil completion`: prints the completion script of a shell. No logic lives here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

SHELLS = ("bash", "zsh", "fish")


def add_completion_command(commands: Any, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """Add `completion` to the subparsers of `hil`; whole: makes the parser of all of `hil`."""
    parser = commands.add_parser("completion", help='print the completion script: eval "$(hil completion bash)"')
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to know the commands and options of hil")
    parser.set_defaults(run=lambda options: _completion(options, whole()))


def _completion(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from hil.shell.completion import script

    print(script(parser, options.shell), end="")
    return 0
