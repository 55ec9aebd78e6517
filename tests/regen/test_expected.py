"""expected.npz: what is stored is what is read, and each kind of difference is told as what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.case.expected import from_bytes, to_bytes
from hil.case.expected_changes import Change, differences
from hil.case.types import Expected
from hil.errors import CaseError
from hil.records import DecisionReason, GateReason

FILE = Path("motion/expected.npz")
LABELS = ("idle", "walk", "run")


def expectations(n: int = 4) -> Expected:
    """Vector v0 is rejected, the others are walks."""
    random = np.random.default_rng(n)
    valid = np.arange(n) > 0
    return Expected(
        name=np.array([f"v{row}" for row in range(n)], np.str_),
        window_sha256=random.integers(0, 256, (n, 32)).astype(np.uint8),
        label=np.ones(n, np.int32),
        gate=np.where(valid, GateReason.VALID, GateReason.FLAT).astype(np.uint8),
        digest=random.integers(0, 2**32, n).astype(np.uint32),
        output=np.tile(np.array([-100, 90, -100], np.int8), (n, 1)),
        winner=np.ones(n, np.int32),
        score=np.full(n, 90, np.int32),
        answer=np.ones(n, np.int32),
        reason=np.full(n, DecisionReason.ACCEPTED, np.uint8),
        labels=LABELS,
    )


def of_several(n: int = 4) -> Expected:
    """The same of a model with a second input and a second output of float32, whose names are awkward."""
    random = np.random.default_rng(n)
    return replace(
        expectations(n),
        digests={"serving:0/a.b": random.integers(0, 2**32, n).astype(np.uint32)},
        outputs={"level.1": random.normal(size=(n, 2)).astype(np.float32)},
    )


def by_row(expected: Expected, change: Callable[[np.ndarray], np.ndarray]) -> Expected:
    """With every column changed."""
    plain = {name: change(column) for name, column in vars(expected).items() if isinstance(column, np.ndarray)}
    further = {
        name: {tensor: change(column) for tensor, column in getattr(expected, name).items()}
        for name in ("digests", "outputs")
    }
    return replace(expected, **plain, **further)


def changed(column: str, row: int, value: object) -> Expected:
    expected = expectations()
    values = getattr(expected, column).copy()
    values[row] = value
    return replace(expected, **{column: values})


def without(expected: Expected, row: int) -> Expected:
    return by_row(expected, lambda column: np.delete(column, row, axis=0))


@given(st.integers(1, 40), st.sampled_from([expectations, of_several]))
def test_what_is_stored_is_read_and_equal_expectations_give_equal_bytes(
    n: int, made: Callable[[int], Expected]
) -> None:
    expected = made(n)
    data = to_bytes(expected)
    assert to_bytes(made(n)) == data
    again = from_bytes(data, FILE)
    assert not differences(expected, again)
    columns, others = ({**vars(each), **each.further} for each in (expected, again))
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            assert (column.dtype, column.tolist()) == (others[name].dtype, others[name].tolist())
    assert (again.labels, again.tensors) == (LABELS, expected.tensors)


def test_equal_expectations_do_not_differ() -> None:
    found = differences(expectations(), expectations())
    assert not found
    assert found.summary() == "nothing changed"


def test_the_order_of_vectors_is_no_difference() -> None:
    expected = of_several()
    assert not differences(expected, by_row(expected, lambda column: column[::-1]))


def test_added_and_removed_vectors_are_named() -> None:
    expected = expectations()
    fewer = without(expected, 2)
    assert differences(fewer, expected).added == ("v2",)
    assert differences(expected, fewer).removed == ("v2",)
    assert differences(expected, fewer).summary() == "1 vector removed"


def test_a_window_with_other_bytes_is_named() -> None:
    found = differences(expectations(), changed("window_sha256", 3, 0))
    assert (found.windows, found.outputs) == (("v3",), ())


def test_a_gate_that_judges_otherwise_is_told_in_its_words() -> None:
    found = differences(expectations(), changed("gate", 0, GateReason.RANGE))
    assert found.gate == (Change("v0", "flat", "range"),)


@given(st.integers(0, 2), st.integers(-128, 127))
def test_outputs_are_told_with_their_largest_step(element: int, value: int) -> None:
    old = expectations()
    output = old.output.copy()
    output[1, element] = value
    step = abs(value - int(old.output[1, element]))
    found = differences(old, replace(old, output=output))
    assert (found.steps, len(found.outputs)) == (step, int(step > 0))
    assert not found.decisions


def test_changes_of_a_further_tensor_are_told_with_its_name() -> None:
    old = of_several()
    (digest,), (output,) = old.digests.values(), old.outputs.values()
    digest, output = digest.copy(), output.copy()
    digest[2] ^= 1
    output[1, 0] = np.nextafter(output[1, 0], np.float32(9))
    found = differences(old, replace(old, digests={"serving:0/a.b": digest}, outputs={"level.1": output}))
    assert (found.prepared, found.outputs, found.prepared_further) == ((), (), (("serving:0/a.b", ("v2",)),))
    (level,) = found.further
    assert [change.vector for change in level.outputs] == ["v1"]
    assert found.summary() == (
        "1 prepared tensor of input 'serving:0/a.b' changed, 1 output 'level.1' changed by up to 1 ULP"
    )


def test_tensors_that_only_one_side_has_are_named() -> None:
    found = differences(expectations(), of_several())
    assert (found.unkept, found.gone) == (("input 'serving:0/a.b'", "output 'level.1'"), ())
    assert found
    assert differences(of_several(), expectations()).gone == found.unkept


def test_another_number_of_outputs_is_a_change_of_every_output() -> None:
    old = expectations()
    found = differences(old, replace(old, output=np.zeros((4, 2), np.int8)))
    assert (len(found.outputs), found.steps) == (4, 0)


def test_a_decision_is_told_before_and_after() -> None:
    new = changed("answer", 2, -1)
    new.reason[2] = DecisionReason.BELOW_THRESHOLD
    found = differences(expectations(), new)
    assert found.decisions == (Change("v2", "walk, score 90", "unknown (below threshold), walk at 90"),)


def test_a_score_that_moved_with_its_output_is_no_decision() -> None:
    new = changed("score", 2, 91)
    assert len(differences(expectations(), new).decisions) == 1
    new.output[2, 1] = 91
    assert not differences(expectations(), new).decisions


def test_labels_of_vectors_and_of_the_case_are_told() -> None:
    found = differences(expectations(), replace(changed("label", 1, -1), labels=("idle", "walk", "sprint")))
    renamed, unlabelled = found.labels
    assert renamed == Change("", "idle, walk, run", "idle, walk, sprint")
    assert unlabelled == Change("v1", "walk", "unknown")


DAMAGE = {
    "no archive": lambda data: b"PK not really",
    "cut off": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_refused_with_the_fix(kind: str) -> None:
    with pytest.raises(CaseError, match=r"fix: restore it, or remove it and run: hil case regen motion"):
        from_bytes(DAMAGE[kind](to_bytes(expectations())), FILE)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("gate", np.full(4, 99, np.uint8), "no gate"),
        ("reason", np.full(4, 77, np.uint8), "no reason"),
        ("output", np.zeros(4, np.int8), "array 'output'"),
        ("digest", np.zeros(3, np.uint32), "array 'digest'"),
        ("label", np.zeros(4, np.float32), "array 'label'"),
        ("window_sha256", np.zeros((4, 31), np.uint8), "32 bytes"),
        ("name", np.array(["v0", "v0", "v1", "v2"]), "one name"),
        ("score", np.array([None] * 4, object), "cannot be read"),
    ],
)
def test_columns_that_do_not_fit_are_refused(column: str, values: np.ndarray, words: str) -> None:
    data = to_bytes(replace(expectations(), **{column: values}))
    with pytest.raises(CaseError, match=words):
        from_bytes(data, FILE)
