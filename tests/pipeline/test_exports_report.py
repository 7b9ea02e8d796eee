"""The report: one page, all text, the failure first, and of a bounded size."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from export_runs import (
    FAILED,
    ITEMS_FAILED,
    ODD_NAMES,
    PAGES,
    SITE,
    attempt,
    crowd,
    mapped,
    of,
    told,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from milo_pipeline import Pipeline, actions
from milo_pipeline.exports import html_report

VOID = {"meta", "input"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "script", "body", "header", "section"),
    *("h1", "h2", "h3", "p", "div", "span", "a", "ul", "li", "code", "pre", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td", "form", "input", "select", "option"),
    *("svg", "defs", "marker", "path", "g", "rect", "text"),
}
ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "</pre></style></script><script>alert(1)</script>",
    '" onload="alert(1)',
    "' onload='alert(1)",
    "&lt;b&gt;",
    "<!--",
    "]]>",
    *ODD_NAMES,
)


class Page(HTMLParser):
    """A page taken apart: its tags, its attributes, its text; it must be well nested."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self):
        return " ".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)


def failing(text):
    """A run in which everything that can be called something is called ``text``."""
    pipeline = Pipeline(
        text,
        of(text),
        of(f"{text} 2", text),
        of(f"{text} 4"),
        of(f"{text} 3", f"{text} 4", map_over=f"{text} 4"),
        of(f"{text} 5"),
    )
    happened = (
        actions.pipeline_start(0.0),
        actions.phase_start(f"{text} 4", 1, 0.0),
        actions.phase_skipped(f"{text} 4", text, 0.5),
        actions.phase_complete(f"{text} 5", None, 0.5, text),
        actions.phase_start(f"{text} 3", 1, 0.5),
        actions.phase_mapped(f"{text} 3", 2, 0.5),
        actions.phase_item(f"{text} 3", 0, "running", 0.5, attempt=1),
        actions.phase_item(f"{text} 3", 0, "failed", 0.5, error=text),
        actions.phase_log(text, text, "stderr", 0.5),
        *attempt(text, 0.0, 1.0, text),
    )
    return pipeline, *told(pipeline, *happened), {text: f"Traceback\n  {text}"}


def assert_harmless(html):
    page = Page(html)
    assert set(page.tags) <= ALLOWED
    assert page.tags.count("script") == page.tags.count("style") == 1
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in ("src", "style", "action", "srcset", "data"), (tag, name)
        assert name not in ("href", "xlink:href") or re.fullmatch(r"#p\d+", value), value
    shown = html.replace("\n", "")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    return page


@pytest.mark.parametrize("text", ATTACKS)
def test_whatever_it_is_called_it_is_text(text):
    """Names, errors, lines and tracebacks add no tag, attribute or control character."""
    assert_harmless(html_report(*failing(text)))


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(str.strip))
def test_any_text_is_text(text):
    """The same for any text."""
    assert_harmless(html_report(*failing(text)))


