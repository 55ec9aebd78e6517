"""From two real runs on two boards to a signed record: the way of a release manager."""

import shutil
from pathlib import Path

import pytest
from harness_process import PASSED, run_harness
from native_session import IMU_MOTION
from release_project import Project

from hil.release.keys import make_key, read_public_key
from hil.release.verify import verify

TARGETS = {"qemu": "mps2-an386", "native": "native"}
POLICY = """\
boards = ["qemu", "native"]
cases = "cases"
baseline = "optional"
clean_tree = false
max_age_hours = 1.0
"""


@pytest.mark.slow
def test_runs_on_an_emulator_and_a_workstation_make_a_release_without_any_exception(
    template: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project", template)
    shutil.rmtree(project.case)
    leave_out = shutil.ignore_patterns("baseline")
    shutil.copytree(IMU_MOTION, project.folder / "cases" / "imu_motion", ignore=leave_out)
    (project.folder / "release.toml").write_text(POLICY, encoding="utf-8")
    folders = [project.folder / f"on-{board}" for board in ("qemu", "native")]
    for board, folder in zip(("qemu", "native"), folders, strict=True):
        done = run_harness(project.folder, "cases", board=board, out=str(folder))
        assert done.code == PASSED, done.text
        assert done.run["manifest"]["firmware"] == {"given": False, "kept": f"{TARGETS[board]}.elf"}

    options = ("--policy", project.folder)
    assert project.hil("gate", folders[0], *options)[0] == 1  # native is missing
    code, text = project.hil("gate", *folders, *options)
    assert (code, text.splitlines()[-1]) == (0, "ready for release"), text

    public, _ = make_key(project.folder / "key.pem")
    record = project.folder / "record"
    code, text = project.hil("release", *folders, *options, "--out", record, "--key", project.folder / "key.pem")
    assert code == 0, text
    assert verify(record, read_public_key(public)).problems == ()
    assert sorted(path.name for path in (record / "firmware").iterdir()) == ["mps2-an386.elf", "native.elf"]
    card = (record / "cases" / "imu_motion" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Metrics on qemu" in card
    assert "answered unknown, it is" in card
