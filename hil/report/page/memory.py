"""Draws what the firmware takes of arena, stack, RAM and flash, and where the budgets are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hil.report.page.plot import ACCENT, BAD, INK, LINE, MUTED, SERIES, Plot, draw
from hil.report.page.words import number, used_text
from hil.runfile import Case, Memory

_TITLE = "Memory map"


@dataclass(frozen=True)
class _Part:
    name: str
    bytes: int


@dataclass(frozen=True)
class _Region:
    """parts: from the bottom; size: of the whole region, 0 when the target's is not known; budget: None without one."""

    name: str
    parts: tuple[_Part, ...]
    size: int
    budget: float | None

    @property
    def used(self) -> int:
        return sum(part.bytes for part in self.parts)

    @property
    def text(self) -> str:
        words = f"{self.name} {self.used:,} B"
        if self.size:
            words += f" of {self.size:,} B"
        if self.budget:
            words += f", budget {number(self.budget)} B ({used_text(self.used / self.budget)})"
        return words

    @property
    def listed(self) -> str:
        return ", ".join(f"{part.name} {part.bytes:,}" for part in self.parts)


def memory_plot(case: Case) -> Plot:
    """One bar a region, each on its own scale."""
    if case.memory is None:
        return Plot(_TITLE, reason="the run gave no figures")
    regions = list(_regions(case, case.memory))
    if not regions:
        return Plot(_TITLE, reason="the firmware gave no high-water mark")
    text = "; ".join(f"{region.text}: {region.listed} B" for region in regions)
    caption = "In bytes; each bar on its own scale. Dashed: budget."
    if case.memory.host:
        caption += " The image is built for a workstation: its flash, RAM and stack are not the product's."
    return Plot(_TITLE, caption, draw(lambda figure: _paint(figure, regions), 0.1 + 0.78 * len(regions), text))


def _regions(case: Case, memory: Memory) -> Iterator[_Region]:
    touched = max(0, memory.arena_high_water - memory.arena_used)
    used = min(memory.arena_used, memory.arena_high_water) if memory.arena_high_water else memory.arena_used
    parts = (_Part("interpreter", used), _Part("beyond what it reports", touched))
    whole_arena = (case.device.model_extra or {}).get("arena_bytes", 0) if case.device else 0
    whole_arena = whole_arena if isinstance(whole_arena, int) else 0
    yield _Region("arena", _present(parts), memory.arena_bytes or whole_arena, memory.arena_bytes)
    if memory.host:
        return
    if memory.stack_high_water:
        stack = (_Part("high-water mark", memory.stack_high_water),)
        yield _Region("stack", stack, memory.stack_bytes, _budget(case, "memory.stack"))
    if memory.heap is not None:
        peak = (_Part("peak", memory.heap.peak),)
        yield _Region("heap", _present(peak), memory.heap.size or 0, _budget(case, "memory.heap"))
    arena = whole_arena if 0 < whole_arena <= memory.ram_bytes else 0
    ram = (_Part("the firmware's arena", arena), _Part("other data", memory.ram_bytes - arena))
    yield _Region("static RAM", _present(ram), 0, _budget(case, "memory.ram"))
    rest = memory.bundle_bytes - memory.model_bytes
    flash = (
        _Part("image", memory.image_flash_bytes),
        _Part("model", memory.model_bytes),
        _Part("rest of bundle", rest),
    )
    yield _Region("flash", _present(flash), 0, _budget(case, "memory.flash"))


def _present(parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
    return tuple(part for part in parts if part.bytes > 0)


def _budget(case: Case, check: str) -> float | None:
    found = case.check(check)
    return found.limit.maximum if found and found.limit else None


def _paint(figure: Figure, regions: list[_Region]) -> None:
    axes = figure.subplots()
    figure.subplots_adjust(left=0.02, right=0.98, top=0.99, bottom=0.01)
    for row, region in enumerate(regions):
        # A stack of 32 kB with a budget of 2 kB: the budget is what counts.
        scale = max(region.used, region.budget or region.size or region.used) * 1.02 or 1
        at = 0.0
        for part, colour in zip(region.parts, (ACCENT, SERIES[1], SERIES[2]), strict=False):
            width = part.bytes / scale
            axes.add_patch(Rectangle((at, row), width, 0.34, facecolor=colour, alpha=0.9))
            at += width
        axes.add_patch(Rectangle((0, row), 1, 0.34, facecolor="none", edgecolor=LINE, linewidth=0.8))
        if region.budget:
            axes.plot(
                [region.budget / scale] * 2, [row - 0.07, row + 0.41], color=BAD, linewidth=1.4, linestyle=(0, (3, 1.5))
            )
        axes.text(0, row - 0.09, region.text, fontsize=8.5, color=INK, va="bottom")
        _legend(figure, axes_row=row, region=region)
    axes.set_xlim(0, 1.0)
    axes.set_ylim(len(regions) - 0.22, -0.35)
    axes.axis("off")


def _legend(figure: Figure, axes_row: int, region: _Region) -> None:
    axes, at = figure.axes[0], 0.0
    for part, colour in zip(region.parts, (ACCENT, SERIES[1], SERIES[2]), strict=False):
        axes.add_patch(Rectangle((at, axes_row + 0.45), 0.016, 0.11, facecolor=colour, alpha=0.9))
        label = f"{part.name} {part.bytes:,} B"
        axes.text(at + 0.024, axes_row + 0.505, label, fontsize=8, color=MUTED, va="center")
        at += 0.05 + 0.0148 * len(label)
