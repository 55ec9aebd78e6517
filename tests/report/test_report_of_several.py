"""A real run of a model with several inputs and outputs: reports, baseline and gate know each of them by name."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from harness_process import PASSED, run_harness
from several_tensors import TOML, N, several_float_model, write_several

from hil.acceptance import accept, diff
from hil.gate.figures import disagreements
from hil.gate.results import gather
from hil.report.markdown import summary
from hil.report.page.build import build_page
from hil.runfile import read_run, seal

LIMITS = """\
passes = 2
[contract.execution.outputs.level]
lsb = 2
[contract.agreement]
top1 = { min = 0.5 }
[contract.agreement.outputs.level]
sqnr_db = { min = 5.0 }
[contract.coverage]
clamps = { min = 0.1 }
"""


def write_case(folder: Path) -> None:
    toml = TOML.replace('int8 = "model.tflite"', 'int8 = "model.tflite"\nfloat = "float.tflite"')
    write_several(folder, toml=toml.replace("passes = 2\n", LIMITS), label=np.arange(N) % 4)
    (folder / "float.tflite").write_bytes(several_float_model())


@pytest.mark.slow
def test_every_tensor_is_told_by_name_in_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_case(tmp_path / "several")
    done = run_harness(tmp_path, "several", out=str(tmp_path / "out"))
    assert done.code == PASSED, done.text
    assert "  input 'right': input.prepared min -80, max 69, 0 saturated" in done.text
    assert "  output 'level': execution.output 0 LSB (limit ≤ 2 LSB)" in done.text
    run = read_run(tmp_path / "out")
    (case,) = run.document.cases
    told = case.check("execution.output")
    assert told is not None
    assert [(each.name, each.limit.maximum) for each in told.tensors if each.limit] == [
        ("output 'scores'", 0),
        ("output 'level'", 2),
    ]
    assert "| output 'level' | agreement.sqnr_db | passed |" in summary(run)
    html = unescape(build_page(run, tmp_path).decode())
    pictures = ("Device against float model: output 'level'", "<h4>#1: right</h4>")
    for words in (*pictures, "input tensor left", "output tensor level"):
        assert words in html, words

    accept.write(accept.prepare(run, [], by="Ada", reason="first"))
    held = diff.diff(run, "several")
    assert not held.failed
    assert "output 'level': vectors with another output" in {change.what for change in held.changes}

    columns = run.records(case)
    (result,) = gather([run])
    assert [*disagreements(result, columns, 0.95)] == []
    columns["output.1"] = columns["output.1"] ^ 1
    first, *_ = disagreements(result, columns, 0.95)
    assert first.startswith("execution.output passed, but output 'level': its value is")
    document = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    for check in document["cases"][0]["checks"]:
        check.pop("tensors", None)
    document["seal"] = seal(document)
    (tmp_path / "out" / "run.json").write_text(json.dumps(document), encoding="utf-8")
    (untold,) = gather([read_run(tmp_path / "out")])
    assert "does not say what it found of each of 2 outputs" in "; ".join(disagreements(untold, columns, 0.95))
