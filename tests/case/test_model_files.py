"""Model files in other clothes: without identifier, in C source, misaligned."""

from __future__ import annotations

import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from tflite_builder import dense_model

from hil.cli import main
from hil.errors import CaseError
from hil.model.alignment import misplaced
from hil.model.c_array import read_arrays
from hil.model.check import check_model
from hil.model.graph import read_graph
from hil.model.tflite import parse_model
from hil.reference.int8 import Int8Oracle

sys.path.insert(0, str(Path(__file__).parents[1]))

from model_edit import read_model

FILE = Path("folder/model.tflite")
IMU = Path(__file__).parents[2] / "golden_vectors" / "imu_motion" / "model_int8.tflite"
PUBLIC = Path(__file__).parents[3] / "shared/data/public_models"


class Crooked(flatbuffers.Builder):
    """Puts the start of every vector a byte off."""

    def StartVector(self, element: int, count: int, alignment: int) -> int:  # noqa: N802
        place = super().StartVector(element, count, alignment)
        self.Pad(1)
        return place

    def EndVector(self, *arguments: int) -> int:  # noqa: N802
        self.nested = False
        self.head -= 4
        struct.pack_into("<I", self.Bytes, self.head, self.vectorNumElems)
        self.vectorNumElems = None
        return int(self.Offset())


def crooked(data: bytes) -> bytes:
    builder = Crooked(1 << 16)
    builder.Finish(read_model(data).Pack(builder), b"TFL3")
    return bytes(builder.Output())


def refused(data: bytes, file: Path = FILE) -> CaseError:
    with pytest.raises(CaseError) as caught:
        check_model(data, file)
    return caught.value


# ---- no identifier


@pytest.mark.parametrize("identifier", [b"\0\0\0\0", b"TFL4", b"HILM"])
def test_a_model_without_identifier_is_one(identifier: bytes) -> None:
    data = IMU.read_bytes()
    bare = data[:4] + identifier + data[8:]
    check_model(bare, FILE)
    assert parse_model(bare, FILE).operators == parse_model(data, FILE).operators
    tensors = np.arange(240, dtype=np.uint8).view(np.int8)[np.newaxis]
    np.testing.assert_array_equal(Int8Oracle(bare).run(tensors), Int8Oracle(data).run(tensors))


def test_what_has_no_identifier_and_is_no_model_is_called_so() -> None:
    for data in (bytes(64), b"\x10\0\0\0" * 200, bytes(range(256)) * 4):
        assert "this is no TFLite model" in refused(data).problem


# ---- C source


def c_source(data: bytes, head: str = "alignas(16) const unsigned char g_model[] =", form: str = "0x{:02x}") -> str:
    lines = [", ".join(form.format(byte) for byte in data[at : at + 12]) for at in range(0, len(data), 12)]
    return f"// made by xxd -i\n#include <cstdint>\n{head} {{\n  " + ",\n  ".join(lines) + "};\n"


HEADS = [
    "const unsigned char g_model[] =",
    "alignas(16) const unsigned char g_model[] =",
    "const uint8_t g_model[] DATA_ALIGN_ATTRIBUTE =",
    "static const uint8_t __attribute__((aligned(16))) g_model[6632] =",
    'const unsigned char g_model[] __attribute__((section(".model"), aligned(4))) =',
    "extern const int g_len = 3; unsigned char g_model[] =",
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("form", ["0x{:02x}", "0X{:02X}U", "{:d}"])
def test_arrays_are_read_as_people_write_them(head: str, form: str) -> None:
    data = IMU.read_bytes()
    (array,) = read_arrays(c_source(data, head, form).encode(), FILE)
    assert (array.name, array.data) == ("g_model", data)


def test_signed_octal_and_commented_numbers_are_bytes_too() -> None:
    text = "const signed char m[] = { -1, /* not 7, */ 017, 0b101, 0x7f, // 9\n -128, 255 };"
    assert read_arrays(text.encode(), FILE)[0].data == bytes([255, 15, 5, 127, 128, 255])


def test_other_arrays_are_left_out() -> None:
    text = 'int sizes[] = {1, 300}; const char* names[] = {"a", "b"}; uint8_t m[2] = {1, 2}; float f[] = {1.0f};'
    assert [array.name for array in read_arrays(text.encode(), FILE)] == ["m"]


def test_a_model_is_unpacked_beside_its_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "model.cc"
    labels = "const unsigned char g_labels[] = { 0x61, 0x62 };\n"
    source.write_text(labels + c_source(IMU.read_bytes()) + "const unsigned int g_model_len = 6632;\n")
    assert main(["model", "unpack", str(source)]) == 0
    assert (tmp_path / "model.tflite").read_bytes() == IMU.read_bytes()
    assert "wrote" in capsys.readouterr().out


def test_nothing_of_others_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "model.h"
    source.write_text(c_source(IMU.read_bytes()))
    (tmp_path / "model.tflite").write_bytes(b"mine")
    assert main(["model", "unpack", str(source)]) == 2
    assert (tmp_path / "model.tflite").read_bytes() == b"mine"
    assert "is there already" in capsys.readouterr().err
    assert main(["model", "unpack", str(source), "--out", str(tmp_path / "other.tflite")]) == 0
    assert main(["model", "unpack", str(source), "--out", str(tmp_path / "other.tflite")]) == 0


def test_of_several_models_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "models.cc"
    second = c_source(dense_model(), "const unsigned char second[] =")
    source.write_text(c_source(IMU.read_bytes()) + second)
    assert main(["model", "unpack", str(source)]) == 2
    assert "several arrays hold a model: g_model, second" in capsys.readouterr().err
    assert main(["model", "unpack", str(source), "--array", "second"]) == 0
    assert (tmp_path / "models.tflite").read_bytes() == dense_model()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("int x = 3;", "no array of bytes is in it"),
        ("const unsigned char cut[] = { 0x1c, 0x00 };", "no array holds a whole TFLite model; there are cut (2 bytes)"),
    ],
)
def test_source_without_a_model_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (tmp_path / "model.c").write_text(text)
    assert main(["model", "unpack", str(tmp_path / "model.c")]) == 2
    assert words in capsys.readouterr().err


