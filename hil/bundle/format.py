"""The bundle's bytes: header, CBOR metadata, model (docs/bundle-format.md and `bundle-meta` in link.cddl)."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cbor2

from hil.bundle.status import describe
from hil.case.types import Case, Channel, Decide, Gate, Prepare, Window
from hil.errors import BenchError
from hil.model.graph import TENSOR_TYPE_NAMES, TENSOR_TYPES
from hil.tensor import WINDOW_TYPES, Quantisation, TensorContract, of_dtype

MAGIC = b"HILB"
FORMAT = 1
# magic, format, header size, total size, metadata offset and size, model offset and size, 0, SHA-256
HEADER = struct.Struct("<4sHHIIIIII32s")
HASH_OFFSET = HEADER.size - 32
ALIGNMENT = 16


class BundleError(BenchError):
    """Bytes that are no valid bundle; `status` and `detail` are those that a device would report for them."""

    def __init__(self, status: int, detail: int) -> None:
        self.status, self.detail = status, detail
        super().__init__(describe(status, detail))


@dataclass(frozen=True)
class FurtherInput:
    """What a bundle says of an input from the second on; fields as in Bundle."""

    window: Window
    gate: Gate
    prepare: Prepare
    input: TensorContract


@dataclass(frozen=True)
class Bundle:
    """What a bundle says. `sha256` is its hash in hex, as `hello` reports it; `decide` carries the labels.
    state: what the model keeps lasts from window to window of a stream.
    """

    case: str
    version: int
    window: Window
    gate: Gate
    prepare: Prepare
    input: TensorContract
    output: TensorContract
    decide: Decide
    arena_bytes: int
    model: bytes
    sha256: str
    state: bool = False
    inputs: tuple[FurtherInput, ...] = ()  # from the second on
    outputs: tuple[TensorContract, ...] = ()  # beside `output`
    decided: int = 0  # index of `output` among the model's
    carried: tuple[tuple[int, int], ...] = ()  # indices of an output, and of the input that it is at the next window


def build_bundle(case: Case, arena_bytes: int | None = None) -> bytes:
    """The bundle of a case, ready to be written to `__hil_bundle_start`.

    arena_bytes: of a case that gives none (hil/session/arena.py). Raises ValueError when neither gives any.
    """
    arena = case.arena_bytes if arena_bytes is None else arena_bytes
    if arena is None:
        raise ValueError(f"case {case.name} gives no arena_bytes, and a bundle carries one")
    metadata = encode_metadata(case, arena)
    start = -(-(HEADER.size + len(metadata)) // ALIGNMENT) * ALIGNMENT
    model = case.model.data
    total = start + len(model)
    header = HEADER.pack(MAGIC, FORMAT, HEADER.size, total, HEADER.size, len(metadata), start, len(model), 0, bytes(32))
    body = (header + metadata).ljust(start, b"\0") + model
    return body[:HASH_OFFSET] + hashlib.sha256(body).digest() + body[HEADER.size :]


def sha256(bundle: bytes) -> str:
    """The hash (hex) in the header of a built bundle, the one that the device reports in `hello`."""
    return bundle[HASH_OFFSET : HEADER.size].hex()


def parse_bundle(data: bytes) -> Bundle:
    """Reads a bundle; bytes behind it are ignored. Raises BundleError, checking in the firmware's order."""
    metadata, model, digest = _split(data)
    try:
        meta, *further = _decode(metadata)
        inputs = [each["input"] for each in further if "input" in each]
        outputs = [each["output"] for each in further if "output" in each]
        taken = [each["index"] for each in outputs]
        states = [each["state"] for each in further if "state" in each]
        decide = meta["decide"]
        return Bundle(
            case=meta["case"],
            version=meta["version"],
            window=_window(meta["window"]),
            gate=Gate(**meta["gate"]),
            prepare=_prepare(meta["prepare"]),
            input=_tensor(meta["input"]),
            output=_tensor(meta["output"]),
            decide=Decide(**decide, labels=tuple(meta["labels"])),
            arena_bytes=meta["arena_bytes"],
            model=model,
            sha256=digest.hex(),
            state=meta.get("state", False),
            inputs=tuple(_further_input(each) for each in inputs),
            outputs=tuple(_tensor(each["tensor"]) for each in outputs),
            decided=next(index for index in range(len(taken) + 1) if index not in taken),
            carried=tuple((each["output"], each["input"]) for each in states),
        )
    except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError):
        raise BundleError(8, 0) from None


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Metadata, model and hash of a bundle whose header and hash are right."""
    head = data[: HEADER.size]
    if len(head) < HEADER.size or not head.strip(b"\0") or not head.strip(b"\xff"):
        raise BundleError(1, 0)
    magic, version, header, total, at, size, start, model, reserved, digest = HEADER.unpack(head)
    if magic != MAGIC:
        raise BundleError(2, int.from_bytes(magic, "little"))
    if version != FORMAT:
        raise BundleError(3, version)
    for offset, found, wanted in ((6, header, HEADER.size), (12, at, HEADER.size), (28, reserved, 0)):
        if found != wanted:
            raise BundleError(4, offset)
    if not HEADER.size <= total <= len(data):
        raise BundleError(5, total)
    layout = {16: 0 < size <= total - at, 20: at + size <= start <= total and start % ALIGNMENT == 0}
    layout[24] = 0 < model <= total - start
    for offset, good in layout.items():
        if not good:
            raise BundleError(6, offset)
    computed = hashlib.sha256(data[:HASH_OFFSET] + bytes(32) + data[HEADER.size : total]).digest()
    if computed != digest:
        raise BundleError(7, int.from_bytes(computed[:4], "big"))
    return data[at : at + size], data[start : start + model], digest


@dataclass(frozen=True)
class _Float32:
    """A number that must travel as a CBOR single (0xFA): the device's decoder takes no other width for `f32`."""

    value: float


