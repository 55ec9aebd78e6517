"""The HTML report in a real browser: it asks for nothing, says nothing on the console, and can be used by everybody."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from browser import Chromium, chromium
from synthetic_run import everything, write_run

from hil.report.page.commands import write_page

pytestmark = pytest.mark.slow

CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (part) => { part /= 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = walker.nextNode());) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.getClientRects().length) continue;
    if (node.closest("script, style, .unseen, .skip, [hidden]")) continue;
    const drawn = node.closest("svg") ? getComputedStyle(node).fill : getComputedStyle(node).color;
    const [one, two] = [luminance(rgb(drawn)), luminance(behind(node))].sort((a, b) => b - a);
    if ((one + 0.05) / (two + 0.05) < 4.5) low.push(`${text.data.trim().slice(0, 40)}: ${drawn}`);
  }
  return low;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_page(write_run(folder, edit=everything), root=folder)


def test_nothing_is_asked_for_and_nothing_is_said_on_the_console(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        opened.page.wait_for_load_state("networkidle")
        assert (opened.requests, opened.complaints) == ([], [])


def test_what_failed_or_is_marginal_is_open_and_what_passed_is_folded(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        page = opened.page
        outcomes = [row.get_attribute("data-outcome") for row in page.locator("tr.check").all()]
        look = [outcome for outcome in outcomes if outcome in ("failed", "quarantined", "marginal")]
        assert outcomes == look + ["not judged"] + ["passed"] * (len(outcomes) - len(look) - 1)
        visible = page.locator("tr.check:visible")
        assert visible.count() == len(look) == 5
        assert page.locator("tr.check[data-outcome=failed] + tr.more .finding:visible").count() == 3
        page.locator("summary", has_text="checks passed").click()
        assert visible.count() == len(outcomes) - 1
        page.goto(f"{page.url}#case-1-input")  # a contract of which nothing is in sight
        assert page.locator("#case-1-input").is_visible()


def test_outcomes_and_text_filter_the_checks(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        page = opened.page
        shown = page.locator("tr.check:visible")
        count = page.get_by_role("search").locator("output")
        total = page.locator("tr.check").count()
        assert count.inner_text() == f"{total} of {total} checks"
        for outcome in ("passed", "marginal", "not judged", "quarantined"):
            page.get_by_role("checkbox", name=outcome).uncheck()
        assert {row.get_attribute("data-outcome") for row in shown.all()} == {"failed"}
        assert count.inner_text() == f"3 of {total} checks"
        page.get_by_role("searchbox", name="Text").fill("MEMORY.flash")
        assert [row.locator("code").inner_text() for row in shown.all()] == ["memory.flash"]
        assert page.locator("tbody[data-contract=decision]:visible").count() == 0
        assert page.locator("#case-1-tables details.fold:visible").count() == 0
        page.get_by_role("searchbox", name="Text").fill("no such words")
        assert count.inner_text() == f"0 of {total} checks"


def test_a_contract_filters_the_checks_with_their_findings(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        page = opened.page
        page.get_by_role("combobox", name="Contract").select_option("latency")
        names = [row.inner_text() for row in page.locator("tr.check:visible code").all()]
        assert names == ["latency.total.p99", "latency.total.max"]
        assert page.locator("tr.more:visible").count() == 1


def test_text_is_looked_for_in_closed_findings_too(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        opened.page.get_by_role("searchbox", name="Text").fill("look at the kernels")
        assert opened.page.locator("tr.check:visible").count() == 4


def test_the_keyboard_reaches_and_opens_findings(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
        closed = page.locator("tr.more details:not([open]) > summary").first
        handle = closed.element_handle()
        for _ in range(80):
            page.keyboard.press("Tab")
            if handle.evaluate("node => node === document.activeElement"):
                break
        assert handle.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        assert handle.evaluate("node => node.parentElement.open")


def test_a_screen_reader_finds_landmarks_headings_and_named_pictures(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        page = opened.page
        tree = page.locator("body").aria_snapshot()
        for landmark in ("banner", 'navigation "Contents"', "main", "contentinfo", "search "):
            assert landmark in tree, landmark
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        pictures = page.locator("svg").all()
        assert len(pictures) >= 10
        for picture in pictures:
            assert picture.get_attribute("role") == "img"
            assert any(letter.isdigit() for letter in picture.get_attribute("aria-label"))


def test_every_header_cell_has_a_scope_and_every_id_is_its_own(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        page = opened.page
        assert page.locator("th:not([scope])").count() == 0
        assert page.locator("table:not(:has(caption))").count() == 0
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
        assert len(ids) == len(set(ids))
        targets = page.evaluate("[...document.querySelectorAll('nav a, .chain a, .skip')].map(a => a.hash.slice(1))")
        assert set(targets) <= set(ids)


def test_all_text_stands_out_in_both_schemes(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
        for scheme in ("light", "dark"):
            opened.page.emulate_media(color_scheme=scheme)
            assert opened.page.evaluate(CONTRAST) == [], scheme


def test_the_dark_scheme_follows_the_system_until_the_button_says_otherwise(browser: Chromium, report: Path) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    with browser.open(report) as opened:
        page = opened.page
        bright = page.evaluate(background)
        page.emulate_media(color_scheme="dark")
        dim = page.evaluate(background)
        assert bright != dim
        page.get_by_role("button", name="Light scheme").click()
        assert page.evaluate(background) == bright
        page.get_by_role("button", name="Dark scheme").click()
        page.emulate_media(color_scheme="light")
        assert page.evaluate(background) == dim


def test_no_width_needs_scrolling_sideways(browser: Chromium, report: Path) -> None:
    with browser.open(report) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
        for width in (320, 360, 768, 1280):
            opened.page.set_viewport_size({"width": width, "height": 800})
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_in_light_colours_without_its_controls(browser: Chromium, report: Path) -> None:
    with browser.open(report, scheme="dark") as opened:
        page = opened.page
        assert page.pdf(format="A4")[:5] == b"%PDF-"
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("form.filter").is_hidden()
        assert page.locator("#scheme").is_hidden()


def test_without_javascript_all_but_the_filters_is_there(browser: Chromium, report: Path) -> None:
    with browser.open(report, script=False) as opened:
        page = opened.page
        for fold in page.locator("details.fold:visible > summary").all():
            fold.click()
        assert page.locator("tr.check:visible").count() == page.locator("tr.check").count()
        assert page.locator("form.filter").is_hidden()
        assert page.locator("svg:visible").count() >= 10


def test_hostile_texts_stay_texts(browser: Chromium, tmp_path: Path) -> None:
    bad = '</title></script><script>console.log("in")</script><img src=http://example.org/x onerror=console.log(1)>"\''

    def edit(document: dict) -> None:
        everything(document)
        case = document["cases"][0]
        case["name"] = case["log"] = case["manifest"]["source"] = bad
        case["decision"]["labels"][0] = bad + "$\\frac{1}"
        case["operators"][0]["operator"] = bad
        for check in case["checks"]:
            check["reason"] = bad
            for finding in check["findings"]:
                finding.update(expected=bad, observed=bad, hint=bad)
        for change in case["baseline"]["changes"]:
            change["what"] = bad

    file = write_page(write_run(tmp_path, edit=edit), root=tmp_path)
    with browser.open(file) as opened:
        opened.page.wait_for_load_state("networkidle")
        assert (opened.requests, opened.complaints) == ([], [])
        assert opened.page.locator("img").count() == 0
        assert opened.page.locator("script").count() == 1
        assert bad in opened.page.locator("h1").inner_text()
