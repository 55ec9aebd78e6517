"""Puts the page together: words, tables and pictures of every case into one template."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hil.errors import UsageError
from hil.report import comparison
from hil.report.page import answers, latency, memory, worst
from hil.report.page.cause import run_sentence
from hil.report.page.columns import Table, read_table
from hil.report.page.plot import Plot, drawing, with_own_ids
from hil.report.page.view import CaseView, case_symbol, case_view, run_facts, run_title
from hil.report.page.words import clip, clock_text, used_text
from hil.runfile import Case, Document, Run
from hil.verdict import PASSED, WORST_FIRST

MOST_PLOT_BYTES = 1_300_000  # of all pictures: the page stays below 2 MB
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Pictures:
    """The pictures of one case by section; `note` says why there are none."""

    latency: tuple[Plot, ...] = ()
    answers: tuple[Plot, ...] = ()
    worst: tuple[Plot, ...] = ()
    memory: tuple[Plot, ...] = ()
    note: str = ""

    @property
    def bytes(self) -> int:
        groups = (self.latency, self.answers, self.worst, self.memory)
        return sum(len(plot.svg.encode("utf-8", "replace")) for group in groups for plot in group)


def build_page(run: Run, root: Path | None = None) -> bytes:
    """The whole page of a run, as UTF-8 HTML. root: the folder that the run was started in, this one by default; the
    windows of the worst vectors are read from the cases below it.
    """
    document = run.document
    views = [case_view(document.cases[at], at + 1) for at in _worst_first(document)]
    with drawing():
        pictures = _all_pictures(run, root or Path.cwd())
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = count(1)

    def inline(svg: str) -> Markup:
        return Markup(with_own_ids(svg, f"g{next(numbers)}-"))

    environment.filters |= {"svg": inline, "used": used_text}
    style, script = (_text(name) for name in ("style.css", "script.js"))
    text = environment.get_template(
        "page.html.j2"
    ).render(
        title=run_title(document),
        run=run,
        document=document,
        symbol=case_symbol(document.verdict),
        sentence=run_sentence(document),
        facts=run_facts(run),
        clock=clock_text(document.board),
        views=views,
        only=views[0] if len(views) == 1 else None,
        pictures=pictures,
        policy=_policy(script),
        style=Markup(style),  # its own files, not the run's words
        script=Markup(script),
        error=_error_text,
        sides=comparison.HEADER[1:],
    )
    return text.encode("utf-8", "replace")


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


def _policy(script: str) -> str:
    """Nothing is fetched, and no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = ("default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", f"script-src 'sha256-{digest}'")
    return "; ".join((*parts, "base-uri 'none'", "form-action 'none'"))


def _error_text(view: CaseView) -> str:
    return clip(view.case.error, 4000)


def _all_pictures(run: Run, root: Path) -> list[Pictures]:
    """Cases with the worst verdict are drawn first, until the page has as many pictures as it may; what passed is not
    drawn beside what did not.
    """
    document = run.document
    order = _worst_first(document)
    asked = any(case.verdict != PASSED for case in document.cases)
    found, spent = [Pictures()] * len(order), 0
    for at in order:
        if asked and document.cases[at].verdict == PASSED:
            found[at] = Pictures(note=f"Not drawn: the case passed, and others of this run did not. {_ALONE}")
            continue
        if spent > MOST_PLOT_BYTES:
            found[at] = Pictures(note=f"Not drawn: the page has as many pictures as it may. {_ALONE}")
            continue
        found[at] = _pictures(run, document.cases[at], document, root)
        spent += found[at].bytes
    return found


_ALONE = "Make the page of this case alone: hil report --case."


def _worst_first(document: Document) -> list[int]:
    """Places of the cases, the worst verdict first, in the order of the run within one."""
    return sorted(range(len(document.cases)), key=lambda at: WORST_FIRST.index(document.cases[at].verdict))


def _pictures(run: Run, case: Case, document: Document, root: Path) -> Pictures:
    if not case.records and case.latency is None and case.memory is None:
        return Pictures(note="Nothing to draw: the case left no records.")
    table, note = _table(run, case)
    board = document.board
    shares = (latency.share_plot(case, board), latency.operator_plot(case, board))
    return Pictures(
        latency=(
            latency.budget_plot(case, board),
            *(plot for plot in shares if plot is not None),
            *latency.stage_plots(case, board, table),
        ),
        answers=(answers.confusion_plot(case, table), *answers.scatter_plots(case, table)) if table else (),
        worst=tuple(worst.worst_plots(case, table, root)) if table else (),
        memory=(memory.memory_plot(case),),
        note=note,
    )


def _table(run: Run, case: Case) -> tuple[Table | None, str]:
    try:
        return read_table(run, case), ""
    except UsageError as error:
        return None, f"Drawn without its records: {clip(str(error))}"
