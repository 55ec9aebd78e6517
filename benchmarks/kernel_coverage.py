"""Prints which lines of our own operators the models of tests/kernels/test_kernels.py run, by file, with gcov.

python benchmarks/kernel_coverage.py [--count 200]

The image of the host is built once more in a temporary folder, with --coverage and without a change of the checkout.
Ends with 1 when a line was never run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = "tflm/kernels/"

sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "tests" / "kernels")]
from firmware_workbench import ConfiguredCopy, Edit  # noqa: E402  the tests' own
from kernel_bench import KernelBench, oracle  # noqa: E402
from test_kernels import LEFT_OPEN, OWN, damaged_trials, trials_of  # noqa: E402

from hil.image.build import build  # noqa: E402
from hil.image.elf import Image  # noqa: E402

# Coverage is written when a process ends by itself, and this one is killed.
WRITTEN = (
    Edit(
        "app/kernel_bench.cpp",
        "\nnamespace hil {\nnamespace {\n",
        '\nextern "C" void __gcov_dump();\nnamespace hil {\nnamespace {\n',
    ),
    Edit(
        "app/kernel_bench.cpp",
        "    port::MemoryBarrier();\n",
        "    if (number + 1 == hil_kernel_bench.count) {\n      __gcov_dump();\n    }\n    port::MemoryBarrier();\n",
    ),
)


def run_all(image: Image, count: int, folder: Path) -> None:
    with KernelBench("native", image, folder) as bench:
        for operator in OWN:
            made = [(trial, len(oracle(trial))) for trial in trials_of(operator, count)]
            made += damaged_trials(operator, count)
            bench.run(*zip(*made, strict=True))
        for each in LEFT_OPEN:
            trial, expected = each()
            bench.run([trial], [len(expected)])


def counted(build_folder: Path) -> dict[str, dict[int, int]]:
    """Of each file: how often each line ran, in all objects and instances of a template together."""
    lines: dict[str, Counter[int]] = {}
    for notes in sorted(build_folder.rglob("*.gcno")):
        if not notes.with_suffix(".gcda").is_file():
            continue
        command = ["gcov", "--json-format", "--stdout", str(notes)]
        text = subprocess.run(command, cwd=build_folder, capture_output=True, check=True).stdout
        for document in text.splitlines():
            for file in json.loads(document)["files"]:
                _, found, name = file["file"].partition(FOLDER)
                if found:
                    ran = lines.setdefault(name, Counter())
                    for line in file["lines"]:
                        ran[line["line_number"]] += line["count"]
    return {name: dict(sorted(ran.items())) for name, ran in sorted(lines.items())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="models of each operator (default: 200, as the tests)")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy = ConfiguredCopy("native", build("native", PROJECT), folder, "--coverage")
        image = Image(copy.image(WRITTEN, folder, "hil_kernel_bench"))
        run_all(image, count, folder)
        files = counted(folder)
    all_lines, all_ran = 0, 0
    for name, lines in files.items():
        missed = [line for line, times in lines.items() if not times]
        all_lines, all_ran = all_lines + len(lines), all_ran + len(lines) - len(missed)
        print(f"{name:24} {len(lines) - len(missed):5} of {len(lines):5}  {', '.join(map(str, missed))}".rstrip())
    print(f"{'all':24} {all_ran:5} of {all_lines:5}  {100 * all_ran / all_lines:.1f} %")
    return int(all_ran < all_lines)


if __name__ == "__main__":
    sys.exit(main())
