"""The bench of each board: its image built once, the board opened for all tests of a file.

Not longer: an emulator that waits for requests takes a tenth of a core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from firmware_workbench import TARGETS
from kernel_bench import PROJECT, KernelBench

from hil.image.build import build
from hil.image.elf import Image


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], KernelBench]]:
    with ExitStack() as opened:

        @cache
        def of_board(board: str) -> KernelBench:
            image = Image(build(TARGETS[board], PROJECT, image="hil_kernel_bench"))
            return opened.enter_context(KernelBench(board, image, tmp_path_factory.mktemp(board)))

        yield of_board
