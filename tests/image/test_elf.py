"""`Image` against binutils: nm, size and addr2line are the independent source of what an ELF holds."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from elf_projects import ARM, HOST, Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil.board.config import load_board
from hil.board.native import open_board
from hil.errors import UsageError
from hil.image.elf import Image

no_deadline = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def binutils(tool: str, *arguments: object) -> str:
    return subprocess.run([tool, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def nm(tool: str, elf: Path) -> dict[str, int]:
    rows = (line.split() for line in binutils(tool, elf).splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


@pytest.fixture(params=["arm", "host"])
def elf(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"{request.param}_elf")
    return path


def test_header_says_what_the_image_is(arm_elf: Path, host_elf: Path) -> None:
    arm, host = Image(arm_elf), Image(host_elf)
    assert (arm.machine, arm.is_32_bit) == ("arm", True)
    assert (host.machine, host.is_32_bit) == ("x86_64", False)
    assert arm.sha256 == binutils("sha256sum", arm_elf).split()[0]


def test_symbols_are_those_of_nm(elf: Path) -> None:
    image = Image(elf)
    expected = nm("nm", elf)
    assert len(expected) > 10
    for name, value in expected.items():
        # nm shows Thumb functions without the bit that marks them.
        assert image.symbol(name) & ~1 == value & ~1, name


def test_absolute_symbol_is_its_number(arm_elf: Path) -> None:
    assert Image(arm_elf).symbol("the_answer") == 42


def test_unknown_symbol_names_file_and_symbol(arm_elf: Path) -> None:
    with pytest.raises(UsageError, match=r"firmware\.elf: has no symbol '_SEGGER_RTT'"):
        Image(arm_elf).symbol("_SEGGER_RTT")


def test_stripped_file_is_called_stripped(project: Project) -> None:
    elf = project.compile(ARM, "-s")
    with pytest.raises(UsageError, match="stripped"):
        Image(elf).symbol("decide")


@pytest.mark.parametrize(
    ("field", "value"),
    [(20, 1), (24, 0), (24, 0xFF00)],  # of the section header: sh_size no multiple of a row, sh_link to no names
    ids=["a cut row", "no names", "names out of the file"],
)
def test_a_damaged_symbol_table_is_named(arm_elf: Path, tmp_path: Path, field: int, value: int) -> None:
    rows = binutils("readelf", "-SW", arm_elf).splitlines()
    index = next(int(match[1]) for row in rows if (match := re.match(r"\s*\[\s*(\d+)\] \.symtab ", row)))
    data = bytearray(arm_elf.read_bytes())
    (sections,) = struct.unpack_from("<I", data, 32)
    struct.pack_into("<I", data, sections + 40 * index + field, value)
    damaged = tmp_path / "damaged.elf"
    damaged.write_bytes(data)
    with pytest.raises(UsageError, match=r"damaged\.elf: damaged (ELF file|symbol table) .*\n  fix: build it again"):
        Image(damaged).require_agent()


def test_flash_and_ram_are_those_of_size(arm_elf: Path) -> None:
    text, data, bss, *_ = map(int, binutils("arm-none-eabi-size", arm_elf).splitlines()[1].split()[:3])
    facts = Image(arm_elf).facts()
    init_array = 4  # one static constructor; `size` counts the table as data, but it stays in flash
    assert facts.flash_bytes == text + data
    assert facts.ram_bytes == (data - init_array) + bss - 512 - 2048  # without .hil_shared and .hil_stack
    assert facts.ram_bytes >= 256 + 1024
    assert facts.stack_bytes == 2048


def test_a_stack_is_found_as_linker_scripts_give_it(project: Project) -> None:
    """As those of STM32CubeIDE: a top and a size, and no section."""
    source = project.root / "firmware" / "product.cpp"
    source.write_text(source.read_text().replace(".hil_stack", ".bss.stack"))
    assert Image(project.compile(ARM)).stack_span() is None
    defined = "-Wl,--defsym=_estack=0x20020000,--defsym=_Min_Stack_Size=0x400"
    image = Image(project.compile(ARM, defined))
    assert image.stack_span() == (0x2001_FC00, 0x2002_0000)
    assert image.facts().stack_bytes == 0x400


def test_stack_symbols_win_over_the_section(project: Project) -> None:
    symbols = "-Wl,--defsym=__hil_stack_low=stack+48,--defsym=__hil_stack_top=stack+2048"
    assert Image(project.compile(ARM, symbols)).facts().stack_bytes == 2000


@pytest.mark.parametrize("dwarf", ["-gdwarf-4", "-gdwarf-5"])
@pytest.mark.parametrize("compiler", [ARM, HOST], ids=["arm", "host"])
def test_every_line_is_that_of_addr2line(project: Project, compiler: tuple[str, ...], dwarf: str) -> None:
    elf = project.compile(compiler, dwarf)
    image, symbols = Image(elf), nm("nm", elf)
    start = symbols["decide"] & ~1
    addresses = [start + offset for offset in range(0, 16, 2)] + [symbols["_ZN7product7PrepareEi"] & ~1]
    told = binutils("addr2line", "-e", elf, *map(hex, addresses)).splitlines()
    for address, line in zip(addresses, told, strict=True):
        expected = line.replace(f"{project.root}/", "").split(" (discriminator")[0]
        assert image.locate(address).endswith(f"({expected})"), hex(address)


def test_place_reads_function_file_line(arm_elf: Path) -> None:
    image = Image(arm_elf)
    place = image.locate(image.symbol("_ZN7product7PrepareEi"))
    assert re.fullmatch(r"product::Prepare \(firmware/product\.cpp:1[0-6]\)", place)


def test_paths_cut_by_the_compiler_stay_relative_to_the_project(project: Project) -> None:
    elf = project.compile(ARM, f"-ffile-prefix-map={project.root}/=")
    image = Image(elf)
    assert image.locate(image.symbol("decide")) == "decide (firmware/product.cpp:21)"


def test_thumb_bit_makes_no_difference(arm_elf: Path) -> None:
    image = Image(arm_elf)
    address = image.symbol("decide")
    assert address & 1
    assert image.locate(address) == image.locate(address - 1)


def test_without_debug_information_the_function_is_left(project: Project) -> None:
    elf = project.compile(ARM)
    binutils("arm-none-eabi-strip", "--strip-debug", elf)
    image = Image(elf)
    assert image.locate(image.symbol("decide")) == "decide"


def test_address_outside_of_all_code_is_a_question_mark(elf: Path) -> None:
    assert Image(elf).locate(0xFFFF_FFF0) == "?"


def test_image_for_another_machine_is_refused(host_elf: Path) -> None:
    with pytest.raises(UsageError, match="built for x86_64, but this board runs arm images"):
        Image(host_elf, expected="arm")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.elf: No such file"):
        Image(tmp_path / "nothing.elf")


def test_binary_image_is_no_elf(arm_elf: Path, tmp_path: Path) -> None:
    binary = tmp_path / "firmware.bin"
    binutils("arm-none-eabi-objcopy", "-O", "binary", arm_elf, binary)
    with pytest.raises(UsageError, match=r"not an ELF file\n  fix: .*\.elf"):
        Image(binary)


@no_deadline
@given(share=st.floats(0, 1, exclude_max=True))
def test_every_cut_file_is_refused(arm_elf: Path, tmp_path: Path, share: float) -> None:
    data = arm_elf.read_bytes()
    cut = tmp_path / "cut.elf"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UsageError, match=r"cut\.elf"):
        Image(cut)


@no_deadline
@given(position=st.integers(4, 51), value=st.integers(0, 255))
def test_damaged_header_is_refused_or_harmless(arm_elf: Path, tmp_path: Path, position: int, value: int) -> None:
    data = bytearray(arm_elf.read_bytes())
    data[position] = value
    damaged = tmp_path / "damaged.elf"
    damaged.write_bytes(data)
    with suppress(UsageError):  # and no other exception
        image = Image(damaged)
        image.facts()
        image.has_symbol("decide")
        image.locate(image.entry)


def test_importing_the_module_does_not_load_pyelftools() -> None:
    code = "import sys, hil.image.elf; sys.exit('elftools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_native_board_refuses_a_program_without_the_agent(host_elf: Path, tmp_path: Path) -> None:
    config = load_board("native", [Path(__file__).resolve().parents[2] / "boards"])
    with (
        open_board(config, tmp_path / "native.log") as board,
        pytest.raises(UsageError, match=r"has no symbol '_SEGGER_RTT'\n  fix: "),
    ):
        board.check_image(Image(host_elf))
