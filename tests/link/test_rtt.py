"""RTT rings: the host's end against a model of the target's end, over one block of bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ring_ram import BASE, Ram

from hil.errors import LinkError
from hil.link.rtt import BLOCK_BYTES, Rtt


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
    with pytest.raises(LinkError, match=r"^no RTT control block at 0x21000000: found 00 00 00 00( [0-9a-f]{2}){12}$"):
        Rtt(ram, BASE)


@pytest.mark.parametrize(("offset", "value"), [(16, 2), (16, 0), (20, 2), (20, 0)])
def test_a_block_with_other_rings_is_refused(offset: int, value: int) -> None:
    ram = Ram()
    ram.put_word(offset, value)
    with pytest.raises(LinkError, match=rf"has {ram.word(16)} up and {ram.word(20)} down rings, 1 and 1 are needed"):
        Rtt(ram, BASE)


@pytest.mark.parametrize(("name", "at"), [("up", 24), ("down", 48)])
@pytest.mark.parametrize(("field", "value"), [(4, 0), (8, 0), (8, 1), (12, 32), (12, 99), (16, 32), (16, 99)])
def test_a_ring_that_makes_no_sense_is_refused(name: str, at: int, field: int, value: int) -> None:
    ram = Ram()
    ram.put_word(at + field, value)
    with pytest.raises(
        LinkError, match=rf"^RTT {name} ring is not usable: buffer 0x[0-9a-f]+, size \d+, write \d+, read"
    ):
        Rtt(ram, BASE)


@pytest.mark.parametrize("value", [32, 1000])
@pytest.mark.parametrize("offset", [24 + 12, 24 + 16, 48 + 12, 48 + 16])
def test_an_index_that_leaves_its_ring_later_is_a_link_error(offset: int, value: int) -> None:
    ram = Ram()
    rtt = Rtt(ram, BASE)
    ram.put_word(offset, value)
    with pytest.raises(LinkError, match=rf"index {value} is outside its ring of 32 bytes: .* was overwritten"):
        rtt.read()


# ---- what each access costs: a round trip over USB where the memory lies behind a debug probe ------------------------


class Counting(Ram):
    """Tells what was done to it since it was asked last."""

    def __init__(self, size: int) -> None:
        super().__init__(size, size)
        self._accesses: list[str] = []

    def read(self, address: int, size: int) -> bytes:
        self._accesses.append("read")
        return super().read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self._accesses.append("write")
        super().write(address, data)

    def accesses(self) -> list[str]:
        told, self._accesses = self._accesses, []
        return told


def test_a_request_and_its_reply_cost_few_accesses() -> None:
    ram = Counting(64)
    rtt = Rtt(ram, BASE)
    ram.accesses()
    assert rtt.write(b"request") == 7
    assert ram.accesses() == ["write", "write"]  # data, index: it is known that there is room
    assert ram.take(7) == b"request"
    assert ram.put(b"reply") == 5
    assert rtt.read() == b"reply"
    assert ram.accesses() == ["read", "read", "write"]  # all indices, data, index


def test_nothing_that_can_be_known_is_asked() -> None:
    """A request that just fits, a ring that is full, a reply that ends with the ring."""
    ram = Counting(16)
    rtt = Rtt(ram, BASE)
    ram.accesses()
    assert rtt.write(bytes(15)) == 15
    assert ram.accesses() == ["write", "write"]
    assert rtt.write(b"more") == 0
    assert ram.accesses() == ["read"]
    for reply in (bytes(10), bytes(6)):
        assert ram.put(reply) == len(reply)
        assert rtt.read() == reply
        assert ram.accesses() == ["read", "read", "write"]


# ---- a firmware that makes its block anew ----------------------------------------------------------------------------


def attached() -> tuple[Ram, Rtt]:
    """Both of the host's indices stand at 3."""
    ram = Ram(at=3)
    return ram, Rtt(ram, BASE)


@pytest.mark.parametrize("own", [24 + 16, 48 + 12])
def test_an_index_of_the_host_that_somebody_moved_stays_noticed_until_the_next_attach(own: int) -> None:
    ram, rtt = attached()
    ram.put(b"reply")
    rtt.look()
    assert not rtt.made_anew
    ram.put_word(own, 0)
    assert not rtt.made_anew  # nobody looked
    rtt.look()
    assert rtt.made_anew
    ram.put_word(own, 3)
    before = bytes(ram.data)
    assert (rtt.read(), rtt.write(b"request")) == (b"", 0)
    assert bytes(ram.data) == before
    assert rtt.made_anew
    rtt.attach()
    assert not rtt.made_anew
    assert (rtt.read(), rtt.write(b"request")) == (b"reply", 7)


def test_a_block_is_published_with_its_id() -> None:
    ram, rtt = attached()
    assert rtt.published
    ram.data[9] ^= 1
    assert not rtt.published


def test_what_the_firmware_took_shows_when_it_was_looked_at() -> None:
    ram, rtt = attached()
    rtt.write(b"request")
    assert (rtt.taken, rtt.drained()) == (3, False)
    ram.take(2)
    assert rtt.taken == 3
    rtt.look()
    assert rtt.taken == 5
    ram.take(5)
    assert (rtt.drained(), rtt.taken) == (True, 10)


def test_room_that_the_firmware_made_is_found() -> None:
    ram = Ram(16, 16)
    rtt = Rtt(ram, BASE)
    assert rtt.write(bytes(15)) == 15
    assert rtt.write(b"more") == 0
    assert ram.take(3) == bytes(3)
    assert rtt.write(b"more") == 3


def test_control_blocks_are_found_in_ram_whose_firmware_nobody_knows() -> None:
    """A copy at an odd address, one with other rings, and one that the end of RAM cuts off are none."""
    block = bytes(Ram().data[:BLOCK_BYTES])
    others = block[:16] + b"\2" + block[17:]
    places = {2: block, 100: block, 200: others, 300: block, 472 - BLOCK_BYTES + 4: block[:-4]}
    ram = bytearray(472)
    for at, data in places.items():
        ram[at : at + len(data)] = data
    assert Rtt.find(PlainMemory(ram), BASE, len(ram)) == [BASE + 100, BASE + 300]


class PlainMemory:
    """Bytes from BASE on."""

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)

    def read(self, address: int, size: int) -> bytes:
        return self.data[address - BASE :][:size]

    def write(self, address: int, data: bytes) -> None:
        raise AssertionError("looking for a link writes nothing")
