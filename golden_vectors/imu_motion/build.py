"""Rebuilds the models and vectors of this case from the BasicMotions recordings that the package `aeon` carries.

Run `python golden_vectors/imu_motion/build.py` with the `rebuild` extra installed. Two runs on one machine write the
same bytes. What the case and the build share (window, full scale, gate, labels, threshold) is read from case.toml.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: it logs pages at level 0
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # GPU kernels sum in another order

import numpy as np
import tensorflow as tf
from aeon.datasets import load_from_ts_file
from numpy.typing import NDArray

from hil.case.types import Channel, Prepare
from hil.reference.decide import raw_threshold
from hil.reference.float import FloatReference
from hil.reference.int8 import Int8Oracle
from hil.reference.prepare import prepare, real_values

HERE = Path(__file__).resolve().parent
SEED = 20180501
HOP = 5  # samples, 0.5 s
EPOCHS = 40
COUNTS_PER_FULL_SCALE = 32768
INT16_INVALID = -32768  # the sensor's marker of an invalid sample
DATA_SHA256 = {
    "TRAIN": "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
    "TEST": "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
}

Counts = NDArray[np.int16]


@dataclass(frozen=True)
class Recordings:
    """values: float64 [recordings, channels, samples] in m/s2 and rad/s; label: index into the case's labels."""

    values: NDArray[np.float64]
    label: NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """The case's path from counts to scores: the prepare stage, the int8 oracle and the float model."""

    stage: Prepare
    oracle: Int8Oracle
    reference: FloatReference

    def raw_scores(self, windows: Counts) -> NDArray[np.int8]:
        """int8 [n, labels] of counts [n, samples, channels]."""
        return self.oracle.run(prepare(windows, self.stage, self.oracle.input))

    def float_scores(self, windows: Counts) -> NDArray[np.float32]:
        """float32 [n, labels] of the real values that counts [n, samples, channels] stand for, not of their tensors."""
        return self.reference.run_real(real_values(windows, self.stage, self.oracle.input))


@dataclass
class VectorSet:
    """Rows of vectors.npz in the making; `add` appends hand-made vectors."""

    windows: list[Counts]
    label: list[int]
    reject: list[str]
    samples: list[int]
    name: list[str]

    def add(self, name: str, window: Counts, reject: str = "", samples: int | None = None) -> None:
        """A hand-made vector: no true label, and the gate reason that it must get."""
        self.windows.append(window)
        self.label.append(-1)
        self.reject.append(reject)
        self.samples.append(len(window) if samples is None else samples)
        self.name.append(name)


def main() -> None:
    config = tomllib.loads((HERE / "case.toml").read_text())
    make_repeatable()
    train, test = (read_recordings(split, config["decision"]["labels"]) for split in ("TRAIN", "TEST"))
    windows, label = cut(train, config)
    network = train_network(windows, label, config)
    int8 = convert_int8(network, to_units(windows, config))
    floating = convert_float(network)
    (HERE / config["model"]["int8"]).write_bytes(int8)
    (HERE / config["model"]["float"]).write_bytes(floating)
    stage = stage_of(int8, floating, config)
    write_vectors(vector_set(test, stage, config), stage, config)
    for name in (config["model"]["int8"], config["model"]["float"], config["input"]["vectors"]):
        data = (HERE / name).read_bytes()
        print(f"{hashlib.sha256(data).hexdigest()}  {len(data):7,} bytes  {name}")


def make_repeatable() -> None:
    """Fixed seeds, deterministic kernels, one thread: sums are taken in one order."""
    tf.keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def read_recordings(split: str, labels: list[str]) -> Recordings:
    """One split from inside the installed package; nothing is downloaded."""
    spec = find_spec("aeon")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / "BasicMotions" / f"BasicMotions_{split}.ts"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != DATA_SHA256[split]:
        raise SystemExit(f"{path}: SHA-256 is {found}, not {DATA_SHA256[split]}\n  fix: pip install aeon==1.6.0")
    values, names = load_from_ts_file(str(path))
    return Recordings(np.asarray(values), np.array([labels.index(str(name)) for name in names]))


