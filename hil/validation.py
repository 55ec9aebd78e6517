"""Says in words what pydantic finds wrong with a file."""

from __future__ import annotations

import difflib
from typing import get_args

from pydantic import BaseModel, ValidationError


def explain(error: Exception, model: type[BaseModel]) -> str:
    """A validation error as `key: what is wrong`, one line each, with the closest known key for an unknown one."""
    if not isinstance(error, ValidationError):
        return str(error)
    lines = []
    for item in sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden"):
        key = ".".join(str(part) for part in item["loc"])
        text = f"{key}: {item['msg']}"
        if item["type"] == "extra_forbidden":
            close = difflib.get_close_matches(str(item["loc"][-1]), fields_at(model, item["loc"][:-1]), n=1)
            text = f"{key}: unknown key\n  fix: " + (f"write {close[0]!r}" if close else "remove it")
        lines.append(text)
    return "\n".join(lines)


def fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at `path` below `model`; none when that is no table."""
    for part in path:
        field = model.model_fields.get(str(part))
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        tables = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not tables:
            return []
        model = tables[0]
    return list(model.model_fields)
