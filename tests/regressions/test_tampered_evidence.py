"""Evidence of a real run that somebody changed afterwards: the gate and `hil release verify` say what does not fit."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness_process import FAILED, PASSED
from release_bench import CASE, Product

from hil.runfile import seal

pytestmark = pytest.mark.slow

RECORDS = f"{CASE}.qemu.npz"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def stored(released_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """A product with two runs: `ready` holds its baseline, `worse` decides otherwise about one vector."""
    product = Product(tmp_path_factory.mktemp("stored"))
    product.accept("accepted", released_image)
    product.unlock()
    assert product.run("ready", released_image).code == PASSED
    product.hil("gate", product.folder / "ready", code=0)
    product.edit("threshold = 0.82", "threshold = 0.86")
    assert product.run("worse", released_image).code == FAILED
    return product


@pytest.fixture
def ready(stored: Product, tmp_path: Path) -> Product:
    product = copy_of(stored, tmp_path)
    product.edit("threshold = 0.86", "threshold = 0.82")
    return product


@pytest.fixture
def worse(stored: Product, tmp_path: Path) -> Product:
    return copy_of(stored, tmp_path)


def copy_of(stored: Product, folder: Path) -> Product:
    product = stored.copy(folder)
    for name in ("ready", "worse"):
        shutil.copytree(stored.folder / name, folder / name)
    return product


def edit(folder: Path, change: Callable[[Document], None], *, sealed: bool) -> Path:
    file = folder / "run.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    change(document)
    if sealed:
        document["seal"] = seal(document)
    file.write_text(json.dumps(document), encoding="utf-8")
    return folder


def check_of(document: Document, name: str) -> Document:
    found: Document = next(check for check in document["cases"][0]["checks"] if check["id"] == name)
    return found


def untrusted(product: Product, folder: Path, *words: str) -> None:
    """The gate cannot trust the run, says so first, and in these words."""
    text = product.hil("gate", folder, code=1).text
    _, _, reasons = text.partition("cannot be trusted:")
    first = reasons.split("\n\n")[0]
    assert [word for word in words if word not in first] == [], text
    assert text.index("cannot be trusted:") < text.index("not ready for release")


def test_the_run_that_was_worse_is_no_release(worse: Product) -> None:
    answer = worse.hil("gate", worse.folder / "worse", code=1)
    assert "baseline.decisions" in answer.text
    assert "cannot be trusted" not in answer.text


def test_a_value_that_was_edited(ready: Product) -> None:
    def faster(document: Document) -> None:
        check_of(document, "latency.total.p99")["value"] -= 1000

    untrusted(ready, edit(ready.folder / "ready", faster, sealed=False), "its seal does not fit")


def test_a_value_that_was_edited_and_sealed_again(ready: Product) -> None:
    def faster(document: Document) -> None:
        check_of(document, "latency.total.p99")["value"] -= 1000

    untrusted(ready, edit(ready.folder / "ready", faster, sealed=True), "latency.total.p99")


def test_a_verdict_that_contradicts_its_checks(worse: Product) -> None:
    def passed(document: Document) -> None:
        document["verdict"] = document["cases"][0]["verdict"] = "passed"

    words = (f"{CASE} says 'passed', but its checks make it 'failed'",)
    untrusted(worse, edit(worse.folder / "worse", passed, sealed=True), *words)


def test_a_failure_that_was_taken_out(worse: Product) -> None:
    def clean(document: Document) -> None:
        document["verdict"] = document["cases"][0]["verdict"] = "passed"
        for check in document["cases"][0]["checks"]:
            check.update(outcome="passed", findings=[], findings_total=0)

    untrusted(worse, edit(worse.folder / "worse", clean, sealed=True), "baseline.decisions")


def test_records_of_another_run(worse: Product) -> None:
    shutil.copy(worse.folder / "ready" / RECORDS, worse.folder / "worse" / RECORDS)
    untrusted(worse, worse.folder / "worse", "SHA-256 is not the one in run.json")


def test_records_of_another_run_with_their_hash(worse: Product) -> None:
    data = (worse.folder / "ready" / RECORDS).read_bytes()
    (worse.folder / "worse" / RECORDS).write_bytes(data)

    def passed(document: Document) -> None:
        document["verdict"] = document["cases"][0]["verdict"] = "passed"
        document["cases"][0]["records_sha256"] = hashlib.sha256(data).hexdigest()
        for check in document["cases"][0]["checks"]:
            check.update(outcome="passed", findings=[], findings_total=0)

    untrusted(worse, edit(worse.folder / "worse", passed, sealed=True))


def test_a_changed_byte_of_a_release_record_is_named(ready: Product) -> None:
    key, record = ready.folder / "key.pem", ready.folder / "record"
    ready.hil("release", "key", key, code=0)
    ready.hil("release", ready.folder / "ready", "--out", record, "--key", key, code=0)
    public = ("--public-key", ready.folder / "key.pub.pem")
    ready.hil("release", "verify", record, *public, code=0)
    names = sorted(file.relative_to(record).as_posix() for file in record.rglob("*") if file.is_file())
    assert {f"runs/qemu/{RECORDS}", "runs/qemu/run.json", f"cases/{CASE}/baseline/qemu.json"} <= {*names}
    for name in names:
        file, content = record / name, (record / name).read_bytes()
        if content:
            middle = len(content) // 2
            file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
            assert name in ready.hil("release", "verify", record, *public, code=1).text
            file.write_bytes(content)
    ready.hil("release", "verify", record, *public, code=0)
