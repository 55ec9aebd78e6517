"""`hil --help` shows every command, and the shells complete what it shows."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from functools import cache

import pytest

from hil.cli import GROUPS, _parser
from hil.shell.commands import SHELLS
from hil.shell.completion import SHELLS as WRITTEN
from hil.shell.completion import script
from hil.shell.tree import Command, commands_of


@cache
def tree() -> dict[str, Command]:
    return {command.name: command for command in commands_of(_parser())}


def run(shell: str, text: str) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_groups_have_each_command_once() -> None:
    named = [name for names in GROUPS.values() for name in names]
    assert sorted(named) == sorted(tree()[""].below)


def test_the_help_has_one_line_for_each_command_with_its_text() -> None:
    shown = dict(re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +(\S.*)$", _parser().format_help(), re.M))
    wanted = {name: command.help for name, command in tree().items() if not command.below}
    assert {name: text for name, text in shown.items() if name in wanted} == wanted
    assert all(wanted.values()), "each says what it does"


def test_the_usage_of_a_command_below_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["case", "new", "--help"])
    assert capsys.readouterr().out.startswith("usage: hil case new [-h] --model FILE")


def test_the_help_is_no_wider_than_a_terminal() -> None:
    assert [line for line in _parser().format_help().splitlines() if len(line) > 100 and "docs" not in line] == []


def test_the_shells_of_the_command_are_those_that_are_written() -> None:
    assert {*SHELLS} == {*WRITTEN}


# Typed words, the last of which is completed, and what is offered: all of it, or some.
TYPED = {
    "first word": (["hil", "ca"], {"cache", "case"}),
    "second word": (["hil", "case", ""], {"new", "check", "lock", "regen", "limits"}),
    "option": (["hil", "case", "new", "--v"], {"--vectors"}),
    "option behind a value": (["hil", "case", "new", "--model", "case", "--fl"], {"--float"}),
    "option of a word alone": (["hil", "gate", "--pol"], {"--policy"}),
}


def offered(shell: str, words: list[str]) -> set[str]:
    text = script(_parser(), shell)
    if shell == "bash":
        quoted = " ".join(f"'{word}'" for word in words)
        ask = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _hil; printf '%s\n' \"${{COMPREPLY[@]}}\""
        return {*run(shell, f"{text}\n{ask}").split()}
    if shell == "fish":
        typed = " ".join(words)
        return {line.split("\t")[0] for line in run(shell, f"{text}\ncomplete -C '{typed}'").splitlines()}
    quoted = " ".join(f"'{word}'" for word in words)
    show = (
        "_describe() { local list=$2; print -rl -- ${(P)list} }\n_files() { print FILES }\ncompdef() { }\n"
        f"{text}\nwords=({quoted}); CURRENT={len(words)}; PREFIX='{words[-1]}'; _hil\n"
    )
    names = {line.split(":")[0] for line in run(shell, show).splitlines()}
    return {name for name in names if name.startswith(words[-1])}  # zsh itself leaves out the others


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("words", "wanted"), TYPED.values(), ids=TYPED)
def test_a_shell_offers_what_can_come_next(shell: str, words: list[str], wanted: set[str]) -> None:
    found = offered(shell, words)
    assert {word for word in found if word[:1] != "-" or words[-1][:1] == "-"} == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_value_of_an_option_is_a_file(shell: str) -> None:
    """bash offers files by itself when nothing is said."""
    assert offered(shell, ["hil", "case", "new", "--model", ""]) == ({"FILES"} if shell == "zsh" else set())


def test_texts_with_quotes_do_no_harm() -> None:
    parser = argparse.ArgumentParser(prog="hil")
    below = parser.add_subparsers()
    below.add_parser("say", help='it\'s $(echo bad) `bad` \\ "quoted" 100%%').add_argument("--loud", help="so'so")
    for shell in SHELLS:
        if shutil.which(shell):
            define = "compdef() { }\n" if shell == "zsh" else ""
            assert run(shell, define + script(parser, shell)) == ""
