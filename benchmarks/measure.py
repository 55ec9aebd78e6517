"""Prints the project's figures as ratios and times of one run: `python benchmarks/measure.py [NAME ...]`.

All times are host time. Emulated work is given as a ratio to the same work in the same emulator.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hil.board.base import Board
from hil.board.config import kind_module, load_board
from hil.bundle import build_bundle
from hil.case.load import load_case
from hil.case.types import Case
from hil.device import Device
from hil.image.build import build
from hil.image.elf import Image
from hil.session import run_case

PROJECT = Path(__file__).resolve().parent.parent
IMU = PROJECT / "golden_vectors" / "imu_motion"
SHARED = PROJECT.parent / "shared" / "data" / "mlperf_tiny"
KWS_ARENA, KWS_WINDOWS = 36_864, 200


# Seconds of host time, by board.
READY_LIMIT_S = {"qemu": 0.25, "renode": 3.5, "nucleo-virtual": 2.0, "nucleo": 2.0}
LINK_LIMIT_S = {"qemu": 0.1, "renode": 0.1, "nucleo-virtual": 0.5, "nucleo": 0.5}
FLASH_LIMIT_S = 5.0
FLASH_BYTES = 250_000


def open_board(name: str, folder: Path) -> tuple[Board, Image]:
    config = load_board(name, [folder / "boards", PROJECT / "boards"])
    image = Image(build(config.target, PROJECT, log=folder / "build.log"))
    board: Board = kind_module(config).open_board(config, folder / "board.log")
    return board, image


def tensor_case(folder: Path, model: Path, windows: np.ndarray, arena_bytes: int, extra: str = "") -> Path:
    """A case with prepare tensor/1 around a model, as a user would write it."""
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(model.read_bytes())
    np.savez(folder / "vectors.npz", windows=windows)
    (folder / "case.toml").write_text(
        f'[case]\nname = "{folder.name}"\nversion = 1\nsource = "benchmark"\n'
        f'[model]\nint8 = "model.tflite"\n[input]\nprepare = "tensor/1"\n'
        f"[budget.memory]\narena_bytes = {arena_bytes}\n{extra}"
    )
    return folder


def spread(times: list[float]) -> str:
    return f"median {statistics.median(times):.3f} s, worst {max(times):.3f} s"


def ready(folder: Path, name: str) -> None:
    """Opening the board to hello, image and bundle on it already where they stay on it; 10 times."""
    case = load_case(IMU)
    bundle = build_bundle(case)
    keep_flash(folder, name)
    times = []
    for _ in range(11):
        began = time.perf_counter()
        board, image = open_board(name, folder)
        with board:
            board.provision(image, bundle)
            Device(board)
            times.append(time.perf_counter() - began)
    print(
        f"ready: opening {name} to hello: {spread(times[1:])} (limit {READY_LIMIT_S[name]:g} s); first {times[0]:.3f} s"
    )


def link(folder: Path, name: str) -> None:
    """200 windows of 1 kB with replies. They have the wrong length for the case, so the gate answers at once."""
    case = load_case(IMU)
    board, image = open_board(name, folder)
    window = np.random.default_rng(1).bytes(1024)
    with board:
        board.provision(image, build_bundle(case))
        device = Device(board)
        times = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(200):
                device.run(window)
            times.append(time.perf_counter() - began)
    print(f"link: 200 windows of 1 kB with replies on {name}: {spread(times)} (limit {LINK_LIMIT_S[name]:g} s)")


def flash(folder: Path, name: str) -> None:
    """250 kB, image and bundle together, onto a blank chip: written, read back, started."""
    times = []
    for _ in range(3):
        board, image = open_board(name, folder)
        with board:
            began = time.perf_counter()
            board.provision(image, bytes(FLASH_BYTES - image.facts().flash_bytes))
            times.append(time.perf_counter() - began)
    what = f"{FLASH_BYTES:,} B written and verified on {name}, to the link"
    print(f"flash: {what}: {spread(times)} (limit {FLASH_LIMIT_S:g} s)")


def keep_flash(folder: Path, name: str) -> None:
    """A virtual chip is blank at each start: give it a file that keeps its flash, as a real one does."""
    config = load_board(name, [PROJECT / "boards"])
    if config.kind == "virtual_nucleo":
        (folder / "boards").mkdir()
        text = config.file.read_text().replace('flash_image = ""', f'flash_image = "{folder / "flash.bin"}"')
        (folder / "boards" / f"{name}.toml").write_text(text)


def gate(folder: Path, _: str) -> None:
    """Whole `pytest --board=qemu` on KWS, 200 windows, against a bare loop of as many inferences in the same
    emulator.
    """
    path = kws_case(folder / "kws", 200)
    ratios = [gate_ratio(folder, path) for _ in range(3)]
    print(f"gate: median ratio {statistics.median(ratios):.3f} (limit 1.10)")


def thousand(folder: Path, _: str) -> None:
    """The same with 1,000 windows, the report, and every contract but agreement: there is no KWS model that is float
    throughout.
    """
    limits = "".join(f"{stage}.{name} = 4_000_000_000\n" for stage in ("invoke", "total") for name in ("p95", "p99"))
    extra = f"""arena_headroom = 0.01
