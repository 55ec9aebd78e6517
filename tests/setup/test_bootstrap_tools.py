"""The bootstrap's search for system tools: one command when it may not install, the right apt calls when it may.

apt-get, apt-cache and sudo are stand-ins that write down how they were called: a test must not change the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.board.qemu_settings import TOOLS as EMULATORS
from hil.image.toolchain import ARM_TOOLS, BUILD_TOOLS, HOST_GCC

ROOT = Path(__file__).parents[2]
BASICS = "bash env cat sha256sum id sed head tail sort date mkdir rm mv wc readlink flock printf ln dirname touch"
TOOLS = ("arm-none-eabi-g++", "qemu-system-arm", "cmake", "ninja", "g++", "cargo")
PACKAGES = {tool.package for tool in (*BUILD_TOOLS, *ARM_TOOLS, HOST_GCC, EMULATORS["arm"])}
NOBODY = 65534


def real_program(name: str) -> str:
    """Path of the program. Of cargo only the presence is asked; rustup keeps it in a folder closed to other users."""
    path = shutil.which("true" if name == "cargo" else name)
    assert path, f"{name} is needed for this test"
    return path


@dataclass(frozen=True)
class Machine:
    """A PATH of its own, and a checkout with the bootstrap in it. Programs are links to the real ones."""

    bin: Path
    checkout: Path

    @property
    def calls(self) -> list[str]:
        """How the stand-ins were called."""
        file = self.checkout / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def link(self, *programs: str) -> None:
        for program in programs:
            (self.bin / program).symlink_to(real_program(program))

    def stand_in(self, program: str, *lines: str) -> None:
        file = self.bin / program
        record = f'echo "{program} $*" >> {self.checkout}/calls'
        file.write_text("\n".join(["#!/bin/bash", record, *lines]) + "\n")
        file.chmod(0o755)

    def run(self, step: str = "tools", **environment: str) -> subprocess.CompletedProcess[str]:
        """One step of the bootstrap as a user who is not root."""
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.run(
            [self.checkout / "setup" / "bootstrap.sh", step],
            env={"PATH": str(self.bin), "HOME": str(self.checkout), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **user,
        )


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine with nothing but the basic programs and apt; the user is not root and has no sudo."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)  # pytest's own folders are closed to other users
        machine = Machine(top / "bin", top / "checkout")
        machine.bin.mkdir()
        (machine.checkout / "setup").mkdir(parents=True)
        shutil.copy(ROOT / "setup/bootstrap.sh", machine.checkout / "setup/bootstrap.sh")
        machine.checkout.chmod(0o777)
        machine.link(*BASICS.split())
        machine.stand_in("apt-get", "exit 0")
        machine.stand_in("apt-cache", "exit 0")
        yield machine


def give_sudo(machine: Machine) -> None:
    machine.stand_in("sudo", "shift", '"$@"')


def install_really(machine: Machine) -> str:
    """A line for the stand-in of apt-get: the tools appear on PATH when it is called."""
    machine.bin.chmod(0o777)
    links = "; ".join(f"ln -sf {real_program(tool)} {machine.bin}/{tool}" for tool in TOOLS)
    return f"case $* in *install*) {links};; esac"


def give_riscv(machine: Machine, compiles: str = "exit 0") -> None:
    machine.stand_in("qemu-system-riscv32", "exit 0")
    machine.stand_in("riscv64-unknown-elf-gcc", compiles)


def packages_of(command: str) -> set[str]:
    """The packages of an apt-get call, without a Python's, which depends on this machine."""
    words = command.split("--no-install-recommends")[1].split()
    return {word for word in words if not word.startswith("python3")}


def test_without_sudo_it_prints_one_command_and_stops(machine: Machine) -> None:
    result = machine.run()
    assert result.returncode == 1
    commands = [line for line in result.stdout.splitlines() if "apt-get install" in line]
    assert len(commands) == 1
    assert commands[0].startswith("  sudo apt-get update && sudo apt-get install -y --no-install-recommends ")
    assert packages_of(commands[0]) == PACKAGES
    assert machine.calls == []


def test_permission_withheld_is_respected(machine: Machine) -> None:
    give_sudo(machine)
    result = machine.run(HIL_NO_INSTALL="1")
    assert result.returncode == 1
    assert "sudo apt-get install" in result.stdout
    assert machine.calls == []


def test_sudo_that_asks_for_a_password_is_not_used(machine: Machine) -> None:
    machine.stand_in("sudo", "exit 1")
    assert machine.run().returncode == 1
    assert machine.calls == ["sudo -n true"]


def test_system_without_apt_gets_the_names(machine: Machine) -> None:
    (machine.bin / "apt-get").unlink()
    result = machine.run()
    assert result.returncode == 1
    assert "apt-get" not in result.stdout + result.stderr
    assert set(result.stderr.replace(".", " ").split()) >= PACKAGES


def test_only_what_is_missing_is_named(machine: Machine) -> None:
    machine.link("cargo", "ninja", "g++")
    command = machine.run().stdout
    assert packages_of(command) == PACKAGES - {"cargo", "ninja-build", "g++"}


