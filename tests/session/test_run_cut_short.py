"""A run that is stopped in the middle keeps the records that had come in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from native_session import PROJECT, imu_motion, native_image

from hil.contract import CHECKS
from hil.records import Status
from hil.run import HilRun, Settings
from hil.runfile import read_run
from hil.session import Progress

STOP_AFTER = 5  # vectors


@contextmanager
def stopping(_: str) -> Iterator[Progress]:
    def progress(what: str, done: int, total: int) -> None:
        if what == "vectors" and done == STOP_AFTER:
            raise KeyboardInterrupt

    yield progress


def test_an_interrupted_case_keeps_its_records_so_far(tmp_path: Path) -> None:
    settings = Settings("native", tmp_path / "out", (PROJECT / "boards",), image=native_image().path)
    run = HilRun(settings, stopping)
    try:
        run.prepare([imu_motion()])
        with pytest.raises(KeyboardInterrupt):
            run.result(imu_motion(), CHECKS[0])
        written = run.finish(interrupted=True)
    finally:
        run.close()
    assert written is not None
    done = read_run(written)
    (case,) = done.document.cases
    assert (done.document.verdict, case.verdict, case.error) == ("interrupted", "error", "interrupted")
    status = done.records(case)["status"]
    assert (status == Status.DONE).sum() == STOP_AFTER
    assert (status == Status.NOT_RUN).sum() == len(status) - STOP_AFTER
