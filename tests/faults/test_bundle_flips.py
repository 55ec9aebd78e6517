"""A bundle with any one bit wrong is never accepted: every flip through the firmware's parser under the sanitizers, a
choice of them through the whole firmware.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from carried_state import write_carried
from native_session import imu_motion, native_board, native_image

from hil.bundle import build_bundle
from hil.bundle.format import BundleError, parse_bundle
from hil.bundle.status import BUNDLE_STATUS
from hil.case.load import load_case
from hil.case.types import Case
from hil.device import Device

HEADER_BYTES = 64
HASH = 7  # status of docs/bundle-format.md
ACCEPTED = 0


@dataclass(frozen=True)
class Flips:
    """Number of flips, and how often each status came."""

    total: int
    statuses: dict[int, int]


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bundle_flips.cpp` beside the parser of the native build, compiled exactly as that build compiles."""
    build = native_image().path.parent
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    (entry,) = (entry for entry in commands if entry["file"].endswith("bundle/bundle.cpp"))
    words = shlex.split(entry["command"])
    program = tmp_path_factory.mktemp("flips") / "bundle_flips"
    flags = words[: words.index("-o")]
    source = Path(__file__).with_name("bundle_flips.cpp")
    libraries = [build / f"lib{name}.a" for name in ("hil_units", "hil_bundle_codec", "hil_zcbor")]
    command = [*flags, "-o", program, source, *libraries, "-no-pie", "-fsanitize=address,undefined"]
    subprocess.run(list(map(str, command)), cwd=entry["directory"], check=True)
    return program


def small_bundle(case: Case | None = None) -> bytes:
    """The bundle of a case, by default imu_motion, with the model cut: the parser hashes the model, it does not look
    into it.
    """
    whole = build_bundle(case or imu_motion())
    return rebuilt(whole, model=whole[int.from_bytes(whole[20:24], "little") :][:96])


def rebuilt(bundle: bytes, model: bytes) -> bytes:
    start = int.from_bytes(bundle[20:24], "little")
    sizes = (start + len(model)).to_bytes(4, "little"), len(model).to_bytes(4, "little")
    body = bundle[:8] + sizes[0] + bundle[12:24] + sizes[1] + bundle[28:32] + bytes(32) + bundle[64:start] + model
    return body[:32] + sha256(body).digest() + body[64:]


def run(parser: Path, bundle: bytes, mode: str) -> Flips:
    file = parser.with_name("bundle.bin")
    file.write_bytes(bundle)
    done = subprocess.run([parser, file, mode], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    return Flips(int(rows[0][1]), {int(status): int(times) for status, times in rows[1:]})


def test_every_flip_is_refused(parser: Path) -> None:
    bundle = small_bundle()
    flips = run(parser, bundle, "plain")
    assert flips.total == 8 * len(bundle) == sum(flips.statuses.values())
    assert ACCEPTED not in flips.statuses
    assert set(flips.statuses) <= set(BUNDLE_STATUS)
    assert flips.statuses[HASH] >= 8 * (len(bundle) - HEADER_BYTES + 32)  # all behind the header, and the hash itself


def test_the_harness_refuses_what_the_firmware_refuses(parser: Path) -> None:
    """Both read docs/bundle-format.md: the same status for the same flip."""
    bundle = small_bundle()
    found: dict[int, int] = {}
    for bit in range(8 * len(bundle)):
        with pytest.raises(BundleError) as caught:
            parse_bundle(flipped(bundle, bit))
        found[caught.value.status] = found.get(caught.value.status, 0) + 1
    assert found == run(parser, bundle, "plain").statuses


@pytest.mark.slow
def test_every_flip_of_the_whole_bundle_is_refused(parser: Path) -> None:
    bundle = build_bundle(imu_motion())
    flips = run(parser, bundle, "plain")
    assert flips.total == 8 * len(bundle)
    assert ACCEPTED not in flips.statuses


@pytest.mark.parametrize("several", [False, True])
def test_wrong_metadata_with_a_right_hash_does_no_harm(parser: Path, several: bool, tmp_path: Path) -> None:
    """Not damage but a faulty tool: the content is wrong, the hash fits. Names or limits change, nothing crashes."""
    case = load_case(write_carried(tmp_path)) if several else imu_motion()
    flips = run(parser, small_bundle(case), "rehashed")
    assert set(flips.statuses) <= set(BUNDLE_STATUS)
    assert len(flips.statuses) > 8  # many rules are met, not the hash alone


def flipped(bundle: bytes, bit: int) -> bytes:
    return bundle[: bit // 8] + bytes([bundle[bit // 8] ^ 1 << bit % 8]) + bundle[bit // 8 + 1 :]


def test_the_whole_firmware_reports_a_flip_and_runs_nothing(tmp_path: Path) -> None:
    """One bit in every field of the header, and in metadata, padding and model."""
    case = imu_motion()
    bundle = build_bundle(case)
    fields = [0, 4, 6, 8, 12, 16, 20, 24, 28, 32, 63]
    places = [*fields, HEADER_BYTES, int.from_bytes(bundle[20:24], "little") - 1, len(bundle) // 2, len(bundle) - 1]
    with native_board(tmp_path) as board:
        for place in places:
            damaged = flipped(bundle, 8 * place + place % 8)
            board.provision(native_image(), damaged)
            device = Device(board)
            with pytest.raises(BundleError) as caught:
                parse_bundle(damaged.ljust(native_image().symbol("__hil_bundle_bytes"), b"\0"))
            assert device.hello.bundle_status == caught.value.status
            assert device.hello.bundle_detail == caught.value.detail
            record = device.run(case.vectors.payload(0))
            assert (int(record.status), record.output, record.decision.answer) == (2, b"", -1)
