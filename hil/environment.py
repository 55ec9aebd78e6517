"""The variables of the environment that stand in for command-line options."""

from __future__ import annotations


def environment_name(option: str) -> str:
    """The variable that stands in for a command-line option."""
    return "HIL_" + option.removeprefix("hil-").upper().replace("-", "_")
