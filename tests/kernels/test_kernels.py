"""Each operator of our own equals the tflite-micro wheel bit for bit, on models drawn at random: on the host under
sanitizers, and on an emulated Cortex-M4.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from damage import damaged
from generators import GENERATORS
from kernel_bench import PROJECT, Answer, KernelBench, Trial, oracle
from one_operator import OneOperator

from hil.errors import CaseError
from hil.model.check import check_model
from hil.model.kernels.own import OWN_KERNELS
from hil.model.kernels.table import PAGE, written

COUNTS = {"native": 200, "qemu": 20}
FILE = Path("model.tflite")
OWN = [kernel.operator for kernel in OWN_KERNELS]
REFUSED, CANARIES = (
    7,
    101,
)  # statuses of firmware/app/kernel_bench.cpp: memory cannot be set up; written around the arena
Bench = Callable[[str], KernelBench]


def trials_of(operator: str, count: int) -> list[Trial]:
    """Always the same."""
    random = np.random.default_rng(zlib.crc32(operator.encode()))
    return [GENERATORS[operator](random) for _ in range(count)]


def damaged_trials(operator: str, count: int) -> list[tuple[Trial, int]]:
    """Of so many damaged ones those that a kernel of our own gets, and the bytes of their outputs; always the same."""
    random = np.random.default_rng(zlib.crc32(operator.encode()) + 1)
    return list(damaged(trials_of(operator, count), random))


def wrong(answers: list[Answer], expected: list[bytes]) -> list[str]:
    """In words, of the trials that did not go well."""
    said = {0: "other outputs"}
    return [
        f"trial {number}: {said.get(answer.status, f'status {answer.status}, detail {answer.detail}')}"
        for number, (answer, right) in enumerate(zip(answers, expected, strict=True))
        if answer.status != 0 or answer.outputs != right
    ]


# Of float32 they call exp, expm1 or log, and the libraries of PC and microcontroller round these differently.
TRANSCENDENTAL = {"EXP": 2, "ELU": 2, "LOG_SOFTMAX": 8}  # at most so many units in the last place of the largest output


def tolerated(answer: Answer, right: bytes, trial: Trial, ulps: int) -> Answer:
    """The answer, as the right one where it is float32 and no further off than that."""
    if trial.windows[0][0].dtype != np.float32 or len(answer.outputs) != len(right):
        return answer
    found, wanted = np.frombuffer(answer.outputs, np.float32), np.frombuffer(right, np.float32)
    near = np.abs(found - wanted) <= ulps * np.spacing(np.abs(wanted).max())
    return Answer(answer.status, answer.detail, right) if near.all() else answer


@pytest.mark.slow
@pytest.mark.parametrize("board", COUNTS)
@pytest.mark.parametrize("operator", GENERATORS)
def test_a_kernel_equals_the_oracle(operator: str, board: str, bench: Bench) -> None:
    trials = trials_of(operator, COUNTS[board])
    expected = [oracle(trial) for trial in trials]
    answers = bench(board).run(trials, [len(each) for each in expected])
    if board != "native" and operator in TRANSCENDENTAL:
        triples = zip(answers, expected, trials, strict=True)
        answers = [tolerated(*triple, TRANSCENDENTAL[operator]) for triple in triples]
    assert wrong(answers, expected) == []


@pytest.mark.slow
@pytest.mark.parametrize("operator", OWN)
def test_a_kernel_refuses_what_it_was_not_made_for(operator: str, bench: Bench) -> None:
    """Or runs it; under the sanitizers, and without a byte written around the arena."""
    made = damaged_trials(operator, COUNTS["native"])
    answers = bench("native").run([trial for trial, _ in made], [size for _, size in made])
    statuses = {answer.status for answer in answers}
    assert REFUSED in statuses
    assert CANARIES not in statuses


def padding() -> tuple[Trial, bytes]:
    """TFLite's specification: with the zero point. TFLM pads with a value that it never wrote."""
    values = np.arange(1, 13, dtype=np.int8).reshape(1, 3, 4, 1)
    tensor = ("INT8", 0.5, -43)
    model = OneOperator("SPACE_TO_BATCH_ND", schema.SpaceToBatchNDOptionsT()).input(values.shape, *tensor)
    model.constant(np.array([2, 3], np.int32)).constant(np.array([[0, 1], [1, 1]], np.int32))
    padded = np.pad(values[0, :, :, 0], ((0, 1), (1, 1)), constant_values=-43)
    expected = np.array([padded[y::2, x::3] for y in range(2) for x in range(3)], np.int8)
    return Trial(model.output((6, 2, 2, 1), *tensor).build(), [[values]]), expected.tobytes()


def division_by_zero() -> tuple[Trial, bytes]:
    """An end of the type; a product must not stop at it. TFLM's own result is any."""
    tensor, values = ("INT8", 0.5, 3), np.array([[-128, 2, 3, 127]], np.int8)
    model = OneOperator("DIV", schema.DivOptionsT()).input(values.shape, *tensor).input(values.shape, *tensor)
    model.output(values.shape, "INT8", 0.01, -7)
    expected = np.array([-128, -128, 127, 127], np.int8)
    return Trial(model.build(), [[values, np.full_like(values, 3)]]), expected.tobytes()


LEFT_OPEN = (padding, division_by_zero)  # by TFLM, so that the oracle cannot say what is right


@pytest.mark.slow
@pytest.mark.parametrize("made", LEFT_OPEN, ids=lambda made: made.__name__)
def test_what_tflm_leaves_open_is_defined(made: Callable[[], tuple[Trial, bytes]], bench: Bench) -> None:
    trial, expected = made()
    for board in COUNTS:
        assert wrong(bench(board).run([trial], [len(expected)]), [expected]) == []


@pytest.mark.parametrize("operator", GENERATORS)
def test_the_trials_are_worth_it(operator: str) -> None:
    """Most outputs are not one and the same value: a wrong kernel would show."""
    outputs = [np.frombuffer(oracle(trial), np.uint8) for trial in trials_of(operator, 20)]
    varied = sum(len(np.unique(each)) > 1 for each in outputs)
    assert varied >= (0 if operator in CONSTANT else 12), f"{varied} of {len(outputs)}"


CONSTANT = {"FILL", "ZEROS_LIKE"}  # by what they are


@pytest.mark.parametrize("operator", GENERATORS)
def test_the_model_check_takes_what_the_kernel_takes(operator: str) -> None:
    """Whatever it says of the ends of the model, which are of all types here, it has nothing against the operator."""
    for trial in trials_of(operator, 40):
        try:
            check_model(trial.model, FILE)
        except CaseError as error:
            problems = getattr(error, "problems", None) or [error]
            assert [str(each) for each in problems if str(each.where).startswith("operator")] == []


def test_every_kernel_has_its_row_its_generator_and_its_file() -> None:
    folder = PROJECT / "firmware" / "tflm" / "kernels"
    defined = [
        name for file in folder.glob("*.cpp") for name in re.findall(r"^const Kernel (\w+) = ", file.read_text(), re.M)
    ]
    assert sorted(defined) == OWN
    assert set(defined) <= set(GENERATORS)


def test_the_page_has_the_rows_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "write it anew with: make schema"
