"""Facts of the committed case golden_vectors/imu_motion: the vectors, their cut, the models, and the threshold pair."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hil.case.types import Case, Channel, Decide, Gate, Prepare, Vectors, Window
from hil.contract.types import References
from hil.records import DecisionReason, GateReason
from hil.reference import compute
from hil.reference.decide import raw_threshold
from hil.reference.int8 import Int8Oracle

REAL, RECORDINGS, WINDOWS, HOP = 520, 40, 13, 5
HAND_MADE = [
    *("rail_to_rail", "all_zero", "invalid_sample", "one_sample_short", "one_sample_long"),
    *("at_threshold", "above_threshold"),
]
LABELS = ("badminton", "running", "standing", "walking")


@pytest.fixture(scope="module")
def config(imu_folder: Path) -> dict[str, Any]:
    return tomllib.loads((imu_folder / "case.toml").read_text())


@pytest.fixture(scope="module")
def data(imu_folder: Path) -> dict[str, NDArray[Any]]:
    with np.load(imu_folder / "vectors.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def case(
    imu_folder: Path, config: dict[str, Any], data: dict[str, NDArray[Any]], build_case: Callable[..., Case]
) -> Case:
    """The case, put together from its files here: the loader has tests of its own."""
    oracle = Int8Oracle((imu_folder / "model_int8.tflite").read_bytes())
    scale = Fraction(oracle.input.quantisation.scale)
    gains = [round(Fraction(str(full)) / scale * 65536) for full in config["input"]["full_scale"]]
    threshold = raw_threshold(config["decision"]["threshold"], oracle.output.quantisation)
    gate = config["input"]["gate"]
    return build_case(
        imu_folder / "model_int8.tflite",
        Vectors(data["windows"], data["samples"].astype(np.int64), tuple(data["name"].tolist())),
        Window("int16", 40, 6),
        Prepare("scale", 1, tuple(Channel(source, 0, gain) for source, gain in enumerate(gains))),
        imu_folder / "model_float.tflite",
        Gate(gate["minimum"], gate["maximum"], gate["min_span"]),
        Decide("argmax", 1, threshold, threshold, labels=LABELS),
    )


@pytest.fixture(scope="module")
def references(case: Case) -> References:
    return compute(case)


def test_files_are_small_and_shaped_as_the_format_says(imu_folder: Path, data: dict[str, NDArray[Any]]) -> None:
    assert (data["windows"].dtype, data["windows"].shape) == (np.int16, (REAL + len(HAND_MADE), 40, 6))
    assert {len(column) for column in data.values()} == {REAL + len(HAND_MADE)}
    assert set(data) == {"windows", "label", "reject", "samples", "name", "expected_output"}
    assert (data["expected_output"].dtype, data["expected_output"].shape[1]) == (np.int8, 4)
    assert sum(file.stat().st_size for file in imu_folder.iterdir() if file.is_file()) < 400_000


def test_real_windows_are_cut_recording_by_recording(data: dict[str, NDArray[Any]]) -> None:
    """13 windows of one label each, every one the last 35 samples of the one before it and 5 new ones."""
    windows = data["windows"][:REAL].reshape(RECORDINGS, WINDOWS, 40, 6)
    label = data["label"][:REAL].reshape(RECORDINGS, WINDOWS)
    np.testing.assert_array_equal(windows[:, 1:, :-HOP], windows[:, :-1, HOP:])
    assert (label == label[:, :1]).all()
    assert np.bincount(label[:, 0]).tolist() == [10, 10, 10, 10]
    names = [f"{LABELS[label[r, 0]]}_r{r:02}_w{w:02}" for r in range(RECORDINGS) for w in range(WINDOWS)]
    assert data["name"].tolist() == names + HAND_MADE


def test_vectors_hold_test_recordings_and_nothing_of_the_training(
    data: dict[str, NDArray[Any]], config: dict[str, Any]
) -> None:
    spec = find_spec("aeon")
    if spec is None or spec.origin is None:
        pytest.skip("needs aeon, the extra `rebuild`")
    folder = Path(spec.origin).parent / "datasets" / "data" / "BasicMotions"
    full_scale = np.array(config["input"]["full_scale"])
    train, test = (recordings(folder / f"BasicMotions_{split}.ts") for split in ("TRAIN", "TEST"))
    windows = data["windows"][:REAL].reshape(RECORDINGS, WINDOWS, 40, 6)
    whole = np.concatenate([windows[:, 0], *(windows[:, w, -HOP:] for w in range(1, WINDOWS))], axis=1)
    assert np.abs(whole / 32768 * full_scale - test).max() <= full_scale.max() / 65536 * 1.0001
    counts = np.rint(train / full_scale * 32768)
    rows = {row.tobytes() for row in counts.reshape(-1, 6).astype(np.int16)}
    shared = sum(row.tobytes() in rows for row in whole.reshape(-1, 6).astype(np.int16))
    assert shared < 0.01 * whole.shape[0] * whole.shape[1]


def recordings(path: Path) -> NDArray[np.float64]:
    """[recordings, samples, channels] of a .ts file, read without aeon's own reader."""
    lines = path.read_text().split("@data\n")[1].split()
    channels = [[[float(v) for v in part.split(",")] for part in line.split(":")[:6]] for line in lines]
    return np.array(channels).transpose(0, 2, 1)


