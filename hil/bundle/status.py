"""Why a device did not accept its bundle: the status codes of docs/bundle-format.md, in words, with what to do next."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from hil.case.types import Case
from hil.model.graph import OPERATOR_NAMES, TENSOR_TYPE_NAMES
from hil.tensor import TensorContract

_PROVISION = "provision again; if it stays, the memory is damaged or the board file names another address"
_HARNESS = "the harness and the firmware are of different versions: build it with what this version of hil brings"
_CASE = "the case file and this firmware do not fit: check [input] of the case and the firmware's version"
_STAGE = "build a firmware that has the stage, or choose another one in the case"
_TENSOR = "convert the model again; the file on the device is not the one that the case was read from"

# code: (name, what is wrong, what to try next)
BUNDLE_STATUS: Mapping[int, tuple[str, str, str]] = {
    0: ("ok", "the bundle is accepted", ""),
    1: ("absent", "there is no bundle: the memory is erased", "provision the board"),
    2: ("magic", "what lies at the bundle's address is no bundle", _PROVISION),
    3: ("format", "the firmware does not know this bundle format", _HARNESS),
    4: ("header", "a header field is not the one of this format", _HARNESS),
    5: ("size", "the total size is below 64 or above the region", "use a smaller model or a larger region"),
    6: ("layout", "metadata or model lie outside the bundle, overlap or are empty", _PROVISION),
    7: ("hash", "the bundle's SHA-256 is wrong: it was damaged on its way", _PROVISION),
    8: ("metadata", "the metadata is not a bundle-meta item of link.cddl", _HARNESS),
    10: ("window", "the window is of unknown type, empty, or too large for a frame", "send shorter windows"),
    11: ("gate", "the validity gate is not usable", "mend [input.gate] of the case"),
    12: ("prepare_id", "this firmware has no such prepare stage", _STAGE),
    13: ("prepare_version", "this firmware has the prepare stage in another version", _STAGE),
    14: ("prepare_window", "the prepare stage does not take this window type", _CASE),
    15: ("prepare_parameters", "a parameter of the prepare stage is not valid", _CASE),
    16: (
        "prepare_size",
        "the prepare stage does not fill the input tensor, or makes more than the firmware keeps",
        "mend [input] window and channels, or build a firmware with a larger HIL_PREPARED_BYTES",
    ),
    17: ("decide_id", "this firmware has no such decide stage", _STAGE),
    18: ("decide_version", "this firmware has the decide stage in another version", _STAGE),
    19: ("decide_parameters", "a parameter of the decide stage is not valid", "mend [decision] of the case"),
    20: ("labels", "the labels do not fit the model's output", "list one label for each output element"),
    21: (
        "arena_limit",
        "the case asks for more arena than the firmware has, or for none",
        "lower [budget.memory] arena_bytes, or build a firmware with a larger arena",
    ),
    22: (
        "prepare_tensor",
        "the prepare stage does not make input tensors of this type",
        "write another stage in [input], or convert the model with inference_input_type = tf.int8",
    ),
    23: (
        "decide_output",
        "the decide stage does not take outputs of this type",
        "convert the model with inference_output_type = tf.int8",
    ),
    24: (
        "several_tensors",
        "this firmware takes models with one input and one output, or the model has more of them than it takes",
        "run the image hil_firmware_kernels; docs/models.md says how many it takes",
    ),
    25: (
        "state_pair",
        "an output and an input between which state is to be carried are no pair of this model",
        _TENSOR,
    ),
    30: ("model_flatbuffer", "the flatbuffer verifier refuses the model", "the file is damaged: convert it again"),
    31: ("model_schema", "the model's schema version is not supported", "use a current TFLiteConverter"),
    32: ("model_subgraphs", "the model has not exactly one subgraph", "export it without control flow"),
    33: (
        "model_operator",
        "the firmware's resolver does not hold an operator of the model",
        "add the operator to the resolver, or change the model",
    ),
    34: ("model_arena", "the tensors do not fit into the arena", "raise [budget.memory] arena_bytes"),
    35: ("model_prepare", "an operator refused the model's parameters", "read the firmware's log"),
    36: ("model_io", "the model has other numbers of inputs and outputs than the bundle says", _TENSOR),
    **{
        base + step: (f"{side}_{part}", f"the model's {side} tensor has another {words} than the bundle says", _TENSOR)
        for base, side in ((40, "input"), (45, "output"))
        for step, (part, words) in enumerate(
            [
                ("type", "type"),
                ("shape", "shape"),
                ("scale", "scale"),
                ("zero_point", "zero point"),
                ("bytes", "size in bytes"),
            ]
        )
    },
}


def describe(status: int, detail: int, case: Case | None = None) -> str:
    """A sentence for a bundle status and its detail, with the numbers of `case` where given, and the next step."""
    if status not in BUNDLE_STATUS:
        return f"bundle status {status} (detail {detail}) is unknown to this harness: {_HARNESS}"
    name, meaning, step = BUNDLE_STATUS[status]
    words = _with_detail(status, detail, case) or meaning
    if (status, detail) == (34, 0):
        step = "shrink the model, or build a firmware with a larger arena"
    return f"bundle {name} ({status}): {words}" + (f"; {step}" if step else "")


def _with_detail(status: int, detail: int, case: Case | None) -> str:
    """The meaning with its number; empty when the number adds nothing."""
    if 40 <= status <= 49:
        return _tensor_detail(status, detail, case)
    meaning = BUNDLE_STATUS[status][1]
    match status:
        case 2:
            return f"{meaning}, it begins with {struct.pack('<I', detail)!r}"
        case 3 | 13 | 18 | 31:
            return f"{meaning}, found {detail}"
        case 4 | 6:
            return f"{meaning} (field at offset {detail})"
        case 5:
            return f"{meaning}: {detail:,} bytes"
        case 7:
            return f"{meaning} (the device computed {detail:08x}...)"
        case 8:
            return f"{meaning} (zcbor error {detail})"
        case 10:
            return f"{meaning}: {detail:,} bytes"
        case 11:
            return f"{meaning}: {_pick(('minimum', 'maximum', 'min_span'), detail)}"
        case 12 | 17 if case:
            return f"{meaning}: {(case.prepare if status == 12 else case.decide).name}"
        case 14 | 22 | 23:
            return f"{meaning}: {TENSOR_TYPE_NAMES.get(detail, detail)}"
        case 15:
            return f"{meaning} (channel {detail})"
        case 16:
            wanted = f", the tensor has {case.model.input.elements:,}" if case else ""
            return f"{meaning}: it yields {detail:,} elements{wanted}"
        case 19:
            return f"{meaning}: {_pick(('release above threshold', 'debounce 0'), detail)}"
        case 20:
            wanted = f", the output has {case.model.output.elements:,} elements" if case else ""
            return f"{meaning}: {detail} labels{wanted}"
        case 21:
            limit = case.arena_bytes if case else None
            asked = "too much arena or none" if limit is None else f"{limit:,} bytes of arena"
            return f"the case asks for {asked}, the firmware has {detail:,}"
        case 25:
            return f"{meaning}: output {detail // 256} and input {detail % 256}"
        case 32:
            return f"{meaning} but {detail}"
        case 33:
            operator = OPERATOR_NAMES.get(detail, f"code {detail}")
            return f"the firmware's resolver does not hold the operator {operator} of the model"
        case 34:
            return _arena(detail, case)
        case 36:
            return f"{meaning}: it has {detail // 256} inputs and {detail % 256} outputs"
    return ""


def _pick(names: tuple[str, ...], index: int) -> str:
    return names[index] if index < len(names) else f"detail {index}"


def _arena(needed: int, case: Case | None) -> str:
    limit = case.arena_bytes if case else None
    allowed = "the case allows less" if limit is None else f"the case allows {limit:,}"
    if needed == 0:
        more = "the model needs more arena than the firmware has"
        return more if case and limit is None else f"{more} ({allowed})"
    return f"the model needs {needed:,} bytes of arena, {allowed}"


def _tensor_detail(status: int, detail: int, case: Case | None) -> str:
    """Found on the device against the case; scales travel as the bits of a float32, zero points as i32."""
    side, part = ("input", status - 40) if status < 45 else ("output", status - 45)
    contract: TensorContract | None = getattr(case.model, side) if case else None
    words = BUNDLE_STATUS[status][1]
    found: object = detail
    wanted: object = None
    if part == 0:
        found, wanted = TENSOR_TYPE_NAMES.get(detail, detail), contract and contract.dtype
    elif part == 1:
        found, wanted = f"dimension {detail}", contract and list(contract.shape)
    elif part == 2:
        found, wanted = struct.unpack("<f", struct.pack("<I", detail))[0], contract and contract.quantisation.scale
    elif part == 3:
        found, wanted = struct.unpack("<i", struct.pack("<I", detail))[0], contract and contract.quantisation.zero_point
    else:
        wanted = contract and contract.bytes
    return f"{words}: {found}" + (f", the case has {wanted}" if contract else "")
