"""The references of whole cases: columns, rejected rows, progress, streams, and memory on many vectors."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.case.types import Case, Channel, Decide, Gate, Prepare, Vectors, Window
from hil.errors import CaseError
from hil.records import DecisionReason, GateReason
from hil.reference import compute
from hil.reference.compute import prepare_all
from hil.reference.float import FloatReference
from hil.reference.int8 import Int8Oracle
from hil.reference.prepare import real_values

LABELS = ("badminton", "running", "standing", "walking")
IDENTITY = Prepare("tensor", 1)
SCALE = Prepare("scale", 1, (Channel(0, 0, 255 << 16), *(Channel(c, 3, 40 << 16) for c in range(1, 6))))
BuildCase = Callable[..., Case]


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(5).integers(-3000, 3000, (9, 40, 6)).astype(np.int16)


@pytest.fixture
def case(imu_folder: Path, build_case: BuildCase, counts: np.ndarray) -> Case:
    """Nine windows of noise; number 2 is short, 5 out of range, 7 flat."""
    counts[5, 3, 1] = -32768
    counts[7] = 11
    samples = np.full(9, 40)
    samples[2] = 39
    return build_case(
        imu_folder / "model_int8.tflite",
        Vectors(counts, samples=samples),
        Window("int16", 40, 6),
        SCALE,
        imu_folder / "model_float.tflite",
        Gate(-32767, 32767, 1),
        Decide("argmax", 1, threshold=-129, release=-129, labels=LABELS),
    )


def test_rejected_rows_hold_zeros_and_no_decision(case: Case) -> None:
    references = compute(case)
    gate = [GateReason(int(reason)) for reason in references.gate]
    rejections = {index: reason for index, reason in enumerate(gate) if reason}
    assert rejections == {2: GateReason.LENGTH, 5: GateReason.RANGE, 7: GateReason.FLAT}
    rejected = [2, 5, 7]
    assert references.float_output is not None
    columns = (references.prepared, references.digest, references.output, references.float_output)
    for column in (*columns, references.float_chain):
        assert column is not None
        assert not column[rejected].any()
    for column in (references.winner, references.answer):
        assert column[rejected].tolist() == [-1, -1, -1]
    assert references.score[rejected].tolist() == [0, 0, 0]
    assert references.reason[rejected].tolist() == [DecisionReason.NO_STAGE] * 3


def test_columns_come_from_the_stages_in_their_order(case: Case) -> None:
    references = compute(case)
    valid = np.flatnonzero(references.gate == 0)
    prepared = references.prepared[valid]
    assert [zlib.crc32(row.tobytes()) for row in prepared] == references.digest[valid].tolist()
    np.testing.assert_array_equal(references.output[valid], Int8Oracle(case.model.data).run(prepared))
    assert case.float_model is not None
    expected = FloatReference(case.float_model.data).run(prepared, case.model.input.quantisation)
    assert references.float_output is not None
    np.testing.assert_array_equal(references.float_output[valid], expected)
    real = real_values(case.vectors.windows[valid], case.prepare, case.model.input)
    assert references.float_chain is not None
    np.testing.assert_array_equal(references.float_chain[valid], FloatReference(case.float_model.data).run_real(real))
    assert (references.float_chain[valid] != references.float_output[valid]).any()
    np.testing.assert_array_equal(references.winner[valid], references.output[valid].argmax(axis=1))
    np.testing.assert_array_equal(references.score[valid], references.output[valid].max(axis=1))
    assert (references.reason[valid] == DecisionReason.ACCEPTED).all()  # the threshold is below every score
    types = [getattr(references, name).dtype.name for name in ("gate", "prepared", "digest", "output", "float_output")]
    assert types == ["uint8", "int8", "uint32", "int8", "float32"]


@pytest.mark.parametrize("chunk", [1, 4, 1000])
def test_chunks_leave_no_trace(case: Case, chunk: int) -> None:
    whole, pieces = compute(case), compute(case, chunk=chunk)
    for name in ("prepared", "digest", "output", "float_output", "float_chain", "winner", "reason"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


def test_stimuli_computed_before_are_used(case: Case) -> None:
    stimuli = prepare_all(case)
    references = compute(case, stimuli)
    assert references.prepared is stimuli.prepared
    assert stimuli.valid.tolist() == [0, 1, 3, 4, 6, 8]


def test_progress_counts_to_the_end_and_can_stop(case: Case) -> None:
    seen: list[tuple[int, int]] = []
    compute(case, progress=lambda done, total: seen.append((done, total)), chunk=4)
    assert seen == [(4, 6), (6, 6)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute(case, progress=stop)


def test_a_rejected_vector_leaves_its_stream_as_it_was(
    imu_folder: Path, build_case: BuildCase, counts: np.ndarray
) -> None:
    """One window four times with the third one invalid: debounce 3 accepts the fourth, the third that is valid."""
    stream = np.repeat(counts[:1], 4, axis=0)
    stream[2, 0, 0] = -32768
    case = build_case(
        imu_folder / "model_int8.tflite",
        Vectors(stream, sequence=np.zeros(4, np.int64)),
        Window("int16", 40, 6),
        SCALE,
        gate=Gate(-32767, 32767, 0),
        decide=Decide("argmax", 1, threshold=-129, release=-129, debounce=3, labels=LABELS),
    )
    wanted = ["DEBOUNCE", "DEBOUNCE", "NO_STAGE", "ACCEPTED"]
    references = compute(case)
    assert [DecisionReason(int(reason)).name for reason in references.reason] == wanted
    assert references.float_output is None


def test_a_case_in_which_nothing_is_valid(imu_folder: Path, build_case: BuildCase) -> None:
    vectors = Vectors(np.zeros((3, 40, 6), np.int16))
    case = build_case(imu_folder / "model_int8.tflite", vectors, Window("int16", 40, 6), SCALE, gate=Gate(1, 2, 0))
    references = compute(case)
    assert references.gate.tolist() == [GateReason.RANGE] * 3
    assert references.output.shape == (3, 4)


def test_a_float_model_of_another_size_is_a_case_error(
    mlperf: Path, imu_folder: Path, build_case: BuildCase, counts: np.ndarray
) -> None:
    case = build_case(
        imu_folder / "model_int8.tflite",
        Vectors(counts),
        Window("int16", 40, 6),
        SCALE,
        mlperf / "models" / "ad01_fp32.tflite",
        Gate(-32768, 32767, 0),
    )
    with pytest.raises(CaseError, match=r"model.float: takes 640 and gives 640 values, the int8 model 240 and 4"):
        compute(case)


def test_preparing_many_windows_copies_only_a_few_at_a_time(imu_folder: Path, build_case: BuildCase) -> None:
    """20,000 windows of 480 bytes: 9.6 MB that must not be held twice, let alone as int64."""
    windows = np.ones((20_000, 40, 6), np.int16)
    case = build_case(
        imu_folder / "model_int8.tflite", Vectors(windows), Window("int16", 40, 6), SCALE, gate=Gate(0, 9, 0)
    )
    tracemalloc.start()
    stimuli = prepare_all(case)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(stimuli.valid) == len(windows)
    assert peak - sum(column.nbytes for column in vars(stimuli).values() if isinstance(column, np.ndarray)) < 4 << 20


def test_memory_beyond_the_columns_does_not_grow_with_the_vectors(mlperf: Path, build_case: BuildCase) -> None:
    """100,000 vectors of hello_world, whose columns take 3 MB."""
    n = 100_000
    windows = np.random.default_rng(2).integers(-128, 128, (n, 1, 1)).astype(np.int8)
    case = build_case(mlperf / "models" / "hello_world_int8.tflite", Vectors(windows), Window("int8", 1, 1), IDENTITY)
    tracemalloc.start()
    references = compute(case)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    columns = [column for column in vars(references).values() if isinstance(column, np.ndarray)]
    held = sum(column.nbytes for column in columns)
    assert references.output[:, 0].any()
    assert peak - held < 4 << 20
    # The model is a sine of the input: one output for one input, wherever it stands.
    table = {int(q): int(out) for q, out in zip(windows[:5000, 0, 0], references.output[:5000, 0], strict=True)}
    assert [table[int(q)] for q in windows[-5000:, 0, 0]] == references.output[-5000:, 0].tolist()
