"""The bundle: the documented layout, metadata that the schema accepts, damage that is found."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import cbor2
import numpy as np
import pytest
from carried_state import write_carried
from hypothesis import given
from hypothesis import strategies as st
from several_tensors import write_several
from zcbor import CddlValidationError, DataTranslator

from hil.bundle import BUNDLE_STATUS, BundleError, build_bundle, describe, parse_bundle, sha256
from hil.bundle.compare import differences
from hil.case.load import load_case
from hil.case.types import Case, Channel, Contracts, Decide, Gate, ModelFile, Prepare, Vectors, Window
from hil.tensor import Quantisation, TensorContract

ROOT = Path(__file__).parents[2]
U32 = st.integers(0, 2**32 - 1)
I32 = st.integers(-(2**31), 2**31 - 1)
F32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@st.composite
def tensors(draw: st.DrawFn) -> TensorContract:
    shape = (1, *draw(st.lists(st.integers(1, 300), max_size=5)))
    quantisation = Quantisation(draw(st.floats(2**-20, 2**10, width=32)), draw(st.integers(-128, 127)))
    return TensorContract("INT8", shape, quantisation, draw(U32))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    labels = tuple(draw(st.lists(TEXT, max_size=64)))
    channels = draw(st.lists(st.builds(Channel, st.integers(0, 255), I32, I32), max_size=32))
    model = draw(st.binary(min_size=1, max_size=200))
    window = Window(draw(st.sampled_from(["int8", "int16", "float32"])), draw(U32), draw(U32))
    return Case(
        path=Path("case.toml"),
        name=draw(st.from_regex(r"[A-Za-z0-9_-]{1,63}", fullmatch=True)),
        version=draw(U32),
        source="",
        rate_hz=None,
        model=ModelFile(Path("m.tflite"), model, "", (), (draw(tensors()),), (draw(tensors()),)),
        float_model=None,
        window=window,
        gate=Gate(draw(F32), draw(F32), draw(F32)),
        prepare=Prepare(draw(st.sampled_from(["tensor", "scale", "quantize"])), 1, tuple(channels), draw(F32)),
        decide=Decide("argmax", 1, draw(I32), draw(I32), draw(U32), draw(U32), labels),
        arena_bytes=draw(U32),
        contracts=Contracts(),
        vectors=Vectors(np.zeros((1, 1, 1), np.int8)),
    )


CASE = Case(
    path=Path("case.toml"),
    name="toy",
    version=3,
    source="",
    rate_hz=None,
    model=ModelFile(
        Path("m.tflite"),
        b"model bytes",
        "",
        (),
        (TensorContract("INT8", (1, 4, 2), Quantisation(0.5, 3), 8),),
        (TensorContract("INT8", (1, 2), Quantisation(1 / 256, -128), 2),),
    ),
    float_model=None,
    window=Window("int16", 4, 2),
    gate=Gate(-32767.0, 32767.0, 0.0),
    prepare=Prepare("scale", 1, (Channel(0, 0, 65536), Channel(1, -5, -1))),
    decide=Decide("argmax", 1, 25, -1, 2, 1, ("no", "yes")),
    arena_bytes=8192,
    contracts=Contracts(),
    vectors=Vectors(np.zeros((1, 4, 2), np.int16)),
)


@pytest.fixture(scope="module")
def schema() -> DataTranslator:
    cddl = (ROOT / "firmware/link/link.cddl").read_text()
    return DataTranslator.from_cddl(cddl, 16).my_types["bundle-meta"]


def metadata(bundle: bytes) -> bytes:
    offset, size = struct.unpack_from("<II", bundle, 12)
    return bundle[offset : offset + size]


@given(case=cases())
def test_the_schema_accepts_the_metadata_of_every_case(schema: DataTranslator, case: Case) -> None:
    assert schema.validate_str(metadata(build_bundle(case)))


def test_the_schema_refuses_a_missing_key(schema: DataTranslator) -> None:
    meta = cbor2.loads(metadata(build_bundle(CASE)))
    del meta["arena_bytes"]
    with pytest.raises(CddlValidationError):
        schema.validate_str(cbor2.dumps(meta))


def test_keys_come_in_the_order_of_the_schema() -> None:
    cddl = (ROOT / "firmware/link/link.cddl").read_text()

    def keys(name: str) -> list[str]:
        body = re.search(rf"^{name} = \{{(.*?)\}}", cddl, re.DOTALL | re.MULTILINE)
        assert body
        return re.findall(r'"(\w+)":', body[1])

    meta = cbor2.loads(metadata(build_bundle(replace(CASE, keeps_state=True))))
    assert list(meta) == keys("bundle-meta")
    parts = {"window": "window-part", "gate": "gate-part", "prepare": "prepare-part", "input": "tensor"}
    for key, name in (parts | {"output": "tensor", "decide": "decide-part"}).items():
        assert list(meta[key]) == keys(name)


@given(case=cases())
def test_what_is_built_is_read_back(case: Case) -> None:
    data = build_bundle(case)
    bundle = parse_bundle(data + b"behind it")
    assert (bundle.case, bundle.version, bundle.arena_bytes) == (case.name, case.version, case.arena_bytes)
    assert (bundle.window, bundle.gate, bundle.prepare, bundle.decide) == (
        *(case.window, case.gate, case.prepare, case.decide),
    )
    assert (bundle.input, bundle.output, bundle.model) == (case.model.input, case.model.output, case.model.data)


def valid_items(case: Case) -> list[object]:
    """Of the metadata, each held to the schema."""
    cddl = (ROOT / "firmware/link/link.cddl").read_text()
    types = DataTranslator.from_cddl(cddl, 16).my_types
    stream, items = io.BytesIO(metadata(build_bundle(case))), list[object]()
    while (start := stream.tell()) < len(stream.getvalue()):
        items.append(cbor2.load(stream))
        assert types["bundle-further" if start else "bundle-meta"].validate_str(
            stream.getvalue()[start : stream.tell()]
        )
    return items


def test_pairs_of_state_are_items_behind_the_further_tensors(tmp_path: Path) -> None:
    """The inputs that they reach are none of those that windows feed."""
    case = load_case(write_carried(tmp_path))
    meta, first, second, *pairs = valid_items(case)
    assert (meta["state"], {*first, *second}) == (True, {"output"})
    assert pairs == [{"state": {"output": 0, "input": 0}}, {"state": {"output": 2, "input": 2}}]
    bundle = parse_bundle(build_bundle(case))
    assert (bundle.carried, bundle.input, bundle.inputs) == (((0, 0), (2, 2)), case.model.input, ())
    other = build_bundle(replace(case, model=replace(case.model, carried=case.model.carried[::-1])))
    told = [(each.contract, each.field) for each in differences(build_bundle(case), other)]
    assert told == [("execution", "carried")]


def test_further_tensors_are_items_behind_the_metadata(tmp_path: Path) -> None:
    """And a model without any has the metadata that it had: the one item."""
    case = load_case(write_several(tmp_path))
    assert len(valid_items(case)) == 3
    bundle = parse_bundle(build_bundle(case))
    assert (bundle.decided, bundle.outputs) == (1, case.model.further_outputs)
    (right,) = bundle.inputs
    assert (right.input, right.window) == (case.model.inputs[1], case.further[0].window)
    assert (right.gate, right.prepare) == (case.further[0].gate, case.further[0].prepare)


def test_the_bundle_of_imu_motion_is_the_one_that_was_accepted() -> None:
    folder = ROOT / "golden_vectors" / "imu_motion"
    accepted = json.loads((folder / "baseline" / "qemu.json").read_text())
    assert sha256(build_bundle(load_case(folder))) == accepted["made"]["bundle_sha256"]


def test_every_real_number_travels_as_a_single() -> None:
    data = metadata(build_bundle(CASE))
    assert b"\x67minimum\xfa" + struct.pack(">f", -32767.0) in data
    assert b"\x65scale\xfa" + struct.pack(">f", 1 / 256) in data
    assert b"\x66factor\xfa" + struct.pack(">f", 0.0) in data
    assert b"\xfb" + struct.pack(">d", 0.5) not in data


def test_the_header_is_the_documented_one() -> None:
    data = build_bundle(CASE)
    magic, version, header, total, at, size, start, length, reserved = struct.unpack_from("<4sHHIIIIII", data)
    assert (magic, version, header, at, reserved) == (b"HILB", 1, 64, 64, 0)
    assert total == len(data)
    assert start % 16 == 0
    assert 0 <= start - (at + size) < 16
    assert set(data[at + size : start]) <= {0}
    assert data[start : start + length] == b"model bytes"
    blank = data[:32] + bytes(32) + data[64:]
    assert data[32:64] == hashlib.sha256(blank).digest()
    assert parse_bundle(data).sha256 == sha256(data) == hashlib.sha256(blank).hexdigest()


def patched(offset: int, layout: str, value: int) -> bytes:
    """A bundle with one header field changed and the hash made right again."""
    data = bytearray(build_bundle(CASE))
    struct.pack_into(layout, data, offset, value)
    data[32:64] = bytes(32)
    data[32:64] = hashlib.sha256(data).digest()
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "status", "detail"),
    [
        (b"", 1, 0),
        (bytes(64), 1, 0),
        (b"\xff" * 200, 1, 0),
        (patched(0, "<I", 0x31323334), 2, 0x31323334),
        (patched(4, "<H", 2), 3, 2),
        (patched(6, "<H", 60), 4, 6),
        (patched(12, "<I", 60), 4, 12),
        (patched(28, "<I", 1), 4, 28),
        (patched(8, "<I", 63), 5, 63),
        (patched(8, "<I", 100_000), 5, 100_000),
        (patched(16, "<I", 0), 6, 16),
        (patched(16, "<I", 100_000), 6, 16),
        (patched(20, "<I", 64), 6, 20),
        (patched(24, "<I", 0), 6, 24),
        (patched(24, "<I", 12), 6, 24),
        (patched(16, "<I", 5), 8, 0),
    ],
)
def test_a_damaged_bundle_is_refused_with_the_status_of_the_device(data: bytes, status: int, detail: int) -> None:
    with pytest.raises(BundleError) as caught:
        parse_bundle(data)
    assert (caught.value.status, caught.value.detail) == (status, detail)


@given(position=st.integers(64, len(build_bundle(CASE)) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_behind_the_header_breaks_the_hash(position: int, flip: int) -> None:
    data = bytearray(build_bundle(CASE))
    data[position] ^= flip
    with pytest.raises(BundleError, match="SHA-256"):
        parse_bundle(bytes(data))


def test_the_status_table_is_that_of_the_documentation() -> None:
    text = (ROOT / "docs/bundle-format.md").read_text()
    rows = {int(code): name for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)}
    rows |= {40 + n: f"input_{part}" for n, part in enumerate(("type", "shape", "scale", "zero_point", "bytes"))}
    rows |= {45 + n: f"output_{part}" for n, part in enumerate(("type", "shape", "scale", "zero_point", "bytes"))}
    assert {code: name for code, (name, _, _) in BUNDLE_STATUS.items()} == rows


@pytest.mark.parametrize(
    ("status", "detail", "words"),
    [
        (34, 34_192, "the model needs 34,192 bytes of arena, the case allows 8,192; raise [budget.memory] arena_bytes"),
        (34, 0, "more arena than the firmware has (the case allows 8,192); shrink the model"),
        (21, 4096, "the case asks for 8,192 bytes of arena, the firmware has 4,096; lower [budget.memory] arena_bytes"),
        (33, 77, "does not hold the operator SHAPE"),
        (12, 0, "no such prepare stage: scale/1"),
        (17, 0, "no such decide stage: argmax/1"),
        (16, 12, "yields 12 elements, the tensor has 8"),
        (20, 3, "3 labels, the output has 2 elements"),
        (36, 2 * 256 + 3, "2 inputs and 3 outputs"),
        (40, 7, "another type than the bundle says: INT16, the case has INT8"),
        (42, 0x3F800000, "another scale than the bundle says: 1.0, the case has 0.5"),
        (48, 2**32 - 5, "another zero point than the bundle says: -5, the case has -128"),
        (2, 0x464C457F, r"b'\x7fELF'"),
        (77, 1, "unknown to this harness"),
    ],
)
def test_a_status_is_said_with_its_numbers_and_the_next_step(status: int, detail: int, words: str) -> None:
    assert words in describe(status, detail, CASE)


@pytest.mark.parametrize("status", BUNDLE_STATUS)
@given(detail=U32)
def test_every_status_can_be_said_without_a_case(status: int, detail: int) -> None:
    name, _, step = BUNDLE_STATUS[status]
    text = describe(status, detail)
    assert name in text
    assert step in text or (status, detail) == (34, 0)
