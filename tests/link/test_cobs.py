"""COBS: published examples, and the properties that any coding of this kind must have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.link import cobs

# Cheshire and Baker 1999, and the table of the Wikipedia article on COBS.
PUBLISHED = [
    ("00", "01 01"),
    ("00 00", "01 01 01"),
    ("00 11 00", "01 02 11 01"),
    ("11 22 00 33", "03 11 22 02 33"),
    ("11 22 33 44", "05 11 22 33 44"),
    ("11 00 00 00", "02 11 01 01 01"),
]


@pytest.mark.parametrize(("data", "stuffed"), PUBLISHED)
def test_published_examples(data: str, stuffed: str) -> None:
    assert cobs.encode(bytes.fromhex(data)) == bytes.fromhex(stuffed)
    assert cobs.decode(bytes.fromhex(stuffed)) == bytes.fromhex(data)


# The same table, of runs around the longest that a block holds.
PUBLISHED_LONG = [
    (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
    (bytes(range(255)), b"\x01\xff" + bytes(range(1, 255))),
    (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    (bytes(range(2, 256)) + b"\0", b"\xff" + bytes(range(2, 256)) + b"\x01\x01"),
    (bytes(range(3, 256)) + b"\0\1", b"\xfe" + bytes(range(3, 256)) + b"\x02\x01"),
]


@pytest.mark.parametrize(("data", "stuffed"), PUBLISHED_LONG, ids=range(len(PUBLISHED_LONG)))
def test_published_examples_of_long_runs(data: bytes, stuffed: bytes) -> None:
    """An encoder may end with one more block, which is empty."""
    assert cobs.decode(stuffed) == data
    assert cobs.encode(data) in (stuffed, stuffed + b"\x01")
    assert cobs.decode(cobs.encode(data)) == data


# Long runs without a zero matter, so bytes come in runs.
RUNS = st.lists(st.tuples(st.integers(0, 255), st.integers(1, 600)), max_size=6).map(
    lambda runs: b"".join(bytes([value]) * count for value, count in runs)
)


@given(st.one_of(st.binary(max_size=700), RUNS))
def test_round_trip_without_zero_and_with_little_overhead(data: bytes) -> None:
    stuffed = cobs.encode(data)
    assert 0 not in stuffed
    assert len(stuffed) <= len(data) + len(data) // 254 + 1
    assert cobs.decode(stuffed) == data


@pytest.mark.parametrize("stuffed", ["", "05 11 22", "03 00 11", "01 00"])
def test_damaged_frames_are_refused(stuffed: str) -> None:
    with pytest.raises(ValueError, match=r"frame|block"):
        cobs.decode(bytes.fromhex(stuffed))
