"""The budget sheet of one case: what may be spent, what is planned, what a run found, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hil.budget.file import BudgetFile, Size
from hil.budget.limits import CaseLimits
from hil.budget.time import energy_rows, latency_limits, latency_rows, planned_latency
from hil.budget.types import Row, Sheet, Sources

_BYTES = "bytes"
_NO_SIZES = "built for a workstation: its sizes are not the product's"


def sheet(sources: Sources) -> Sheet:
    """The budget sheet of what is known."""
    assert sources.case is not None or sources.plan is not None
    case, plan, run = sources.case, sources.plan, sources.run
    rows = [
        *_flash_rows(sources),
        *_memory_rows(sources),
        *_heap_row(sources),
        *_cut_rows(sources),
        *latency_rows(sources),
        *energy_rows(sources),
    ]
    shown = [replace(row, margin=sources.margin) for row in rows if (row.budget, row.figure) != (None, None)]
    board = run.board if run is not None else sources.board.board if sources.board is not None else ""
    return Sheet(
        case=case.name if case is not None else plan.case if plan is not None else "",
        version=case.version if case is not None else None,
        board=board,
        run=run.file if run is not None else "",
        rows=tuple(shown),
        notes=(*sources.notes, *_notes(sources)),
    )


def _notes(sources: Sources) -> Iterator[str]:
    run, plan = sources.run, sources.plan
    if run is not None and run.case.memory is not None and run.case.memory.host:
        yield f"flash, RAM, arena and stack of the run on {run.board} are left out: {_NO_SIZES}"
    if plan is not None and plan.source:
        yield f"planned figures: {plan.source}"
    if sources.board is not None and sources.board.power is not None and plan is not None and plan.rate is not None:
        yield f"power: {sources.board.power.source}"
    if sources.cut is not None:
        yield f"the cut image is {sources.cut.path}; --hil-image runs a case with it"
    if sources.case is not None and sources.case.arena_bytes is None:
        check = run.case.check("memory.arena") if run is not None else None
        step = check.hint if check is not None and check.hint else "a run on a target says which line to write"
        yield f"case.toml gives no arena_bytes, and hil gate refuses the case without it: {step}"
    yield from _disagreements(sources)


def _disagreements(sources: Sources) -> Iterator[str]:
    """Budgets that case.toml and budget.toml both give, and give differently."""
    if sources.case is None or sources.plan is None:
        return
    for what, own, planned in _both(sources.case, sources.plan):
        if own is not None and planned is not None and own != planned:
            yield f"{what}: budget.toml allows {planned:,.15g}, case.toml {own:,.15g}; the gate judges case.toml"


def _both(case: CaseLimits, plan: BudgetFile) -> Iterator[tuple[str, float | None, float | None]]:
    sizes = {
        "flash": (case.flash_bytes, plan.flash.total_bytes),
        "static RAM": (case.ram_bytes, plan.memory.ram_bytes),
        "arena": (case.arena_bytes, plan.memory.arena_bytes),
        "stack": (case.stack_bytes, plan.memory.stack_bytes),
    }
    for what, (own, size) in sizes.items():
        yield what, own, size.budget if size is not None else None
    for (clock, stage, statistic), limit in latency_limits(case).items():
        amount = planned_latency(plan, clock, stage, statistic)
        yield f"{stage} {statistic} in {clock}", limit, amount.budget if amount is not None else None


# ---- flash and memory ------------------------------------------------------------------------------------------------


def _flash_rows(sources: Sources) -> Iterator[Row]:
    plan, found = sources.flash, sources.found
    image, bundle, total = plan.image_bytes, plan.bundle_bytes, plan.total_bytes
    yield _size_row("flash: image", image, found.image_flash_bytes if found else None)
    yield _size_row("flash: bundle", bundle, found.bundle_bytes if found else None)
    own = sources.case.flash_bytes if sources.case is not None else None
    whole = _size_row("flash: image + bundle", total, found.flash_bytes if found else None, own, "memory.flash")
    if whole.planned is None and image is not None and bundle is not None:
        whole = replace(whole, planned=_sum(image.planned, bundle.planned))
    yield whole
    slot = plan.update_slot
    planned: float | None
    actual: float | None
    planned, actual = (whole.planned, whole.actual) if slot == "full" else (_slot(slot), _slot(slot))
    if slot != "none":
        note = "room for a second image and bundle" if slot == "full" else "as budget.toml reserves"
        yield Row("flash: update slot", _BYTES, planned=planned, actual=actual if found else None, note=note)
    if plan.device_bytes is not None:
        needs = "image + bundle + update slot" if slot != "none" else "image + bundle"
        planned, actual = _sum(whole.planned, planned), _sum(whole.actual, actual)
        yield Row("flash: device", _BYTES, plan.device_bytes, planned, actual, note=needs)


def _slot(slot: int | str) -> float:
    return float(slot) if isinstance(slot, int) else 0.0


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _memory_rows(sources: Sources) -> Iterator[Row]:
    plan, found, case = sources.memory, sources.found, sources.case
    own = case.ram_bytes if case is not None else None
    yield _size_row("static RAM", plan.ram_bytes, found.ram_bytes if found else None, own, "memory.ram")
    # A mark of 0 was not measured.
    arena = (max(found.arena_high_water, found.arena_used) or None) if found else None
    whole = _size_row("arena", plan.arena_bytes, arena, case.arena_bytes if case is not None else None, "memory.arena")
    yield whole
    if case is not None and case.arena_bytes is not None and case.arena_headroom is not None:
        share = case.arena_headroom
        note = f"{100 * share:g} % of the arena must stay free"
        budget = int(case.arena_bytes * (1 - share) + 1e-9)
        yield replace(whole, what="arena, headroom kept", budget=budget, note=note, check="memory.arena_headroom")
    stack = (found.stack_high_water or None) if found else None
    row = _size_row("stack", plan.stack_bytes, stack, case.stack_bytes if case is not None else None, "memory.stack")
    if row.budget is None and found is not None and found.stack_bytes:
        row = replace(row, budget=found.stack_bytes, note="the whole stack of the image")
    yield row
    if case is not None and case.stack_headroom is not None and found is not None and found.stack_bytes:
        note = f"{100 * case.stack_headroom:g} % of the {found.stack_bytes:,} bytes must stay free"
        budget = int(found.stack_bytes * (1 - case.stack_headroom) + 1e-9)
        yield replace(row, what="stack, headroom kept", budget=budget, note=note, check="memory.stack_headroom")


def _heap_row(sources: Sources) -> Iterator[Row]:
    """What the firmware told of its heap, where it has one or the case limits it."""
    own = sources.case.heap_bytes if sources.case is not None else None
    heap = sources.found.heap if sources.found is not None else None
    yield _size_row("heap", None, heap.peak if heap is not None else None, own, "memory.heap")


def _cut_rows(sources: Sources) -> Iterator[Row]:
    """What a product's image takes that leaves out the operators that its model does not have."""
    if (cut := sources.cut) is not None:
        only = f"with the {cut.operators} operators of the model only"
        yield Row("flash: image, cut", _BYTES, actual=float(cut.flash_bytes), note=only)
        yield Row("static RAM, cut", _BYTES, actual=float(cut.ram_bytes), note=only)


def _size_row(what: str, size: Size | None, actual: int | None, own: int | None = None, check: str = "") -> Row:
    """own: the budget of case.toml, which goes before that of the plan, and which `check` holds the device to."""
    budget = own if own is not None else size.budget if size is not None else None
    planned = size.planned if size is not None else None
    return Row(what, _BYTES, budget, planned, actual, check=check if own is not None else "")
