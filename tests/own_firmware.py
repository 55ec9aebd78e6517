"""Knows a firmware that holds its own model, and a case of it whose front end or decide stage is its own too.

It is the native firmware with the model of imu_motion, behind a wire; what it does is scale/1 and argmax/1, which the
case does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from native_session import CaseFolder, imu_motion
from serial_board import board_file
from wire import Wire, wire

from hil.image.elf import Image

# What stands for a model that is compiled in lies where the board found it; the firmware tells of no bundle.
OWN = {
    "testmode/test_mode.cpp": [
        ("facts->can = HIL_CAN_BUNDLE | HIL_CAN_MARKS;", "facts->can = 0;"),
        ("facts->operators = {operators.data(), static_cast<uint32_t>(operators.size())};", "(void)operators;"),
        ("std::copy(bundle.hash.begin(), bundle.hash.end(), facts->bundle_hash);", ""),
    ]
}
PREPARE = """prepare = "scale/1"
window = 40                       # 4 s
channels = 6
# Accelerometer +-4 g in m/s2, gyroscope +-2000 degrees/s in rad/s: the model's input units.
full_scale = [39.2266, 39.2266, 39.2266, 34.9066, 34.9066, 34.9066]
"""
OWN_PREPARE = """prepare = "own"
window = 40
channels = 6
dtype = "int16"
"""
GATE = """[input.gate]
minimum = -32767                  # -32768 is the sensor's marker of an invalid sample
maximum = 32767
min_span = 64                     # counts
"""
ROWS = range(0, 523, 25)  # some of every class


@contextmanager
def own_board(folder: Path, elf: Image, **firmware: object) -> Iterator[tuple[Wire, Path]]:
    """The firmware behind a wire, and its board file: flashed elsewhere, with the model of imu_motion."""
    with wire(folder, imu_motion(), "socket", image=elf) as made:
        file = board_file(made, {"bundle": "none", **firmware}, flash=None)
        yield made, file


class OwnCase(CaseFolder):
    """A copy of imu_motion with some vectors, one of which the gate refuses; `own_prepare` and `own_decide` take from
    case.toml what it says of a stage.
    """

    def __init__(self, path: Path, name: str = "small") -> None:
        super().__init__(path, name)
        whole = imu_motion()
        assert whole.vectors.reject is not None
        rows = [*ROWS, whole.vectors.reject.index("range")]
        with np.load(whole.path.parent / "vectors.npz") as stored:
            self.arrays(**{key: stored[key][rows] for key in stored.files if key != "samples"})
        self.replace("replays = 10", "replays = 2")

    def own_prepare(self) -> OwnCase:
        self.replace(PREPARE, OWN_PREPARE)
        return self

    def own_decide(self) -> OwnCase:
        self.replace("threshold = 0.60\n", 'decide = "own"\n')
        return self

    def with_arrays(self, **arrays: np.ndarray) -> OwnCase:
        """These beside those that are there."""
        self.arrays(**self.stored(), **arrays)
        return self
