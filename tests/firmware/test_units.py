"""The firmware's own unit tests (firmware/tests), built with the native preset and its sanitizers."""

import subprocess

from native_session import PROJECT

from hil.image.build import build


def test_the_units_of_the_firmware_hold() -> None:
    folder = build("native", PROJECT).parent
    done = subprocess.run([folder / "hil_unit_tests"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    units = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    assert units.count("ok") >= 20
    assert "FAILED" not in done.stdout