flash_bytes = 2_000_000
ram_bytes = 2_000_000
stack_bytes = 32_000
[budget.latency.instructions]
{limits}[decision]
labels = [{", ".join(f'"class {number}"' for number in range(12))}]
threshold = 0.5
[contract.input]
saturation = {{ max = 0.99 }}
"""
    path = kws_case(folder / "kws1000", 1000, extra)
    print(f"thousand: ratio {gate_ratio(folder, path):.3f} (limit 1.10 per core)")


def workers(folder: Path, _: str) -> None:
    """KWS, 200 windows, by one worker and by two; three pairs."""
    path = kws_case(folder / "kws", 200)
    ratios = []
    for _ in range(3):
        alone, together = (whole_gate(folder, path, *extra) for extra in ((), ("-n", "2")))
        ratios.append(alone / together)
        print(f"workers: one {alone:.2f} s, two {together:.2f} s, speed-up {ratios[-1]:.2f}")
    print(f"workers: median speed-up {statistics.median(ratios):.2f} (wanted: at least 1.8 on two cores)")


def kws_case(folder: Path, count: int, extra: str = "") -> Path:
    """KWS with `count` windows: the 200 that there are, then the same with some noise, so that no two are equal."""
    recorded = np.load(SHARED / "kws" / "kws_200.npz")["input"]
    windows = np.concatenate([recorded] * -(-count // len(recorded)))[:count].astype(np.int16)
    windows[len(recorded) :] += np.random.default_rng(3).integers(-3, 4, windows[len(recorded) :].shape, np.int16)
    windows = windows.clip(-128, 127).astype(np.int8)
    return tensor_case(folder, SHARED / "models" / "kws_ref_model.tflite", windows, KWS_ARENA, extra)


def whole_gate(folder: Path, case: Path, *extra: str) -> float:
    """Host seconds of one `pytest --board=qemu`, from its start to its end, report included."""
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-q", "--board=qemu", *extra]
    began = time.perf_counter()
    done = subprocess.run([*command, f"--hil-out={folder / 'out'}", str(case)], cwd=PROJECT, capture_output=True)
    if done.returncode:
        sys.exit(done.stdout.decode() + done.stderr.decode())
    return time.perf_counter() - began


def gate_ratio(folder: Path, path: Path) -> float:
    """A whole gate by one worker against the bare loop of its inferences."""
    whole = whole_gate(folder, path)
    inferences = json.loads((folder / "out" / "run.json").read_text())["cases"][0]["inferences"]
    bare = bare_loop(folder, load_case(path), inferences)
    print(f"gate: {inferences} KWS inferences: gate {whole:.2f} s, bare loop {bare:.2f} s, ratio {whole / bare:.3f}")
    return whole / bare


def bare_loop(folder: Path, case: Case, inferences: int) -> float:
    """Host seconds of `inferences` by an image that does nothing else (firmware/app/bare_loop.cpp), in the same
    QEMU.
    """
    config = load_board("qemu", [PROJECT / "boards"])
    build(config.target, PROJECT, log=folder / "build.log")
    binary = PROJECT / "build" / "firmware" / config.target
    subprocess.run(["cmake", "--build", str(binary), "--target", "hil_bare_loop"], check=True, capture_output=True)
    image = Image(binary / "hil_bare_loop.elf")
    board: Board = kind_module(config).open_board(config, folder / "bare.log")
    with board:
        inputs = image.symbol("__hil_bundle_start") + image.symbol("__hil_bundle_bytes")
        order = image.symbol("hil_bare_loop")
        board.memory.write(inputs, case.vectors.windows.tobytes())
        board.memory.write(order, struct.pack("<6I", inputs, len(case.vectors), inferences, 0, 0, 1))
        board.provision(image, build_bundle(case))
        began = time.perf_counter()
        board.memory.write(order + 12, struct.pack("<I", 1))
        while struct.unpack("<I", board.memory.read(order + 16, 4))[0] != inferences:
            board.check()
            time.sleep(0.005)
        return time.perf_counter() - began


def memory(_: Path, __: str) -> None:
    """Peak RSS of the harness at 1,000 and at 100,000 vectors, native, hello_world; each in a process of its own."""
    peaks = {}
    for count in (1_000, 100_000):
        code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import benchmarks.measure as m; m.peak({count})"
        began = time.perf_counter()
        answer = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True)
        peaks[count] = int(answer.stdout.split()[-1])
        print(f"memory: {count:,} vectors: peak RSS {peaks[count] / 1e6:.1f} MB, {time.perf_counter() - began:.1f} s")
    print(f"memory: growth {(peaks[100_000] - peaks[1_000]) / 1e6:.1f} MB (limit 50 MB)")


def peak(count: int) -> None:
    """Run hello_world with `count` vectors on native and print this process's peak RSS in bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        windows = np.arange(count, dtype=np.int64).astype(np.int8).reshape(count, 1)
        path = tensor_case(folder / "hello", SHARED / "models" / "hello_world_int8.tflite", windows, 8192)
        board, image = open_board("native", folder)
        with board:
            run_case(load_case(path), board, image)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


MEASUREMENTS: dict[str, Callable[[Path, str], None]] = {
    "ready": ready,
    "link": link,
    "flash": flash,
    "gate": gate,
    "thousand": thousand,
    "workers": workers,
    "memory": memory,
}
PER_BOARD = ("ready", "link", "flash")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *MEASUREMENTS], help="which to measure (default: all)")
    parser.add_argument("--board", default="qemu", help=f"for {', '.join(PER_BOARD)} (default: qemu)")
    options = parser.parse_args()
    names = options.names or [
        name for name in MEASUREMENTS if name != "flash" and (options.board == "qemu" or name in PER_BOARD)
    ]
    print(f"host: {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            MEASUREMENTS[name](Path(folder), options.board)


if __name__ == "__main__":
    main()
