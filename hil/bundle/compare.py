"""Knows which contract each field of a bundle belongs to, and names the fields in which two bundles differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from hil.bundle.format import Bundle, BundleError, parse_bundle
from hil.contract.types import BundleDifference

# Labels and model have checks of their own, case and version are compared with what the device says.
_CONTRACTS = {
    "input": ("window", "gate", "prepare", "input", "inputs"),
    "execution": ("output", "outputs", "decided", "arena_bytes", "state", "carried"),
    "decision": ("decide",),
}
_ELSEWHERE = ("decide.labels", "decide.unknown")


def differences(wanted: bytes, given: bytes) -> tuple[BundleDifference, ...]:
    """Fields of `given` that are not those of `wanted`; none when `given` is no valid bundle: a device says why."""
    if wanted == given:
        return ()
    try:
        first, second = parse_bundle(wanted), parse_bundle(given)
    except BundleError:
        return ()
    return tuple(_differences(first, second))


def _differences(wanted: Bundle, given: Bundle) -> Iterator[BundleDifference]:
    for contract, parts in _CONTRACTS.items():
        for part in parts:
            expected, observed = (dict(_leaves(part, getattr(bundle, part))) for bundle in (wanted, given))
            for field in {**expected, **observed}:
                if field not in _ELSEWHERE and expected.get(field) != observed.get(field):
                    yield BundleDifference(
                        contract, field, str(expected.get(field, "absent")), str(observed.get(field, "absent"))
                    )


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Names and values of a nested value: `prepare.channels[0].gain`, 4194304."""
    if is_dataclass(value):
        for item in fields(value):
            yield from _leaves(f"{name}.{item.name}", getattr(value, item.name))
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for index, element in enumerate(value):
            yield from _leaves(f"{name}[{index}]", element)
    else:
        yield name, value
