"""The firmware around today's TFLM: what can be checked without it, and the whole where TFLM_LIBRARY names one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agent_package import compile_objects, unpacked
from harness_process import PASSED, run_harness
from native_session import PROJECT

from hil.board.config import read_board
from hil.case.load import load_case

EXAMPLES = PROJECT / "examples"
EXAMPLE = EXAMPLES / "tflm_upstream"
CASE = PROJECT / "golden_vectors" / "imu_motion"
ENVIRONMENT = {"PYTHON": sys.executable, "HIL": str(PROJECT), "PYTHONPATH": str(PROJECT)}  # for the Makefile
CPP = ("-std=c++17", "-Wall", "-Wextra", "-Werror")

# Drives pipeline.cc: scores, of which one must be above 25, and windows. Prints what it answers.
DRIVER = """
#include <cstdio>
#include "pipeline.h"
int main() {
  const int8_t streams[][4] = {{26, 0, 0, 0}, {25, 0, 0, 0}, {0, 40, 40, 0}, {-128, -128, -128, 127}};
  for (const auto& scores : streams) {
    pipeline::Fresh();
    const pipeline::Decision found = pipeline::Decide(scores);
    std::printf("%d %d %d\\n", found.winner, found.answer, found.reason);
  }
  uint8_t window[2 * model::kInputs] = {};
  const auto tell = [&](uint32_t capture, size_t bytes) {
    std::printf("%d\\n", pipeline::Gate(capture, window, bytes));
  };
  tell(1, 3);
  tell(1, sizeof window);
  window[1] = 1;
  tell(1, sizeof window);
  tell(2, sizeof window);
  window[2] = 0, window[3] = 0x80;
  tell(3, sizeof window);
}
"""


def exported(folder: Path) -> Path:
    """What export.py makes of the case."""
    file = folder / "model.cc"
    command = [sys.executable, str(EXAMPLE / "export.py"), str(CASE), str(file)]
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return file


def test_the_model_is_compiled_in_byte_for_byte(tmp_path: Path) -> None:
    file = exported(tmp_path)
    (tmp_path / "main.cc").write_text(
        '#include <cstdio>\n#include "model.h"\nint main() { std::fwrite(model::data, 1, model::size, stdout); }\n'
    )
    program = tmp_path / "program"
    compiled = ["g++", *CPP, f"-I{EXAMPLE / 'src'}", str(file), str(tmp_path / "main.cc"), "-o", str(program)]
    subprocess.run(compiled, check=True)
    said = subprocess.run([str(program)], capture_output=True, check=True).stdout
    assert said == load_case(CASE / "case.toml").model.path.read_bytes()


def test_gate_and_decision_keep_the_specification(tmp_path: Path) -> None:
    """Under the sanitizers. Of equal scores the first wins; a score at the threshold is none."""
    (tmp_path / "main.cc").write_text(DRIVER)
    program = tmp_path / "program"
    sources = [str(exported(tmp_path)), str(EXAMPLE / "src" / "pipeline.cc"), str(tmp_path / "main.cc")]
    sanitized = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    subprocess.run(["g++", *CPP, *sanitized, f"-I{EXAMPLE / 'src'}", *sources, "-o", str(program)], check=True)
    said = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[:4] == ["0 0 0", "0 -1 1", "1 1 0", "3 3 0"]  # winner, answer, reason
    assert said.splitlines()[4:] == ["1", "5", "2", "0", "4"]  # length, flat, stale, valid, range


def test_what_knows_no_tflm_compiles_for_the_target(tmp_path: Path) -> None:
    """All but engine.cc, which needs the library's headers, with the flags of the Makefile."""
    flags = (*CPP, "-Os", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-fno-exceptions")
    flags += ("-fno-rtti", '-DFLAGS="x"', '-DKERNELS="x"', f"-I{EXAMPLE / 'src'}", f"-I{EXAMPLES / 'c_bare' / 'src'}")
    sources = [str(EXAMPLE / "src" / f"{name}.cc") for name in ("main", "pipeline", "product")]
    compile_objects("arm-none-eabi-g++", flags, sources, unpacked(tmp_path), tmp_path / "out")


def test_without_a_library_make_says_where_to_get_one() -> None:
    left = {name: value for name, value in os.environ.items() if not name.startswith("TFLM_")}
    done = subprocess.run(["make", "-C", str(EXAMPLE)], env=left, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "docs/upstream.md says how to build one" in done.stderr


@pytest.mark.parametrize("name", ["tflm-qemu", "tflm-nucleo-virtual"])
def test_the_board_files_are_read(name: str) -> None:
    config = read_board(EXAMPLE / "boards" / f"{name}.toml")
    assert config.firmware is not None
    assert config.firmware.bundle == "none"


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("TFLM_LIBRARY"), reason="TFLM_LIBRARY is not set: no TFLM to link")
@pytest.mark.parametrize("board", ["tflm-qemu", "tflm-nucleo-virtual"])
def test_a_golden_case_passes_with_every_operator_timed(board: str, tmp_path: Path) -> None:
    for name in ("c_bare", "tflm_upstream"):
        shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("build", "hil-out"))
    boards = tmp_path / "tflm_upstream" / "boards"
    done = run_harness(tmp_path, CASE / "case.toml", f"--hil-boards={boards}", board=board, env=ENVIRONMENT)
    assert done.code == PASSED, done.text
    (ran,) = done.run["cases"]
    outcomes = {check["id"]: check["outcome"] for check in ran["checks"]}
    for check in ("input.rejects", "execution.output", "execution.probes", "execution.arena", "execution.canaries"):
        assert outcomes[check] == "passed", f"{check}: {outcomes[check]}"
    assert [row["operator"] for row in ran["operators"]][-1] == "SOFTMAX"
    assert all(row["units"] > 0 for row in ran["operators"])
