"""Maps of link.cddl and values of the harness: each field in its place, and nothing taken that is not in the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest

from hil.errors import LinkError
from hil.link import messages
from hil.link.messages import OperatorTime, SelfTest
from hil.records import Can, CoreState, Decision, DecisionReason, GateReason, HeapState, Prepared, Record, Status
from hil.tensor import Quantisation, TensorContract

# No two fields of a map hold the same value.
DECISION = {"winner": 2, "score": -9, "answer": 1, "reason": 3, "label": "walking"}
RECORD = {
    **{"status": 1, "gate": 5, "ticks": [11, 22, 33], "digest": 44, "minimum": -55, "maximum": 66, "saturated": 7},
    **{"output": b"\x81\x02", "decision": DECISION, "canaries": 8, "arena_high_water": 99, "stack_high_water": 100},
}
TOLD = {"received": 111, "gate_ticks": 12, "core": [1, 2, 3, 4], "heap": [5, 6, 0xFFFFFFFF, 0]}
FURTHER = {"inputs": [[1, -2, 3, 4], [5, 6, 7, 8]], "outputs": [b"\x01", b"\x02\x03"]}
INPUT = {"type": 9, "shape": [1, 80, 3], "scale": 0.1, "zero_point": -4, "bytes": 240}
OUTPUT = {"type": 0, "shape": [1, 5], "scale": 0.25, "zero_point": 3, "bytes": 20}
TEXTS = ("firmware", "target", "compiler", "flags", "kernels", "clock", "case")
NUMBERS = ("protocol", "clock_hz", "frame_bytes", "arena_bytes", "stack_bytes", "bundle_status", "bundle_detail")
NUMBERS += ("case_version", "arena_used", "arena_high_water")
HELLO = {
    **{name: f"the {name}" for name in TEXTS},
    **{name: 1000 + number for number, name in enumerate(NUMBERS)},
    **{"operators": [3, 250], "bundle_hash": b"\xab" * 32, "model_hash": b"\xcd" * 32, "labels": ["a", "b"]},
    **{"input": INPUT, "output": OUTPUT, "can": 130},
}
A_DECISION = Decision(2, -9, 1, DecisionReason.COOLDOWN, "walking")
A_RECORD = Record(
    Status.REJECTED,
    GateReason.FLAT,
    (11, 22, 33),
    44,
    -55,
    66,
    7,
    b"\x81\x02",
    A_DECISION,
    8,
    99,
    100,
    None,
    None,
    None,
)
Decode = Callable[[dict[str, Any]], object]
DECODERS: dict[str, tuple[Decode, object]] = {
    "hello": (lambda result: messages.decode_hello(result, 1), HELLO),
    "run": (messages.decode_record, RECORD),
    "selftest": (messages.decode_selftest, RECORD),
    "profile": (messages.decode_profile, [RECORD, 6, 5]),
    "plain": (messages.decode_plain, [RECORD, 777]),
    "operators": (messages.decode_operators, [[3, 10, 20]]),
    "scores": (messages.decode_decision, DECISION),
    "fetch": (messages.decode_fetch, b"\x01\x00"),
}


# ---- replies ---------------------------------------------------------------------------------------------------------


def test_each_field_of_a_hello_has_its_place() -> None:
    hello = asdict(messages.decode_hello({"hello": HELLO}, 17))
    assert {name: hello.pop(name) for name in (*TEXTS, *NUMBERS)} == {name: HELLO[name] for name in (*TEXTS, *NUMBERS)}
    assert hello == {
        "operators": ("CONV_2D", "BUILTIN_250"),
        "bundle_hash": "ab" * 32,
        "model_hash": "cd" * 32,
        "labels": ("a", "b"),
        "input": asdict(TensorContract("INT8", (1, 80, 3), Quantisation(float(np.float32(0.1)), -4), 240)),
        "output": asdict(TensorContract("FLOAT32", (1, 5), Quantisation(0.25, 3), 20)),
        "boot": 17,
        "can": Can.FETCH | Can.MARKS,
        "inputs": (),  # asked for apart
        "outputs": (),
    }


def test_a_tensor_type_that_nobody_knows_keeps_its_number() -> None:
    hello = messages.decode_hello({"hello": {**HELLO, "input": {**INPUT, "type": 200}}}, 1)
    assert hello.input.dtype == "TYPE_200"


def test_each_field_of_a_record_has_its_place() -> None:
    assert messages.decode_record({"run": RECORD}) == A_RECORD
    assert messages.decode_selftest({"selftest": RECORD}) == A_RECORD
    told = messages.decode_record({"run": {**RECORD, **TOLD}})
    assert (told.received, told.gate_ticks, told.core) == (111, 12, CoreState(1, 2, 3, 4))
    assert told.heap == HeapState(used=5, peak=6, size=None, failed=0)
    several = messages.decode_record({"run": {**RECORD, **FURTHER}})
    assert (several.inputs, several.outputs) == ((Prepared(1, -2, 3, 4), Prepared(5, 6, 7, 8)), (b"\x01", b"\x02\x03"))


def test_what_comes_beside_a_record_has_its_place() -> None:
    assert messages.decode_profile({"profile": [RECORD, 6, 5]}) == (A_RECORD, 6, 5)
    assert messages.decode_plain({"plain": [RECORD, 777]}) == (A_RECORD, 777)
    assert messages.decode_decision({"scores": DECISION}) == A_DECISION
    assert messages.decode_fetch({"fetch": b"\x01\x00"}) == b"\x01\x00"
    assert messages.decode_operators({"operators": [[3, 10, 20], [250, 21, 30]]}) == [
        OperatorTime("CONV_2D", 10, 20),
        OperatorTime("BUILTIN_250", 21, 30),
    ]


def broken(value: object) -> Iterator[object]:
    """The value with one thing less or wrong at a time. The schema's optional fields are not in RECORD."""
    match value:
        case dict():
            yield 7
            for key, inner in value.items():
                yield {name: each for name, each in value.items() if name != key}
                yield from ({**value, key: bad} for bad in broken(inner) if isinstance(inner, dict))
            yield from ({**value, key: 99} for key in ("status", "gate", "reason") if key in value)
        case list():
            yield 7
            yield value[1:]
            yield [*value, 1]
            yield from ([bad, *value[1:]] for bad in broken(value[0]))


