"""Both models of a case, opened together: what each is asked, what it answers, and the columns that this makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from answering_process import Process, asked_to_run, fails
from interpreted_cases import COPY, SIX, TWICE, Processes, both, both_of_several, case_of, several

from hil.case.types import Case
from hil.errors import BenchError, CaseError, UsageError
from hil.interpreter.process import InterpreterEnded, InterpreterRefused
from hil.reference import interpreted
from hil.reference.models import CaseModels, Outputs
from hil.reference.prepare import real_values


def test_the_models_of_a_case_are_started_and_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, real = both()
    processes = Processes(monkeypatch, oracle, real)
    with CaseModels(case_of()) as opened_:
        opened_.start()
        opened_.start()
        assert (processes.left, oracle.asked, real.asked) == ([], [], [])
        assert opened_.oracle is opened_.oracle
        assert opened_.floating is opened_.floating is not None
        assert opened_.oracle.name == "m.tflite"
        assert opened_.floating.name == "f.tflite"
        assert [values["model"] for _, values in oracle.asked + real.asked] == [b"int8", b"float"]
    assert oracle.closed
    assert real.closed


def test_a_case_without_a_float_model_needs_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, _ = both()
    Processes(monkeypatch, oracle)
    with CaseModels(case_of(floating=False)) as opened_:
        assert opened_.floating is None
        answers = opened_.answer([np.ones((1, 6), np.int8)], [np.ones((1, 3, 1), np.int16)])
    assert answers.oracle.tolist() == [[2, 2]]
    assert (answers.real, answers.chain) == (None, None)


def test_models_that_were_never_started_can_be_closed() -> None:
    CaseModels(case_of()).close()


def test_why_models_cannot_be_opened_is_told_to_each_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, _ = both()
    oracle.answers["open_tflm"] = fails(InterpreterRefused("ValueError", "no"))
    Processes(monkeypatch, oracle, Process())
    opened_ = CaseModels(case_of())
    for ask in (opened_.open, lambda: opened_.oracle, lambda: opened_.floating):
        with pytest.raises(UsageError, match="refuses this model"):
            ask()
    assert len(oracle.asked) == 1


def test_what_ended_the_interpreter_is_told_to_each_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second to ask is not told "was closed", which is what became of the process after the first."""
    oracle, _ = both()
    oracle.answers["open_tflm"] = fails(InterpreterEnded("ended with exit code 1", "No module named 'numpy'"))
    Processes(monkeypatch, oracle, Process())

    def no_process(*_: object) -> NoReturn:
        raise BenchError("the process of an interpreter cannot be started: no memory")

    monkeypatch.setattr(interpreted, "find_culprit", no_process)
    opened_ = CaseModels(case_of())
    for ask in (opened_.open, lambda: opened_.oracle, lambda: opened_.floating):
        with pytest.raises(BenchError, match="cannot be started"):
            ask()


