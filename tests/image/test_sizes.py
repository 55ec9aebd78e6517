"""Sizes by section and symbol against binutils: size and nm are the independent source of what an ELF takes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hil.cli import main
from hil.image.elf import Image
from hil.image.groups import group_of
from hil.ledger import Ledger, Sized, changes, identifiers

SOURCE = """\
#include <stdint.h>
const uint32_t table[64] = {1, 2, 3};
uint8_t tensor_arena[4096];
uint8_t uart_rx_buffer[256];
uint8_t preset[128] = {7};
uint8_t ucHeap[1000];
uint8_t pool[500];
extern const uint8_t g_model_data[700];
const uint8_t g_model_data[700] = {1};
static __attribute__((noinline, used)) int helper(int a) { return a * (int)table[a & 63] + 3; }
int other(int);
int start(void) {
  tensor_arena[0] = uart_rx_buffer[1] = ucHeap[2] = pool[3];
  return helper(preset[5]) + other(g_model_data[3]);
}
"""
OTHER = """\
static __attribute__((noinline, used)) int helper(int a) { return a / 7; }
int other(int a) { return helper(a) * LARGER; }
"""
SCRIPT = """\
ENTRY(start)
_Min_Heap_Size = 0x200; _Min_Stack_Size = 0x400; _estack = 0x20010000;
MEMORY { FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 1M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 64K
         CCM (rw) : ORIGIN = 0x10000000, LENGTH = 64K }
SECTIONS {
  .text : { *(.text*) *(.rodata*) } > FLASH
  .data : { *(.data*) } > RAM AT > FLASH
  .ccm (NOLOAD) : { *(.bss.ucHeap) } > CCM
  .bss (NOLOAD) : { *(.bss*) } > RAM
  ._user_heap_stack (NOLOAD) : { . = ALIGN(8); . += _Min_Heap_Size; . += _Min_Stack_Size; _end = .; } > RAM
}
"""
COMPILERS = {
    "gcc": ("arm-none-eabi-gcc",),
    "clang": ("clang", "--target=arm-none-eabi", "-fno-exceptions"),
}
FLAGS = ("-mcpu=cortex-m4", "-mthumb", "-Os", "-ffreestanding", "-fdata-sections", "-ffunction-sections", "-c")


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(f"{name}-14")  # as Debian calls it
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def linked(folder: Path, compiler: str = "gcc", larger: str = "9", script: str = SCRIPT, source: str = SOURCE) -> Path:
    """An ELF of two files, linked as a user links."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.c").write_text(source)
    (folder / "other.c").write_text(OTHER)
    (folder / "link.ld").write_text(script)
    first, *rest = COMPILERS[compiler]
    for name in ("main", "other"):
        command = [tool(first), *rest, *FLAGS, f"-DLARGER={larger}", f"{name}.c", "-o", f"{name}.o"]
        subprocess.run(command, cwd=folder, check=True)
    link = ["arm-none-eabi-ld", "-T", "link.ld", "main.o", "other.o", "-o", "app.elf"]
    subprocess.run(link, cwd=folder, check=True)
    return folder / "app.elf"


def said(program: str, *arguments: object) -> list[str]:
    done = subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def sections_of_size(elf: Path) -> dict[str, int]:
    rows = (line.split() for line in said("arm-none-eabi-size", "-A", elf))
    return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[1].isdigit() and int(row[1]) and int(row[2])}


def symbols_of_nm(elf: Path) -> dict[str, int]:
    """By name; those of one name together."""
    found: dict[str, int] = {}
    for row in (line.split() for line in said("arm-none-eabi-nm", "-S", elf)):
        if len(row) == 4:
            found[row[3]] = found.get(row[3], 0) + int(row[1], 16)
    return found


