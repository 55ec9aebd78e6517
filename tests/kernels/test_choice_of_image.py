"""A run builds the image that the models of its cases need; one that was named must have their operators."""

from __future__ import annotations

from pathlib import Path

import pytest
from native_session import PROJECT, imu_motion
from test_models import DATA, case_of

from hil.case.load import load_case
from hil.case.types import Case
from hil.errors import CaseError
from hil.image.build import build
from hil.image.elf import OWN_KERNELS_SYMBOL
from hil.run.run import HilRun
from hil.run.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project"),
]


@pytest.fixture
def pooling(tmp_path: Path) -> Case:
    """A case whose model has global average pooling."""
    folder = tmp_path / "case"
    folder.mkdir()
    return load_case(case_of(DATA / "keras_2_21" / "gap.tflite", folder))


def run_in(folder: Path, image: Path | None = None) -> HilRun:
    return HilRun(Settings("native", folder / "out", (PROJECT / "boards",), image=image))


def test_a_case_that_needs_none_of_ours_gets_the_image_without_them(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.prepare([imu_motion()])
    assert not run.image().has_symbol(OWN_KERNELS_SYMBOL)
    run.close()


def test_a_case_that_needs_one_of_ours_gets_the_image_with_them(tmp_path: Path, pooling: Case) -> None:
    for cases, others in (([imu_motion(), pooling], []), ([imu_motion()], [pooling])):
        run = run_in(tmp_path)
        run.prepare(cases, others)
        assert run.image().has_symbol(OWN_KERNELS_SYMBOL)
        run.close()


def test_a_named_image_that_lacks_them_is_no_image_for_the_case(tmp_path: Path, pooling: Case) -> None:
    run = run_in(tmp_path, build("native", PROJECT))
    run.prepare([pooling])
    with pytest.raises(CaseError, match="MEAN") as caught:
        run.result(pooling, None)
    assert "hil_firmware_kernels" in caught.value.fix
    run.close()
