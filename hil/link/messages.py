"""Between the maps of link.cddl and typed values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.errors import LinkError
from hil.records import (
    Can,
    CoreState,
    Decision,
    DecisionReason,
    GateReason,
    HeapState,
    Hello,
    Prepared,
    Record,
    Status,
)
from hil.tensor import Quantisation, TensorContract

PROTOCOL = 2
PREPARED, OUTPUT, MODEL = 0, 1, 2  # items of `fetch`
NO_SUCH_ITEM = 3  # of a `fetch`; the detail is how many bytes there are
_NOT_TOLD = 0xFFFFFFFF
# Agent status of a firmware older than the request, and of one that cannot do it.
NO_PROFILE = (1, 6)
NO_TEST = (1, 7)
TOO_LONG = 4  # for a reply; the detail is what fits


class SelfTest(IntEnum):
    """`test` of `selftest-arguments`."""

    SPIN = 0
    SLEEP = 1
    MASKS = 2
    STACK_GUARD = 3
    NULL_READ = 4
    NULL_WRITE = 5
    NULL_EXECUTE = 6


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATOR_NAMES = _names(schema.BuiltinOperator)
TENSOR_TYPE_NAMES = _names(schema.TensorType)


def hello_command() -> dict[str, Any]:
    return {"hello": PROTOCOL}


def run_command(sequence: int, fresh: bool, deadline_ticks: int, window: bytes) -> dict[str, Any]:
    return {"run": [sequence & 0xFFFFFFFF, fresh, deadline_ticks, window]}


def scores_command(fresh: bool, scores: bytes) -> dict[str, Any]:
    return {"scores": [fresh, scores]}


def fetch_command(item: int, offset: int, count: int) -> dict[str, Any]:
    return {"fetch": [item, offset, count]}


def profile_command(sequence: int, fresh: bool, deadline_ticks: int, window: bytes) -> dict[str, Any]:
    return {"profile": [sequence & 0xFFFFFFFF, fresh, deadline_ticks, window]}


def operators_command(first: int) -> dict[str, Any]:
    return {"operators": first}


def plain_command(sequence: int, fresh: bool, window: bytes) -> dict[str, Any]:
    return {"plain": [sequence & 0xFFFFFFFF, fresh, window]}


def selftest_command(test: SelfTest, amount: int, deadline_ticks: int, padding: bytes) -> dict[str, Any]:
    return {"selftest": [int(test), amount, deadline_ticks, padding]}


def tensor_command(output: bool, index: int) -> dict[str, Any]:
    return {"tensor": [output, index]}


@dataclass(frozen=True)
class OperatorTime:
    """`operator-time`: builtin operator name, and the board's clock since the start of invoke around the operator."""

    operator: str
    begin_ticks: int
    end_ticks: int


