"""Runs that were changed after they were written: by hand, and by who knows the seal and the hashes."""

import json
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from release_project import CHECK, Project

from hil.gate.figures import disagreements
from hil.gate.integrity import is_plain
from hil.gate.reasons import Kind
from hil.gate.results import gather
from hil.runfile import seal


def test_any_edit_breaks_the_seal(project: Project) -> None:
    project.edit_case(lambda case: case.update(host_seconds=0.0), sealed=False)
    project.stops(Kind.UNTRUSTED, "its seal does not fit")


def test_the_records_of_another_run(project: Project) -> None:
    file = next((project.folder / "native").glob("*.npz"))
    file.write_bytes(file.read_bytes() + b"\0")
    project.stops(Kind.UNTRUSTED, "SHA-256 is not the one in run.json")


def test_records_that_are_gone(project: Project) -> None:
    next((project.folder / "native").glob("*.npz")).unlink()
    project.stops(Kind.UNTRUSTED, "not the records of a run")


@pytest.mark.parametrize("name", ["../native/run.json", "/etc/passwd", "a\\b", "..", "a\nb"])
def test_a_file_name_that_leaves_the_folder_is_not_followed(project: Project, name: str) -> None:
    project.edit_case(lambda case: case.update(records=name))
    project.stops(Kind.UNTRUSTED, "is no name of a file beside it")


@given(st.text(max_size=20))
def test_a_plain_name_stays_in_its_folder(name: str) -> None:
    if is_plain(name):
        assert not set("/\\") & set(name)
        assert name != ".."


def test_a_failed_case_called_passed(project: Project) -> None:
    project.fail().edit_case(lambda case: case.update(verdict="passed"))
    told = [reason.what for reason in project.decide().reasons if reason.kind is Kind.UNTRUSTED]
    assert "says 'passed', but its checks make it 'failed'" in told[1]
    assert "says 'failed', but its cases make it 'passed'" in told[0]


def test_a_failed_check_called_passed_with_its_findings_left(project: Project) -> None:
    project.fail().edit_check(CHECK, outcome="passed")
    project.edit(lambda document: document.update(verdict="passed"))
    project.edit_case(lambda case: case.update(verdict="passed"))
    project.stops(Kind.UNTRUSTED, f"{CHECK} is passed with 1 findings")


def test_a_value_beyond_its_limit(project: Project) -> None:
    project.edit_check("input.saturation", value=0.5)
    project.stops(Kind.UNTRUSTED, "input.saturation is passed, but its value 0.5 breaks <= 0.01")


def test_a_limit_that_is_not_the_case_s(project: Project) -> None:
    limit = {"minimum": None, "maximum": 0.9, "unit": ""}
    project.edit_check("input.saturation", limit=limit)
    project.stops(Kind.UNTRUSTED, "input.saturation is not held to the limit of the case")


def test_a_limit_that_was_taken_away(project: Project) -> None:
    project.edit_check("agreement.cosine", limit=None)
    project.stops(Kind.UNTRUSTED, "agreement.cosine is not held to the limit of the case")


def test_a_marginal_check_that_is_none(project: Project) -> None:
    project.edit_check("agreement.cosine", outcome="marginal")
    told = [reason.what for reason in project.decide().reasons if reason.kind is Kind.UNTRUSTED]
    assert "small says 'passed', but its checks make it 'marginal'" in told[0]
    assert "with the margin of the case it is passed" in told[1]


def test_a_check_that_is_there_twice(project: Project) -> None:
    project.edit_case(lambda case: case["checks"].append(case["checks"][0]))
    project.stops(Kind.UNTRUSTED, "1 checks are there twice")


@pytest.mark.parametrize("started", ["yesterday", "2026-01-01T00:00:00", "2999-01-01T00:00:00+00:00"])
def test_a_start_that_cannot_be(project: Project, started: str) -> None:
    project.edit(lambda document: document.update(started=started)).stops(Kind.UNTRUSTED, "started")


@pytest.mark.parametrize("key", ["model_hash", "bundle_hash"])
def test_a_device_that_ran_something_else(project: Project, key: str) -> None:
    project.edit_case(lambda case: case["device"].update({key: "0" * 64}))
    project.stops(Kind.UNTRUSTED, f"the device's {key} is not what was provisioned")


def test_figures_that_the_records_do_not_give_stop_a_release(project: Project) -> None:
    def change(case: dict[str, Any]) -> None:
        case["latency"]["stages"]["prepare"]["p99"] += 1

    project.edit_case(change).stops(Kind.UNTRUSTED, "latency of prepare: p99")


def problems(project: Project) -> list[str]:
    """What the records do not bear out, without the rest of the gate."""
    return [*disagreements(gather([project.run()])[0], project.records(), 0.95)]


def test_the_records_bear_out_a_run_as_it_was_written(project: Project) -> None:
    assert problems(project) == []


@pytest.mark.parametrize("name", ["n", "min", "p50", "p95", "p99", "max", "mean"])
@pytest.mark.parametrize("stage", ["prepare", "total"])
def test_a_figure_of_latency_that_the_records_do_not_give(project: Project, stage: str, name: str) -> None:
    def change(case: dict[str, Any]) -> None:
        case["latency"]["stages"][stage][name] += 1

    assert any(f"latency of {stage}: {name}" in text for text in problems(project.edit_case(change)))


