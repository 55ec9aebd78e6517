"""vectors.npz is read without running anything in it, and each array that does not fit is named."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from case_folder import npz, windows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hil.case.types import Vectors, Window
from hil.case.vectors import Wanted, WantedInput, WantedOutput, read_vectors
from hil.errors import CaseError
from hil.tensor import FLOAT32, INT8, UINT8, ElementType

FILE = Path("folder/vectors.npz")


def wanting(window: Window, tensor_input: bool, shape: tuple[int, ...], labels: str, output: ElementType) -> Wanted:
    """One input, and one output of three elements."""
    outputs = (WantedOutput("expected_output", (3,), output),)
    return Wanted((WantedInput("windows", window, tensor_input, shape),), outputs, tuple(labels))


INT16 = wanting(Window("int16", 4, 2), False, (8,), "abc", INT8)
TENSOR = wanting(Window("int8", 4, 6), True, (4, 2, 3), "abc", INT8)


def read(wanted: Wanted = INT16, **arrays: object) -> Vectors:
    return read_vectors(npz(**arrays), FILE, wanted)


def refused(data: bytes, wanted: Wanted = INT16) -> CaseError:
    with pytest.raises(CaseError) as caught:
        read_vectors(data, FILE, wanted)
    assert str(FILE) in str(caught.value)
    return caught.value


def test_all_arrays_arrive() -> None:
    vectors = read(
        windows=windows(3),
        label=np.array(["a", "", "c"]),
        reject=np.array(["", "range", "length"]),
        samples=np.array([4, 4, 9], np.uint16),
        sequence=np.array([-1, 0, 0], np.int8),
        name=np.array(["first", "", "third"]),
        expected_output=np.arange(9, dtype=np.int8).reshape(3, 3),
    )
    assert vectors.windows.shape == (3, 4, 2)
    assert vectors.label is not None
    assert vectors.label.tolist() == [0, -1, 2]
    assert vectors.reject == ("", "range", "length")
    assert vectors.samples is not None
    assert vectors.samples.dtype == np.int64
    assert vectors.names == ("first", "#1", "third")
    assert len(vectors.payload(2)) == 9 * 2 * 2
    assert vectors.expected_output is not None
    assert vectors.expected_output.tolist() == np.arange(9).reshape(3, 3).tolist()


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 5), st.just(4), st.just(2))), st.sampled_from("<>"), st.booleans())
def test_windows_keep_their_values_in_any_layout(values: np.ndarray, order: str, fortran: bool) -> None:
    stored = values.astype(values.dtype.newbyteorder(order))
    found = read(windows=np.asfortranarray(stored) if fortran else stored).windows
    assert found.dtype == np.dtype("int16")
    assert found.flags.c_contiguous
    assert np.array_equal(found, values)


@pytest.mark.parametrize("shape", [(5, 4, 2, 3), (5, 1, 4, 2, 3)])
def test_tensor_windows_come_with_or_without_the_batch(shape: tuple[int, ...]) -> None:
    values = np.arange(120, dtype=np.int8)
    assert read(TENSOR, windows=values.reshape(shape)).windows.tolist() == values.reshape(5, 4, 2, 3).tolist()


LAYOUTS = {
    "flat": lambda values: values.reshape(len(values), -1),
    "flat, a single one": lambda values: values[:1].reshape(-1),
    "channels first": lambda values: np.moveaxis(values, -1, 1),
    "windows last": lambda values: np.moveaxis(values, 0, -1),
    "a single window": lambda values: values[0],
    "an axis of size 1 in between": lambda values: values[:, :, np.newaxis],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("wanted", "dtype"), [(INT16, "int16"), (TENSOR, "int8")])
def test_windows_of_another_shape_are_told_by_their_axes_and_the_fix_mends_them(
    wanted: Wanted, dtype: str, layout: str
) -> None:
    values = np.arange(7 * np.prod(wanted.inputs[0].window_shape), dtype=dtype).reshape(
        7, *wanted.inputs[0].window_shape
    )
    found = LAYOUTS[layout](values)
    error = refused(npz(windows=found), wanted)
    names = "samples, channels" if wanted is INT16 else "height, width, channels"
    assert f"(windows, {names})" in error.problem
    assert f"found {dtype} {list(found.shape)}: " in error.problem
    (line,) = re.findall(r"windows = ([^;]*)", error.fix)
    mended = eval(line, {"windows": found, "numpy": np})
    np.testing.assert_array_equal(read(wanted, windows=mended).windows, values[: len(mended)])


def test_flat_windows_of_channels_have_a_line_of_their_own() -> None:
    values = np.arange(3 * 8, dtype="int16").reshape(3, 4, 2)
    flat = np.moveaxis(values, -1, 1).reshape(3, 8)
    fix = refused(npz(windows=flat)).fix
    mended = eval(fix.partition("it is ")[2], {"windows": flat})
    np.testing.assert_array_equal(mended, values)


def test_a_wrong_type_is_told_beside_a_wrong_shape() -> None:
    error = refused(npz(windows=np.zeros((3, 8), np.float64)))
    assert error.problem.endswith("found float64 [3, 8]: each window is flat")
    assert error.fix.endswith("and save them as int16")


def test_axes_in_some_other_order_are_told() -> None:
    error = refused(npz(windows=np.zeros((5, 2, 4, 3), np.int8)), TENSOR)
    assert error.problem.endswith("the axes stand in another order")


class Trap:
    """Unpickling it creates the file that it was made with."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("key", ["windows", "label"])
