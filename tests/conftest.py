"""Knows how hypothesis behaves here: no deadlines, and the same examples each time on a CI server. And Ctrl-C.

And what all tests of a process share, because it costs much: the workbenches for changed firmware.
"""

import os
import signal
from collections.abc import Callable
from functools import cache

import pytest
from firmware_copy import FirmwareCopy
from firmware_workbench import PROJECT, Workbench
from hypothesis import settings

from hil.image.build import build

settings.register_profile("local", deadline=None)
settings.register_profile("server", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("server" if os.environ.get("CI") else "local")

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
