"""The Zephyr sample and the agent's module, as far as no Zephyr is needed: README.md says what was seen with one."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from agent_package import CORTEX_M4, STRICT, compile_objects, unpacked
from native_session import PROJECT

from hil.board.config import read_board
from hil.case.load import load_case

EXAMPLE = PROJECT / "examples" / "zephyr"
PRODUCT = PROJECT / "examples" / "c_bare"
STAND_IN = Path(__file__).parent / "zephyr_stand_in"

# The symbols of Zephyr itself that prj.conf sets, and the module's own file.
ROOT = """
mainmenu "stand-in for Zephyr"
config SERIAL
	bool "serial"
config UART_INTERRUPT_DRIVEN
	bool "interrupts"
	depends on SERIAL
config RING_BUFFER
	bool "ring"
config SIZE_OPTIMIZATIONS
	bool "size"
config MAIN_THREAD_PRIORITY
	int "priority"
config MAIN_STACK_SIZE
	int "stack"
source "{module}"
"""

# kconfiglib in a process of its own: it warns on standard error, and never by an exception.
READ = """
import kconfiglib, sys
kconfig = kconfiglib.Kconfig(sys.argv[1], warn_to_stderr=False)
print(kconfig.load_config(sys.argv[2]))
for name in sys.argv[3:]:
    print(name, kconfig.syms[name].str_value)
for warning in kconfig.warnings:
    print("warning", warning)
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the agent, unpacked."""
    return unpacked(tmp_path_factory.mktemp("package"))


def configured(module: Path, folder: Path, conf: str) -> dict[str, str]:
    """Symbols of the agent under this configuration, and `warning` for what kconfiglib says of it."""
    root, file = folder / "Kconfig", folder / "prj.conf"
    root.write_text(ROOT.format(module=module / "zephyr" / "Kconfig"), encoding="utf-8")
    file.write_text(conf, encoding="utf-8")
    names = ("HIL_AGENT", "HIL_AGENT_REQUEST_BYTES", "HIL_AGENT_REPLY_BYTES")
    command = [sys.executable, "-c", READ, str(root), str(file), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = (line.partition(" ") for line in done.stdout.splitlines()[1:])
    return {name: value for name, _, value in lines}


def test_the_configuration_sets_what_the_module_knows(module: Path, tmp_path: Path) -> None:
    conf = (EXAMPLE / "prj.conf").read_text(encoding="utf-8")
    symbols = configured(module, tmp_path, conf)
    assert "warning" not in symbols, symbols
    assert symbols["HIL_AGENT"] == "y"
    case = load_case(EXAMPLE / "case" / "case.toml")
    assert int(symbols["HIL_AGENT_REQUEST_BYTES"]) >= case.vectors.windows[0].nbytes + 100


def test_a_request_that_is_too_small_is_refused_by_the_module(module: Path, tmp_path: Path) -> None:
    symbols = configured(module, tmp_path, "CONFIG_HIL_AGENT=y\nCONFIG_HIL_AGENT_REQUEST_BYTES=16\n")
    assert "range" in symbols["warning"]


def test_the_module_names_files_that_are_there(module: Path) -> None:
    build = yaml.safe_load((module / "zephyr" / "module.yml").read_text(encoding="utf-8"))["build"]
    assert (module / build["cmake"] / "CMakeLists.txt").is_file()
    assert (module / build["kconfig"]).is_file()
    listed = re.findall(r"CONFIG_HIL_AGENT\w*", (module / "zephyr" / "CMakeLists.txt").read_text(encoding="utf-8"))
    known = (module / "zephyr" / "Kconfig").read_text(encoding="utf-8")
    assert all(f"config {name.removeprefix('CONFIG_')}\n" in known for name in listed)


@pytest.mark.parametrize("board", [("-DSTAND_IN_MPS2",), ()], ids=["mps2", "other"])
def test_the_sources_compile_against_what_zephyr_declares(board: tuple[str, ...], module: Path, tmp_path: Path) -> None:
    """Against stand-ins for Zephyr's headers: a name that is not declared, or a wrong type, is an error."""
    flags = (*STRICT, "-Wno-sign-conversion", *CORTEX_M4, *board)
    flags += ('-DCONFIG_BOARD="x"', "-DCONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC=1", "-DHIL_AGENT_REQUEST_BYTES=1024u")
    flags += ("-isystem", str(STAND_IN), f"-I{PRODUCT / 'src'}")
    sources = sorted(str(path) for path in (EXAMPLE / "src").glob("*.c"))
    assert len(compile_objects("arm-none-eabi-gcc", flags, sources, module, tmp_path)) == 3


def test_the_case_is_that_of_c_bare_with_another_budget() -> None:
    ours, theirs = (
        tomllib.loads((example / "case" / "case.toml").read_text(encoding="utf-8")) for example in (EXAMPLE, PRODUCT)
    )
    for section in ("model", "input", "decision", "contract"):
        assert ours[section] == theirs[section], section
    for file in (EXAMPLE / "case").iterdir():
        if file.is_file() and file.name != "case.toml":
            assert file.read_bytes() == (PRODUCT / "case" / file.name).read_bytes(), file.name


@pytest.mark.parametrize("name", ["zephyr-qemu", "zephyr-nucleo"])
def test_the_board_files_are_read(name: str) -> None:
    config = read_board(EXAMPLE / "hil" / f"{name}.toml")
    assert config.firmware is not None
    assert config.firmware.bundle == "none"


def test_every_board_names_the_line_of_the_agent() -> None:
    overlays = list((EXAMPLE / "boards").glob("*.overlay"))
    assert len(overlays) == 3
    for overlay in overlays:
        assert re.search(r"chosen \{\s*hil,uart = &\w+;", overlay.read_text(encoding="utf-8")), overlay.name