@pytest.mark.parametrize("compiler", list(COMPILERS))
def test_sections_and_symbols_are_those_of_binutils(compiler: str, tmp_path: Path) -> None:
    elf = linked(tmp_path, compiler)
    ledger, facts = Image(elf).ledger(), Image(elf).facts()
    sizes = sections_of_size(elf)
    assert {section.name: max(section.flash, section.ram) for section in ledger.sections} == sizes
    text, data, bss = map(int, said("arm-none-eabi-size", elf)[1].split()[:3])
    assert facts.flash_bytes == text + data  # .data is stored in flash, and copied
    assert facts.ram_bytes == data + bss
    by_name: dict[str, int] = {}
    for each in ledger.symbols:
        by_name[each.name] = by_name.get(each.name, 0) + max(each.flash, each.ram)
    numbers = {"_Min_Heap_Size": 0x200, "_Min_Stack_Size": 0x400}
    assert {name: size for name, size in by_name.items() if name} == symbols_of_nm(elf) | numbers


def test_the_symbols_of_a_section_add_up_to_it(tmp_path: Path) -> None:
    ledger = Image(linked(tmp_path)).ledger()
    for section in ledger.sections:
        own = [each for each in ledger.symbols if each.section == section.name]
        assert (sum(each.flash for each in own), sum(each.ram for each in own)) == (section.flash, section.ram)


def test_each_symbol_is_of_its_group(tmp_path: Path) -> None:
    groups = Image(linked(tmp_path)).ledger().groups()
    ram = {name: sums.ram for name, sums in groups.items() if sums.ram}
    data = 128 + 500
    padding = sum(sections_of_size(tmp_path / "app.elf").values()) - sum(symbols_of_nm(tmp_path / "app.elf").values())
    assert ram.pop("data") - data <= padding
    assert ram == {"arena": 4096, "ring": 256, "stack": 0x400, "heap": 1000 + 0x200}
    assert groups["model"].flash == 700
    assert groups["constants"].flash == 256
    assert groups["code"].flash > 0


def test_names_of_the_user_go_first(tmp_path: Path) -> None:
    ledger = Image(linked(tmp_path)).ledger({"arena": ["po*"], "features": ["tensor_arena"]})
    assert ledger.groups()["arena"].ram == 500
    assert ledger.groups()["features"].ram == 4096


def test_a_board_file_names_symbols_and_memories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.toml").write_text(
        'kind = "serial"\ntarget = "x"\n[sizes.symbols]\nfeatures = ["pool"]\n'
        "[sizes.memory]\nDTCM = [0x2000_0000, 0x1_0000]\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["size", str(linked(tmp_path)), "--board", "mine"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["features", "0", "500"] in rows
    assert {row[1] for row in rows if row[:1] in ([".data"], [".bss"])} == {"DTCM"}


def test_memories_are_told_by_address(tmp_path: Path) -> None:
    image = Image(linked(tmp_path))
    assert {each.name: each.memory for each in image.ledger().sections} == {
        ".text": "flash",
        ".data": "RAM 0x20000000",
        ".ccm": "CCM",
        ".bss": "RAM 0x20000000",
        "._user_heap_stack": "RAM 0x20000000",
    }
    named = image.ledger(memories={"DTCM": (0x2000_0000, 0x1_0000)})
    assert {each.memory for each in named.sections} == {"flash", "DTCM", "CCM"}


def test_what_lies_in_no_section_is_told(tmp_path: Path) -> None:
    """From the end of the last section to _estack."""
    elf = linked(tmp_path)
    (end,) = (int(line.split()[0], 16) for line in said("arm-none-eabi-nm", elf) if line.endswith(" _end"))
    assert Image(elf).ledger().uncovered == 0x2001_0000 - end


