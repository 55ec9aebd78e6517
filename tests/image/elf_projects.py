"""Builds small real ELF files, with the host's compiler and with the Arm one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = """\
#include <stdint.h>
extern "C" {
extern const uint32_t table[1024] = {1, 2, 3};
uint8_t preset[256] = {7};
uint8_t zeroed[1024];
uint8_t shared[512] __attribute__((section(".hil_shared")));
uint8_t stack[2048] __attribute__((section(".hil_stack")));
}
namespace product {
__attribute__((noinline)) int Prepare(int value) {
  int sum = 0;
  for (int i = 0; i < value; ++i) {
    sum += static_cast<int>(table[i & 1023]) * preset[i & 255];
  }
  return sum;
}
struct Started {
  Started() { zeroed[0] = 3; }
} started;
}  // namespace product
extern "C" __attribute__((noinline)) int decide(int value) {
  shared[1] = stack[1];
  return product::Prepare(value) + zeroed[1];
}
extern "C" int ENTRY(void) {
  return decide(41);
}
"""

LINK_SCRIPT = """\
ENTRY(start)
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 1M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 1M }
SECTIONS {
  .text : { *(.text*) *(.rodata*) } > FLASH
  .init_array : { KEEP(*(.init_array*)) } > FLASH
  .data : { *(.data*) } > RAM AT > FLASH
  .bss (NOLOAD) : { *(.bss*) } > RAM
  .hil_shared (NOLOAD) : { *(.hil_shared) } > RAM
  .hil_stack (NOLOAD) : { *(.hil_stack) } > RAM
}
the_answer = 42;
"""

ARM = ("arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-nostartfiles", "-DENTRY=start", "-Tlink.ld")
HOST = ("g++", "-no-pie", "-fno-pie", "-DENTRY=main")
COMMON = ("-g", "-O1", "-fno-exceptions", "-fno-rtti", "-o", "build/firmware.elf")


@dataclass(frozen=True)
class Project:
    """A folder laid out as a checkout, with one source file and the ELF made of it."""

    root: Path

    @property
    def elf(self) -> Path:
        return self.root / "build" / "firmware.elf"

    def compile(self, compiler: tuple[str, ...], *flags: str) -> Path:
        """Build with absolute source paths, as CMake does; returns the ELF."""
        source = self.root / "firmware" / "product.cpp"
        subprocess.run([*compiler, *COMMON, *flags, str(source)], cwd=self.root, check=True)
        return self.elf


def make_project(root: Path) -> Project:
    (root / "firmware").mkdir(parents=True)
    (root / "build").mkdir()
    (root / "pyproject.toml").write_text("")
    (root / "firmware" / "product.cpp").write_text(SOURCE)
    (root / "link.ld").write_text(LINK_SCRIPT)
    return Project(root)
