"""Both ends of the link are held to `firmware/link/link.cddl`, by zcbor's own reader of the schema."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
import zcbor
from hypothesis import example, given, settings
from hypothesis import strategies as st
from native_session import PROJECT, imu_motion, native_device

from hil.bundle import build_bundle
from hil.device import Device
from hil.link import frame, messages
from hil.link.rtt import Rtt
from hil.records import Status

SCHEMA = PROJECT / "firmware" / "link" / "link.cddl"
U8, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF)
DEADLINES = U32.filter(lambda ticks: ticks == 0 or ticks > 10**9)
HARMLESS = st.sampled_from((messages.SelfTest.SPIN, messages.SelfTest.SLEEP, messages.SelfTest.MASKS))
COMMANDS = st.one_of(
    st.builds(messages.hello_command),
    st.builds(messages.run_command, U32, st.booleans(), DEADLINES, st.binary(max_size=600)),
    st.builds(messages.profile_command, U32, st.booleans(), DEADLINES, st.binary(max_size=600)),
    st.builds(messages.operators_command, U32),
    st.builds(messages.plain_command, U32, st.booleans(), st.binary(max_size=600)),
    st.builds(messages.selftest_command, HARMLESS, st.integers(0, 20), DEADLINES, st.binary(max_size=600)),
    st.builds(messages.scores_command, st.booleans(), st.binary(max_size=20)),
    st.builds(messages.fetch_command, U8, U32, U32),
)
NOT_IN_SCHEMA = 1


@pytest.fixture(scope="module")
def types() -> dict[str, Any]:
    text = SCHEMA.read_text(encoding="utf-8")
    return dict(zcbor.DataTranslator.from_cddl(text, 128).my_types)


class Wire:
    """Raw messages to the agent and back."""

    def __init__(self, device: Device) -> None:
        self._rtt = Rtt(device.board.memory, device.board.image.symbol("_SEGGER_RTT"))
        self._check = device.board.check

    def ask(self, message: bytes) -> bytes:
        """The agent's reply as it travelled, without frame and CRC."""
        reader = frame.FrameReader()
        self._rtt.write(frame.END + frame.encode(message))
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for reply in reader.feed(self._rtt.read()):
                return reply
            self._check()
        raise AssertionError("no reply")


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with native_device(tmp_path_factory.mktemp("schema")) as device:
        yield Wire(device)


def encode(value: object) -> bytes:
    """CBOR as the generated codec writes it: shortest numbers, float32, containers without a length (RFC 8949, 3.2)."""
    match value:
        case bool():
            return cbor2.dumps(value)
        case float():
            return b"\xfa" + struct.pack(">f", value)
        case list():
            return b"\x9f" + b"".join(encode(item) for item in value) + b"\xff"
        case dict():
            return b"\xbf" + b"".join(encode(key) + encode(item) for key, item in value.items()) + b"\xff"
        case _:
            return cbor2.dumps(value)


# ---- what the host writes


@given(number=U32, command=COMMANDS)
def test_every_request_is_in_the_schema(number: int, command: dict[str, Any], types: dict[str, Any]) -> None:
    types["request"].validate_str(cbor2.dumps([number, command]))


@given(number=U32, command=COMMANDS)
def test_the_firmware_takes_every_request(
    number: int, command: dict[str, Any], wire: Wire, types: dict[str, Any]
) -> None:
    """What is refused is refused for its values, never as no message of the schema."""
    reply = wire.ask(cbor2.dumps([number, command]))
    types["reply"].validate_str(reply)
    echoed, _, result = cbor2.loads(reply)
    assert echoed == number
    assert set(result) <= {*command, "error"}
    assert "error" not in result or result["error"][0] != NOT_IN_SCHEMA


def test_the_bundle_metadata_is_in_the_schema(types: dict[str, Any]) -> None:
    bundle = build_bundle(imu_motion())
    start, size = struct.unpack_from("<II", bundle, 12)
    types["bundle-meta"].validate_str(bundle[start : start + size])


# ---- what the firmware writes


def window(number: int) -> dict[str, Any]:
    return messages.run_command(number, True, 0, imu_motion().vectors.payload(number))


def profiled(number: int) -> dict[str, Any]:
    return messages.profile_command(number, True, 0, imu_motion().vectors.payload(number))


