"""Prints what the HTML report of a large run costs: `python benchmarks/report.py [--records N] [--json]`.

The run is synthetic, in the shape of KWS: windows of 49 x 10, twelve labels, a float model. Host time; memory growth is
the peak of a process that makes the page and nothing else, over what it took with run.json read (imports included).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LIMITS = {"host_s": 20.0, "memory_growth_mb": 200.0, "page_bytes": 2_000_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one JSON object, nothing else")
    parser.add_argument("--page-of", type=Path, help=argparse.SUPPRESS)  # what the child process is asked for
    options = parser.parse_args()
    if options.page_of:
        print(json.dumps(cost(options.page_of)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_run(Path(folder), options.records)
        command = [sys.executable, __file__, "--page-of", folder]
        figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    figures = {"records": options.records, **figures}
    if options.json:
        print(json.dumps(figures))
        return
    print(f"report of {options.records:,} records (host time, one process)")
    for name, value in figures.items():
        limit = f"  (at most {LIMITS[name]:,.0f})" if name in LIMITS else ""
        print(f"  {name:<18}{value:>12,.2f}{limit}")


def make_run(folder: Path, records: int) -> None:
    sys.path.insert(0, str(PROJECT / "tests" / "report"))
    from synthetic_run import Size, write_run

    write_run(folder, Size(vectors=records, samples=49, channels=10, labels=12), names=("kws",))


def cost(folder: Path) -> dict[str, float]:
    """Time and memory of the page of the run in `folder`."""
    from hil.report.page.commands import write_page
    from hil.runfile import read_run

    run = read_run(folder)
    before_kb = memory_kb("VmRSS")
    began, spent = time.perf_counter(), time.process_time()
    page = write_page(run, root=folder)
    return {
        "host_s": round(time.perf_counter() - began, 2),
        "processor_s": round(time.process_time() - spent, 2),
        "memory_growth_mb": round((memory_kb("VmHWM") - before_kb) / 1024, 1),
        "page_bytes": page.stat().st_size,
    }


def memory_kb(field: str) -> int:
    """VmRSS: now; VmHWM: at most so far. Not `ru_maxrss`, in which a process starts with the peak of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
