"""Makes the JSON Schemas beside this file from the models that read the TOML files; `make schema` writes them anew.

A key's text for the editor is the comment behind it in the files that document it: the example of docs/case-format.md,
boards/*.toml, release.toml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hil.board.config import BoardConfig, kind_module_of, kind_names, kind_settings
from hil.case.schema import CaseFile
from hil.gate.policy import Policy
from hil.project.places import kit
from hil.project.schemas import file_name

Json = dict[str, Any]
# Tables that are documented as others are.
_AS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("virtual_nucleo",): ("pyocd",),
    ("input", "tensors"): ("input",),
    ("contract", "execution", "outputs"): ("contract", "execution"),
    ("contract", "agreement", "outputs"): ("contract", "agreement"),
    ("contract", "baseline", "outputs"): ("contract", "baseline"),
    ("contract", "baseline", "outputs", "agreement"): ("contract", "baseline", "agreement"),
    ("contract", "sanity", "inputs"): ("contract", "sanity"),
    ("contract", "sanity", "outputs"): ("contract", "sanity"),
    ("not_judged",): ("marginal",),
}
Texts = dict[tuple[str, ...], str]  # of a key, by its tables and its name
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_OF_THE_HARNESS = ("name", "file", "settings", "options")  # fields of BoardConfig that stand in no file
_COMMENT = r"\s*(?:#\s*(?P<text>.*))?$"
_VALUE = r'(?:[^#"]|"[^"]*")+?'  # a string may hold a #
_HEADER = re.compile(rf"(?:#\s*)?\[\[?(?P<name>[\w.]+)\]\]?{_COMMENT}")
_KEY = re.compile(rf"(?:#\s*)?(?P<name>[\w.]+)\s*=\s*{_VALUE}{_COMMENT}")
_MORE = re.compile(r"\s{8,}#\s*(?P<text>.*)$")  # a comment that goes on


def case_schema() -> Json:
    """Of a case.toml."""
    return _schema(CaseFile, "case.toml of hil", _example("case-format.md", "[case]"))


def release_schema() -> Json:
    """Of a release.toml."""
    return _schema(Policy, "release.toml of hil", (kit() / "release.toml").read_text(encoding="utf-8"))


def board_schema() -> Json:
    """Of a board file: the keys of all, and the one table that is named after its kind."""
    kinds = kind_names()
    whole = BoardConfig.model_json_schema(by_alias=True)
    definitions: Json = whole.pop("$defs")
    properties = {key: value for key, value in whole["properties"].items() if key not in _OF_THE_HARNESS}
    properties["kind"] = {"enum": kinds}
    conditions = []
    for kind in kinds:
        table = kind_settings(kind).model_json_schema(by_alias=True)
        own = getattr(kind_module_of(kind), "DEVICE_KEYS", {})
        if alone := [key for key in table.get("required", []) if key in own]:  # with a pool they may stand there
            table["required"] = [key for key in table["required"] if key not in own]
            no_pool = {"properties": {"kind": {"const": kind}}, "not": {"required": ["pool"]}}
            then = {"properties": {kind: {"required": alone}}, "required": [kind]}
            conditions.append({"if": no_pool, "then": then})
        definitions |= table.pop("$defs", {})
        definitions[f"kind_{kind}"] = table
        properties[kind] = {"$ref": f"#/$defs/kind_{kind}"}
        needed = [kind] if table.get("required") else []
        others = {other: False for other in kinds if other != kind}
        when = {"properties": {"kind": {"const": kind}}}
        conditions.append({"if": when, "then": {"properties": others, "required": needed}})
    schema = {
        **{key: value for key, value in whole.items() if key not in ("properties", "required")},
        "properties": properties,
        "required": [key for key in whole["required"] if key not in _OF_THE_HARNESS],
        "allOf": conditions,
        "$defs": definitions,
    }
    texts = [_example("boards.md", 'kind = "qemu"'), _example("boards.md", "[firmware]")]
    texts += [_example("budgets.md", "[power]"), _example("boards.md", "[[pool]]  ")]
    texts += [file.read_text(encoding="utf-8") for file in sorted((kit() / "boards").glob("*.toml"))]
    return _finished(schema, "board file of hil", "\n".join(texts))


SCHEMAS: dict[str, Callable[[], Json]] = {"board": board_schema, "case": case_schema, "release": release_schema}


def schema_text(kind: str) -> str:
    """The content of the file of a kind, one of SCHEMAS."""
    return json.dumps(SCHEMAS[kind](), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all files."""
    for kind in SCHEMAS:
        (Path(__file__).parent / file_name(kind)).write_text(schema_text(kind), encoding="utf-8")


def _example(page: str, line: str) -> str:
    """The first TOML block of a page that has this line."""
    text = (kit() / "docs" / page).read_text(encoding="utf-8")
    return next(str(block) for block in re.findall(r"^```toml\n(.*?)^```$", text, re.M | re.S) if line in block)


def _schema(model: type[BaseModel], title: str, texts: str) -> Json:
    return _finished(model.model_json_schema(by_alias=True), title, texts)


def _finished(schema: Json, title: str, example: str) -> Json:
    texts = texts_of(example)
    _describe(schema, schema, (), texts)
    whole: Json = _without_null({"$schema": _DRAFT, **schema, "title": title})
    return whole


def _without_null(part: Any) -> Any:
    """TOML has none: a key that may be left out is left out."""
    if isinstance(part, list):
        return [_without_null(each) for each in part]
    if not isinstance(part, dict):
        return part
    kept = {key: _without_null(value) for key, value in part.items() if (key, value) != ("default", None)}
    choices = [each for each in kept.get("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        return choices[0] | kept
    return kept | ({"anyOf": choices} if choices else {})


# ---- texts -----------------------------------------------------------------------------------------------------------


def texts_of(example: str) -> Texts:
    """The comment behind each key and header of a TOML example; keys that are commented out count too. The first one
    of a key wins.
    """
    found: Texts = {}
    table: tuple[str, ...] = ()
    last: tuple[str, ...] | None = None
    for line in example.splitlines():
        if header := _HEADER.match(line):
            table = tuple(header["name"].split("."))
            last = _keep(found, table, header["text"])
        elif key := _KEY.match(line):
            last = _keep(found, (*table, *key["name"].split(".")), key["text"])
        elif (more := _MORE.match(line)) and last is not None:
            found[last] += f" {more['text']}"
        else:
            last = None
    return found


def _keep(found: Texts, path: tuple[str, ...], text: str | None) -> tuple[str, ...] | None:
    if not text or path in found:
        return None
    found[path] = text.strip()
    return path


def _describe(part: Json, whole: Json, path: tuple[str, ...], texts: Texts) -> None:
    """Give each key below `part` the text that is known of it, beside a reference: two keys may share a table."""
    for key, value in part.get("properties", {}).items():
        if not isinstance(value, dict):
            continue
        here = (*path, key)
        if text := texts.get(here) or texts.get((*_AS.get(path, path), key)):
            value["description"] = text
        value.pop("title", None)
        for table in _tables(value, whole):
            table.pop("title", None)
            _describe(table, whole, here, texts)


def _tables(value: Json, whole: Json) -> Iterator[Json]:
    """The tables that a key may be."""
    found: Iterable[Json] = [value, *value.get("anyOf", []), *value.get("oneOf", [])]
    for each in found:
        for inner in (each, each.get("items", {}), each.get("additionalProperties", {})):
            if isinstance(inner, dict) and "$ref" in inner:
                yield whole["$defs"][inner["$ref"].rpartition("/")[2]]


if __name__ == "__main__":
    main()
