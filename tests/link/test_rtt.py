"""RTT rings: the host's end against a model of the target's end, over one block of bytes."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import LinkError
from hil.link.rtt import BLOCK_BYTES, ID, Rtt

BASE, UP, DOWN = 0x2100_0000, 0x80, 0x100


class Ram:
    """Plain bytes as target memory, with the firmware's end of both rings."""

    def __init__(self, up_size: int = 32, down_size: int = 32, at: int = 0) -> None:
        self.data = bytearray(0x200)
        header = ID.ljust(16, b"\0") + struct.pack("<ii", 1, 1)
        up = struct.pack("<6I", 0, BASE + UP, up_size, at % up_size, at % up_size, 0)
        down = struct.pack("<6I", 0, BASE + DOWN, down_size, at % down_size, at % down_size, 0)
        self.data[:BLOCK_BYTES] = header + up + down
        self.up_size, self.down_size = up_size, down_size

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.data[address - BASE : address - BASE + size])

    def write(self, address: int, data: bytes) -> None:
        self.data[address - BASE : address - BASE + len(data)] = data

    def word(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 4], "little")

    def put(self, data: bytes) -> int:
        """The firmware writes to the up ring, byte by byte, as much as fits."""
        write, read = self.word(24 + 12), self.word(24 + 16)
        taken = 0
        for byte in data:
            if (write + 1) % self.up_size == read:
                break
            self.data[UP + write] = byte
            write, taken = (write + 1) % self.up_size, taken + 1
        self.data[24 + 12 : 24 + 16] = write.to_bytes(4, "little")
        return taken

    def take(self, most: int) -> bytes:
        """The firmware reads up to `most` bytes from the down ring."""
        write, read = self.word(48 + 12), self.word(48 + 16)
        out = bytearray()
        while read != write and len(out) < most:
            out.append(self.data[DOWN + read])
            read = (read + 1) % self.down_size
        self.data[48 + 16 : 48 + 20] = read.to_bytes(4, "little")
        return bytes(out)


@settings(max_examples=200)
@given(
    st.integers(2, 40),
    st.integers(0, 60),
    st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 50)), max_size=20),
)
def test_both_rings_keep_order_and_lose_nothing(size: int, at: int, steps: list[tuple[bytes, int]]) -> None:
    ram = Ram(size, size, at)
    rtt = Rtt(ram, BASE)
    sent_up = sent_down = got_up = got_down = b""
    for data, most in steps:
        sent_down += data[: rtt.write(data)]
        got_down += ram.take(most)
        sent_up += data[: ram.put(data)]
        got_up += rtt.read()
        assert got_up == sent_up
        assert sent_down.startswith(got_down)
        assert rtt.drained() == (sent_down == got_down)


def test_a_block_without_id_is_named() -> None:
    ram = Ram()
    ram.data[:4] = bytes(4)
    assert not Rtt.ready(ram, BASE)
    with pytest.raises(LinkError, match="no RTT control block at 0x21000000"):
        Rtt(ram, BASE)


@pytest.mark.parametrize(("offset", "value"), [(24 + 8, 0), (24 + 12, 99), (48 + 4, 0), (48 + 16, 99)])
def test_a_block_that_makes_no_sense_is_refused(offset: int, value: int) -> None:
    ram = Ram()
    ram.write(BASE + offset, value.to_bytes(4, "little"))
    with pytest.raises(LinkError, match="ring is not usable"):
        Rtt(ram, BASE)


def test_an_index_that_leaves_its_ring_later_is_a_link_error() -> None:
    ram = Ram()
    rtt = Rtt(ram, BASE)
    ram.write(BASE + 24 + 12, (1000).to_bytes(4, "little"))
    with pytest.raises(LinkError, match="control block was overwritten"):
        rtt.read()


def test_a_request_and_its_reply_cost_few_accesses() -> None:
    """Each is a round trip over USB where the memory lies behind a debug probe."""
    ram = Ram(64, 64)
    rtt = Rtt(ram, BASE)
    accesses: list[str] = []
    read, write = ram.read, ram.write
    ram.read = lambda address, size: accesses.append("read") or read(address, size)  # type: ignore[method-assign]
    ram.write = lambda address, data: accesses.append("write") or write(address, data)  # type: ignore[method-assign]
    assert rtt.write(b"request") == 7
    assert accesses == ["write", "write"]  # data, index: it is known that there is room
    assert ram.take(7) == b"request"
    assert ram.put(b"reply") == 5
    accesses.clear()
    assert rtt.read() == b"reply"
    assert accesses == ["read", "read", "write"]  # both indices, data, index


def test_room_that_the_firmware_made_is_found() -> None:
    ram = Ram(16, 16)
    rtt = Rtt(ram, BASE)
    assert rtt.write(bytes(15)) == 15
    assert rtt.write(b"more") == 0
    assert ram.take(3) == bytes(3)
    assert rtt.write(b"more") == 3
