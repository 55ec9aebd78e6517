"""What is no regression raises no alarm, with no tolerance at all: run again, elsewhere, beside others.

That the same sources make the same image elsewhere, bit for bit: tests/installed/test_wheel.py.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from busy_machine import busy_machine
from firmware_workbench import Edit, Workbench
from harness_process import PASSED, Finished
from release_bench import Product, checks_of, summary

pytestmark = pytest.mark.slow

COMMENT = "// A sentence that explains more, so that every line below it has another number.\n\n"
QUIET = {
    "comments": tuple(
        Edit(file, first, COMMENT + first)
        for file, first in (
            ("pipeline/prepare.cpp", '#include "pipeline/prepare.h"\n'),
            ("pipeline/pipeline.cpp", '#include "pipeline/pipeline.h"\n'),
            ("app/product.cpp", '#include "app/product.h"\n'),
        )
    ),
    "debug_information": (
        Edit(
            "CMakeLists.txt",
            "# ---- tests of single units,",
            "set_source_files_properties(pipeline/pipeline.cpp app/product.cpp PROPERTIES COMPILE_OPTIONS -g3)\n"
            "# ---- tests of single units,",
        ),
    ),
}


def expect_no_alarm(product: Product, finished: Finished) -> None:
    """Every check of the baseline was judged and holds, no figure changed, and the release is ready."""
    told = summary(finished)
    held = [check for check in checks_of(finished) if check["id"].startswith("baseline.")]
    assert len(held) > 10
    assert {check["outcome"] for check in held} == {"passed"}, told
    assert finished.code == PASSED, told
    changes = finished.run["cases"][0]["baseline"]["changes"]
    assert [change for change in changes if change["before"] != change["after"]] == []
    product.hil("gate", finished.out, code=0)


@pytest.mark.parametrize(
    ("name", "arguments", "load"),
    [
        ("again", (), nullcontext()),
        ("two_workers", ("-n", "2", "--basetemp=base"), nullcontext()),
        ("under_load", (), busy_machine()),
    ],
)
def test_the_same_image_run_again(
    name: str, arguments: tuple[str, ...], load: AbstractContextManager[None], strict: Product, field_image: Path
) -> None:
    with load:
        finished = strict.run(name, field_image, *arguments, env={"TZ": "Pacific/Kiritimati", "LC_ALL": "C"})
    expect_no_alarm(strict, finished)


@pytest.mark.parametrize("name", QUIET)
def test_a_change_that_makes_the_same_code(
    name: str, strict: Product, workbench: Workbench, field_image: Path, tmp_path: Path
) -> None:
    image = workbench.image(QUIET[name], (), tmp_path)
    assert image.read_bytes() != field_image.read_bytes()  # the lines and names for a debugger
    expect_no_alarm(strict, strict.run(name, image))
