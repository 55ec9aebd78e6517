"""Knows how the tests reach the real firmware as a native process, and how they make small cases out of imu_motion."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.board.config import load_board
from hil.board.native import NativeBoard, open_board
from hil.bundle import build_bundle
from hil.case.load import load_case
from hil.case.types import Case, Vectors
from hil.device import Device
from hil.image.build import build
from hil.image.elf import Image
from hil.session import first_pass, steps
from hil.session.step import Step

PROJECT = Path(__file__).resolve().parents[1]
IMU_MOTION = PROJECT / "golden_vectors" / "imu_motion"


@cache
def native_image() -> Image:
    """The firmware of this checkout, built when its sources changed."""
    return Image(build("native", PROJECT))


@cache
def imu_motion() -> Case:
    return load_case(IMU_MOTION)


@contextmanager
def native_board(folder: Path, name: str = "native", boards: Sequence[Path] = ()) -> Iterator[NativeBoard]:
    """A native board whose log goes to `folder`; nothing is started yet."""
    config = load_board(name, [*boards, PROJECT / "boards"])
    with open_board(config, folder / f"{name}.log") as board:
        yield board


@contextmanager
def native_device(folder: Path, case: Case | None = None, image: Image | None = None) -> Iterator[Device]:
    """The agent of the native firmware, provisioned with `case` (imu_motion by default)."""
    with native_board(folder) as board:
        board.provision(image or native_image(), build_bundle(case or imu_motion()))
        yield Device(board)


@contextmanager
def only_steps(*taken: Step[Any]) -> Iterator[None]:
    """A session makes the first pass and takes these steps: what is asked of one step need not pay for twenty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "STEPS", (first_pass.STEP, *taken))
        yield


def with_vectors(case: Case, indices: Sequence[int], sequence: Sequence[int] | None = None) -> Case:
    """`case` with some of its vectors, as streams where `sequence` says so, and nothing accepted of them."""
    vectors = case.vectors
    rows = list(indices)
    chosen = Vectors(
        windows=vectors.windows[rows],
        samples=None if vectors.samples is None else vectors.samples[rows],
        names=None if vectors.names is None else tuple(f"{n}:{vectors.names[i]}" for n, i in enumerate(rows)),
        label=None if vectors.label is None else vectors.label[rows],
        reject=None if vectors.reject is None else tuple(vectors.reject[i] for i in rows),
        sequence=None if sequence is None else np.array(sequence, np.int64),
    )
    return replace(case, vectors=chosen, expected=None, baselines={})


class CaseFolder:
    """A copy of imu_motion with a few vectors, to be broken by tests.

    `replace` changes one place of case.toml, `arrays` the vectors, `write` any file.
    """

    def __init__(self, path: Path, name: str = "small", vectors: int = 12) -> None:
        self.path, self.toml = path, path / "case.toml"
        path.mkdir(parents=True)
        for file in ("model_int8.tflite", "model_float.tflite"):
            shutil.copy(IMU_MOTION / file, path / file)
        text = (IMU_MOTION / "case.toml").read_text(encoding="utf-8")
        text = re.sub(r"(?m)^version = \d+$", "version = 1", text)
        text = re.sub(r"(?m)^margin = .*$", "margin = 0.0", text)  # a dozen vectors are no measure
        self.toml.write_text(text.replace('"imu_motion"', f'"{name}"'), encoding="utf-8")
        with np.load(IMU_MOTION / "vectors.npz") as stored:
            self.arrays(**{key: stored[key][:vectors] for key in stored.files})

    def arrays(self, **arrays: np.ndarray) -> CaseFolder:
        np.savez_compressed(self.path / "vectors.npz", **arrays)
        return self

    def stored(self) -> dict[str, np.ndarray]:
        with np.load(self.path / "vectors.npz") as stored:
            return {key: stored[key] for key in stored.files}

    def replace(self, old: str, new: str) -> CaseFolder:
        text = self.toml.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        self.toml.write_text(text.replace(old, new), encoding="utf-8")
        return self

    def write(self, name: str, data: bytes) -> CaseFolder:
        (self.path / name).write_bytes(data)
        return self