def test_objects_are_refused_unread(tmp_path: Path, key: str) -> None:
    mark = tmp_path / "mark"
    trap = np.array([Trap(mark)], dtype=object)
    pickle.loads(pickle.dumps(trap))
    assert mark.exists(), "the trap must work"
    mark.unlink()
    data = npz(**{"windows": windows(1), key: trap})
    error = refused(data)
    assert not mark.exists()
    assert error.where == f"array {key!r}"
    assert "can run code" in error.problem
    assert "dtype" in error.fix


ONE = {"windows": windows(3)}
WRONG: list[tuple[dict[str, object], str, str]] = [
    ({"label": np.zeros(3, int)}, "'windows'", "missing"),
    (
        {"windows": windows(3, "float32")},
        "'windows'",
        "expected int16 [n, 4, 2] (windows, samples, channels), found float32 [3, 4, 2]: the type is another one",
    ),
    ({"windows": windows(3, "int16", (2, 4))}, "'windows'", "found int16 [3, 2, 4]: the channels come first"),
    ({"windows": windows(3, "int16", (8,))}, "'windows'", "found int16 [3, 8]: each window is flat"),
    ({"windows": windows(0)}, "'windows'", "n = 0"),
    ({"windows": np.int16(5)}, "'windows'", "found int16 []"),
    (ONE | {"lables": np.zeros(3)}, "'lables'", "unknown array"),
    (ONE | {"label": np.array([0.0, np.nan, 1.0])}, "'label'", "with 1 NaN"),
    (ONE | {"label": np.zeros(4, int)}, "'label'", "of shape [3], found int64 [4]"),
    (ONE | {"label": np.array([0, 3, 1])}, "'label'", "row 1 is 3, the case has 3 labels"),
    (ONE | {"label": np.array([0, -2, 1])}, "'label'", "row 1 is -2"),
    (ONE | {"label": np.array([0, 2**63 + 1, 1], np.uint64)}, "'label'", "row 1 is 9223372036854775809"),
    (ONE | {"label": np.array(["a", "x", "b"])}, "'label'", "row 1 is 'x', which is no label"),
    (ONE | {"label": np.array([b"a", b"b", b"c"])}, "'label'", "found |S1"),
    (ONE | {"reject": np.array(["", "rage", ""])}, "'reject'", "row 1: 'rage' is no reason"),
    (ONE | {"reject": np.array(["", "", "stale"])}, "'reject'", "row 2: 'stale' cannot happen"),
    (ONE | {"name": np.array(["a", "b\udc80", "c"])}, "'name'", "row 1 holds the code 0xdc80"),
    (ONE | {"label": np.array(["a", "b", "\ud800"])}, "'label'", "row 2 holds the code 0xd800"),
    (ONE | {"reject": np.array(["\udfff", "", ""])}, "'reject'", "row 0 holds the code 0xdfff"),
    (ONE | {"samples": np.array([4, 17, 4])}, "'samples'", "row 1 is 17: 4 windows and 40,000 bytes are the most"),
    (ONE | {"samples": np.array([4, 4, 2**40])}, "'samples'", "row 2 is 1099511627776: 4 windows"),
    (ONE | {"reject": np.array(["", "length", ""])}, "'reject'", "row 1 expects length rejection but sends 4 of 4"),
    (ONE | {"reject": np.array([""] * 3), "samples": np.array([4, 4, 1])}, "'reject'", "row 2 expects no rejection"),
    (ONE | {"samples": np.array([4, -1, 4])}, "'samples'", "row 1 is -1"),
    (ONE | {"samples": np.array([4.0, 4.0, 4.0])}, "'samples'", "found float64"),
    (ONE | {"sequence": np.array([0, 0])}, "'sequence'", "of shape [3], found int64 [2]"),
    (ONE | {"sequence": np.array([0, -2, 0])}, "'sequence'", "row 1 is -2"),
    (ONE | {"name": np.array(["a", "b", "a"])}, "'name'", "rows 0 and 2 are both 'a'"),
    (ONE | {"name": np.arange(3)}, "'name'", "found int64"),
    (ONE | {"expected_output": np.zeros((3, 3), np.uint8)}, "'expected_output'", "expected int8 [3, 3], found uint8"),
    (ONE | {"expected_output": np.zeros((3, 4), np.int8)}, "'expected_output'", "found int8 [3, 4]"),
]


