"""Cases built by hand, and where the models that the tests use lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.case.types import Case, Contracts, Decide, Gate, ModelFile, Prepare, Vectors, Window
from hil.reference.int8 import Int8Oracle
from hil.tensor import TensorContract

PROJECT = Path(__file__).resolve().parents[2]
OPEN_GATE = Gate(-128.0, 127.0, 0.0)  # for int8 windows
NO_STAGE = Decide("none", 1)
MLPERF = PROJECT.parent / "shared" / "data" / "mlperf_tiny"


@pytest.fixture(scope="session")
def imu_folder() -> Path:
    return PROJECT / "golden_vectors" / "imu_motion"


@pytest.fixture(scope="session")
def mlperf() -> Path:
    """The folder of the MLPerf Tiny models and the board's outputs."""
    if not MLPERF.is_dir():
        pytest.skip("needs ../shared/data/mlperf_tiny, the MLPerf Tiny models beside the project")
    return MLPERF


def model_file(path: Path, contracts: tuple[TensorContract, TensorContract]) -> ModelFile:
    data = path.read_bytes()
    return ModelFile(path, data, hashlib.sha256(data).hexdigest(), (), *((each,) for each in contracts))


@pytest.fixture(scope="session")
def build_case() -> Callable[..., Case]:
    """Builds a Case around a model file without reading a case.toml."""

    def build(
        int8: Path,
        vectors: Vectors,
        window: Window,
        prepare: Prepare,
        floating: Path | None = None,
        gate: Gate = OPEN_GATE,
        decide: Decide = NO_STAGE,
    ) -> Case:
        oracle = Int8Oracle(int8.read_bytes())
        contracts = (oracle.input, oracle.output)
        return Case(
            path=int8.parent / "case.toml",
            name="built",
            version=1,
            source="a test",
            rate_hz=None,
            model=model_file(int8, contracts),
            float_model=None if floating is None else model_file(floating, contracts),
            window=window,
            gate=gate,
            prepare=prepare,
            decide=decide,
            arena_bytes=8192,
            contracts=Contracts(),
            vectors=vectors,
        )

    return build