def test_compiler_without_its_libraries_is_noticed(machine: Machine) -> None:
    machine.link("cargo", "ninja", "g++", "cmake", "qemu-system-arm")
    real = shutil.which("arm-none-eabi-g++")
    machine.stand_in("arm-none-eabi-g++", f'exec {real} -nostdinc++ "$@"')
    assert packages_of(machine.run().stdout) == {"libstdc++-arm-none-eabi-newlib"}
    machine.stand_in("arm-none-eabi-g++", f'exec {real} -nostdinc "$@"')
    assert packages_of(machine.run().stdout) == {"libnewlib-arm-none-eabi", "libstdc++-arm-none-eabi-newlib"}


def test_old_cmake_is_noticed(machine: Machine) -> None:
    machine.link(*(tool for tool in TOOLS if tool != "cmake"))
    machine.stand_in("cmake", "echo cmake version 3.16.3")
    assert packages_of(machine.run().stdout) == {"cmake"}


def test_with_sudo_it_installs_without_an_update(machine: Machine) -> None:
    give_sudo(machine)
    machine.stand_in("apt-get", install_really(machine))
    result = machine.run()
    assert result.returncode == 0, result.stderr
    calls = [call for call in machine.calls if call.startswith("apt-get")]
    assert len(calls) == 1
    assert packages_of(calls[0]) == PACKAGES
    assert result.stdout == ""


def test_packages_that_apt_does_not_know_need_an_update_first(machine: Machine) -> None:
    give_sudo(machine)
    machine.stand_in("apt-cache", "exit 100")
    machine.stand_in("apt-get", install_really(machine))
    assert machine.run().returncode == 0
    words = [call.split() for call in machine.calls if call.startswith("apt-get")]
    assert ["update" in words[0], "install" in words[1], len(words)] == [True, True, 2]


def test_stale_package_list_is_fetched_again_once(machine: Machine) -> None:
    give_sudo(machine)
    fetched = machine.checkout / "fetched"
    machine.stand_in(
        "apt-get",
        f"case $* in *update*) touch {fetched}; exit 0;; esac",
        f"[ -e {fetched} ] || {{ echo 'E: Failed to fetch: 404'; exit 100; }}",
        install_really(machine),
    )
    assert machine.run().returncode == 0
    assert len([call for call in machine.calls if call.startswith("apt-get")]) == 3


def test_failing_apt_shows_its_last_lines_and_the_log(machine: Machine) -> None:
    give_sudo(machine)
    machine.stand_in("apt-get", "echo 'E: the disk is full'", "case $* in *install*) exit 100;; esac")
    result = machine.run()
    assert result.returncode == 1
    assert "E: the disk is full" in result.stderr
    assert "build/bootstrap.log" in result.stderr


def test_tools_that_are_all_here_cost_no_word(machine: Machine) -> None:
    machine.link(*TOOLS)
    result = machine.run()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


BROWSER = {"chromium", "fonts-dejavu-core"}
# The stand-in of apt-cache knows every package, so also the emulator's of Debian 13.
RISCV = {"qemu-system-riscv", "gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"}
needs_debian = pytest.mark.skipif("ID=ubuntu" in Path("/etc/os-release").read_text(), reason="Chromium is a snap here")


@needs_debian
def test_the_browser_is_asked_for_with_all_else_that_the_tests_lack(machine: Machine) -> None:
    commands = [line for line in machine.run("tests").stdout.splitlines() if "apt-get install" in line]
    assert [packages_of(command) for command in commands] == [PACKAGES | BROWSER | RISCV]


@needs_debian
def test_the_browser_alone_is_asked_for_where_nothing_else_is_missing(machine: Machine) -> None:
    machine.link(*TOOLS)
    give_riscv(machine)
    assert packages_of(machine.run("tests", PYTHON="/nowhere/python3").stdout) == BROWSER


@pytest.mark.parametrize("program", ["chromium", "chromium-browser", "google-chrome"])
def test_a_browser_that_is_here_is_not_asked_for(machine: Machine, program: str) -> None:
    machine.stand_in(program, "exit 0")
    assert packages_of(machine.run("tests").stdout) == PACKAGES | RISCV


def test_a_library_for_riscv_is_asked_for_where_only_the_compiler_is_here(machine: Machine) -> None:
    machine.link(*TOOLS)
    give_riscv(machine, "exit 1")
    machine.stand_in("chromium", "exit 0")
    asked = packages_of(machine.run("tests", PYTHON="/nowhere/python3").stdout)
    assert asked == {"picolibc-riscv64-unknown-elf"}


@needs_debian
def test_the_browser_is_installed_with_the_tools_in_one_call(machine: Machine) -> None:
    give_sudo(machine)
    browser = f"case $* in *install*chromium*) ln -sf {real_program('true')} {machine.bin}/chromium;; esac"
    machine.stand_in("apt-get", install_really(machine), browser)
    give_riscv(machine)
    machine.run("tests", PYTHON="/nowhere/python3")
    calls = [call for call in machine.calls if call.startswith("apt-get")]
    assert [packages_of(call) for call in calls] == [PACKAGES | BROWSER]


def test_the_gate_needs_no_browser() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = dict(re.findall(r"^([a-z-]+): (bootstrap\S*) ##", makefile, re.M))
    assert (steps["gate"], steps["test"], steps["test-slow"]) == ("bootstrap", "bootstrap-tests", "bootstrap-tests")
