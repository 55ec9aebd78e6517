"""Each damaged bundle is damaged in the one byte that its name says (docs/bundle-format.md), and nowhere else."""

from __future__ import annotations

import struct

import pytest
from native_session import imu_motion

from hil.bundle import build_bundle
from hil.session.stimuli import bundle_stimuli

ABSENT, HASH, ACCEPTED = 1, 7, 0
BUNDLE = build_bundle(imu_motion())
META_AT, META_BYTES, MODEL_AT, MODEL_BYTES = struct.unpack_from("<4I", BUNDLE, 12)
DAMAGED = {  # name: the byte
    "one bit of the metadata": META_AT + META_BYTES // 2,
    "one bit of the model": MODEL_AT + MODEL_BYTES // 2,
    "the last byte of the hash": 63,  # the hash lies in bytes 32 to 63
    "a byte in the middle of the hash": 48,
    "a byte of the padding before the model": MODEL_AT - 1,
}
STIMULI = {stimulus.name: stimulus for stimulus in bundle_stimuli(BUNDLE)}


def test_these_bundles_are_sent() -> None:
    assert META_AT + META_BYTES < MODEL_AT  # else there is no padding to damage
    assert list(STIMULI) == ["no bundle at all", *DAMAGED, "bytes behind the end"]


@pytest.mark.parametrize("name", DAMAGED)
def test_one_bit_of_one_byte_is_another(name: str) -> None:
    stimulus = STIMULI[name]
    assert stimulus.status == HASH
    assert len(stimulus.bundle) == len(BUNDLE)
    different = {at: was ^ now for at, (was, now) in enumerate(zip(BUNDLE, stimulus.bundle, strict=True)) if was != now}
    assert list(different) == [DAMAGED[name]]
    assert different[DAMAGED[name]].bit_count() == 1


def test_nothing_at_all_is_absent_and_what_lies_behind_is_no_damage() -> None:
    nothing, longer = STIMULI["no bundle at all"], STIMULI["bytes behind the end"]
    assert (nothing.bundle, nothing.status) == (bytes(len(BUNDLE)), ABSENT)
    assert (longer.bundle, longer.status) == (BUNDLE + b"\xa5" * 64, ACCEPTED)


def test_without_padding_none_is_damaged() -> None:
    meta = bytearray(BUNDLE)
    struct.pack_into("<I", meta, 16, MODEL_AT - META_AT)  # as if the metadata went up to the model
    assert "a byte of the padding before the model" not in {stimulus.name for stimulus in bundle_stimuli(bytes(meta))}