def test_a_latency_bound_that_the_records_do_not_give(project: Project) -> None:
    columns = project.records()
    right = median_bound(sorted(columns["units"][columns["distinct"], 3].tolist()))
    limit = {"minimum": None, "maximum": 1e12, "unit": "instructions"}
    assert bound_problems(project, value=float(right), limit=limit) == []
    assert len(bound_problems(project, value=float(right - 1), limit=limit)) == 1


def bound_problems(project: Project, **values: Any) -> list[str]:
    project.edit_check("latency.total.p50", outcome="passed", reason="", **values)
    return [text for text in problems(project) if "latency.total.p50: value" in text]


def median_bound(ordered: list[int]) -> int:
    """The smallest sample that bounds the median from above at 95 %, by counting all outcomes."""
    n = len(ordered)
    below = np.cumsum([comb(n, k) / 2**n for k in range(n)])
    return ordered[int(np.argmax(below >= 0.95))]


@pytest.mark.parametrize("key", ["arena_high_water", "stack_high_water", "flash_bytes", "ram_bytes", "bundle_bytes"])
def test_a_size_that_nothing_bears_out(project: Project, key: str) -> None:
    def change(case: dict[str, Any]) -> None:
        case["memory"][key] += 16

    project.edit_case(change)
    assert any(f"memory: {key}" in text for text in problems(project))


@pytest.mark.parametrize(
    ("check", "value"),
    [
        ("agreement.top1", 0.99),
        ("agreement.cosine", 0.995),
        ("agreement.sqnr_db", 60.0),
        ("agreement.max_abs_error", 0.0),
    ],
)
def test_an_agreement_that_the_records_do_not_give(project: Project, check: str, value: float) -> None:
    project.edit_check(check, value=value)
    assert any(f"{check}: value {value:.6g}, the records give" in text for text in problems(project))


def test_an_accuracy_that_its_numbers_do_not_give(project: Project) -> None:
    project.edit_check("decision.accuracy", value=0.999)
    project.stops(Kind.UNTRUSTED, "decision.accuracy: value 0.999")


def test_more_right_answers_than_the_records_have(project: Project) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["expected_label"] = (columns["expected_label"] + 1) % 4

    assert any("right, the records have" in text for text in problems(project.edit_records(change)))


def test_outputs_that_are_not_the_oracle_s(project: Project) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["output"][2, 0] ^= 1

    text = "execution.output passed, but its value is 0.0 LSB, the records give 1"
    assert text in problems(project.edit_records(change))


def test_answers_that_are_not_the_reference_s(project: Project) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["answer"][3] = 1 if columns["answer"][3] != 1 else 2

    project.edit_records(change)
    name = project.records()["name"][3]
    assert any(f"1 answers are not the reference's, first on vector {name}" in text for text in problems(project))


def test_a_broken_input_explains_later_figures_and_nobody_is_called_a_forger(project: Project) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["output"][2, 0] ^= 1
        columns["reference_answer"][3] = 1 if columns["answer"][3] != 1 else 2

    project.edit_records(change).fail("input.prepared")
    assert problems(project) == []
    project.stops(Kind.BROKEN, "input.prepared")


def test_stages_that_do_not_add_up(project: Project) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["units"][0, 0] += 1

    assert any("do not add up" in text for text in problems(project.edit_records(change)))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("units", None),
        ("units", np.zeros((3, 4), np.int64)),
        ("distinct", np.array([0, 0, 99])),
        ("expected_label", np.zeros(12)),
    ],
)
def test_records_without_a_column_that_the_figures_need(project: Project, name: str, broken: np.ndarray | None) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns.pop(name)
        if broken is not None:
            columns[name] = broken

    assert problems(project.edit_records(change)) == [f"the records have no usable column {name}"]


def test_equal_windows_may_make_a_figure_larger_but_not_smaller(project: Project) -> None:
    project.edit_records(lambda columns: columns.update(distinct=columns["distinct"][:-1]))

    def change(case: dict[str, Any]) -> None:
        for figures in case["latency"]["stages"].values():
            figures["n"] -= 1
            figures["min"] = figures["p50"] = figures["p95"] = figures["p99"] = figures["max"]
            figures["mean"] = float(figures["max"])

    project.edit_case(change)
    assert problems(project) == []

    def lower(case: dict[str, Any]) -> None:
        case["latency"]["stages"]["total"]["p50"] = 1

    project.edit_case(lower)
    assert any("latency of total: p50 1, the records give" in text for text in problems(project))


LEAVES = st.integers(min_value=0, max_value=10_000)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pick=LEAVES)
def test_the_seal_covers_every_value(template, pick: int) -> None:
    document = json.loads((template / "native" / "run.json").read_text(encoding="utf-8"))
    written = document["seal"]
    places = [place for place in leaves(document) if place[-1] != "seal"]
    *path, key = places[pick % len(places)]
    holder = document
    for part in path:
        holder = holder[part]
    holder[key] = "other" if holder[key] != "other" else "another"
    assert seal(document) != written


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [leaf for key, item in items for leaf in leaves(item, (*path, key))]
    return below or ([path] if path else [])