@pytest.mark.parametrize("name", ["hello", "run", "selftest", "profile", "plain", "operators", "scores"])
def test_what_is_not_in_the_schema_is_an_error_of_the_link(name: str) -> None:
    decode, good = DECODERS[name]
    decode({name: good})
    for bad in broken(good):
        if bad != [] or name != "operators":  # a page without operators is one
            with pytest.raises(LinkError, match="does not fit the schema"):
                decode({name: bad})


@pytest.mark.parametrize("name", DECODERS)
def test_an_answer_to_another_question_names_both(name: str) -> None:
    decode, _ = DECODERS[name]
    with pytest.raises(LinkError, match=f"asked for '{name}', the device answered 'other'"):
        decode({"other": 1})
    with pytest.raises(LinkError, match=f"asked for '{name}', the device answered 'nothing'"):
        decode({})


@pytest.mark.parametrize("heap", [[1, 2, 3], [1, 2, 3, 4, 5], 7])
def test_a_heap_of_another_length_is_an_error_of_the_link(heap: object) -> None:
    with pytest.raises(LinkError, match="a record does not fit the schema"):
        messages.decode_record({"run": {**RECORD, "heap": heap}})


@pytest.mark.parametrize("core", [[1, 2, 3], [1, 2, 3, 4, 5], 7])
def test_a_core_state_of_another_length_is_an_error_of_the_link(core: object) -> None:
    with pytest.raises(LinkError, match="a record does not fit the schema"):
        messages.decode_record({"run": {**RECORD, "core": core}})


# ---- requests --------------------------------------------------------------------------------------------------------

COMMANDS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (messages.fetch_command(messages.MODEL, 3, 4), {"fetch": [2, 3, 4]}),
    (messages.hello_command(), {"hello": 2}),
    (messages.run_command(5, True, 99, b"ab"), {"run": [5, True, 99, b"ab"]}),
    (messages.profile_command(5, False, 99, b"ab"), {"profile": [5, False, 99, b"ab"]}),
    (messages.plain_command(5, True, b"ab"), {"plain": [5, True, b"ab"]}),
    (messages.scores_command(False, b"ab"), {"scores": [False, b"ab"]}),
    (messages.fetch_command(1, 20, 30), {"fetch": [1, 20, 30]}),
    (messages.operators_command(6), {"operators": 6}),
    (messages.tensor_command(True, 2), {"tensor": [True, 2]}),
    (messages.selftest_command(SelfTest.MASKS, 3, 4, b"ab"), {"selftest": [2, 3, 4, b"ab"]}),
)


@pytest.mark.parametrize(("command", "wanted"), COMMANDS, ids=lambda command: next(iter(command)))
def test_each_argument_of_a_request_has_its_place(command: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert command == wanted


@pytest.mark.parametrize(
    ("number", "sent"), [(0, 0), (2**32 - 1, 2**32 - 1), (2**32, 0), (2**32 + 7, 7), (-1, 2**32 - 1)]
)
def test_capture_numbers_wrap_at_32_bits(number: int, sent: int) -> None:
    for command in (
        messages.run_command(number, True, 0, b""),
        messages.profile_command(number, True, 0, b""),
        messages.plain_command(number, True, b""),
    ):
        (arguments,) = command.values()
        assert arguments[0] == sent


def test_every_field_of_a_record_is_tested_here() -> None:
    assert {field.name for field in fields(Record)} == {*RECORD, *TOLD, *FURTHER}
