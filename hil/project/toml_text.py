"""How strings and keys are written in TOML."""

from __future__ import annotations

import json
import re


def toml_text(text: str) -> str:
    """A basic string, which escapes as JSON does."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """A part of a key, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_text(name)
