"""Values: what is known of a board that has no file yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """What the user says beside the source. "" and None: nothing.

    chip: its name at pyOCD; platform: of a hardware map; probe: a part of its id; port: of the link.
    """

    name: str
    chip: str = ""
    clock_hz: int | None = None
    baud: int | None = None
    platform: str = ""
    probe: str = ""
    port: str = ""


@dataclass(frozen=True)
class Found:
    """A board file to be. settings: keys of the kind's table; pool: those of each device, when there are several.

    own: whether its firmware is none of ours; image: its ELF, as seen from where the source lies. origins: where the
    value of a key comes from; left: what the source says and a board file cannot.
    """

    kind: str
    target: str
    description: str
    settings: Mapping[str, Any]
    pool: tuple[Mapping[str, Any], ...] = ()
    own: bool = True
    image: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()
