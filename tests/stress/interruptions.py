"""Interrupts runs of the harness at random times, several at once, and looks for what must never be: a run that does
not end, another exit code than that of an interruption, a process, file or lock that is left behind.

    python tests/stress/interruptions.py [--board NAME ...] [--how HOW ...] [--runs N] [--seconds S]
        [--at-once N] [--load N] [--seed N]

A run that hangs is shown with the stacks of all threads of all its processes; what Python has dropped is shown, too.
What was wrong is kept in `--keep`, by default build/stress. Ends with 1 when anything was.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from harness_process import INTERRUPTED, PASSED, USAGE_ERROR, HarnessRun, command_line, observe, processes  # noqa: E402
from native_session import CaseFolder  # noqa: E402

from hil.board.config import load_board  # noqa: E402
from hil.image.build import build  # noqa: E402

BOARDS = ("native", "qemu", "nucleo-virtual")
# What is sent, and how many times; a plain run is left alone, and has to pass.
HOWS = {
    "plain": (),
    "ctrl-c": (signal.SIGINT,),
    "two-ctrl-c": (signal.SIGINT, signal.SIGINT),
    "term": (signal.SIGTERM,),
}
LATEST_S = {
    "native": 2.0,
    "qemu": 3.0,
    "nucleo-virtual": 6.0,
}  # of a signal; later, nothing new happens in the long case
EARLY = 0.1  # share of the runs that are interrupted while they start, when they hold nothing yet
LEAVES_S = 60.0  # a run that was told to leave is gone within this, as far as it gets a processor
PASSES_S = 120.0
WATCH_S = 10.0
_GONE_S = 5.0


@dataclass(frozen=True)
class Attempt:
    """One run: on which board, how it is ended, when the signals are sent: seconds after the start (`early`), or after
    it has taken its output folder.
    """

    board: str
    how: str
    times: tuple[float, ...]
    early: bool = False

    def __str__(self) -> str:
        when = ", ".join(f"{at:.3f} s" for at in self.times)
        since = "the start" if self.early else "it held something"
        return f"{self.board} {self.how}" + (f" {when} after {since}" if when else "")


@cache
def image_of(board: str) -> Path:
    """The firmware of this checkout."""
    return build(load_board(board, [PROJECT / "boards"]).target, PROJECT)


def attempts(dice: random.Random, boards: Sequence[str], hows: Sequence[str]) -> Iterator[Attempt]:
    """Without end."""
    while True:
        board, how = dice.choice(boards), dice.choice(hows)
        early = dice.random() < EARLY
        first = dice.uniform(0.0, LATEST_S[board])
        between = (0.0, 10 ** dice.uniform(-3, 0.3))  # the second signal comes anywhere in what the first one set off
        yield Attempt(board, how, tuple(first + between[n] for n in range(len(HOWS[how]))), early)


def carry_out(attempt: Attempt, folder: Path) -> list[str]:
    """What was wrong with this run."""
    _case(folder / "case", passes=10_000 if attempt.times else 2)
    stacks = folder / "stacks"
    stacks.mkdir()
    environment = {"PYTHONPATH": f"{HERE / 'hooks'}:{PROJECT}", "STRESS_STACKS": str(stacks)}
    # pytest would keep to itself what finalizers drop.
    options = ("-p", "no:unraisableexception", f"--hil-image={image_of(attempt.board)}")
    with HarnessRun(folder, *options, "case", board=attempt.board, env=environment) as run:
        if attempt.times and not attempt.early:
            observe(lambda: begun(run) or run.process.poll() is not None, PASSES_S)
        began = time.monotonic()
        for number, at in zip(HOWS[attempt.how], attempt.times, strict=True):
            try:
                run.process.wait(max(0.0, began + at - time.monotonic()))
            except subprocess.TimeoutExpired:
                run.process.send_signal(number)
        limit = LEAVES_S if attempt.times else PASSES_S
        text = _end_of(run, limit)
        if text is None:
            report = show(folder, stacks)
            run.process.kill()
            text, _ = run.process.communicate()
            (folder / "output").write_text(text + report, encoding="utf-8")
            return [f"HANGS: it did not end within {limit:g} s\n{report}"]
    (folder / "output").write_text(text, encoding="utf-8")
    if begun(run):
        (folder / "begun").touch()
    dropped = [f"{file.name}: {file.read_text()}" for file in stacks.iterdir() if file.stat().st_size]
    return [*_wrong_end(attempt, run, text), *_left(run), *dropped]


def _end_of(run: HarnessRun, limit_s: float) -> str | None:
    """What the run said, None when it hangs. One that is only slow, because others have the cores, gets on: its
    processes have not used `limit_s` of processor time yet, and use some more while they are watched.
    """
    begun_at = _processor_s(run.folder)
    while True:
        try:
            return run.process.communicate(timeout=limit_s)[0]
        except subprocess.TimeoutExpired:
            used = _processor_s(run.folder)
            time.sleep(WATCH_S)
            if not used < _processor_s(run.folder) < begun_at + limit_s:
                return None


def _processor_s(folder: Path) -> float:
    """Processor time of the living processes of the run in `folder`."""
    stats = (_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split() for pid in _of(folder))
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / os.sysconf("SC_CLK_TCK")


def _case(folder: Path, passes: int) -> None:
    """A dozen windows are too few for a statistic of latency, so none is asked for."""
    case = CaseFolder(folder, vectors=12).replace("passes = 2", f"passes = {passes}")
    text = case.toml.read_text(encoding="utf-8")
    case.toml.write_text(text.partition("[budget.latency.instructions]")[0], encoding="utf-8")


def begun(run: HarnessRun) -> bool:
    """Whether it came so far that it holds something. Before that the signals are Python's own affair."""
    return (run.out / ".lock").exists()


