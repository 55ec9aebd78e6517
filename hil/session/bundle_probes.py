"""Damaged bundles on the board, which the firmware must refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hil.board.base import Board
from hil.contract.damaged import BundleProbe, BundleProbes
from hil.device import Device
from hil.errors import DeviceEnded, DeviceFault, DeviceSilent
from hil.image.elf import Image
from hil.records import Can
from hil.session.remembered import once_per_image
from hil.session.state import SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import BundleStimulus, bundle_stimuli


def _collect(run: SessionState) -> BundleProbes:
    """Damaged bundles, one after the other; the whole one is back on the board at the end."""
    board = run.device.board
    if not run.bundle or not run.device.hello.can & Can.BUNDLE:
        return BundleProbes()
    if not board.probe_bundles:
        return BundleProbes(spared=True)
    try:
        room = run.image.symbol("__hil_bundle_bytes")
        stimuli = [stimulus for stimulus in bundle_stimuli(run.bundle) if len(stimulus.bundle) <= room]
        return BundleProbes(tuple(_send(board, run.image, stimulus) for stimulus in stimuli))
    finally:
        board.provision(run.image, run.bundle)


def _send(board: Board, image: Image, stimulus: BundleStimulus) -> BundleProbe:
    try:
        board.provision(image, stimulus.bundle)
        status = Device(board).hello.bundle_status
    except (DeviceFault, DeviceEnded, DeviceSilent) as error:
        return BundleProbe(stimulus.name, stimulus.status, -1, f"{error}\n{board.postmortem().text}")
    return BundleProbe(stimulus.name, stimulus.status, status)


def _kept(found: BundleProbes) -> dict[str, Any] | None:
    """Only what was refused as it should be: the rest is tried again."""
    held = found.probes and all(probe.observed == probe.expected for probe in found.probes)
    return asdict(found) if held else None


def _again(known: Mapping[str, Any], day: str) -> BundleProbes:
    return BundleProbes(tuple(BundleProbe(**probe) for probe in known["probes"]), remembered=day)


STEP = Step(
    BundleProbes,
    Scope.LEAD,
    lambda run: once_per_image(run, "bundles", collect=_collect, to_json=_kept, from_json=_again),
)