def test_hand_made_vectors_are_rejected_as_they_say_and_no_real_one_is(
    references: References, data: dict[str, NDArray[Any]]
) -> None:
    reasons = ["" if reason == 0 else GateReason(int(reason)).name.lower() for reason in references.gate]
    assert reasons == data["reject"].tolist()
    assert reasons[:REAL] == [""] * REAL
    rejected = {name: reason for name, reason in zip(HAND_MADE, reasons[REAL:], strict=True) if reason}
    assert rejected == {
        "all_zero": "flat",
        "invalid_sample": "range",
        "one_sample_short": "length",
        "one_sample_long": "length",
    }
    assert data["samples"][REAL:].tolist() == [40, 40, 40, 39, 41, 40, 40]


def test_min_span_is_far_below_the_stillest_real_window(data: dict[str, NDArray[Any]], config: dict[str, Any]) -> None:
    windows = data["windows"][:REAL].astype(np.int64)
    liveliest = (windows.max(axis=1) - windows.min(axis=1)).max(axis=1)
    assert liveliest.min() > 4 * config["input"]["gate"]["min_span"]


def test_golden_outputs_are_the_oracles(references: References, data: dict[str, NDArray[Any]]) -> None:
    np.testing.assert_array_equal(references.output, data["expected_output"])
    assert not data["expected_output"][data["reject"] != ""].any()


def test_answers_are_the_true_labels_on_nearly_all_real_windows(
    references: References, data: dict[str, NDArray[Any]], config: dict[str, Any]
) -> None:
    share = float((references.answer[:REAL] == data["label"][:REAL]).mean())
    assert share >= config["contract"]["decision"]["accuracy"]["min"]
    assert (data["label"][REAL:] == -1).all()


def test_float_and_int8_name_the_same_winner_on_nearly_all_vectors(
    references: References, config: dict[str, Any]
) -> None:
    assert references.float_output is not None
    valid = references.gate == GateReason.VALID
    same = references.float_output[valid].argmax(axis=1) == references.winner[valid]
    assert float(same.mean()) >= config["contract"]["agreement"]["top1"]["min"]


def test_the_threshold_pair_stands_on_either_side(references: References, case: Case) -> None:
    at, above = (REAL + HAND_MADE.index(name) for name in ("at_threshold", "above_threshold"))
    assert (
        0.6 - 1 / 256 < (references.score[above] + 128) / 256 - 1 / 256 < 0.6
    )  # 26 is the first raw score from 0.6 on
    assert references.score[[at, above]].tolist() == [case.decide.threshold, case.decide.threshold + 1]
    assert references.reason[[at, above]].tolist() == [DecisionReason.BELOW_THRESHOLD, DecisionReason.ACCEPTED]
    assert references.winner[at] == references.winner[above]


def test_rail_to_rail_passes_the_gate_and_clamps_every_element(references: References) -> None:
    row = REAL + HAND_MADE.index("rail_to_rail")
    assert set(references.prepared[row].tolist()) == {-128, 127}
    assert not np.isin(references.prepared[:REAL], (-128, 127)).any()


def test_dense_weights_have_one_scale(imu_folder: Path) -> None:
    """TFLM of 2020 reads only the first scale of a dense layer's weights."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(imu_folder / "model_int8.tflite"))
    weights = [tensor for tensor in interpreter.get_tensor_details() if tensor["name"].endswith("/MatMul")]
    assert [len(tensor["quantization_parameters"]["scales"]) for tensor in weights] == [1]