ASKED = {
    "hello": messages.hello_command(),
    "run": window(1),
    "run, rejected": messages.run_command(2, False, 0, b""),
    "profile": profiled(3),
    "profile, rejected": messages.profile_command(4, False, 0, b""),
    "operators, all": messages.operators_command(0),
    "operators, the last": messages.operators_command(5),
    "operators, none": messages.operators_command(6),
    "operators, far beyond": messages.operators_command(0xFFFFFFFF),
    "scores, accepted": messages.scores_command(True, b"\x80\x80\x7f\x80"),
    "scores, unknown": messages.scores_command(True, bytes(4)),
    "plain": messages.plain_command(5, True, imu_motion().vectors.payload(1)),
    "plain, rejected": messages.plain_command(6, False, b""),
    "selftest, spin": messages.selftest_command(messages.SelfTest.SPIN, 16, 0, b"12"),
    "selftest, masks": messages.selftest_command(messages.SelfTest.MASKS, 0, 0, b""),
    "fetch, tensor": messages.fetch_command(messages.PREPARED, 0, 240),
    "fetch, output": messages.fetch_command(messages.OUTPUT, 1, 3),
    "fetch, nothing": messages.fetch_command(messages.PREPARED, 240, 0),
    "error, item": messages.fetch_command(7, 0, 1),
    "error, range": messages.fetch_command(messages.PREPARED, 239, 2),
    "error, scores": messages.scores_command(True, bytes(5)),
    "error, protocol": {"hello": 1},
    "error, schema": {"goodbye": 1},
    "error, self-test": {"selftest": [200, 0, 0, b""]},
}


@pytest.mark.parametrize("name", ASKED)
def test_every_kind_of_reply_is_in_the_schema_and_keeps_its_bytes(name: str, wire: Wire, types: dict[str, Any]) -> None:
    for before in (window(1), profiled(2)):  # so that there is something to fetch, and operators to ask for
        wire.ask(cbor2.dumps([1, before]))
    raw = wire.ask(cbor2.dumps([77, ASKED[name]]))
    types["reply"].validate_str(raw)
    reply = cbor2.loads(raw)
    assert reply[0] == 77
    assert set(reply[2]) == {name.split(",")[0]}
    assert encode(reply) == raw


def test_a_record_of_the_schema_is_one_of_the_harness(wire: Wire) -> None:
    record = messages.decode_record(cbor2.loads(wire.ask(cbor2.dumps([3, window(5)])))[2])
    assert record.status == Status.DONE
    assert record.decision.label in imu_motion().decide.labels


def test_a_record_tells_what_was_received_and_when_the_gate_was_done(wire: Wire) -> None:
    window = imu_motion().vectors.payload(11)
    done = messages.decode_record(cbor2.loads(wire.ask(cbor2.dumps([3, messages.run_command(1, True, 0, window)])))[2])
    assert done.received == zlib.crc32(window)
    assert done.gate_ticks is not None
    assert 0 < done.gate_ticks <= done.ticks[0]
    assert done.core is None  # a process has no such registers
    refused = messages.decode_record(
        cbor2.loads(wire.ask(cbor2.dumps([4, messages.run_command(2, False, 0, b"ab")])))[2]
    )
    assert (refused.status, refused.received) == (Status.REJECTED, zlib.crc32(b"ab"))
    assert refused.gate_ticks


def test_a_plain_run_gives_what_a_run_gives(wire: Wire) -> None:
    window = imu_motion().vectors.payload(12)
    run = messages.decode_record(cbor2.loads(wire.ask(cbor2.dumps([5, messages.run_command(21, True, 0, window)])))[2])
    plain, ticks = messages.decode_plain(
        cbor2.loads(wire.ask(cbor2.dumps([6, messages.plain_command(22, True, window)])))[2]
    )
    assert (plain.status, plain.output, plain.decision) == (run.status, run.output, run.decision)
    assert plain.received == zlib.crc32(window)
    assert (plain.ticks, plain.gate_ticks, plain.digest) == ((0, 0, 0), None, 0)
    assert ticks > 0


