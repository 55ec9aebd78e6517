"""The operator with which a device leaves the oracle is found by pieces of the model; the defects do it for real."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from made_evidence import build_evidence

from hil.contract import CHECKS, judge
from hil.contract.operators import FirstOperator
from hil.errors import UsageError
from hil.model.graph import Graph, read_graph
from hil.session.first_operator import _Search

sys.path.insert(0, str(Path(__file__).parents[1] / "case"))
from tflite_builder import ModelBuilder


def two_ways() -> Graph:
    """x -> 0 RELU -> 1 TANH -> 4 ADD -> 5 SOFTMAX, beside it x -> 2 LOGISTIC -> 3 MUL -> 4; 6 SHAPE -> 7 PACK."""
    m = ModelBuilder()
    x = m.tensor("x", (1, 4))
    a, b, c, d, e, f = (m.tensor(name, (1, 4)) for name in "abcdef")
    size, packed = m.tensor("size", (2,), "INT32", None), m.tensor("packed", (2,), "INT32", None)
    for name, inputs, outputs in (
        ("RELU", [x], [a]),
        ("TANH", [a], [b]),
        ("LOGISTIC", [x], [c]),
        ("MUL", [c, c], [d]),
        ("SHAPE", [a], [size]),
        ("PACK", [size], [packed]),
        ("ADD", [b, d], [e]),
        ("RESHAPE", [e, packed], [f]),
    ):
        m.operator(name, inputs, outputs)
    return read_graph(m.build([x], [f]), Path("model.tflite"))


class Told(_Search):
    """Pieces that end with these operators differ, those that end with others of `silent` do not tell."""

    def __init__(self, off: Sequence[str], silent: Sequence[str] = ()) -> None:
        super().__init__(*cast("Any", (None, None, None, two_ways(), b"")))
        self.off, self.silent, self.tried = off, silent, list[str]()

    def _try(self, operators: int) -> bool:
        name = self.graph.operators[operators - 1].name
        self.tried.append(name)
        if name in self.silent:
            raise UsageError("the oracle does not take it")
        return name in self.off


@pytest.mark.parametrize(
    ("off", "silent", "found"),
    [
        (["RELU", "TANH", "ADD", "RESHAPE"], [], ["RELU"]),
        (["LOGISTIC", "MUL", "ADD", "RESHAPE"], [], ["LOGISTIC"]),
        (["TANH", "ADD", "RESHAPE"], [], ["TANH"]),  # MUL, behind it in the file and on another way, is right
        (["ADD", "RESHAPE"], [], ["ADD"]),
        (["RESHAPE"], [], ["RESHAPE"]),
        ([], [], []),
        (["TANH", "ADD", "RESHAPE"], ["TANH"], ["TANH", "ADD"]),
        (["RELU", "TANH", "ADD", "RESHAPE"], ["RELU", "TANH"], ["RELU", "TANH", "ADD"]),
    ],
)
def test_the_first_operator_whose_inputs_are_right_is_found(
    off: list[str], silent: list[str], found: list[str]
) -> None:
    assert [each.name for each in Told(off, silent).culprits()] == found


def test_what_depends_on_the_shape_alone_is_not_run() -> None:
    search = Told(["RELU", "TANH", "ADD", "RESHAPE"])
    assert search.culprits()
    assert not {"SHAPE", "PACK"} & set(search.tried)


def test_findings_name_it() -> None:
    evidence = build_evidence()
    evidence.records.output[3, 1] += 9
    check = next(check for check in CHECKS if check.id == "execution.output")
    assert "first output" not in judge(check, evidence).findings[0].hint
    known = {**evidence.sections, FirstOperator: FirstOperator("walk 3", ((4, "MUL"),))}
    hint = judge(check, replace(evidence, sections=known)).findings[0].hint
    assert hint.endswith("that of operator 4 MUL (window walk 3, model cut behind it)")
    several = FirstOperator("walk 3", ((4, "MUL"), (6, "ADD")))
    assert "that of operator 4 MUL to 6 ADD (" in str(several)
