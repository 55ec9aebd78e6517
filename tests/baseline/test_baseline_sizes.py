"""A baseline keeps the sizes of the image's symbols, and growth of flash or RAM names those that grew."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_baseline import accept, accepted_evidence, tolerating

from hil.baseline.file import read_baseline, write_baseline
from hil.baseline.sizes import LEAST_BYTES, kept, pack, unpack
from hil.contract import CHECKS, judge
from hil.contract.types import Evidence
from hil.ledger import Ledger, SectionSize, Sized

BY_ID = {check.id: check for check in CHECKS}


def ledger(*symbols: Sized) -> Ledger:
    """With the sections that the symbols come to; a stack beside, which is not counted."""
    names = dict.fromkeys(each.section for each in symbols)
    sections = [
        SectionSize(
            name,
            0,
            "",
            sum(each.flash for each in symbols if each.section == name),
            sum(each.ram for each in symbols if each.section == name),
            counted=name != ".stack",
        )
        for name in names
    ]
    return Ledger(tuple(sections), symbols)


CONV = Sized("conv", "", ".text", "code", 4000, 0)
TABLE = Sized("table", "crc32.c", ".text", "constants", 1024, 0)
SMALL = (Sized("a", "", ".text", "code", 20, 0), Sized("b", "", ".text", "code", 30, 0))
ARENA = Sized("tensor_arena", "", ".bss", "arena", 0, 8192)
STACK = Sized("", "", ".stack", "stack", 0, 4096)
WHOLE = ledger(CONV, TABLE, *SMALL, ARENA, STACK)


def with_image(evidence: Evidence, found: Ledger) -> Evidence:
    flash, ram = (sum(getattr(each, name) for each in found.counted()) for name in ("flash", "ram"))
    return replace(evidence, image=replace(evidence.image, flash_bytes=flash, ram_bytes=ram, ledger=found))


@pytest.fixture
def evidence() -> Evidence:
    return tolerating(accept(with_image(accepted_evidence(), WHOLE)), flash_bytes=0, ram_bytes=0)


def test_an_equal_image_passes(evidence: Evidence) -> None:
    assert {str(judge(BY_ID[name], evidence).outcome) for name in ("baseline.flash", "baseline.ram")} == {"passed"}


def test_what_grew_is_named_the_largest_first(evidence: Evidence) -> None:
    new = Sized("softmax", "", ".text", "code", 900, 0)
    smaller = replace(TABLE, flash=1000)
    grown = with_image(evidence, ledger(replace(CONV, flash=4100), smaller, *SMALL, new, ARENA, STACK))
    (finding,) = judge(BY_ID["baseline.flash"], grown).findings
    assert finding.hint.startswith("more than accepted take softmax new +900, conv +100; ")
    assert judge(BY_ID["baseline.ram"], grown).outcome == "passed"


def test_growth_of_ram_names_what_lies_in_ram(evidence: Evidence) -> None:
    grown = with_image(evidence, ledger(CONV, TABLE, *SMALL, replace(ARENA, ram=9000), STACK))
    (finding,) = judge(BY_ID["baseline.ram"], grown).findings
    assert finding.hint.startswith("more than accepted take tensor_arena +808; ")


def test_growth_of_small_symbols_is_told_by_section(evidence: Evidence) -> None:
    grown = with_image(evidence, ledger(CONV, TABLE, *SMALL, replace(SMALL[0], name="c"), ARENA, STACK))
    (finding,) = judge(BY_ID["baseline.flash"], grown).findings
    assert finding.hint.startswith("more than accepted take .text without a symbol +20; ")


def test_a_baseline_without_sizes_says_what_it_said_before(evidence: Evidence) -> None:
    assert evidence.baseline is not None
    old = replace(evidence.baseline, baseline=evidence.baseline.baseline.model_copy(update={"sizes": None}))
    grown = with_image(replace(evidence, baseline=old), ledger(replace(CONV, flash=4100), TABLE, *SMALL, ARENA))
    (finding,) = judge(BY_ID["baseline.flash"], grown).findings
    assert finding.hint.startswith("compare the map files of the two images; ")


def test_the_file_keeps_them(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert evidence.baseline is not None
    file = tmp_path_factory.mktemp("kept") / "qemu.json"
    write_baseline(file, evidence.baseline.baseline)
    assert read_baseline(file).baseline.sizes == kept(WHOLE)


def test_a_reserved_stack_is_not_kept() -> None:
    assert STACK not in kept(WHOLE).symbols
    assert sum(each.flash for each in kept(WHOLE).symbols) == 4000 + 1024 + 50


NAMES = st.text(max_size=20)
SIZES = st.integers(0, 1 << 20)


@given(st.lists(st.builds(Sized, NAMES, NAMES, NAMES, NAMES, SIZES, SIZES), max_size=30))
def test_rows_come_back_as_they_were(symbols: list[Sized]) -> None:
    found = kept(ledger(*symbols))
    assert unpack(pack(found)) == found
    assert all(each.total >= LEAST_BYTES for each in found.symbols if each.name)


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    "value",
    [7, "no base64!", packed(b"[[1]]"), packed(b'[["a","b","c","d",1.5,2]]'), packed(b"["), packed(b"7")],
    ids=["a number", "no base64", "a short row", "a fraction", "no JSON", "no list"],
)
def test_what_cannot_be_unpacked_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"packed|unpacked"):
        unpack(value)
