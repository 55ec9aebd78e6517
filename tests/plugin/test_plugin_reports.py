"""What a run leaves behind: run.json as documented, records, JUnit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from native_session import PROJECT

from hil.case.load import load_case
from hil.contract import checks_for
from hil.image.elf import Image

PAGE = (PROJECT / "docs" / "run-json.md").read_text(encoding="utf-8")
WORD = re.compile(r"`([a-z0-9_]+)(?:\[\])?`")
# Words of the page that stand for values, not keys.
VALUES = {"passed", "marginal", "failed", "invalid", "error", "interrupted", "instructions", "cycles"}


def table(number: int) -> dict[str, str]:
    """Keys of the page's n-th table, with the text behind each."""
    tables = [part.split("\n\n")[0] for part in PAGE.split("\n|---|---|\n")[1:]]
    rows = [line.strip("|").split("|", 1) for line in tables[number].splitlines()]
    return {key: text for keys, text in rows for key in WORD.findall(keys)}


@pytest.fixture(scope="module")
def run(example) -> dict[str, Any]:
    return example.finished.run


@pytest.fixture(scope="module")
def report(run: dict[str, Any]) -> dict[str, Any]:
    (report,) = run["cases"]
    return report


def test_the_document_has_the_documented_keys(run: dict[str, Any]) -> None:
    assert set(run) == set(table(0))
    assert run["schema"] == "hil-run/1"
    assert run["verdict"] == "passed"


def test_a_case_has_the_documented_keys(report: dict[str, Any]) -> None:
    assert set(report) == set(table(1))


@pytest.mark.parametrize("key", ["manifest", "checks", "link"])
def test_parts_of_a_case_have_the_documented_keys(key: str, report: dict[str, Any]) -> None:
    part = report[key][0] if isinstance(report[key], list) else report[key]
    assert set(part) == set(WORD.findall(table(1)[key])) - VALUES


def test_the_board_has_the_documented_keys(run: dict[str, Any]) -> None:
    documented = set(WORD.findall(table(0)["board"])) - VALUES
    assert set(run["board"]) | set(run["board"]["clock"]) == documented
    assert run["board"]["name"] == run["board"]["kind"] == run["board"]["target"] == "native"
    assert run["board"]["clock"]["kind"] == "host time"


def test_latency_has_the_documented_keys(report: dict[str, Any]) -> None:
    stages = report["latency"]["stages"]
    assert set(stages) == {"prepare", "invoke", "decide", "total"}
    assert {"unit", *stages["total"]} == set(WORD.findall(table(1)["latency"]))
    assert stages["total"]["n"] == report["vectors"]


def test_the_device_speaks_for_itself(report: dict[str, Any]) -> None:
    """The fields of hello-facts, and the start counter of the session."""
    schema = (PROJECT / "firmware" / "link" / "link.cddl").read_text(encoding="utf-8")
    facts = schema.split("hello-facts = {")[1].split("}")[0]
    assert set(report["device"]) == {*re.findall(r'^ *"(\w+)":', facts, re.MULTILINE), "boot"}


def test_every_check_is_there_with_its_outcome(example, report: dict[str, Any]) -> None:
    case = load_case(example.case.path)
    assert [check["id"] for check in report["checks"]] == [check.id for check in checks_for(case)]
    outcomes = {check["outcome"] for check in report["checks"]}
    assert outcomes == {"passed", "not judged"}
    assert all(check["reason"] for check in report["checks"] if check["outcome"] == "not judged")


def test_hashes_are_those_of_the_files(example, report: dict[str, Any]) -> None:
    for name, digest in report["manifest"]["files"].items():
        assert sha256((example.case.path / name).read_bytes()).hexdigest() == digest
    assert set(report["manifest"]["files"]) >= {"case.toml", "model_int8.tflite", "model_float.tflite", "vectors.npz"}
    assert report["manifest"]["model_sha256"] == report["manifest"]["files"]["model_int8.tflite"]
    assert report["device"]["model_hash"] == report["manifest"]["model_sha256"]
    assert report["device"]["bundle_hash"] == report["bundle"]["sha256"]


def test_the_records_load_without_pickle(example, report: dict[str, Any]) -> None:
    case = load_case(example.case.path)
    with np.load(example.finished.out / report["records"], allow_pickle=False) as stored:
        columns: Mapping[str, Any] = {name: stored[name] for name in stored.files}
    others = ("label_texts", "distinct", "output_scale", "output_zero_point")
    assert {len(column) for name, column in columns.items() if name not in others} == {len(case.vectors)}
    assert columns["name"].tolist() == [case.vectors.name(index) for index in range(len(case.vectors))]
    valid = columns["status"] == 0
    assert (np.diff(columns["ticks"][valid], axis=1) >= 0).all()
    assert set(columns["label_texts"]) <= set(case.decide.labels)


def test_the_log_and_nothing_else_lies_beside(example, report: dict[str, Any]) -> None:
    files = {file.name for file in example.finished.out.iterdir()}
    assert files == {"run.json", "summary.md", report["records"], report["log"], ".lock"}
    assert "hil firmware" in (example.finished.out / report["log"]).read_text()


# ---- JUnit


def test_junit_has_every_check_with_its_properties(example) -> None:
    case = load_case(example.case.path)
    (suite,) = example.finished.junit()
    assert [test.get("name") for test in suite] == [check.id for check in checks_for(case)]
    digest = Image(PROJECT / "build" / "firmware" / "native" / "hil_firmware.elf").sha256
    for test in suite:
        properties = {item.get("name"): item.get("value") for item in test.iterfind("properties/property")}
        wanted = {"case": "small", "case_version": "1", "board": "native", "clock": "host time"}
        wanted |= {"firmware_sha256": digest, "model_sha256": case.model.sha256}
        assert properties.items() >= wanted.items()
        assert properties["outcome"] == ("not judged" if test.find("skipped") is not None else "passed")


def test_junit_tells_limit_value_and_unit(example) -> None:
    (suite,) = example.finished.junit()
    (test,) = (test for test in suite if test.get("name") == "agreement.sqnr_db")
    properties = {item.get("name"): item.get("value") for item in test.iterfind("properties/property")}
    assert float(properties["value"]) >= 30.0
    assert properties["unit"] == "dB"
    assert properties["limit"].startswith(">= 30")


def test_documented_properties_are_those_there_are(example) -> None:
    (suite,) = example.finished.junit()
    found = {item.get("name") for test in suite for item in test.iterfind("properties/property")}
    documented = set(re.findall(r"`([a-z0-9_]+)`", PAGE.split("In JUnit")[1]))
    assert {name for name in found if not name.startswith("number.")} == documented
    assert any(name.startswith("number.") for name in found)