@pytest.mark.parametrize(
    ("case", "processes", "words"),
    [
        (case_of(), both(float_output=3), "takes 6 and gives 3 values, the int8 model 6 and 2"),
        (several(), both_of_several((6, 4)), "takes 4, 6 and gives 1, 2 values, the int8 model 6, 4 and 1, 2"),
        (several(), both_of_several((4, 6), (2, 3)), "takes 6, 4 and gives 3, 2 values, the int8 model 6, 4 and 1, 2"),
    ],
)
def test_a_float_model_of_another_size_does_not_fit(
    case: Case, processes: tuple[Process, Process], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Processes(monkeypatch, *processes)
    with pytest.raises(CaseError, match=words) as caught:
        CaseModels(case).open()
    assert (caught.value.where, caught.value.file) == ("model.float", Path("case.toml"))
    assert str(caught.value).endswith("fix: name the float model that the int8 model was converted from")


def test_the_float_model_answers_the_tensor_and_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = np.array([True, False])
    for stage, chains in ((TWICE, True), (COPY, False)):
        oracle, floating = both()
        Processes(monkeypatch, oracle, floating)
        case = case_of(stage)
        opened_ = CaseModels(case)
        prepared, windows = np.arange(12).reshape(2, 6).astype(np.int8), case.vectors.windows[:2]
        answers = opened_.answer([prepared], [windows], stream)
        assert answers.oracle.tolist() == (prepared[:, :2] * 2).tolist()
        assert answers.real is not None
        assert answers.real.tolist() == (2 * SIX.quantisation.real32(prepared)[:, :2]).tolist()
        if chains:
            assert answers.chain is not None
            assert answers.chain.tolist() == (2 * real_values(windows, stage, SIX)[:, :2]).tolist()
        else:
            assert answers.chain is None
        assert answers.further == ()
        runs = asked_to_run(oracle) + asked_to_run(floating)
        assert [values["fresh"].tolist() for values in runs] == [stream.tolist()] * (2 + chains)
        assert opened_.answer([prepared]).chain is None
        assert [each.asked[-1][1]["fresh"].tolist() for each in (oracle, floating)] == [[True, True]] * 2


def test_each_model_takes_and_gives_several_tensors_in_its_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers begin with the output that is decided on."""
    left, right = np.arange(12).reshape(2, 6).astype(np.int8), np.arange(20, 28).reshape(2, 4).astype(np.int8)
    for stage, second, chains in ((TWICE, COPY, True), (COPY, COPY, False)):
        oracle, floating = both_of_several()
        Processes(monkeypatch, oracle, floating)
        case = several(stage, second)
        windows = [case.vectors.windows[3:], case.vectors.further[0][3:]]
        scores = CaseModels(case).answer([left, right], windows, np.array([True, False]))
        (level,) = scores.further
        assert (scores.oracle.dtype, scores.oracle.tolist()) == (np.int8, (left[:, :2] * 2).tolist())
        assert (level.oracle.dtype, level.oracle.tolist()) == (np.int16, [[60], [72]])
        assert level.further == ()
        assert scores.real is not None
        assert level.real is not None
        assert scores.real.tolist() == [[3.0, 4.0], [9.0, 10.0]]  # from -3, a step is half
        assert level.real.tolist() == [[14.25], [17.25]]  # from 1, a step is a quarter
        runs = asked_to_run(oracle) + asked_to_run(floating)
        assert [values["fresh"].tolist() for values in runs] == [[True, False]] * (2 + chains)
        assert [(len(values["tensors"][0]), len(values["tensors_1"][0])) for values in runs] == [
            (6, 4),
            *[(4, 6)] * (1 + chains),
        ]
        if chains:
            assert scores.chain is not None
            assert level.chain is not None
            assert scores.chain.tolist() == [[9.0, 9.0], [12.0, 12.0]]  # twice half of the counts 9 and 12
            assert level.chain.tolist() == [[8.25], [11.25]]  # of 12 and 16
        else:
            assert (scores.chain, level.chain) == (None, None)


def test_columns_are_there_for_what_answers() -> None:
    full, alone, copied = (Outputs.empty(case) for case in (case_of(), case_of(floating=False), case_of(COPY)))
    assert full.real is not None
    assert full.chain is not None
    assert copied.real is not None
    assert (alone.real, alone.chain, copied.chain) == (None, None, None)
    assert (full.oracle.dtype, full.real.dtype, full.chain.dtype) == (np.int8, np.float32, np.float32)
    assert {column.shape for column in (full.oracle, full.real, full.chain, alone.oracle)} == {(5, 2)}
    assert not any(column.any() for column in (full.oracle, full.real, full.chain))
    assert (full.further, alone.further, copied.further) == ((), (), ())


@pytest.mark.parametrize(
    ("case", "real_there", "chain_there"),
    [
        (several(), True, True),
        (several(COPY, TWICE), True, True),
        (several(COPY, COPY), True, False),
        (several(floating=False), False, False),
    ],
)
def test_each_output_has_columns_of_its_own(case: Case, real_there: bool, chain_there: bool) -> None:
    scores = Outputs.empty(case)
    (level,) = scores.further
    assert level.further == ()
    for outputs, dtype, shape in ((scores, np.int8, (5, 2)), (level, np.int16, (5, 1))):
        assert (outputs.oracle.dtype, outputs.oracle.shape, outputs.oracle.any()) == (dtype, shape, False)
        for column, there in ((outputs.real, real_there), (outputs.chain, chain_there)):
            assert (column is not None) == there
            assert column is None or (column.dtype, column.shape, column.any()) == (np.float32, shape, False)


def test_rows_are_put_and_taken_in_every_column() -> None:
    rows = np.array([3, 1])
    full = Outputs.empty(case_of())
    answers = Outputs(
        np.array([[1, 2], [3, 4]], np.int8), np.full((2, 2), 5.0, np.float32), np.full((2, 2), 6.0, np.float32)
    )
    full.put(rows, answers)
    taken = full.take(np.array([1, 3, 0]))
    assert taken.oracle.tolist() == [[3, 4], [1, 2], [0, 0]]
    assert taken.real is not None
    assert taken.chain is not None
    assert (taken.real[:, 0].tolist(), taken.chain[:, 0].tolist()) == ([5, 5, 0], [6, 6, 0])
    full.put(rows, Outputs(answers.oracle, None, None))  # of models without a float one
    alone = Outputs.empty(case_of(floating=False))
    alone.put(rows, answers)
    assert alone.take(rows).oracle.tolist() == answers.oracle.tolist()
    assert (alone.take(rows).real, alone.take(rows).chain) == (None, None)
    level = Outputs(
        np.array([[300], [-7]], np.int16), np.full((2, 1), 8.0, np.float32), np.full((2, 1), 9.0, np.float32)
    )
    scores = Outputs.empty(several())
    scores.put(rows, replace(answers, further=(level,)))
    taken = scores.take(np.array([1, 3, 0]))
    assert taken.oracle.tolist() == [[3, 4], [1, 2], [0, 0]]
    (further,) = taken.further
    assert further.oracle.tolist() == [[-7], [300], [0]]
    assert further.real is not None
    assert further.chain is not None
    assert (further.real.tolist(), further.chain.tolist()) == ([[8], [8], [0]], [[9], [9], [0]])
    with pytest.raises(ValueError, match="shorter"):
        scores.put(rows, answers)
