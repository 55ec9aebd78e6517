"""The normal builds, one workbench a target, and the defects' images, built ahead of the tests that run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from defect_bench import NormalImage, RunWith
from defect_table import Defect, ImageOf
from firmware_workbench import PROJECT, TARGETS, Edit, Workbench
from native_session import native_board

from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Evidence
from hil.image.build import WITH_KERNELS, build
from hil.image.elf import Image
from hil.session import run_case


@pytest.fixture(scope="session")
def normal_image() -> NormalImage:
    """The image that a board normally runs, built when it is first asked for."""
    return cache(lambda board: build(TARGETS[board], PROJECT))


@pytest.fixture(scope="session")
def image_of(
    request: pytest.FixtureRequest,
    normal_image: NormalImage,
    workbench_of: Callable[[str], Workbench],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ImageOf]:
    """The image of a defect. One thread builds those of the selected tests in their order, while the tests run."""

    def build_one(defect: Defect) -> Path:
        if defect.edits or defect.kernels or defect.own_image:
            folder = tmp_path_factory.mktemp(defect.name)
            return workbench_of(TARGETS[defect.board]).image(defect.edits, defect.kernels, folder)
        return normal_image(defect.board)

    selected = [item.callspec.params.get("defect") for item in request.session.items if hasattr(item, "callspec")]
    tmp_path_factory.getbasetemp()  # else thread and tests may both make it, and pytest empties what it finds there
    builder = ThreadPoolExecutor(max_workers=1)
    images: dict[str, Future[Path]] = {
        defect.name: builder.submit(build_one, defect) for defect in selected if isinstance(defect, Defect)
    }
    try:
        yield lambda defect: images[defect.name].result()
    finally:
        builder.shutdown(cancel_futures=True)


@pytest.fixture
def run_with(workbench_of: Callable[[str], Workbench], tmp_path: Path) -> RunWith:
    """`run_with(edits, case)`: the case on the host, on the larger image with these edits."""

    def run(edits: tuple[Edit, ...], file: Path) -> tuple[Evidence, list[CheckResult]]:
        image, case = Image(workbench_of("native").image(edits, (), tmp_path, WITH_KERNELS)), load_case(file)
        with native_board(tmp_path) as board:
            evidence = run_case(case, board, image).evidence
        return evidence, [judge(check, evidence) for check in checks_for(case)]

    return run