def test_a_stripped_image_tells_sections_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elf = linked(tmp_path)
    whole = Image(elf).facts()
    subprocess.run(["arm-none-eabi-strip", elf], check=True)
    stripped = Image(elf).facts()
    assert (stripped.flash_bytes, stripped.ram_bytes) == (whole.flash_bytes, whole.ram_bytes)
    assert stripped.ledger.stripped
    assert all(not each.name for each in stripped.ledger.symbols)
    assert main(["size", str(elf)]) == 0
    assert "no symbol table (it was stripped): sections are all that can be told" in capsys.readouterr().out


def test_overlays_share_their_ram_and_not_their_flash(tmp_path: Path) -> None:
    overlay = (
        "OVERLAY : { .one { *(.data.preset) } .two { *(.bss.pool) *(.bss.uart_rx_buffer) LONG(1) } } > RAM AT > FLASH"
    )
    elf = linked(tmp_path, script=SCRIPT.replace(".data : ", f"{overlay} .data : "))
    sizes, ledger = sections_of_size(elf), Image(elf).ledger()
    sections = {each.name: each for each in ledger.sections}
    assert sections[".one"].flash == sizes[".one"]
    assert sections[".two"].flash == sizes[".two"]
    assert sections[".one"].ram + sections[".two"].ram == max(sizes[".one"], sizes[".two"])
    assert sum(each.ram for each in ledger.symbols) == sum(each.ram for each in ledger.sections)


def test_read_only_data_in_mapped_flash_is_no_ram(tmp_path: Path) -> None:
    """As on a chip with flash behind QSPI at 0x9000_0000."""
    mapped = SCRIPT.replace("CCM (rw)", "QSPI (r) : ORIGIN = 0x90000000, LENGTH = 8M  CCM (rw)").replace(
        "  .text :", "  .model : { *(.rodata.g_model_data) } > QSPI\n  .text :"
    )
    (model,) = (each for each in Image(linked(tmp_path, script=mapped)).ledger().sections if each.name == ".model")
    assert (model.flash, model.ram, model.memory) == (700, 0, "external flash")


def test_load_addresses_are_found_as_armlink_writes_them(tmp_path: Path) -> None:
    """armlink gives one segment to a load region, at its address: what is copied is found by its place in the file."""
    elf = linked(tmp_path)
    image = Image(elf)
    (data,) = (section for section in image.sections if section.name == ".data")
    raw = bytearray(elf.read_bytes())
    headers = int.from_bytes(raw[28:32], "little")
    # Of the second segment, which holds .data, the virtual address becomes that of its load region.
    for number in range(int.from_bytes(raw[44:46], "little")):
        at = headers + 32 * number
        if int.from_bytes(raw[at + 8 : at + 12], "little") == data.address:
            raw[at + 8 : at + 12] = raw[at + 12 : at + 16]
    elf.write_bytes(raw)
    (moved,) = (section for section in Image(elf).sections if section.name == ".data")
    assert (moved.address, moved.load_address) == (data.address, data.load_address)
    assert moved.load_address != moved.address
    assert Image(elf).facts().ram_bytes == image.facts().ram_bytes


