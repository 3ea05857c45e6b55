"""The report as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.ledger import RunRecord
from lab.report import FORMATS, html, write_all
from tests.report import synthetic as made

CHROMIUM = shutil.which("chromium")
VOID = {"meta", "input", "link", "img", "br"}


class Page(HTMLParser):
    """The elements of a page, its text, and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.raw[self.open[-1]] if self.open and self.open[-1] in self.raw else self.words).append(data)

    def all(self, tag: str, name: str = "") -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a tag, or of those with a class."""
        found = (attributes for one, attributes in self.elements if one == tag)
        return [one for one in found if not name or name in (one.get("class") or "").split()]


@pytest.mark.parametrize("make", [made.example, made.hostile, made.wide])
def test_nothing_but_our_own_elements(make: Callable[[], RunRecord]) -> None:
    """Tags are balanced, with two scripts and one style, no inline handler or style, and no address but a cell's."""
    text = html.render(make())
    page = Page(text)

    assert page.open == []
    assert len(page.all("script")) == 2
    assert len(page.all("style")) == 1
    assert not page.all("img")
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src", "srcset"}]
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page.raw["style"][0]
    assert "@import" not in page.raw["style"][0]


def test_the_policy_allows_our_script_and_style_alone() -> None:
    """The policy denies everything but the very bytes of the page's style and script."""
    page = Page(html.render(made.hostile()))
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest(page.raw['style'][0])}'; "
        f"script-src 'sha256-{digest(page.raw['script'][1])}'; base-uri 'none'; form-action 'none'"
    )


def test_hostile_text_is_text() -> None:
    """A client's markup is shown, not obeyed, in the page and in the data for the script."""
    text = html.render(made.hostile())
    page = Page(text)

    assert "<script>alert" not in text
    assert "<script>alert(1)</script>" in "".join(page.words)
    assert "{{ 7*7 }}" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert made.unpacked(page.raw["script"][0])["heads"][0] == f"evil-1.0{made.HOSTILE}"


@given(st.text())
def test_an_island_cannot_be_left(text: str) -> None:
    """Data in a script element has no character that ends it or opens a comment, and reads back unchanged."""
    island = html.island({"text": text})

    assert re.fullmatch(r"[A-Za-z0-9+/=]+", island)
    assert made.unpacked(island) == {"text": text}


def test_the_matrix_is_a_grid() -> None:
    """Every cell of the plan is one gridcell with what it means, in the plan's order, reachable by keyboard."""
    page = Page(html.render(made.example()))
    cells = [one for one in page.all("td") if one.get("role") == "gridcell"]

    assert page.all("table")[0]["role"] == "grid"
    assert len(page.all("th", "head")) == 8
    assert [one["class"] for one in cells[8:16]] == [
        "v-known", "v-pass", "v-fixed", "v-pass", "v-outage", "v-pass", "v-none", "v-missing",
    ]  # fmt: skip
    assert {one["tabindex"] for one in cells} == {"-1"}
    assert len(page.all("i", "s-unknown")) == len(page.all("i", "s")) - len(page.all("i", "s-connects")) - len(
        page.all("i", "s-does_not")
    )


def test_evidence_is_behind_every_cell() -> None:
    """The data has each cell's facts, and the page has those of what is new for who prints it."""
    text = html.render(made.example())
    data = made.unpacked(Page(text).raw["script"][0])
    sections, commands = data["rows"][1]["cells"][0]
    facts = {data["strings"][label]: data["strings"][value] for _, listed in sections for label, value in listed}

    assert facts["path built"] == "site → r3 → isrg-cross → dst-root (anchor)"
    assert facts["right path"] == "site → r3 → isrg-root"
    assert (facts["code"], facts["alert received"]) == ("10", "fatal certificate_expired")
    assert data["strings"][commands[0]] == (
        "tlslab reproduce 20260102-030405-7 letsencrypt-2021/long+both@after@openssl-1.0.2q"
    )
    assert data["rows"][1]["cells"][7] is None
    assert len(re.findall("<article>", text)) == 5


def test_a_run_without_cells_is_a_page() -> None:
    """A header alone makes a page that says that nothing is new as far as the run went."""
    record = RunRecord(made.run(("s/a+b@c",), ("x-1",)), (), (), (), ())

    assert "as far as the run went" in html.render(record)
    assert html.render(RunRecord(made.run((), ()), (), (), (), ()))


def test_the_same_run_gives_the_same_text() -> None:
    """Every form is a function of the ledger alone: no clock, no random number."""
    for form in FORMATS.values():
        assert form(made.example()) == form(made.example())


def test_all_forms_are_written(tmp_path: Path) -> None:
    """A run's folder gets every form, in UTF-8, hostile text and all."""
    write_all(made.hostile(), tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.md", "report.html", "junit.xml"}


def dumped(page: Path, fragment: str, profile: Path) -> str:
    """Return the page's elements after its script ran, in a browser of its own."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--virtual-time-budget=2000", "--dump-dom", f"{page.as_uri()}#{fragment}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, encoding="utf-8")
    return done.stdout


@pytest.mark.e2e
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(
    ("make", "cell"),
    [
        (made.example, f"{made.LE}/long+both@after@openssl-1.0.2q"),
        (made.hostile, f"evil/{made.HOSTILE}+s@t@evil-1.0{made.HOSTILE}"),
    ],
)
def test_an_address_opens_its_cell(make: Callable[[], RunRecord], cell: str, tmp_path: Path) -> None:
    """In a real browser the policy lets our script run, an address opens its cell, and nothing of a client's runs."""
    page = tmp_path / "report.html"
    page.write_text(html.render(make()), encoding="utf-8")

    seen = Page(dumped(page, quote(cell, safe=""), tmp_path / "profile"))

    assert "hidden" not in seen.all("aside")[0]
    chosen = seen.all("td", "on")
    assert len(chosen) == 1
    assert chosen[0]["tabindex"] == "0"
    assert "Again" in seen.words, "the panel alone has this heading"
    assert len(seen.all("script")) == 2
    assert not seen.all("img")
