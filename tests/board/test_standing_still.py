"""A board that stands still, as a process does after SIGSTOP, is trouble of the bench, and told with the vector."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness_process import stop_still
from native_session import PROJECT, imu_motion, with_vectors

from hil.board import native, qemu_control
from hil.board.config import kind_module, load_board
from hil.errors import BoardError
from hil.image.build import build
from hil.image.elf import Image
from hil.session import run_case


@pytest.mark.parametrize("name", ["native", pytest.param("qemu", marks=pytest.mark.slow)])
def test_a_process_that_was_stopped_is_no_hang_of_the_firmware(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_CONFESS_S", 0.5)
    monkeypatch.setattr(qemu_control, "_QMP_TIMEOUT_S", 0.5)
    config = load_board(name, [PROJECT / "boards"])
    config = config.model_copy(update={"timeout": config.timeout.model_copy(update={"reply_s": 1.0})})
    case = with_vectors(imu_motion(), range(6))
    image = Image(build(config.target, PROJECT))
    with kind_module(config).open_board(config, tmp_path / "log") as board:

        def stop_it(what: str, done: int, _: int) -> None:
            if (what, done) == ("vectors", 3):
                stop_still(board.pid)

        with pytest.raises(BoardError) as told:
            run_case(case, board, image, progress=stop_it)
    first, second, advice = str(told.value).splitlines()
    assert re.match(rf"run: board {name}: .* does not answer .* within \S+ s", first)
    assert re.fullmatch(r"  while vector \d:\S+ ran", second)
    assert advice.startswith("  next: did somebody stop the process (SIGSTOP)")