def test_what_changed_is_told_by_symbol_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The static `helper` of both files stay apart: only that of other.c changes."""
    before = linked(tmp_path / "a")
    source = (
        SOURCE.replace("pool[500]", "pool[900]")
        .replace("ucHeap", "xheap")
        .replace("uart_rx_buffer[256]", "uart_rx_buffer[200]")
    )
    after = linked(
        tmp_path / "b",
        source=source.replace("a * (int)table[a & 63] + 3", "a * (int)table[a & 63] + (int)table[a / 3 & 7]"),
    )
    found = changes(Image(before).ledger(), Image(after).ledger())
    told = {each.symbol.called: each for each in found if (each.flash or each.ram) and each.symbol.name}
    old, new = symbols_of_nm(before), symbols_of_nm(after)
    assert told["pool"].verb == "grown"
    assert told["pool"].ram == 400
    assert told["uart_rx_buffer"].verb == "shrunk"
    assert (told["ucHeap"].verb, told["ucHeap"].ram) == ("gone", -1000)
    assert (told["xheap"].verb, told["xheap"].ram) == ("new", 1000)
    assert told["helper (main.c)"].flash == new["helper"] - old["helper"] > 0
    assert "helper (other.c)" not in told
    for name in ("flash_bytes", "ram_bytes"):
        difference = getattr(Image(after).facts(), name) - getattr(Image(before).facts(), name)
        assert sum(getattr(each, name.removesuffix("_bytes")) for each in found) == difference
    assert main(["size", str(after), "--against", str(before)]) == 0
    out = capsys.readouterr().out
    assert "grown   pool" in out
    assert "+400" in out


def test_json_has_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elf = linked(tmp_path)
    assert main(["size", str(elf), "--json", "--against", str(elf)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hil-size/1"
    assert {each["name"] for each in document["symbols"]} >= symbols_of_nm(elf).keys()
    assert document["changes"] == []


def test_two_static_symbols_of_one_name_and_file_are_paired_by_size() -> None:
    """As those of functions: `count.1` of one build is none of the other's."""
    one, two = Sized("count", "a.c", ".bss", "data", 0, 4), Sized("count", "a.c", ".bss", "data", 0, 90)
    grown = Sized("count", "a.c", ".bss", "data", 0, 95)
    found = [each for each in changes(Ledger(symbols=(one, two)), Ledger(symbols=(grown, one))) if each.ram]
    assert [(each.before, each.after) for each in found] == [(two, grown)]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("tensor_arena", "arena"),
        ("_ZN12_GLOBAL__N_112tensor_arenaE", "arena"),
        ("_ZL12kTensorArena", "arena"),
        ("network_activations", "arena"),
        ("z_main_stack", "stack"),
        ("z_interrupt_stacks", "stack"),
        ("uxIdleTaskStack", "stack"),
        ("Stack_Mem", "stack"),
        ("ucHeap", "heap"),
        ("kheap__system_heap", "heap"),
        ("Heap_Mem", "heap"),
        ("_SEGGER_RTT", "ring"),
        ("_acUpBuffer", "ring"),
        ("rxRing", "ring"),
        ("g_person_detect_model_data", "model"),
        ("model_int8_tflite", "model"),
        ("model_hash", "data"),
        ("scratch_buffer", "scratch"),
        ("strings", "data"),
        ("modulation", "data"),
        ("hil_boot_count", "agent"),
    ],
)
def test_usual_names(name: str, group: str) -> None:
    assert group_of(name, "", ".bss", 512, is_code=False, in_ram=True, named={}) == group


def test_a_function_of_that_name_is_code() -> None:
    assert group_of("heap_init", "", ".text", 512, is_code=True, in_ram=False, named={}) == "code"
    assert group_of("hil_agent_poll", "", ".text", 512, is_code=True, in_ram=False, named={}) == "agent"


@pytest.mark.parametrize(
    "name",
    [
        "_ZN3app5arenaE",
        "_ZL12tensor_arena",
        "_ZN6tflite3ops5micro4EvalEP13TfLiteContextP10TfLiteNode",
        "_ZNK3hil4Span4sizeEv",
    ],
)
def test_mangled_names_are_those_of_the_demangler(name: str) -> None:
    (told,) = said("arm-none-eabi-c++filt", "-p", name)
    assert "::".join(identifiers(name)) == told


def test_a_budget_that_is_broken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The arena alone is more than the example's case allows."""
    case = Path(__file__).resolve().parents[2] / "examples" / "c_bare" / "case"
    elf = linked(tmp_path, source=SOURCE.replace("tensor_arena[4096]", "tensor_arena[8192]"))
    assert main(["size", str(elf), "--case", str(case)]) == 1
    ram = Image(elf).facts().ram_bytes
    assert f"static RAM: {ram:,} of 6,000 bytes (ram_bytes), {ram - 6000:,} too many" in capsys.readouterr().out
