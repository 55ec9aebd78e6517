"""A change of the model, of the case or of the baseline itself is told as what it is, and nothing else alarms."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from firmware_workbench import PROJECT
from harness_process import FAILED
from model_edit import read_model, tensor_of, write_model
from release_bench import Product, finding, ids, summary

from hil.image.build import build

pytestmark = pytest.mark.slow

FLIPPED = "running_r12_w03"  # the only vector whose decision the retrained model changes
OTHERS = ("outputs", "decisions", "accuracy", "agreement", *(f"latency.{stage}" for stage in ("prepare", "invoke")))
NOT_COMPARABLE = [
    f"baseline.{name}" for name in (*OTHERS, "latency.decide", "latency.total", "arena", "stack", "flash", "ram")
]


def retrain(case: Path) -> None:
    """A model with a little less bias for one class: eight outputs change, one of them crosses the threshold."""
    file = case / "model_int8.tflite"
    model = read_model(file.read_bytes())
    buffer = model.buffers[tensor_of(model, b"dense", (4,)).buffer]
    bias = np.frombuffer(bytes(buffer.data), "<i4").copy()
    bias[1] -= 100
    buffer.data = np.frombuffer(bias.tobytes(), np.uint8)
    file.write_bytes(write_model(model))


def test_a_retrained_model_with_one_flipped_decision(product: Product, field_image: Path, tmp_path: Path) -> None:
    tried = product.copy(tmp_path)
    tried.unlock()
    retrain(tried.case)
    finished = tried.run("run", field_image)
    told = summary(finished)
    failed = ["baseline.outputs", "baseline.decisions", "baseline.accuracy", "baseline.agreement"]
    assert (finished.code, ids(finished, "failed"), ids(finished, "not judged")) == (FAILED, failed, []), told
    flip = finding(finished, "baseline.decisions")
    assert (flip["vector"], flip["expected"], flip["stage"]) == (FLIPPED, "running (accepted)", "invoke"), told
    assert flip["hint"].startswith("not as accepted: another model ("), told
    outputs = finding(finished, "baseline.outputs")
    assert "8 vectors of 523 changed" in outputs["observed"], told
    assert (outputs["stage"], "from the accepted prepared tensor" in outputs["observed"]) == ("invoke", True), told
    assert tried.gate(finished) == {"contract broken": failed}


def test_a_retrained_model_whose_expectations_were_accepted(
    product: Product, field_image: Path, tmp_path: Path
) -> None:
    """It is another version of the case: the baseline is no longer its own, and the commands say what changed."""
    tried = product.copy(tmp_path)
    retrain(tried.case)
    shown = tried.hil("case", "regen", tried.case, code=1)
    assert "1 decision changed" in shown.text
    assert f"{FLIPPED}: running" in shown.text
    tried.hil("case", "regen", tried.case, "--accept", "--reason", "trained again", code=0)
    finished = tried.run("run", field_image)
    told = summary(finished)
    failed = ["baseline.valid", *(f"baseline.{name}" for name in ("outputs", "decisions", "accuracy", "agreement"))]
    assert (finished.code, ids(finished, "failed"), ids(finished, "not judged")) == (FAILED, failed, []), told
    hint = finding(finished, "baseline.valid")["hint"]
    assert "another model" in hint, told
    assert "`hil baseline diff RUN` shows what changed" in hint, told
    assert tried.gate(finished)["contract broken"] == failed
    diff = tried.hil("baseline", "diff", finished.out, code=1).text
    assert re.search(r"worse +vectors with another decision 0 -> 1 ", diff), diff
    assert "another model" in diff
    assert not re.search(r"worse +(prepare|invoke|decide|total|flash|arena)", diff), diff


def test_a_changed_threshold(product: Product, field_image: Path, tmp_path: Path) -> None:
    tried = product.copy(tmp_path)
    tried.unlock()
    tried.edit("threshold = 0.82", "threshold = 0.86")
    finished = tried.run("run", field_image)
    told = summary(finished)
    failed = ["baseline.decisions", "baseline.accuracy"]
    assert (finished.code, ids(finished, "failed"), ids(finished, "not judged")) == (FAILED, failed, []), told
    flip = finding(finished, "baseline.decisions")
    assert (flip["vector"], flip["observed"], flip["stage"]) == (FLIPPED, "unknown (below threshold)", "decide"), told
    assert "another threshold of decide (81 -> 92)" in flip["hint"], told
    assert "model" not in flip["hint"], told
    assert tried.gate(finished) == {"contract broken": failed}


def test_a_baseline_of_another_board(product: Product, field_image: Path, tmp_path: Path) -> None:
    tried = product.copy(tmp_path)
    tried.accept("native", build("native", PROJECT), board="native")
    shutil.copy(tried.baseline.with_name("native.json"), tried.baseline)
    finished = tried.run("run", field_image)
    told = summary(finished)
    assert (finished.code, ids(finished, "failed")) == (FAILED, ["baseline.valid"]), told
    assert ids(finished, "not judged") == NOT_COMPARABLE, told
    first = finding(finished, "baseline.valid")
    assert (first["expected"], first["observed"]) == ("board native", "board qemu"), told
    assert "copied or renamed" in first["hint"], told
    reasons = tried.gate(finished)
    assert reasons["contract broken"] == ["baseline.valid"]
    assert "baseline" in reasons


def test_a_baseline_of_another_case_version(product: Product, field_image: Path, tmp_path: Path) -> None:
    tried = product.copy(tmp_path)
    file = tried.case / "case.toml"
    text = file.read_text(encoding="utf-8")
    version = tomllib.loads(text)["case"]["version"]
    file.write_text(text.replace(f"version = {version}\n", f"version = {version + 1}\n"), encoding="utf-8")
    tried.hil("case", "lock", tried.case, code=0)
    finished = tried.run("run", field_image)
    told = summary(finished)
    assert (finished.code, ids(finished, "failed")) == (FAILED, ["baseline.valid"]), told
    assert ids(finished, "not judged") == [], told
    first = finding(finished, "baseline.valid")
    assert (first["expected"], first["observed"]) == (f"case version {version}", f"version {version + 1}"), told
    reasons = tried.gate(finished)
    assert reasons["contract broken"] == ["baseline.valid"]
    assert "baseline" in reasons
