"""Completion scripts for bash, zsh and fish, written out from the parser: no Python runs while somebody types."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from hil.shell.tree import Command, commands_of

_BASH = """\
# Completion of hil for bash: eval "$(hil completion bash)"
_hil() {
  local cur=${COMP_WORDS[COMP_CWORD]} at= word words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$at $word" in
      @STEPS@) at="${at:+$at }$word" ;;
    esac
  done
  COMPREPLY=()
  case "$at:${COMP_WORDS[COMP_CWORD - 1]}" in
    @VALUES@) return ;;  # files, by the option `default` of complete
  esac
  case "$at" in
@CASES@
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _hil hil
"""
_ZSH = """\
#compdef hil
# Completion of hil for zsh: eval "$(hil completion zsh)", or as the file _hil in a folder of fpath
_hil() {
  local at= word
  local -a below options
  for word in ${words[2,CURRENT-1]}; do
    case "$at $word" in
      @STEPS@) at="${at:+$at }$word" ;;
    esac
  done
  case "$at:${words[CURRENT-1]}" in
    @VALUES@) _files; return ;;
  esac
  case "$at" in
@CASES@
  esac
  if [[ $PREFIX == -* ]]; then
    _describe option options
  elif (( $#below )); then
    _describe command below
  else
    _files
  fi
}
if [[ ${funcstack[1]} == _hil ]]; then
  _hil "$@"
else
  compdef _hil hil
fi
"""
_FISH = """\
# Completion of hil for fish: hil completion fish | source
function __hil_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    switch "$at $word"
      case @STEPS@
        set at (string trim -- "$at $word")
    end
  end
  test "$at" = "$argv[1]"
end
complete -c hil -e
@CASES@
"""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for one of SHELLS."""
    return SHELLS[shell](list(commands_of(parser)))


def _bash(commands: Sequence[Command]) -> str:
    def words(command: Command) -> str:
        return " ".join([*command.below, *(name for option in command.options for name in option.names)])

    cases = [f"    {_quoted(command.name)}) words={_quoted(words(command))} ;;" for command in commands]
    return _filled(_BASH, _steps(commands, " | "), _values(commands), cases)


def _zsh(commands: Sequence[Command]) -> str:
    def described(name: str, text: str) -> str:
        return _quoted(f"{name}:{text}")

    texts = {command.words: command.help for command in commands}
    cases = []
    for command in commands:
        below = " ".join(described(name, texts[(*command.words, name)]) for name in command.below)
        options = " ".join(described(name, option.help) for option in command.options for name in option.names)
        cases.append(f"    {_quoted(command.name)}) below=({below}); options=({options}) ;;")
    return _filled(_ZSH, _steps(commands, " | "), _values(commands), cases)


def _fish(commands: Sequence[Command]) -> str:
    texts = {command.words: command.help for command in commands}
    lines = []
    for command in commands:
        start = f"complete -c hil -n {_quoted(f'__hil_at {_quoted(command.name)}', fish=True)}"
        for name in command.below:
            lines.append(f"{start} -f -a {name} -d {_quoted(texts[(*command.words, name)], fish=True)}")
        for option in command.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = " -r" if option.takes_value else ""
            lines.append(f"{start} {names}{value} -d {_quoted(option.help, fish=True)}")
    return _filled(_FISH, _steps(commands, " "), "", lines)


SHELLS: dict[str, Callable[[Sequence[Command]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _steps(commands: Sequence[Command], between: str) -> str:
    """Patterns of "where one is", a space, and the word that leads on."""
    return between.join(_quoted(f"{command.name} {word}") for command in commands for word in command.below)


def _values(commands: Sequence[Command]) -> str:
    """Patterns of "where one is", a colon, and an option whose value comes next."""
    return " | ".join(
        _quoted(f"{command.name}:{name}")
        for command in commands
        for option in command.options
        if option.takes_value
        for name in option.names
    )


def _filled(text: str, steps: str, values: str, cases: Sequence[str]) -> str:
    return text.replace("@STEPS@", steps).replace("@VALUES@", values).replace("@CASES@", "\n".join(cases))


def _quoted(text: str, fish: bool = False) -> str:
    """One word of the shell, whatever it holds."""
    if fish:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + text.replace("'", "'\\''") + "'"
