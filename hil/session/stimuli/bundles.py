"""Damaged bundles, which the firmware must refuse."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hil.bundle import BUNDLE_STATUS


@dataclass(frozen=True)
class BundleStimulus:
    """A damaged bundle and the status that it must be refused with (docs/bundle-format.md); 0: it must be accepted."""

    name: str
    bundle: bytes
    status: int


def bundle_stimuli(bundle: bytes) -> Iterator[BundleStimulus]:
    """Damaged variants of a whole bundle: nothing there, one bit of metadata, model, hash or padding. What lies behind
    its end is no damage.
    """
    absent, damaged = (code for code, (name, *_) in BUNDLE_STATUS.items() if name in ("absent", "hash"))
    meta_at, meta_bytes, model_at, model_bytes = struct.unpack_from("<4I", bundle, _PARTS_OFFSET)
    yield BundleStimulus("no bundle at all", bytes(len(bundle)), absent)
    yield BundleStimulus("one bit of the metadata", _flip(bundle, meta_at + meta_bytes // 2), damaged)
    yield BundleStimulus("one bit of the model", _flip(bundle, model_at + model_bytes // 2), damaged)
    yield BundleStimulus("the last byte of the hash", _flip(bundle, _HASH_OFFSET + _HASH_BYTES - 1), damaged)
    yield BundleStimulus("a byte in the middle of the hash", _flip(bundle, _HASH_OFFSET + _HASH_BYTES // 2), damaged)
    if model_at > meta_at + meta_bytes:
        yield BundleStimulus("a byte of the padding before the model", _flip(bundle, model_at - 1), damaged)
    yield BundleStimulus("bytes behind the end", bundle + b"\xa5" * _BEHIND_BYTES, 0)


_PARTS_OFFSET = 12  # of the header: offset and size of metadata and model
_HASH_OFFSET, _HASH_BYTES = 32, 32
_BEHIND_BYTES = 64


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
