"""Knows what one share of a case leaves behind, and how the parts of a case become what a single board would have
left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.types import VectorFault
from hil.link.client import LinkCounters
from hil.records import ClockSpec, Hello, RunRecords
from hil.reference.models import Outputs
from hil.session.share import Share
from hil.session.steps import Sections
from hil.session.steps import merge as merge_sections

_MARKS = ("arena_high_water", "stack_high_water")


@dataclass(frozen=True)
class Part:
    """One share of one case on one board. `records` and `outputs` have a row for each vector of the case; those of
    other shares are empty.
    """

    share: Share
    clock: ClockSpec
    hello: Hello
    records: RunRecords
    outputs: Outputs
    link: LinkCounters
    inferences: int
    faults: tuple[VectorFault, ...]
    stopped: bool  # the rest was not run, after too many faults
    other_canaries: int
    sections: Sections


def merge(case: Case, parts: Sequence[Part]) -> Part:
    """One part that holds all: vectors in file order, what was found in the order of the shares. parts: at least one;
    all shares, or as many as there are of a run that was cut short.
    """
    ordered = sorted(parts, key=lambda part: part.share.number)
    lead = next((part for part in ordered if part.share.lead), ordered[0])
    if len(ordered) == 1:
        return lead
    return Part(
        share=lead.share,
        clock=lead.clock,
        hello=lead.hello,
        records=merge_records(case, [(part.share, part.records) for part in ordered]),
        outputs=_merge_outputs(case, ordered),
        link=total([part.link for part in ordered]),
        inferences=sum(part.inferences for part in ordered),
        faults=tuple(chain.from_iterable(part.faults for part in ordered)),
        stopped=any(part.stopped for part in ordered),
        other_canaries=int(np.bitwise_or.reduce([part.other_canaries for part in ordered])),
        sections=merge_sections([part.sections for part in ordered]),
    )


def total(counters: Sequence[LinkCounters]) -> LinkCounters:
    """What went wrong on several links together."""
    return LinkCounters(*(sum(getattr(each, item.name) for each in counters) for item in fields(LinkCounters)))


def empty_records(case: Case) -> RunRecords:
    """The records of a run that has not begun."""
    model, output = case.model, case.model.output
    further = len(model.inputs) - 1, model.further_outputs
    return RunRecords.empty(len(case.vectors), output.elements, output.element, *further)


def merge_records(case: Case, parts: Sequence[tuple[Share, RunRecords]]) -> RunRecords:
    """The records that a single board would have left; vectors of no share here are NOT_RUN."""
    if len(parts) == 1:
        return parts[0][1]
    ordered = sorted(parts, key=lambda part: part[0].number)
    merged = empty_records(case)
    for share, records in ordered:
        own = share.rows(case)
        for (name, column), (_, some) in zip(merged.columns(), records.columns(), strict=True):
            if name != "label":
                column[own] = some[own]
        _merge_labels(merged, records, own)
    order = np.concatenate([share.rows(case) for share, _ in ordered])
    for name in _MARKS:
        _merge_marks(getattr(merged, name), order, case.contracts.passes)
    return merged


def _merge_labels(merged: RunRecords, records: RunRecords, own: NDArray[np.intp]) -> None:
    """Each board numbers the texts in the order in which it meets them; so does the whole."""
    places = [-1]
    for text in records.label_texts:
        if text not in merged.label_texts:
            merged.label_texts.append(text)
        places.append(merged.label_texts.index(text))
    merged.label[own] = np.array(places)[records.label[own] + 1]


def _merge_marks(marks: NDArray[np.int64], order: NDArray[np.intp], passes: int) -> None:
    """High-water marks never fall while a board runs, so a vector's mark holds what came before it: the first pass,
    and after a second one everything. A mark of 0 belongs to a vector that left no record.
    """
    there = order[marks[order] > 0]
    marks[there] = np.maximum.accumulate(marks[there]) if passes == 1 else marks.max()


def _merge_outputs(case: Case, parts: list[Part]) -> Outputs:
    merged = Outputs.empty(case)
    for part in parts:
        own = part.share.rows(case)
        merged.put(own, part.outputs.take(own))
    return merged
