"""The table of our own operators in docs/models.md, made of their rows. `make schema` writes it anew."""

from __future__ import annotations

from pathlib import Path

from hil.model.kernels.own import OWN_KERNELS, OwnKernel
from hil.model.kernels.tflm_2020 import TFLM_2020

PAGE = Path(__file__).resolve().parents[3] / "docs" / "models.md"
HEAD = "| operator | ours | of 2020 | follows |\n|---|---|---|---|\n"
_ORDER = ("INT8", "UINT8", "INT16", "INT32", "INT64", "FLOAT32", "BOOL")


def table() -> str:
    """Head and a line for each operator."""
    return HEAD + "".join(f"{_row(kernel)}\n" for kernel in OWN_KERNELS)


def written(page: str) -> str:
    """The page with this table in the place of the one that it has."""
    before, _, rest = page.partition(HEAD)
    _, _, behind = rest.partition("\n\n")
    return f"{before}{table()}\n{behind}"


def _row(kernel: OwnKernel) -> str:
    of_2020 = " ".join(sorted(TFLM_2020.types.get(kernel.operator, ()), key=_ORDER.index))
    return f"| {kernel.operator} | {_types(kernel)} | {of_2020} | {kernel.follows} |"


def _types(kernel: OwnKernel) -> str:
    """`INT8, INT16 to INT32`: what it takes, and what it gives where that is another type."""
    ends = (each.partition(">") for each in kernel.types.split())
    return ", ".join(f"{kind} to {gives.replace(',', ' ')}" if gives else kind for kind, _, gives in ends)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
