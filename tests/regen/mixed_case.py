"""Knows how to make a small case whose vectors are of all classes, some with scores near the threshold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from native_session import IMU_MOTION, CaseFolder

SCORES = {"running_r12_w03": 86, "walking_r25_w12": 99, "above_threshold": 26}  # raw; 0.95 is 115
NAMES = ("standing_r00_w00", "badminton_r33_w04", "all_zero", "running_r19_w00", "walking_r25_w04", "at_threshold")
N = len(SCORES) + len(NAMES)


def mixed_case(path: Path) -> CaseFolder:
    """Version 1 of a case with N vectors of imu_motion; with a threshold of 0.95 those of SCORES become unknown."""
    with np.load(IMU_MOTION / "vectors.npz") as stored:
        names = stored["name"].tolist()
        rows = [names.index(name) for name in (*NAMES, *SCORES)]
        folder = CaseFolder(path).arrays(**{key: stored[key][rows] for key in stored.files})
    toml = folder.toml.read_text(encoding="utf-8")
    folder.toml.write_text(re.sub(r"(?m)^version = \d+$", "version = 1", toml), encoding="utf-8")
    return folder