def _wrong_end(attempt: Attempt, run: HarnessRun, text: str) -> list[str]:
    code = run.process.returncode
    if not attempt.times:
        return [] if code == PASSED else [f"a plain run ended with {code}:\n{text}"]
    if not begun(run):
        return [f"it ended of its own, with {code}:\n{text}"] if code == USAGE_ERROR else []
    wrong = []
    if code != INTERRUPTED:
        wrong.append(f"it ended with {code}:\n{text}")
    elif '"verdict": "interrupted"' not in _text(run.out / "run.json"):
        wrong.append(f"run.json does not say that it was interrupted:\n{text}")
    if "Traceback" in text and "KeyboardInterrupt" in text.rpartition("Traceback")[2]:
        wrong.append(f"a stack of the harness on the terminal:\n{text}")
    return wrong


def _left(run: HarnessRun) -> list[str]:
    """Processes, temporary files and locks."""
    wrong = []
    try:
        observe(lambda: not _of(run.folder), _GONE_S)
    except AssertionError:
        wrong.append(f"left running: {[command_line(pid) for pid in _of(run.folder)]}")
    if files := [str(file) for file in run.temporary.rglob("*")]:
        wrong.append(f"left in TMPDIR: {files}")
    lock = run.out / ".lock"
    if lock.exists():
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                wrong.append("the output folder is still locked")
    return wrong


def show(folder: Path, stacks: Path) -> str:
    """Stacks of all threads of all processes of the run, as far as they are Python's; what the others do."""
    lines = []
    for pid in _of(folder):
        lines.append(f"pid {pid}: {command_line(pid)}")
        for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
            words = (_text(task / name).strip() for name in ("comm", "wchan", "syscall"))
            state = re.search(r"State:\s*(.*)", _text(task / "status"))
            lines.append(f"  thread {task.name}: {state[1] if state else '?'}: {' '.join(words)}")
        if (stacks / f"{pid}.stacks").exists():
            os.kill(pid, signal.SIGUSR1)
    time.sleep(1.0)
    for file in sorted(stacks.iterdir()):
        lines += [f"--- {file.name}", _text(file)]
    return "\n".join(lines)


def _of(folder: Path) -> list[int]:
    """Living processes of the run in `folder`: its path stands in their command line or their environment."""
    wanted = str(folder)
    return [
        pid
        for pid in processes()
        if pid != os.getpid() and (wanted in command_line(pid) or wanted in _text(Path(f"/proc/{pid}/environ")))
    ]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@contextmanager
def load(count: int) -> Iterator[None]:
    """So many processes that do nothing but count."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", nargs="+", choices=BOARDS, default=list(BOARDS))
    parser.add_argument("--how", nargs="+", choices=list(HOWS), default=list(HOWS))
    parser.add_argument("--runs", type=int, default=10**9, help="at most so many")
    parser.add_argument("--seconds", type=float, default=60.0, help="begin no run after that")
    parser.add_argument("--at-once", type=int, default=2, help="runs at the same time")
    parser.add_argument("--load", type=int, default=0, help="busy processes beside them")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", type=Path, default=PROJECT / "build" / "stress")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored in what it starts behind `&`
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    end = time.monotonic() + options.seconds
    counts: Counter[str] = Counter()
    found: list[int] = []
    lock = threading.Lock()
    options.keep.mkdir(parents=True, exist_ok=True)
    for board in options.board:
        image_of(board)

    def worker(shared: Iterator[tuple[int, Attempt]]) -> None:
        while time.monotonic() < end and (following := take(shared)) is not None:
            number, attempt = following
            folder = Path(tempfile.mkdtemp(prefix=f"{seed}.{number}.", dir=options.keep))
            wrong = carry_out(attempt, folder)
            counts[
                f"{attempt.board} {attempt.how}" + ("" if (folder / "begun").exists() else ", before it held anything")
            ] += 1
            if wrong:
                found.append(number)
                report = "\n".join(wrong)
                (folder / "report").write_text(f"{attempt}\n{report}\n", encoding="utf-8")
                print(f"run {number} of seed {seed}: {attempt}: {report}\n  kept: {folder}", flush=True)
            else:
                shutil.rmtree(folder)

    def take(shared: Iterator[tuple[int, Attempt]]) -> tuple[int, Attempt] | None:
        with lock:
            return next(shared, None)

    planned = attempts(random.Random(seed), options.board, options.how)
    queue = enumerate(islice(planned, options.runs))
    with load(options.load), ThreadPoolExecutor(options.at_once) as pool:
        for done in [pool.submit(worker, queue) for _ in range(options.at_once)]:
            done.result()
    for name, count in sorted(counts.items()):
        print(f"{count:>5} {name}")
    print(f"seed {seed}: {sum(counts.values())} runs, {len(found)} with something wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
