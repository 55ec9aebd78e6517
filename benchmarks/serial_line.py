"""How much of a serial line's own time the link uses: windows of 1 kB over a wire that carries 921,600 baud, 8N1.

    python benchmarks/serial_line.py [--baud N] [--windows N]

The native firmware stands at one end; a relay holds bytes back until the wire would have carried them. Ends with 1 when
the run takes more than 1.2 times what the wire itself takes for the bytes of all requests and replies.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from native_session import imu_motion
from serial_board import wired_device

BITS, MOST = 10, 1.2
WINDOW_BYTES = 1000


def main() -> int:
    """Prints the figures of both kinds of port."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baud", type=int, default=921_600)
    parser.add_argument("--windows", type=int, default=200)
    options = parser.parse_args()
    ratios = [measure(kind, options.baud, options.windows) for kind in ("pty", "socket")]
    return int(max(ratios) > MOST)


def measure(kind: str, baud: int, windows: int) -> float:
    """Seconds that the windows took, over those of the wire."""
    with (
        tempfile.TemporaryDirectory() as folder,
        wired_device(Path(folder), kind, imu_motion(), baud=baud) as (wire, device),
    ):
        payload = imu_motion().vectors.payload(0)
        window = (payload * 2)[:WINDOW_BYTES]  # of another length than the case's: the gate refuses it at once
        device.run(window)
        wire.baud, before = baud, wire.carried
        marks = [time.monotonic()]
        for _ in range(windows):
            device.run(window)
            marks.append(time.monotonic())
        seconds = marks[-1] - marks[0]
        wire_s = (wire.carried - before) * BITS / baud
    ratio = seconds / wire_s
    each = [after - before for before, after in pairwise(marks)]
    median = statistics.median(each) * windows / wire_s
    print(
        f"{kind}: {windows} windows of {WINDOW_BYTES:,} bytes in {seconds:.3f} s of host time; the wire takes "
        f"{wire_s:.3f} s for their {wire.carried - before:,} bytes at {baud:,} baud; ratio {ratio:.3f}, of the median "
        f"window {median:.3f}"
    )
    return ratio


if __name__ == "__main__":
    sys.exit(main())
