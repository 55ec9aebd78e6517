"""Rebuilds models, front-end constants and vectors of this case from the BasicMotions recordings of the package `aeon`.

    python examples/c_bare/case/build.py [FOLDER]

FOLDER: where BasicMotions_TRAIN.ts and BasicMotions_TEST.ts lie; by default in the installed package. Nothing is
downloaded. Two runs on one machine write the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import front_end
import network
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
DATA_SHA256 = {
    "TRAIN": "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
    "TEST": "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
}
# What full scale of the sensor is, by channel: accelerometer +-4 g in m/s2, gyroscope +-2000 degrees/s in rad/s.
FULL_SCALE = np.array([39.2266] * 3 + [34.9066] * 3)
SEED, HIDDEN = 20261128, (16, 12)
TRAIN_HOP, TEST_HOP = 5, 15  # samples
WINDOWS = 5  # of a test recording: (100 - 40) / 15 + 1
INPUT = network.Scale(float(np.float32(1 / 24)), -16)  # of the model: -4.7 to 6 deviations from the mean

Counts = NDArray[np.int16]


def main() -> None:
    case = tomllib.loads((HERE / "case.toml").read_text(encoding="utf-8"))
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _package()
    labels, samples = case["decision"]["labels"], case["input"]["window"]
    train, test = (
        cut(*read(folder, split, labels), samples, hop) for split, hop in (("TRAIN", TRAIN_HOP), ("TEST", TEST_HOP))
    )
    raw = front_end.statistics(train[0])
    write_table(raw)
    prepared = front_end.prepare(train[0])
    values = (prepared.astype(np.float64) - INPUT.zero_point) * INPUT.scale
    layers = network.train(values, train[1], HIDDEN, SEED)
    int8, floating = network.int8_model(layers, values, INPUT), network.float_model(layers)
    for key, data in (("int8", int8), ("float", floating)):
        (HERE / case["model"][key]).write_bytes(data)
    write_vectors(*test, labels)
    for name in (case["model"]["int8"], case["model"]["float"], "vectors.npz"):
        print(f"{hashlib.sha256((HERE / name).read_bytes()).hexdigest()}  {name}")


def _package() -> Path:
    spec = find_spec("aeon")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "there is no package aeon\n  fix: pip install aeon==1.6.0, or name the folder of its .ts files"
        )
    return Path(spec.origin).parent / "datasets" / "data" / "BasicMotions"


def read(folder: Path, split: str, labels: list[str]) -> tuple[Counts, NDArray[np.int64]]:
    """Counts [recordings, samples, channels] and labels of one split."""
    file = folder / f"BasicMotions_{split}.ts"
    data = file.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != DATA_SHA256[split]:
        raise SystemExit(f"{file}: SHA-256 is {found}, not {DATA_SHA256[split]}\n  fix: take the file of aeon 1.6.0")
    rows = [line.split(":") for line in data.decode().splitlines() if line and line[0] not in "#@"]
    values = np.array([[np.fromstring(part, sep=",") for part in row[:-1]] for row in rows]).transpose(0, 2, 1)
    counts = np.clip(np.rint(values / FULL_SCALE * 32768), -32767, 32767).astype(np.int16)
    return counts, np.array([labels.index(row[-1].lower()) for row in rows])


def cut(counts: Counts, labels: NDArray[np.int64], samples: int, hop: int) -> tuple[Counts, NDArray[np.int64]]:
    """Windows [n, samples, channels] and their labels, recording by recording."""
    starts = range(0, counts.shape[1] - samples + 1, hop)
    windows = np.stack([counts[:, start : start + samples] for start in starts], axis=1)
    return windows.reshape(-1, samples, counts.shape[2]), np.repeat(labels, len(starts))


def write_table(raw: NDArray[np.int64]) -> None:
    """front_end.toml: what makes each statistic of the training windows a number around 0 with deviation 1."""
    offset = np.rint(raw.mean(axis=0)).astype(int)
    gain = np.rint(65536 / (raw.std(axis=0) * INPUT.scale)).astype(int)
    (HERE / "front_end.toml").write_text(
        "# Written by build.py: of mean, deviation, minimum, maximum of each channel in turn.\n"
        f"zero_point = {INPUT.zero_point}\n"
        f"offset = {offset.tolist()}   # counts\n"
        f"gain = {gain.tolist()}   # steps of the model's input per count, in Q16\n",
        encoding="utf-8",
    )


def write_vectors(windows: Counts, true: NDArray[np.int64], labels: list[str]) -> None:
    """vectors.npz: each test recording is a stream, then come the hand-made windows, each alone."""
    real, samples = windows[0], windows.shape[1]
    marked = real.copy()
    marked[samples // 2, 0] = -32768  # the sensor's marker of an invalid sample
    rails = np.where(np.arange(samples) % 2 == 0, -32767, 32767).astype(np.int16)
    made = (
        ("rail_to_rail", np.repeat(rails[:, None], real.shape[1], axis=1), "", samples),
        ("all_zero", np.zeros_like(real), "flat", samples),
        ("invalid_sample", marked, "range", samples),
        ("one_sample_short", real, "length", samples - 1),
        ("one_sample_long", real, "length", samples + 1),
    )
    stream = np.arange(len(windows)) // WINDOWS
    names = [f"{labels[label]}_r{stream[i]:02}_w{i % WINDOWS}" for i, label in enumerate(true)]
    every = np.concatenate([windows, [window for _, window, _, _ in made]])
    np.savez_compressed(
        HERE / "vectors.npz",
        windows=every,
        label=np.array([*true, *[-1] * len(made)], np.int8),
        reject=np.array([""] * len(windows) + [reason for _, _, reason, _ in made]),
        samples=np.array([samples] * len(windows) + [sent for *_, sent in made], np.int16),
        sequence=np.array([*stream, *[-1] * len(made)], np.int16),
        name=np.array(names + [name for name, *_ in made]),
        prepared_float=(front_end.scaled(every) / (1 << front_end.GAIN_BITS) * INPUT.scale).astype(np.float32),
    )


if __name__ == "__main__":
    main()