def cut(recordings: Recordings, config: dict[str, Any]) -> tuple[Counts, NDArray[np.int64]]:
    """Windows of counts [n, samples, channels] and their labels, recording by recording."""
    samples, full_scale = config["input"]["window"], np.array(config["input"]["full_scale"])
    counts = np.rint(recordings.values.transpose(0, 2, 1) / full_scale * COUNTS_PER_FULL_SCALE)
    counts = np.clip(counts, INT16_INVALID + 1, -INT16_INVALID - 1).astype(np.int16)
    starts = range(0, counts.shape[1] - samples + 1, HOP)
    windows = np.stack([counts[:, start : start + samples] for start in starts], axis=1)
    return windows.reshape(-1, samples, counts.shape[2]), np.repeat(recordings.label, len(starts))


def to_units(windows: Counts, config: dict[str, Any]) -> NDArray[np.float32]:
    """Counts to the model's input [n, samples, 1, channels] in m/s2 and rad/s."""
    units = windows / COUNTS_PER_FULL_SCALE * np.array(config["input"]["full_scale"])
    return units[:, :, None, :].astype(np.float32)


def build_network(samples: int, channels: int, labels: int, batch: int | None) -> tf.keras.Model:
    """Time runs along the height, the sensor's channels are the tensor's channels: element order is window order."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Input(batch_shape=(batch, samples, 1, channels), name="window"),
            layers.Conv2D(16, (5, 1), strides=(2, 1), activation="relu"),
            layers.DepthwiseConv2D((5, 1), activation="relu"),
            layers.Conv2D(16, 1, activation="relu"),
            layers.AveragePooling2D((14, 1)),
            layers.Flatten(),
            layers.Dense(labels),
            layers.Softmax(),
        ]
    )


def train_network(windows: Counts, label: NDArray[np.int64], config: dict[str, Any]) -> tf.keras.Model:
    """Trains on windows of training recordings only; returns the network with the firmware's batch of 1."""
    shape = (config["input"]["window"], config["input"]["channels"], len(config["decision"]["labels"]))
    network = build_network(*shape, batch=None)
    network.compile(optimizer=tf.keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy")
    network.fit(to_units(windows, config), label, batch_size=32, epochs=EPOCHS, verbose=0)
    fixed = build_network(*shape, batch=1)
    fixed.set_weights(network.get_weights())
    return fixed


def convert_float(network: tf.keras.Model) -> bytes:
    return convert(tf.lite.TFLiteConverter.from_keras_model(network))


def convert_int8(network: tf.keras.Model, representative: NDArray[np.float32]) -> bytes:
    """Full int8, ranges from the training windows."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in representative)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    # TFLM of 2020 reads only the first scale of a per-channel dense layer and computes wrong scores without an error.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return convert(converter)


def convert(converter: tf.lite.TFLiteConverter) -> bytes:
    """The model's bytes, without the converter's talk of temporary folders."""
    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(converter.convert())


def stage_of(int8: bytes, floating: bytes, config: dict[str, Any]) -> Stage:
    """`scale/1` with the gain that makes full scale * counts / 32768 the model's input (docs/pipeline.md)."""
    oracle = Int8Oracle(int8, name=config["model"]["int8"])
    scale = Fraction(oracle.input.quantisation.scale)
    full_scale = [Fraction(repr(full)) for full in config["input"]["full_scale"]]
    gains = [int(full / scale * 65536 + Fraction(1, 2)) for full in full_scale]
    channels = tuple(Channel(source, 0, gain) for source, gain in enumerate(gains))
    return Stage(Prepare("scale", 1, channels), oracle, FloatReference(floating))


def vector_set(test: Recordings, stage: Stage, config: dict[str, Any]) -> VectorSet:
    """All windows of the test recordings, then the hand-made ones."""
    windows, label = cut(test, config)
    labels, per_recording = config["decision"]["labels"], len(windows) // len(test.label)
    names = [f"{labels[true]}_r{i // per_recording:02}_w{i % per_recording:02}" for i, true in enumerate(label)]
    n = len(windows)
    vectors = VectorSet(list(windows), label.tolist(), [""] * n, [windows.shape[1]] * n, names)
    add_hand_made(vectors, windows[0])
    add_threshold_pair(vectors, windows, label, stage, config)
    return vectors


def add_hand_made(vectors: VectorSet, real: Counts) -> None:
    """What a recording does not hold: rails, a dead sensor, an invalid sample, and windows cut off or run together."""
    samples = len(real)
    rails = np.where(np.arange(samples) % 2 == 0, INT16_INVALID + 1, -INT16_INVALID - 1).astype(np.int16)
    vectors.add("rail_to_rail", np.repeat(rails[:, None], real.shape[1], axis=1))
    vectors.add("all_zero", np.zeros_like(real), "flat")
    marked = real.copy()
    marked[samples // 2, 0] = INT16_INVALID
    vectors.add("invalid_sample", marked, "range")
    vectors.add("one_sample_short", real, "length", samples - 1)
    vectors.add("one_sample_long", real, "length", samples + 1)


def add_threshold_pair(
    vectors: VectorSet, windows: Counts, label: NDArray[np.int64], stage: Stage, config: dict[str, Any]
) -> None:
    """Two mixtures of real windows with one winner, whose raw score is the threshold (unknown) or one above (accepted).

    The first windows of two classes, in file order, that yield both are taken: the search always ends alike.
    """
    threshold = raw_threshold(config["decision"]["threshold"], stage.oracle.output.quantisation)
    for a in (int(np.flatnonzero(label == true)[0]) for true in np.unique(label)):
        for b in np.flatnonzero(label != label[a]):
            mixed = mixtures(windows[a], windows[b])
            raw = stage.raw_scores(mixed)
            usable = float_score_is_near(stage.float_scores(mixed), raw, config)
            for winner in range(raw.shape[1]):
                wins = usable & (raw.argmax(axis=1) == winner)
                at = np.flatnonzero(wins & (raw[:, winner] == threshold))
                above = np.flatnonzero(wins & (raw[:, winner] == threshold + 1))
                if len(at) and len(above):
                    vectors.add("at_threshold", mixed[at[0]])
                    vectors.add("above_threshold", mixed[above[0]])
                    return
    raise SystemExit("no mixture of two windows has a winning score at the threshold\n  fix: mix in finer steps")


def mixtures(a: Counts, b: Counts) -> Counts:
    """All ((512 - k) * a + k * b) // 512 in whole counts, k = 0..512: [513, samples, channels]."""
    k = np.arange(513)[:, None, None]
    return (((512 - k) * a.astype(np.int64) + k * b) // 512).astype(np.int16)


def float_score_is_near(
    scores: NDArray[np.float32], raw: NDArray[np.int8], config: dict[str, Any]
) -> NDArray[np.bool_]:
    """Whether the float model names the same winner with a score inside the flip band around the threshold.

    The pair is there for the decide stage. Between two classes the scores are steep, and a mixture on which the models
    disagree would make it a case of the agreement contract as well.
    """
    band = config["contract"]["agreement"]["flips"]["band"]
    near = np.abs(scores.max(axis=1) - config["decision"]["threshold"]) < band
    return near & (scores.argmax(axis=1) == raw.argmax(axis=1))


def write_vectors(vectors: VectorSet, stage: Stage, config: dict[str, Any]) -> None:
    """vectors.npz (docs/case-format.md); rows of vectors that the gate must reject hold zeros in `expected_output`."""
    windows, reject = np.stack(vectors.windows), np.array(vectors.reject)
    expected = np.where((reject == "")[:, None], stage.raw_scores(windows), 0).astype(np.int8)
    np.savez_compressed(
        HERE / config["input"]["vectors"],
        windows=windows,
        label=np.array(vectors.label, np.int8),
        reject=reject,
        samples=np.array(vectors.samples, np.int16),
        name=np.array(vectors.name),
        expected_output=expected,
    )


if __name__ == "__main__":
    main()
