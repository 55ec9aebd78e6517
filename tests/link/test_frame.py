"""Frames: whatever happens to the bytes, a message that comes out is one that went in."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hil.link import frame

MESSAGES = st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=5)


@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1))
def test_messages_survive_any_cut_of_the_stream(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame.encode, messages))
    reader, out, at = frame.FrameReader(), [], 0
    for size in itertools.cycle(cuts):
        if at >= len(stream):
            break
        out += reader.feed(stream[at : at + size])
        at += size
    assert out == messages
    assert reader.damaged == 0


@given(MESSAGES, st.data())
def test_one_damaged_byte_costs_frames_but_never_yields_a_wrong_message(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(frame.encode, messages)))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    out = list(frame.FrameReader().feed(bytes(stream) + b"\0"))
    assert all(message in messages for message in out)
    assert len(out) >= len(messages) - 2


@given(st.binary(min_size=1, max_size=80), st.data())
def test_a_truncated_frame_is_dropped_and_the_next_one_is_read(message: bytes, data: st.DataObject) -> None:
    whole = frame.encode(message)
    cut = whole[: data.draw(st.integers(1, len(whole) - 2))]
    reader = frame.FrameReader()
    assert list(reader.feed(cut + b"\0" + frame.encode(b"next"))) == [b"next"]
    assert reader.damaged == 1


def test_empty_frames_flush_and_are_not_counted() -> None:
    reader = frame.FrameReader()
    assert list(reader.feed(b"\0\0\0" + frame.encode(b"x"))) == [b"x"]
    assert reader.damaged == 0


def test_a_message_may_be_empty() -> None:
    assert list(frame.FrameReader().feed(frame.encode(b"") + frame.encode(b"x"))) == [b"", b"x"]


def test_each_damaged_frame_is_counted() -> None:
    """A block that ends behind its frame, a CRC of something else, and too few bytes for a CRC."""
    reader = frame.FrameReader(7)
    for damaged in (b"\x09ab\0", b"\x06abcde\0", b"\x03ab\0"):
        assert list(reader.feed(damaged * 2)) == []
    assert reader.damaged == 7 + 6
