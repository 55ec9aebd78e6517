"""Every command that a page gives is typed as it stands there, in the page's order, and ends as the page says."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pages import PAGES, PROJECT, Block, Command, blocks
from typed import checkout_copy, type_in, write_files

from hil.cli import _parser as command_parser

# Pages that begin before anything is activated; who reads the others has done that.
FIRST_PAGES = (PROJECT / "README.md", PROJECT / "docs" / "tutorial.md")
# What is not typed here, and why; without its comment.
NOT_TYPED = {
    "make test": "these tests are part of it; .ci/run types it",
    "pytest --board=renode": "needs a Renode; tests/renode run that board",
    "pytest --board=nucleo": "needs the board; tests/nucleo run the simulated one",
    "hil doctor --board=nucleo": "ends with 1 where there is no bench; tests/setup/test_doctor.py calls it",
    "cmake --preset native -DPython3_EXECUTABLE=../.venv/bin/python": "tests/image/test_firmware_build.py configures",
    "cmake --build --preset native": "compiles TFLM, a minute; tests/image/test_firmware_build.py builds",
    "make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic TARGET_ARCH=cortex-m4+fp "
    "OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release_with_logs microlite": "of TFLM's checkout, not of this one",
    "pytest --board=qemu --hil-tflm=upstream --hil-tflm-include=$HOME/tflite-micro "
    "--hil-tflm-library=$HOME/tflite-micro/gen/.../libtensorflow-microlite.a": "tests/external/test_upstream.py does",
    "hil compare --kernels 2020,upstream golden_vectors/imu_motion --lsb 1": "needs that library; "
    "tests/compare has two boards",
    "python -m pip install dist/hil_tinyml-0.1.0-py3-none-any.whl": "tests/installed/test_wheel.py installs it",
    "west build -b mps2/an386 examples/zephyr -- -DHIL_PYTHON=$PWD/.venv/bin/python": "needs Zephyr; "
    "tests/examples/test_zephyr.py checks what can be checked without",
    "pytest examples/zephyr/case/case.toml --hil-boards=examples/zephyr/hil --board=zephyr-qemu": "needs that build",
    "export TFLM_INCLUDE=$HOME/tflite-micro "
    "TFLM_LIBRARY=$HOME/tflite-micro/gen/.../libtensorflow-microlite.a": "nobody has that library here",
    "pytest golden_vectors/imu_motion/case.toml --hil-boards=examples/tflm_upstream/boards "
    "--board=tflm-qemu": "needs that library; tests/examples/test_tflm_upstream.py does it where there is one",
    "pytest golden_vectors/imu_motion/case.toml --hil-boards=examples/tflm_upstream/boards "
    "--board=tflm-nucleo-virtual": "as above",
    "ctest --test-dir build/firmware/native": "needs that build; tests/firmware/test_units.py runs the units",
}
# Needs TensorFlow, which CI does not have: typed where `setup/bootstrap.sh rebuild` was.
WITH_TENSORFLOW = ("setup/bootstrap.sh rebuild", ".venv-rebuild/bin/python some/where/convert.py")
KERAS_MODEL = PROJECT.parent / "shared" / "data" / "keras_2_21" / "cnn_batch1.tflite"

Typed = dict[Path, list[Block]]
TYPED: Typed = {page: blocks(page) for page in PAGES if any(block.commands for block in blocks(page))}


def plain(command: Command) -> str:
    return re.sub(r"\s+#.*", "", command.text)


def has_tensorflow() -> bool:
    return (PROJECT / ".venv-rebuild" / ".hil-ready").is_file()


def convert_by_hand(copy: Path) -> None:
    """What the tutorial's conversion leaves, for a machine without TensorFlow: a model that Keras 3 and TensorFlow 2.21
    wrote with the same settings, and recordings of its shape.
    """
    if not KERAS_MODEL.is_file():
        pytest.skip("neither TensorFlow (setup/bootstrap.sh rebuild) nor ../shared/data/keras_2_21")
    folder = copy / "some" / "where"
    shutil.copy(KERAS_MODEL, folder / "gesture.tflite")
    windows = np.random.default_rng(5).normal(0, 1, (40, 64, 3)).astype(np.float32)
    np.savez(folder / "recordings.npz", windows=windows, label=np.full(40, -1))


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    copy = checkout_copy(tmp_path)
    write_files(TYPED[page], copy)
    left_out = {*NOT_TYPED}
    commands = [command for block in TYPED[page] for command in block.commands]
    if not has_tensorflow() and {*map(plain, commands)} & {*WITH_TENSORFLOW}:
        left_out |= {*WITH_TENSORFLOW}
        convert_by_hand(copy)
    commands = [command for command in commands if plain(command) not in left_out]
    answers = type_in(commands, copy, activated=page not in FIRST_PAGES)
    wrong = [str(answer) for answer in answers if answer.exit_code != answer.command.exit_code]
    assert wrong == [], "\n\n".join(wrong)


def test_what_is_not_typed_stands_in_a_page() -> None:
    typed = {plain(command) for page in TYPED.values() for block in page for command in block.commands}
    assert {*NOT_TYPED, *WITH_TENSORFLOW} - typed == set()


def test_the_python_that_a_page_gives_compiles() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                compile(block.text, f"{page}:{block.line}", "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_block_of_commands_is_called_one(page: Path) -> None:
    """Else nobody would type them here."""
    command = re.compile(r"^(\$ |hil |pytest |make |\. \.venv|python |pip |git |cmake )")
    hidden = [
        f"line {block.line + number}: {line}"
        for block in blocks(page)
        if block.language not in ("sh", "console")
        for number, line in enumerate(block.text.splitlines())
        if block.language in ("", "text") and command.match(line)
    ]
    assert hidden == [], "give the block the language sh, or console when it shows answers too"


def parser_of(words: list[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser of a `hil` command, and the words behind its name."""
    parser = command_parser()
    while words and (chosen := subcommands(parser).get(words[0])):
        parser, words = chosen, words[1:]
    return parser, words


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next((dict(each.choices) for each in parser._actions if isinstance(each, argparse._SubParsersAction)), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_hil_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    """In the text, where placeholders stand for what a reader fills in."""
    wrong = []
    for span in re.findall(r"`hil ([^`]+)`", page.read_text(encoding="utf-8")):
        parser, words = parser_of(span.split())
        options = {re.split(r"[=\]]", word.lstrip("["))[0] for word in words if word.lstrip("[").startswith("--")}
        if subcommands(parser) and words[:1] != ["..."] and not options:
            wrong.append(f"hil {span}: no such command")
        wrong += [f"hil {span}: no {each}" for each in sorted(options - {*parser._option_string_actions})]
    assert wrong == []