def decode_hello(result: dict[str, Any], boot: int) -> Hello:
    """`hello-facts` as a value. Raises LinkError when a field is missing or of another type."""
    facts = _field(result, "hello")
    try:
        return Hello(
            operators=tuple(_operator(code) for code in facts["operators"]),
            bundle_hash=facts["bundle_hash"].hex(),
            model_hash=facts["model_hash"].hex(),
            labels=tuple(facts["labels"]),
            input=_tensor(facts["input"]),
            output=_tensor(facts["output"]),
            boot=boot,
            can=Can(facts["can"]),
            **{key: facts[key] for key in _PLAIN_FACTS},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LinkError(f"the device's hello does not fit the schema: {error!r}") from error


def decode_record(result: dict[str, Any]) -> Record:
    """`record` as a value. Raises LinkError when a field is missing or out of its range."""
    return _record(_field(result, "run"))


def decode_profile(result: dict[str, Any]) -> tuple[Record, int, int]:
    """The answer to `profile`: the record, operators that ran, operators that can be asked for.

    Raises LinkError when it does not fit the schema.
    """
    answer = _field(result, "profile")
    try:
        record, ran, kept = answer
    except (TypeError, ValueError) as error:
        raise LinkError(f"a profile does not fit the schema: {error!r}") from error
    return _record(record), ran, kept


def decode_operators(result: dict[str, Any]) -> list[OperatorTime]:
    """A page of operators. Raises LinkError when it does not fit the schema."""
    try:
        return [OperatorTime(_operator(code), begin, end) for code, begin, end in _field(result, "operators")]
    except (TypeError, ValueError) as error:
        raise LinkError(f"a list of operators does not fit the schema: {error!r}") from error


def decode_plain(result: dict[str, Any]) -> tuple[Record, int]:
    """The answer to `plain`: the record, and the ticks around the whole. Raises LinkError when it does not fit."""
    answer = _field(result, "plain")
    try:
        record, ticks = answer
    except (TypeError, ValueError) as error:
        raise LinkError(f"the answer to a plain run does not fit the schema: {error!r}") from error
    return _record(record), ticks


def decode_selftest(result: dict[str, Any]) -> Record:
    """The answer to `selftest`. Raises LinkError when it does not fit the schema."""
    return _record(_field(result, "selftest"))


def _record(record: dict[str, Any]) -> Record:
    try:
        core = record.get("core")
        return Record(
            status=Status(record["status"]),
            gate=GateReason(record["gate"]),
            ticks=tuple(record["ticks"]),
            decision=_decision(record["decision"]),
            received=record.get("received"),
            gate_ticks=record.get("gate_ticks"),
            core=None if core is None else CoreState(*core),
            heap=_heap(record.get("heap")),
            inputs=tuple(Prepared(*each) for each in record.get("inputs", ())),
            outputs=tuple(record.get("outputs", ())),
            **{key: record[key] for key in _PLAIN_RECORD},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LinkError(f"a record does not fit the schema: {error!r}") from error


def _heap(told: list[int] | None) -> HeapState | None:
    return None if told is None else HeapState(*(None if each == _NOT_TOLD else each for each in told))


def decode_decision(result: dict[str, Any]) -> Decision:
    """The answer to `scores`. Raises LinkError when it does not fit the schema."""
    try:
        return _decision(_field(result, "scores"))
    except (KeyError, TypeError, ValueError) as error:
        raise LinkError(f"a decision does not fit the schema: {error!r}") from error


def decode_tensor(result: dict[str, Any]) -> TensorContract:
    """The answer to `tensor`. Raises LinkError when it does not fit the schema."""
    try:
        return _tensor(_field(result, "tensor"))
    except (KeyError, TypeError, AttributeError) as error:
        raise LinkError(f"a tensor does not fit the schema: {error!r}") from error


def decode_fetch(result: dict[str, Any]) -> bytes:
    """The bytes that `fetch` brought."""
    return bytes(_field(result, "fetch"))


_PLAIN_FACTS = (
    *("protocol", "firmware", "target", "compiler", "flags", "kernels", "clock", "clock_hz", "frame_bytes"),
    *("arena_bytes", "stack_bytes", "bundle_status", "bundle_detail", "case", "case_version"),
    *("arena_used", "arena_high_water"),
)
_PLAIN_RECORD = (
    *("digest", "minimum", "maximum", "saturated", "output", "canaries"),
    *("arena_high_water", "stack_high_water"),
)


def _field(result: dict[str, Any], key: str) -> Any:
    try:
        return result[key]
    except KeyError:
        raise LinkError(f"asked for {key!r}, the device answered {next(iter(result), 'nothing')!r}") from None


def _operator(code: int) -> str:
    return OPERATOR_NAMES.get(code, f"BUILTIN_{code}")


def _tensor(tensor: dict[str, Any]) -> TensorContract:
    return TensorContract(
        dtype=TENSOR_TYPE_NAMES.get(tensor["type"], f"TYPE_{tensor['type']}"),
        shape=tuple(tensor["shape"]),
        quantisation=Quantisation(float(np.float32(tensor["scale"])), tensor["zero_point"]),
        bytes=tensor["bytes"],
    )


def _decision(decision: dict[str, Any]) -> Decision:
    return Decision(
        winner=decision["winner"],
        score=decision["score"],
        answer=decision["answer"],
        reason=DecisionReason(decision["reason"]),
        label=decision["label"],
    )