def test_a_spin_goes_through_the_meter_of_the_stages(wire: Wire) -> None:
    spin = messages.selftest_command(messages.SelfTest.SPIN, 800_000, 0, b"")
    record = messages.decode_selftest(cbor2.loads(wire.ask(cbor2.dumps([7, spin])))[2])
    assert record.gate_ticks is not None
    assert 0 < record.gate_ticks < record.ticks[0] < record.ticks[1] < record.ticks[2]
    assert record.ticks[1] - record.ticks[0] > record.ticks[0]


def test_a_profile_is_the_record_of_the_same_window_and_its_operators_come_from_any_on(wire: Wire) -> None:
    number = 7
    run = messages.decode_record(cbor2.loads(wire.ask(cbor2.dumps([4, window(number)])))[2])
    again = messages.profile_command(number + 1, True, 0, imu_motion().vectors.payload(number))
    record, ran, kept = messages.decode_profile(cbor2.loads(wire.ask(cbor2.dumps([5, again])))[2])
    assert (record.status, record.output, record.decision) == (Status.DONE, run.output, run.decision)
    assert ran == kept == 6
    lists = [
        messages.decode_operators(cbor2.loads(wire.ask(cbor2.dumps([6 + first, messages.operators_command(first)])))[2])
        for first in range(kept + 1)
    ]
    assert [len(operators) for operators in lists] == [6, 5, 4, 3, 2, 1, 0]
    assert all(operators == lists[0][first:] for first, operators in enumerate(lists))


def test_a_window_that_never_came_to_the_model_has_no_operators(wire: Wire) -> None:
    for number, before in enumerate((profiled(8), messages.profile_command(9, True, 0, b""))):
        reply = cbor2.loads(wire.ask(cbor2.dumps([20 + number, before])))[2]
    assert messages.decode_profile(reply)[1:] == (0, 0)
    assert cbor2.loads(wire.ask(cbor2.dumps([22, messages.operators_command(0)])))[2] == {"operators": []}


# ---- what is no message

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**33), 2**33)
    | st.floats()
    | st.binary(max_size=9)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["hello", "run", "x"]), inner, max_size=2)
    ),
    max_leaves=8,
)


def is_request(message: bytes, types: dict[str, Any]) -> bool:
    try:
        types["request"].validate_str(message)
    except (zcbor.CddlValidationError, cbor2.CBORDecodeError):
        return False
    return True


@settings(max_examples=100)
@given(number=U32, command=VALUES)
@example(number=1, command={"hello": -1})
@example(number=1, command={"hello": 2**32})
@example(number=1, command={"hello": 1.0})
@example(number=1, command={"hello": 2, "run": 1})
@example(number=1, command={"run": [1, True, 0]})
@example(number=1, command={"run": [1, True, 0, b"", 0]})
@example(number=1, command={"run": [1, 1, 0, b""]})
@example(number=1, command={"run": [1, True, 0, "text"]})
@example(number=1, command={"fetch": [256, 0, 1]})
@example(number=1, command={"profile": [1, True, 0]})
@example(number=1, command={"operators": [0]})
@example(number=1, command={"operators": 2**32})
def test_the_firmware_refuses_what_the_schema_refuses(
    number: int, command: object, wire: Wire, types: dict[str, Any]
) -> None:
    message = cbor2.dumps([number, command])
    reply = wire.ask(message)
    types["reply"].validate_str(reply)
    echoed, _, result = cbor2.loads(reply)
    assert echoed == number
    if not is_request(message, types) or _negative(command):
        assert result == {"error": [NOT_IN_SCHEMA, 0]}


def _negative(command: object) -> bool:
    """A number below 0, which zcbor's reader takes for an unsigned one (0.9.1) and the generated decoder does not."""
    return isinstance(command, dict) and any(isinstance(value, int) and value < 0 for value in command.values())


@given(junk=st.binary(min_size=1, max_size=60))
@example(junk=b"\x9f" * 40)
@example(junk=b"\x82\x01\xa1\x63run\x84\x00\xf5\x00\x5b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(junk=cbor2.dumps([1, messages.hello_command()]) + b"\0")
def test_any_bytes_with_a_good_crc_get_a_reply_of_the_schema(junk: bytes, wire: Wire, types: dict[str, Any]) -> None:
    types["reply"].validate_str(wire.ask(junk))
