"""`hil case new`: what it writes passes its own check and says what is guessed; a failure leaves nothing behind."""

from __future__ import annotations

import tomllib
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dilated_models import dilated_model
from scipy.io import wavfile
from state_cases import streaming_model
from tflite_builder import ModelBuilder, dense_model, float_model

from hil.case.load import load_case
from hil.case.start.new import NewCase, new_case
from hil.case.start.windows import MADE_UP, MOST_WINDOWS, Target, made_up, read_windows
from hil.cli import main
from hil.errors import CaseError, UsageError
from hil.model.alignment import misplaced
from hil.model.cures import cured
from hil.model.rewrite import rewritten
from hil.model.tflite import parse_model

SHARED = Path(__file__).parents[3] / "shared/data"
RANDOM = np.random.default_rng(3)


def int8_model(shape: tuple[int, ...] = (1, 4, 2), output: tuple[float, int] = (1 / 256, -128)) -> bytes:
    """FULLY_CONNECTED to 4 classes, which the oracle takes too: the scale of its bias is the product of the others."""
    m = ModelBuilder()
    elements = int(np.prod(shape[1:]))
    x = m.tensor("x", shape, scale=0.1, zero_point=3)
    w = m.tensor("w", (4, elements), scale=0.02, data=np.arange(4 * elements).reshape(4, elements) % 11 - 5)
    b = m.tensor("b", (4,), "INT32", 0.1 * 0.02, data=np.zeros(4))
    y = m.tensor("y", (1, 4), scale=output[0], zero_point=output[1])
    return m.operator("FULLY_CONNECTED", [x, w, b], [y]).build([x], [y])


