"""Knows how hypothesis behaves here: no deadlines, and the same examples each time on a CI server. And Ctrl-C.

And which files begin, so that no worker is left alone with a long one in the end.

And what all tests of a process share, because it costs much: the workbenches for changed firmware.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from firmware_copy import FirmwareCopy
from firmware_workbench import PROJECT, Workbench
from hypothesis import settings

from hil.image.build import build

settings.register_profile("local", deadline=None)
settings.register_profile("server", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("server" if os.environ.get("CI") else "local")

# By the processor time that they take, all of their tests together, the longest first. Workers take whole files.
LONGEST = (
    *("defects/test_defects.py", "kernels/test_kernels.py", "board/test_boards_agree.py", "installed/test_wheel.py"),
    *("kernels/test_models.py", "benchmarks/test_benchmarks.py", "external/test_mlperf_tiny.py"),
    *("defects/test_kernel_defects.py", "nucleo/test_fault_table.py", "regressions/test_seeded_regressions.py"),
    *("regressions/test_baseline_is_quiet.py", "examples/test_c_bare.py", "session/test_profile.py"),
    *("external/test_two_commands.py", "plugin/test_workers.py", "release/test_release_whole.py"),
    *("session/test_planted_defects.py", "session/test_told.py", "session/test_carried_state.py"),
    *("benchmarks/test_mutants.py", "examples/test_qemu_uart.py", "regressions/test_tampered_evidence.py"),
)
_PLACE = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, behind them those with the most tests."""
    of_file = Counter(item.path for item in items)
    items.sort(key=lambda item: (_PLACE.get(item.path, len(_PLACE)), -of_file[item.path]))


# A shell starts what it runs in the background deaf to Ctrl-C, and programs hand that down to those they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def workbench_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Workbench]:
    """The workbench of a target (a CMake preset), made when it is first asked for."""
    return cache(lambda target: Workbench(target, build(target, PROJECT), tmp_path_factory.mktemp(target)))


@pytest.fixture(scope="session")
def firmware_copy(workbench_of: Callable[[str], Workbench], tmp_path_factory: pytest.TempPathFactory) -> FirmwareCopy:
    return FirmwareCopy(workbench_of("native"), tmp_path_factory.mktemp("firmware"))