def test_nothing_can_be_fetched_or_run():
    """The policy admits the page's own style and script by their hashes, and nothing else."""
    html = html_report(SITE, *told(SITE, *FAILED))
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', html)
    hashes = [
        b64encode(sha256(re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1].encode()).digest())
        for tag in ("style", "script")
    ]
    style, script = (f"'sha256-{each.decode()}'" for each in hashes)
    assert policy == (
        f"default-src 'none'; style-src {style}; script-src {script}; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in re.search("<style>(.*?)</style>", html, re.DOTALL)[1]


def test_the_failure_comes_first():
    """Name, error and traceback of the failed phase stand before everything else."""
    traceback = "Traceback (most recent call last):\nOSError: disk <full>"
    page = Page(html_report(SITE, *told(SITE, *FAILED), {"write": traceback}))
    text = page.text
    places = [
        text.index(part)
        for part in (
            "✗ failed",
            "What failed",
            "disk <full>",
            "OSError: disk <full>",
            "1 phase never began",
            "blocked by write",
            "Where the time went",
            "Timeline",
            "Graph",
            "Phases",
        )
    ]
    assert places == sorted(places)


def test_a_cancelled_run_says_so():
    """Stopped is not the same as failed."""
    happened = FAILED[:2], (actions.pipeline_cancelled(100.25),)
    text = Page(html_report(SITE, *told(SITE, *(each for part in happened for each in part)))).text
    assert "⊘ cancelled" in text


def test_each_attempt_has_a_bar():
    """A phase that was tried twice shows both attempts and the wait between them."""
    html = html_report(SITE, *told(SITE, *FAILED))
    row = next(row for row in html.split("\n") if row.startswith('<tr data-name="parse"'))
    assert row.count("<rect") == 3
    assert 'x="0.00%" width="14.29%" y="1" height="14" rx="2" class="retrying"' in row
    assert "attempt 1: retrying, 500 ms, disk busy" in row


def test_without_spans_the_state_gives_the_bars():
    """A run that nobody recorded has one bar for each phase that began."""
    state, _ = told(SITE, *FAILED)
    html = html_report(SITE, state, [])
    row = next(row for row in html.split("\n") if row.startswith('<tr data-name="parse"'))
    assert row.count("<rect") == 1


def test_lines_lose_their_colours_and_keep_their_stream():
    """What a phase printed is there as text; what it printed as an error can be told apart."""
    html = html_report(SITE, *told(SITE, *FAILED))
    assert '<pre>3 pages\n<span class="stderr">old &lt;syntax&gt;</span></pre>' in html


def test_three_hundred_phases_stay_below_two_megabytes():
    """Earlier lines are left out and counted; the failed phase keeps all of its own."""
    pipeline, happened = crowd(300, 200)
    html = html_report(pipeline, *told(pipeline, *happened))
    assert len(html.encode()) < 2_000_000
    page = assert_harmless(html)
    assert page.tags.count("details") == 300
    assert re.search(r"\d+ earlier lines left out", page.text)
    failed = re.search(
        r'<details class="phase" data-name="phase 200".*?</details>', html, re.DOTALL
    )
    assert "line 0 of phase 200" in failed[0]
    assert "left out" not in failed[0]


def item_rows(html):
    """The items that have rows, those of the chart and those of the details."""
    chart, details = html.split("<h2>Phases</h2>")
    rows = re.compile(r'<tr class="item" data-name="(render\[\d+\])" data-status="(\w+)">')
    return rows.findall(chart), rows.findall(details)


def test_items_stand_below_their_phase():
    """The failed ones first; what never began is only counted."""
    html = html_report(PAGES, *told(PAGES, *ITEMS_FAILED))
    in_order = [
        ("render[1]", "failed"),
        ("render[0]", "completed"),
        ("render[2]", "failed"),  # it was cancelled
    ]
    assert item_rows(html) == (in_order, in_order)
    text = assert_harmless(html).text
    assert "1 of 4 items failed: render[1]." in text
    assert "and 1 more item" in text
    assert "4 items: 1 cancelled, 1 failed, 1 completed, 1 pending" in text
    assert text.count("bad <page>") >= 3


def test_a_result_of_an_earlier_run_is_told_with_its_source():
    """In the head, where its bar would be, and in its details."""
    text = Page(html_report(PAGES, *told(PAGES, *mapped(0)))).text
    assert "2 completed, 1 from cache" in text
    assert text.count("from cache") == 3


def test_ten_thousand_items_stay_below_two_megabytes():
    """Whatever they say; some have rows, the failed one first of all, the rest is counted."""
    error = '"<&>"' * 1_000
    moves = [
        move
        for n in range(10_000)
        for move in (
            (n, "running", 100.0, ("attempt", 1)),
            (n, "skipped", 101.0, ("error", error))
            if n != 6_000
            else (n, "failed", 102.0, ("error", error)),
        )
    ]
    html = html_report(PAGES, *told(PAGES, *mapped(10_000, *moves, cause="item 6000")))
    assert len(html.encode()) < 2_000_000
    chart, details = item_rows(html)
    assert chart[0] == details[0] == ("render[6000]", "failed")
    assert len(chart) == 5
    assert 100 < len(details) < 10_000
    text = assert_harmless(html).text
    assert f"{10_000 - len(details):,} items left out." in text
    assert "and 9,995 more items" in text
    assert "10,000 items: 1 failed, 9,999 skipped" in text


def test_many_phases_with_items_share_the_room():
    """One with failures has its rows, though others come before it."""
    names = [f"map {i}" for i in range(300)]
    phases = (of(name, "list", map_over="list") for name in names)
    pipeline = Pipeline("p", of("list"), *phases)
    happened = [actions.pipeline_start(0.0)]
    for name in names:
        happened += [actions.phase_start(name, 1, 0.0), actions.phase_mapped(name, 50, 0.0)]
        happened += [actions.phase_item(name, n, "running", 0.0, attempt=1) for n in range(50)]
    happened += [
        actions.phase_item("map 299", 7, "failed", 1.0, error="no"),
        actions.phase_failed("map 299", "item 7: no", 1.0),
    ]
    html = html_report(pipeline, *told(pipeline, *happened))
    assert len(html.encode()) < 2_000_000
    assert html.count('<tr class="item" data-name="map 299[7]" data-status="failed">') == 2


def test_a_huge_run_is_shown_in_part():
    """Of thousands of phases some have rows, the failed one first of all; the rest is counted."""
    pipeline, happened = crowd(3000, 1)
    html = html_report(pipeline, *told(pipeline, *happened))
    assert len(html.encode()) < 2_000_000
    page = Page(html)
    assert "2,400 phases left out" in page.text
    assert 'data-name="phase 2000" data-status="failed"' in html
    assert "too many to draw" in page.text


def test_long_lines_and_errors_are_cut():
    """One line of a megabyte, an error and a traceback of that size, do not make the page."""
    pipeline, long = Pipeline("p", of("a")), "x" * 1_000_000
    happened = (
        actions.pipeline_start(0.0),
        actions.phase_log("a", long, "stdout", 0.5),
        *attempt("a", 0.0, 1.0, long),
    )
    html = html_report(pipeline, *told(pipeline, *happened), {"a": f"{long}\nOSError: the end"})
    assert len(html) < 60_000
    assert "OSError: the end" in html


def test_runs_that_say_little():
    """No phases, nothing begun, no time elapsed: still a page."""
    empty = Pipeline("empty")
    assert_harmless(html_report(empty, *told(empty, actions.pipeline_start(0.0))))
    text = Page(html_report(SITE, *told(SITE, actions.pipeline_cancelled(1.0)))).text
    assert "No phase began." in text