def _encode_float32(encoder: cbor2.CBOREncoder, value: object) -> None:
    if not isinstance(value, _Float32):
        raise TypeError(f"{type(value).__name__} has no place in a bundle")
    encoder.write(b"\xfa" + struct.pack(">f", value.value))


def encode_metadata(case: Case, arena_bytes: int) -> bytes:
    """The `bundle-meta` item of a case, keys in the order of the schema, and an item for each further tensor."""
    decide = case.decide
    meta = {
        "case": case.name,
        "version": case.version,
        **_input_map(case.window, case.gate, case.prepare),
        "input": _tensor_map(case.model.input),
        "output": _tensor_map(case.model.output),
        "decide": {
            "id": decide.id,
            "version": decide.version,
            "threshold": decide.threshold,
            "release": decide.release,
            "debounce": decide.debounce,
            "cooldown": decide.cooldown,
        },
        "labels": list(decide.labels),
        "arena_bytes": arena_bytes,
        **({"state": True} if case.keeps_state else {}),
    }
    items = [meta, *_further_items(case)]
    return b"".join(cbor2.dumps(item, default=_encode_float32) for item in items)


def _further_items(case: Case) -> Iterator[dict[str, Any]]:
    model = case.model
    for part, tensor in zip(case.further, model.inputs[1:], strict=True):
        yield {"input": {**_input_map(part.window, part.gate, part.prepare), "tensor": _tensor_map(tensor)}}
    for index, tensor in enumerate(model.outputs):
        if index != model.decided:
            yield {"output": {"index": index, "tensor": _tensor_map(tensor)}}
    for pair in model.carried:
        yield {"state": {"output": pair.output, "input": pair.input}}


def _input_map(window: Window, gate: Gate, prepare: Prepare) -> dict[str, Any]:
    return {
        "window": {
            "type": of_dtype(window.dtype).number,
            "samples": window.samples,
            "channels": window.channels,
        },
        "gate": {
            "minimum": _Float32(gate.minimum),
            "maximum": _Float32(gate.maximum),
            "min_span": _Float32(gate.min_span),
        },
        "prepare": {
            "id": prepare.id,
            "version": prepare.version,
            "channels": [[channel.source, channel.offset, channel.gain] for channel in prepare.channels],
            "factor": _Float32(prepare.factor),
        },
    }


def _further_input(part: dict[str, Any]) -> FurtherInput:
    return FurtherInput(
        _window(part["window"]), Gate(**part["gate"]), _prepare(part["prepare"]), _tensor(part["tensor"])
    )


def _tensor_map(tensor: TensorContract) -> dict[str, Any]:
    return {
        "type": TENSOR_TYPES[tensor.dtype],
        "shape": list(tensor.shape),
        "scale": _Float32(tensor.quantisation.scale),
        "zero_point": tensor.quantisation.zero_point,
        "bytes": tensor.bytes,
    }


def _decode(metadata: bytes) -> list[dict[str, Any]]:
    """The items that the metadata is made of, at least one."""
    stream = io.BytesIO(metadata)
    items = [cbor2.CBORDecoder(stream).decode()]
    while stream.tell() < len(metadata):
        items.append(cbor2.CBORDecoder(stream).decode())
    if not all(isinstance(item, dict) for item in items) or not all(
        {*item} & {"input", "output", "state"} for item in items
    ):
        raise ValueError("not a row of maps")
    return items


def _window(part: dict[str, Any]) -> Window:
    names = {element.number: element.dtype.name for element in WINDOW_TYPES}
    return Window(names[part["type"]], part["samples"], part["channels"])


def _prepare(part: dict[str, Any]) -> Prepare:
    channels = tuple(Channel(*channel) for channel in part["channels"])
    return Prepare(part["id"], part["version"], channels, part["factor"])


def _tensor(part: dict[str, Any]) -> TensorContract:
    quantisation = Quantisation(part["scale"], part["zero_point"])
    return TensorContract(TENSOR_TYPE_NAMES[part["type"]], tuple(part["shape"]), quantisation, part["bytes"])