def test_a_case_that_names_c_source_is_told_the_command_and_the_command_works(tmp_path: Path) -> None:
    source = tmp_path / "my model.cc"
    source.write_text(c_source(IMU.read_bytes()))
    error = refused(source.read_bytes(), source)
    assert "C source" in error.problem
    command = error.fix.partition("hil ")[2]
    subprocess.run(["bash", "-c", f"{shlex.quote(sys.executable)} -m hil.cli {command}"], check=True)
    assert (tmp_path / "my model.tflite").read_bytes() == IMU.read_bytes()


# ---- misaligned vectors


@pytest.mark.parametrize("data", [dense_model(), IMU.read_bytes()], ids=["dense", "imu_motion"])
def test_what_a_converter_writes_is_aligned(data: bytes) -> None:
    assert misplaced(data) == ()


def test_vectors_across_a_boundary_are_told_with_their_offset() -> None:
    data = crooked(IMU.read_bytes())
    assert read_graph(data, FILE) == read_graph(IMU.read_bytes(), FILE)
    error = refused(data)
    assert error.where == "flatbuffer"
    found = re.findall(r"(\w[^;]*?) at byte ([\d,]+), which is no multiple of (\d)", error.problem)
    assert found
    for _, offset, wanted in found:
        assert int(offset.replace(",", "")) % int(wanted) != 0
    assert f"hil model fix {FILE}" in error.fix


def test_every_kind_of_vector_is_looked_at() -> None:
    kinds = {re.sub(r" of tensor .*| \d+|'.*'", "", each.what) for each in misplaced(crooked(IMU.read_bytes()))}
    assert {
        "the shape",
        "the scales",
        "the zero points",
        "the data",
        "a list of operator",
    } <= kinds


def test_an_aligned_copy_is_the_same_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(crooked(IMU.read_bytes()))
    assert main(["model", "fix", str(file)]) == 0
    copy = (tmp_path / "model.fixed.tflite").read_bytes()
    assert misplaced(copy) == ()
    check_model(copy, FILE)
    assert read_graph(copy, FILE) == read_graph(IMU.read_bytes(), FILE)
    tensors = np.random.default_rng(3).integers(-128, 128, (20, 240)).astype(np.int8)
    np.testing.assert_array_equal(Int8Oracle(copy).run(tensors), Int8Oracle(IMU.read_bytes()).run(tensors))
    assert main(["model", "fix", str(tmp_path / "model.fixed.tflite")]) == 0
    assert "nothing is written" in capsys.readouterr().out


def test_public_models_survive_being_written_anew() -> None:
    from hil.model.rewrite import rewritten

    files = sorted(PUBLIC.glob("*.tflite"))
    if not files:
        pytest.skip("needs ../shared/data/public_models, models of other people beside the project")
    for file in files:
        data = file.read_bytes()
        copy = rewritten(data)
        assert misplaced(copy) == ()
        assert read_graph(copy, file) == read_graph(data, file)