@pytest.mark.parametrize(("arrays", "where", "problem"), WRONG, ids=[problem for _, _, problem in WRONG])
def test_an_array_that_does_not_fit_is_named(arrays: dict[str, object], where: str, problem: str) -> None:
    error = refused(npz(**arrays))
    assert where in error.where
    assert problem in error.problem
    assert error.fix


def test_text_beyond_unicode_is_refused() -> None:
    header, stream = io.BytesIO(), io.BytesIO(npz(windows=windows(3)))
    np.lib.format.write_array_header_1_0(header, {"descr": "<U1", "fortran_order": False, "shape": (3,)})
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("name.npy", header.getvalue() + np.array([65, 0x110000, 66], "<u4").tobytes())
    error = refused(stream.getvalue())
    assert error.where == "array 'name'"
    assert "row 1 holds the code 0x110000" in error.problem


def test_a_payload_is_at_most_what_a_frame_carries() -> None:
    wanted = wanting(Window("int16", 10_000, 1), False, (10_000,), "", INT8)  # 20,000 bytes: two fit, not four
    several = windows(1, "int16", (10_000, 1))
    assert len(read(wanted, windows=several, samples=np.array([20_000])).payload(0)) == 40_000
    error = refused(npz(windows=several, samples=np.array([20_001])), wanted)
    assert error.where == "array 'samples'"
    assert "row 0 is 20001" in error.problem
    assert "at most 20000" in error.fix


def test_four_windows_are_sent() -> None:
    assert len(read(windows=windows(1), samples=np.array([16])).payload(0)) == 4 * 4 * 2 * 2


def test_what_is_no_zip_file_is_refused() -> None:
    stream = io.BytesIO()
    np.save(stream, windows(3))
    assert "no .npz file" in refused(stream.getvalue()).problem


def test_an_array_that_occurs_twice_is_refused() -> None:
    stream = io.BytesIO(npz(windows=windows(3)))
    with zipfile.ZipFile(stream) as archive:
        content = archive.read("windows.npy")
    with zipfile.ZipFile(stream, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("windows.npy", content)
    assert "more than once" in refused(stream.getvalue()).problem


def test_a_header_that_promises_too_much_is_refused_before_reading() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i2", "fortran_order": False, "shape": (10**12, 4, 2)})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("windows.npy", header.getvalue() + bytes(64))
    error = refused(stream.getvalue())
    assert "64 bytes of data, its header announces 16000000000000" in error.problem


@given(st.data())
def test_damage_never_ends_in_another_exception(data: st.DataObject) -> None:
    good = npz(windows=windows(3), label=np.array([0, 1, 2]), name=np.array(["a", "b", "c"]))
    cut = data.draw(st.integers(0, len(good)))
    damaged = bytearray(good[:cut] if data.draw(st.booleans()) else good)
    if damaged:
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(0, 255))
    with contextlib.suppress(CaseError):
        assert read_vectors(bytes(damaged), FILE, INT16).windows.shape == (3, 4, 2)


@pytest.mark.parametrize("element", [UINT8, FLOAT32], ids=lambda each: each.name)
def test_windows_and_expected_outputs_have_the_types_of_the_tensors(element: ElementType) -> None:
    wanted = wanting(Window(element.dtype.name, 4, 6), True, (4, 2, 3), "abc", element)
    right = np.ones((2, 4, 2, 3), element.dtype)
    found = read(wanted, windows=right, expected_output=np.zeros((2, 3), element.dtype.newbyteorder(">")))
    assert found.windows.dtype == element.dtype
    assert found.expected_output is not None
    assert found.expected_output.dtype == element.dtype
    error = refused(npz(windows=right.astype(np.int8), expected_output=np.zeros((2, 3), np.int8)), wanted)
    assert f"expected {element.dtype}" in error.problem
