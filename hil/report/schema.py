"""The JSON Schema of run.json, made from the models that read it; `make schema` writes docs/run.schema.json."""

from __future__ import annotations

import json

from hil.runfile import SCHEMA, Document


def schema_text() -> str:
    """The text of docs/run.schema.json."""
    schema = Document.model_json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return (
        json.dumps(head | {key: value for key, value in schema.items() if key not in head}, indent=1, sort_keys=False)
        + "\n"
    )


if __name__ == "__main__":
    print(schema_text(), end="")