class Desk:
    """A folder with a model of a window of 4 samples x 2 channels and 4 classes; makes cases beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = self.file("toy.tflite", int8_model())

    def file(self, name: str, data: bytes) -> Path:
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def npz(self, **arrays: Any) -> Path:
        np.savez(self.folder / "data.npz", **arrays)
        return self.folder / "data.npz"

    def case(self, vectors: Path | None = None, **options: Any) -> NewCase:
        return new_case(self.folder / "made", options.pop("model", self.model), vectors=vectors, **options)

    @property
    def toml(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "made" / "case.toml").read_text(encoding="utf-8"))

    @property
    def text(self) -> str:
        return (self.folder / "made" / "case.toml").read_text(encoding="utf-8")

    def refusal(self, vectors: Path | None = None, **options: Any) -> str:
        with pytest.raises(UsageError) as caught:
            self.case(vectors, **options)
        assert "\n  fix: " in str(caught.value)
        assert not (self.folder / "made").exists()
        return str(caught.value)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# ---- without recordings


def test_a_case_without_recordings_says_that_its_windows_are_made_up(desk: Desk) -> None:
    made = desk.case()
    case = load_case(desk.folder / "made")
    assert (case.name, case.version, case.prepare.name, len(case.vectors)) == ("made", 1, "tensor/1", MADE_UP)
    assert "made up by hil case new" in case.source
    assert case.model.sha256[:16] in case.source
    assert "# A guess: there are no recordings yet" in desk.text
    assert any("made up" in note for note in made.notes)


def test_made_up_windows_are_the_same_each_time_and_reach_the_whole_range(desk: Desk) -> None:
    first = desk.case().case.vectors.windows
    second = new_case(desk.folder / "again", desk.model).case.vectors.windows
    assert (first == second).all()
    assert (int(first.min()), int(first.max())) == (-128, 127)
    assert len({window.tobytes() for window in first}) == MADE_UP


def test_a_model_of_one_value_gets_its_whole_range(desk: Desk) -> None:
    windows = desk.case(model=desk.file("one.tflite", int8_model((1, 1)))).case.vectors.windows
    assert len(np.unique(windows)) == MADE_UP
    assert (windows.min(), windows.max()) == (-128, 127)


def test_limits_are_left_out_and_the_way_to_them_is_told(desk: Desk) -> None:
    desk.case()
    assert "budget" not in desk.toml
    assert "contract" not in desk.toml
    assert "hil case limits hil-out --write" in desk.text


# ---- labels


def test_probabilities_become_labels_that_are_said_to_be_a_guess(desk: Desk) -> None:
    desk.case()
    assert desk.toml["decision"] == {"labels": ["class_0", "class_1", "class_2", "class_3"], "threshold": 0.5}
    assert "# A guess: the output holds probabilities, of 4 elements." in desk.text


def test_an_output_of_another_scale_has_no_decision(desk: Desk) -> None:
    model = desk.file("values.tflite", int8_model(output=(0.07, 3)))
    windows = desk.npz(windows=RANDOM.normal(size=(5, 4, 2)), label=np.array(["a", "b", "a", "b", "a"]))
    assert desk.case(windows, model=model).case.decide.name == "none/1"
    assert "decision" not in desk.toml


def test_as_many_label_texts_as_outputs_are_taken_in_the_order_of_the_alphabet(desk: Desk) -> None:
    texts = np.array(["walk", "run", "idle", "jump", "run"])
    made = desk.case(desk.npz(windows=RANDOM.normal(size=(5, 4, 2)), label=texts))
    assert made.case.decide.labels == ("idle", "jump", "run", "walk")
    assert made.case.vectors.label is not None
    assert made.case.vectors.label.tolist() == [3, 2, 0, 1, 2]
    assert "in the order of the alphabet" in desk.text


def test_other_label_texts_are_left_out_and_that_is_said(desk: Desk) -> None:
    made = desk.case(desk.npz(windows=RANDOM.normal(size=(2, 4, 2)), label=np.array(["walk", "run"])))
    assert made.case.vectors.label is None
    assert "are left out: which is which is not known" in desk.text


# ---- .npz


@pytest.mark.parametrize(
    ("windows", "stage"),
    [
        (RANDOM.normal(size=(6, 4, 2)), "quantize/1"),
        (RANDOM.integers(-100, 100, (6, 4, 2)).astype(np.int8), "tensor/1"),
        (RANDOM.integers(-9000, 9000, (6, 4, 2)).astype(np.int16), "scale/1"),
        (RANDOM.integers(-9000, 9000, (6, 4, 2)), "scale/1"),
        (RANDOM.integers(0, 256, (6, 4, 2)).astype(np.uint8), "tensor/1"),
    ],
    ids=["float64", "int8", "int16", "int64", "uint8"],
)
def test_the_type_of_the_windows_says_which_stage_takes_them(desk: Desk, windows: Any, stage: str) -> None:
    case = desk.case(desk.npz(windows=windows)).case
    assert case.prepare.name == stage
    shift = 128 if windows.dtype == np.uint8 else 0
    assert np.allclose(case.vectors.windows.astype(float).reshape(windows.shape), windows.astype(float) - shift)
    assert "# A guess: " in desk.text


def test_the_only_array_that_fits_is_taken_whatever_its_name(desk: Desk) -> None:
    made = desk.case(desk.npz(gestures=RANDOM.normal(size=(6, 8)), notes=np.zeros(3)))
    assert len(made.case.vectors) == 6
    assert "array gestures of data.npz" in made.case.source
    assert "# left out of data.npz: notes" in desk.text


def test_what_came_with_the_windows_stays(desk: Desk) -> None:
    arrays = {"label": np.array([0, 3]), "name": np.array(["x", "y"]), "sequence": np.array([0, 0])}
    vectors = desk.case(desk.npz(windows=RANDOM.normal(size=(2, 4, 2)), **arrays)).case.vectors
    assert vectors.names == ("x", "y")
    assert vectors.label is not None
    assert vectors.label.tolist() == [0, 3]


def test_a_recording_is_cut_without_overlap_and_that_is_said(desk: Desk) -> None:
    recording = RANDOM.normal(size=(11, 2))
    windows = desk.case(desk.npz(acceleration=recording)).case.vectors.windows
    assert np.array_equal(windows, recording[:8].reshape(2, 4, 2).astype(np.float32))
    assert "without overlap" in desk.text
    assert "the last 3 samples of the recording are left out" in desk.text


def test_a_long_recording_gives_so_many_windows_and_no_more(desk: Desk) -> None:
    made = desk.case(desk.npz(acceleration=RANDOM.normal(size=(4 * MOST_WINDOWS + 40, 2))))
    assert len(made.case.vectors) == MOST_WINDOWS
    assert "the last 40 samples" in desk.text


def test_values_in_another_unit_are_told(desk: Desk) -> None:
    made = desk.case(desk.npz(windows=1000 * RANDOM.normal(size=(6, 4, 2))))
    assert any("are they in another unit than the model's?" in note for note in made.notes)


def test_arrays_that_do_not_fit_are_listed_with_what_would(desk: Desk) -> None:
    text = desk.refusal(desk.npz(a=np.zeros((3, 5)), b=np.zeros((2, 4, 3))))
    assert "no array fits; the model takes windows [n, 4, 2], or a recording [samples, 2]" in text
    assert "a float64 [3, 5], b float64 [2, 4, 3]" in text
    assert "2 arrays fit (a, b)" in desk.refusal(desk.npz(a=np.zeros((3, 4, 2)), b=np.zeros((2, 4, 2))))


def test_python_objects_are_not_read(desk: Desk) -> None:
    assert "cannot be read as plain arrays" in desk.refusal(desk.npz(windows=np.array([{}], object)))


# ---- .csv, .wav


def test_a_csv_has_a_sample_a_row(desk: Desk) -> None:
    rows = RANDOM.normal(size=(9, 2)).round(3)
    text = "x;y\n" + "".join(f"{x};{y}\n" for x, y in rows)
    case = desk.case(desk.file("walk.csv", text.encode())).case
    assert case.prepare.name == "quantize/1"
    assert np.allclose(case.vectors.windows.reshape(-1, 2), rows[:8])
    assert "recording walk.csv" in case.source


def test_a_column_of_times_is_left_out(desk: Desk) -> None:
    text = "timestamp,x,y\n" + "".join(f"{10 * row},{row / 9},{-row / 9}\n" for row in range(8))
    assert desk.case(desk.file("walk.csv", text.encode())).case.vectors.windows.shape == (2, 4, 2)
    assert "column 'timestamp' of walk.csv is time, and left out" in desk.text


def test_a_csv_of_whole_windows_has_one_a_row(desk: Desk) -> None:
    rows = RANDOM.normal(size=(3, 8)).round(3)
    text = "\n".join(",".join(map(str, row)) for row in rows)
    assert np.allclose(desk.case(desk.file("w.csv", text.encode())).case.vectors.windows.reshape(3, 8), rows)


def test_counts_in_a_csv_are_known_by_their_size(desk: Desk) -> None:
    text = "".join(f"{row * 1000},{-row}\n" for row in range(8))
    assert desk.case(desk.file("raw.csv", text.encode())).case.prepare.name == "scale/1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3\n" * 4, "it has 3 columns; a sample of the model's input has 2 values"),
        ("1,2\n" * 3, "it has 3 samples; a window of the model has 4"),
        ("1,2\n1,two\n", "line 2: '1,two' is no row of finite numbers"),
        ("1,2\nnan,2\n", "line 2: 'nan,2' is no row of finite numbers"),
        ("1,2\n1\n", "line 2: it has 1 values, the rows before have 2"),
        ("x,y\n", "it has no row of numbers"),
        ("x;y\n1,5;2,5\n", "column 1 (x) is '1,5'\n  fix: write a decimal point in place of the comma"),
        ("1 2\n3 4\n", "fix: put a comma, a semicolon or a tab between the columns"),
        ("1,2,\n1,2,\n", "fix: take the separator at the end of each line away"),
        ("x,y,label\n1,2,walk\n", "line 2: '1,2,walk' is no row of finite numbers: column 3 (label) is 'walk'"),
    ],
)
def test_a_csv_that_does_not_do_is_refused_with_its_line(desk: Desk, text: str, said: str) -> None:
    assert said in desk.refusal(desk.file("walk.csv", text.encode()))


def test_a_wav_is_cut_and_its_rate_kept(desk: Desk) -> None:
    samples = RANDOM.integers(-3000, 3000, (19,)).astype(np.int16)
    wavfile.write(desk.folder / "yes.wav", 16_000, samples)
    case = desk.case(desk.folder / "yes.wav").case
    assert (case.prepare.name, case.rate_hz, case.window.samples, case.window.channels) == ("scale/1", 16_000.0, 8, 1)
    assert np.array_equal(case.vectors.windows.reshape(2, 8), samples[:16].reshape(2, 8))
    assert desk.toml["input"]["full_scale"] == 1.0


def test_a_wav_of_other_samples_is_refused(desk: Desk) -> None:
    wavfile.write(desk.folder / "yes.wav", 16_000, np.zeros(20, np.float32))
    assert "its samples are float32, 16-bit PCM is wanted" in desk.refusal(desk.folder / "yes.wav")
    assert "no .wav file that can be read" in desk.refusal(desk.file("no.wav", b"RIFX nothing"))


def test_the_width_of_a_wav_s_samples_is_told_as_it_was_recorded(desk: Desk) -> None:
    with wave.open(str(desk.folder / "yes.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(16_000)
        file.writeframes(bytes(60))
    assert "its samples are 24 or 32 bits wide" in desk.refusal(desk.folder / "yes.wav")


def test_a_wav_of_other_channels_than_the_model_s_is_refused_and_not_taken_as_it_lies(desk: Desk) -> None:
    """With two channels in turn the window would have as many values as the model takes."""
    stereo = RANDOM.integers(-3000, 3000, (20, 2)).astype(np.int16)
    wavfile.write(desk.folder / "yes.wav", 16_000, stereo)
    desk.model.write_bytes(int8_model((1, 8, 1)))
    assert "it has 2 channels, the last axis of the model's input [8, 1]" in desk.refusal(desk.folder / "yes.wav")
    desk.model.write_bytes(int8_model((1, 4, 2)))
    assert np.array_equal(desk.case(desk.folder / "yes.wav").case.vectors.windows[0].reshape(4, 2), stereo[:4])


def test_a_wav_that_ends_early_is_read_as_far_as_it_goes_and_that_is_said(desk: Desk) -> None:
    wavfile.write(desk.folder / "whole.wav", 16_000, np.zeros(100, np.int16))
    cut = desk.file("cut.wav", (desk.folder / "whole.wav").read_bytes()[:100])
    found = read_windows(cut, Target((8, 1), "int8", -1.0, 1.0))
    assert len(found.windows) == 3
    assert any("cut.wav is damaged: Reached EOF prematurely" in remark for remark in found.remarks)


def test_a_damaged_recording_is_refused_whatever_its_reader_stumbles_over(desk: Desk) -> None:
    """Bytes of the header and of the directory at the end, one at a time."""
    wavfile.write(desk.folder / "whole.wav", 16_000, np.zeros(100, np.int16))
    whole = (desk.folder / "whole.wav").read_bytes()
    for length in range(44):
        with pytest.raises(CaseError):
            read_windows(desk.file("cut.wav", whole[:length]), Target((4, 2), "int8", -1.0, 1.0))
    packed = desk.folder / "packed.npz"
    np.savez_compressed(packed, windows=RANDOM.normal(size=(9, 4, 2)))
    whole = packed.read_bytes()
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0x5A
        with suppress(CaseError):
            read_windows(desk.file("damaged.npz", bytes(damaged)), Target((4, 2), "int8", -1.0, 1.0))


def test_another_kind_of_file_is_refused(desk: Desk) -> None:
    assert "its name ends in '.mat'" in desk.refusal(desk.file("data.mat", b""))
    assert "cannot be read (No such file or directory)" in desk.refusal(desk.folder / "none.npz")


# ---- input tensors of other types


REAL = Target((4, 2), "float32", -2.0, 2.0)
BYTE = Target((4, 2), "uint8", 0.0, 2.55, 0.01, 0)


@pytest.mark.parametrize(("target", "ends"), [(REAL, (-2.0, 2.0)), (BYTE, (0, 255))], ids=["float32", "uint8"])
def test_made_up_windows_have_the_type_of_the_tensor_and_its_range(target: Target, ends: tuple[float, float]) -> None:
    windows = made_up(target).windows
    assert windows.dtype == target.dtype
    assert (windows.min(), windows.max()) == ends


@pytest.mark.parametrize(
    ("target", "kind", "stage"),
    [
        (REAL, np.float64, "tensor/1"),
        (REAL, np.int16, "tensor/1"),
        (BYTE, np.uint8, "tensor/1"),
        (BYTE, np.float32, "quantize/1"),
        (BYTE, np.int16, "scale/1"),
    ],
)
def test_windows_for_other_tensors(desk: Desk, target: Target, kind: type, stage: str) -> None:
    values = np.arange(40).reshape(5, 4, 2).astype(kind)
    found = read_windows(desk.npz(windows=values), target)
    assert found.prepare == stage
    assert np.array_equal(found.windows.reshape(values.shape).astype(float), values.astype(float))


def test_a_wav_for_a_float_tensor_reaches_from_minus_one_to_one(desk: Desk) -> None:
    wavfile.write(desk.folder / "yes.wav", 16_000, np.array([-32768, 16384] * 8, np.int16))
    found = read_windows(desk.folder / "yes.wav", REAL)
    assert (found.prepare, found.windows.dtype, found.windows.shape) == ("tensor/1", np.float32, (2, 4, 2))
    assert {*found.windows.ravel().tolist()} == {-1.0, 0.5}


def test_the_range_of_a_float_input_is_that_of_the_quantisation_behind_it() -> None:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4, 2), "FLOAT32", None), m.tensor("y", (1, 4, 2), scale=0.5, zero_point=-28)
    model = parse_model(m.operator("QUANTIZE", [x], [y]).build([x], [y]), Path("m.tflite"))
    assert Target.of(model) == Target((4, 2), "float32", -50.0, 77.5)


# ---- models and folder


def test_a_model_that_keeps_state_is_told_and_whether_it_lasts_is_a_guess(desk: Desk) -> None:
    made = desk.case(model=desk.file("streaming.tflite", streaming_model()))
    assert desk.toml["model"]["state"] is True
    assert "# The model keeps state: operator 0 SVDF (tensor 4, INT16 [1, 32])." in desk.text
    assert made.case.keeps_state
    assert made.case.vectors.sequence is not None
    assert np.bincount(made.case.vectors.sequence).tolist() == [8] * 4
    assert any("keeps state (operator 0 SVDF" in note and "is a guess" in note for note in made.notes)
    assert not any("state" in note for note in made.case.notes)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data beside the project")
def test_the_state_of_an_lstm_is_guessed_to_last_no_longer_than_a_window(desk: Desk) -> None:
    desk.case(model=SHARED / "public_models" / "tflm_mnist_lstm_int8.tflite")
    assert desk.toml["model"]["state"] is False


def test_the_float_model_comes_along(desk: Desk) -> None:
    twin = desk.file("toy_float.tflite", float_model(shape=(1, 4, 2)))
    case = desk.case(float_model=twin).case
    assert case.float_model is not None
    assert desk.toml["model"] == {"int8": "toy.tflite", "float": "toy_float.tflite"}


def test_a_float_model_becomes_a_case_that_judges_the_float_model_itself(desk: Desk) -> None:
    windows = RANDOM.normal(size=(6, 4, 2)).astype(np.float32)
    made = desk.case(desk.npz(windows=windows), model=desk.file("real.tflite", float_model(shape=(1, 4, 2))))
    assert made.case.model.all_float
    assert (made.case.gate.minimum, made.case.gate.maximum) == (windows.min(), windows.max())
    assert made.case.contracts.tolerance > 0
    assert any("judges the float model itself" in note for note in made.notes)


@pytest.mark.parametrize("largest", [1e-3, 1.0, 4e4])
def test_the_tolerance_of_a_float_model_grows_with_its_output(desk: Desk, largest: float) -> None:
    windows = np.full((2, 4, 2), largest, np.float32)
    case = desk.case(desk.npz(windows=windows), model=desk.file("real.tflite", float_model(shape=(1, 4, 2)))).case
    assert 1e-7 < case.contracts.tolerance / largest < 1e-3


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data beside the project")
def test_a_model_whose_vectors_lie_at_wrong_offsets_is_copied_aligned_and_that_is_said(desk: Desk) -> None:
    """As TFLiteConverter writes int64 biases of a model with 16-bit activations."""
    model = SHARED / "keras_2_21" / "cnn_int16x8.tflite"
    made = desk.case(model=model)
    assert misplaced(model.read_bytes()) != ()
    assert misplaced(made.case.model.data) == ()
    assert made.case.model.data == rewritten(model.read_bytes())
    assert any("is a copy, as hil model fix writes it" in note and "no multiple of 8" in note for note in made.notes)
    assert "# A copy, as `hil model fix` writes it" in desk.text


def test_a_model_whose_open_batch_was_taken_for_1_is_copied_with_right_shapes_and_that_is_said(desk: Desk) -> None:
    data = dilated_model(RANDOM, (8, 3), (2,), (3,), 4)
    made = desk.case(model=desk.file("dilated.tflite", data))
    assert made.case.model.data == cured(data, Path("dilated.tflite"))[0] != data
    assert any("shapes of an open batch taken for 1" in note for note in made.notes)
    assert "# shapes of an open batch taken for 1" in desk.text


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data beside the project")
def test_a_model_for_today_s_tflm_gets_a_case_where_that_is_what_will_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["case", "new", str(desk.folder / "made"), "--model", str(SHARED / "public_models" / "mww_v2_vad.tflite")]
    assert main(words) == 2
    assert "run it on today's TFLM" in capsys.readouterr().err
    monkeypatch.setenv("HIL_TFLM", "upstream")
    assert main(words) == 0
    assert desk.toml["model"]["state"] is True


def test_a_twin_of_the_same_name_gets_another(desk: Desk) -> None:
    (desk.folder / "float").mkdir()
    twin = desk.file("float/toy.tflite", float_model(shape=(1, 4, 2)))
    desk.case(float_model=twin)
    assert desk.toml["model"] == {"int8": "toy.tflite", "float": "model_float.tflite"}


def test_a_model_that_is_refused_leaves_nothing_behind(desk: Desk) -> None:
    assert "hybrid" in desk.refusal(model=desk.file("hybrid.tflite", dense_model(activations="FLOAT32")))
    assert "its shape is [1, 6]" in desk.refusal(float_model=desk.file("other.tflite", float_model(inputs=6)))
    assert "cannot be read" in desk.refusal(model=desk.folder / "none.tflite")


def test_a_model_that_the_oracle_refuses_is_named_as_it_was_given(desk: Desk) -> None:
    model = desk.file("bias.tflite", dense_model())  # its bias has no scale, which TFLM of today looks at
    text = desk.refusal(model=model)
    assert text.startswith(f"{model}: the int8 oracle (tflite-micro) refuses this model")


def test_a_fault_that_shows_late_leaves_nothing_behind(desk: Desk) -> None:
    wrong = desk.npz(windows=RANDOM.normal(size=(2, 4, 2)), name=np.array(["same", "same"]))
    assert "rows 0 and 1 are both 'same'" in desk.refusal(wrong)


def test_nothing_is_overwritten(desk: Desk) -> None:
    (desk.folder / "made").mkdir()
    with pytest.raises(UsageError, match="is there already, and nothing is overwritten"):
        desk.case()
    assert list((desk.folder / "made").iterdir()) == []


@pytest.mark.parametrize("name", ["übung 3.tflite", 'a "b" \u007f.tflite', "case.toml"])
def test_odd_names_of_files_and_folders_come_through(desk: Desk, name: str) -> None:
    model = desk.file(name, int8_model())
    case = new_case(desk.folder / "my case #1!", model).case
    assert case.name == "my_case_1_"
    assert case.model.data == model.read_bytes()


def test_the_command_says_what_it_guessed_and_what_comes_next(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["case", "new", str(desk.folder / "made"), "--model", str(desk.model)]) == 0
    said = capsys.readouterr().out
    assert 'prepare = "tensor/1" is a guess' in said
    assert f"next: pytest --board=qemu {desk.folder / 'made'}" in said
    assert main(["case", "check", str(desk.folder / "made")]) == 0


@pytest.mark.parametrize(
    "name",
    [
        *("public_models/kenning_magic_wand_int8", "public_models/ei_voice_nxp", "public_models/hpx_tiny_cnn"),
        *("keras_2_21/cnn_batch1", "mlperf_tiny/models/kws_ref_model", "mlperf_tiny/models/hello_world_int8"),
        *("mlperf_tiny/models/ad01_int8", "mlperf_tiny/models/person_detect"),
    ],
)
def test_a_real_model_becomes_a_case_by_itself(name: str, tmp_path: Path) -> None:
    model = SHARED / f"{name}.tflite"
    if not model.is_file():
        pytest.skip(f"no {name} in ../shared/data beside the project")
    made = new_case(tmp_path / "made", model)
    assert made.case.model.data == model.read_bytes()
    assert load_case(tmp_path / "made").files == made.case.files


def test_a_damaged_vectors_file_names_itself(desk: Desk) -> None:
    with pytest.raises(CaseError) as caught:
        desk.case(desk.file("bad.npz", b"PK\3\4 nothing"))
    assert caught.value.file.name == "bad.npz"
