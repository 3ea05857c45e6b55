"""The matrix as Markdown."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lab.report import markdown
from tests.report import synthetic as made

TABLE = """\
| case | expected | openssl<br>1.0.2q | openssl<br>1.0.2q<br>+trusted-first | mbedtls<br>2.28.3 | bearssl<br>0.6 | \
gnutls<br>3.7.9 | wolfssl<br>5.5.4 | go<br>1.19.8<br>control failed | java<br>17.0.15<br>unbuilt |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| `long+both@before` | accept | ● | ● | ● | ● | ● | ? unsupported | ● no verdict | ? not run |
| `long+both@after` | accept | ○ known | ● | ● fixed | ● | ○ **outage** | ● | ● no verdict | ? not run |
| `long+old@after` | either | ○ expired | ○ expired | ○ expired | ● open | ? **crashed** | ● open | ● no verdict | \
? not run |
| `short+old@after` | reject:unknown-ca | ○ | ○ | ○ expired\\* | ● **exposure** | ? **unreachable** | ? not run | \
● no verdict | ? not run |
| does not connect |  | 3 of 4 | 2 of 4 | 2 of 4 | 0 of 4 | 1 of 4, 2 unknown | 0 of 3, 1 unknown | 0 of 4 | not run |
"""


def test_the_table() -> None:
    """The matrix is one table a scenario, with signs and words as in the terminal and new findings in bold."""
    assert TABLE in markdown.render(made.example())


def test_known_outages_are_explained() -> None:
    """Below the table stands why a deviation is known, and where that can be read."""
    out = markdown.render(made.example())

    assert (
        "- known: `openssl-1.0.2q` in `long+both@after`: code 10, certificate has expired, "
        "prefers the path it was sent (OpenSSL blog, 2021-09-13)" in out
    )


@given(st.text())
def test_text_stays_text(text: str) -> None:
    """No character that Markdown, HTML or GitHub gives a meaning survives unescaped."""
    assert not re.search(r"[<>|@`*_\[\]\\~]|:\S", markdown.plain(text))
    assert "\n" not in markdown.plain(text)


def test_addresses_are_no_links() -> None:
    """What GitHub would turn into a link, a mention or a picture is left as words."""
    assert markdown.plain("see http://x.example, www.x.example: :tada: @a") == (
        "see http&#58;//x.example, www&#46;x.example: &#58;tada: &#64;a"
    )


@given(st.text(alphabet="`| a\n<>\\"))
def test_code_spans_hold(text: str) -> None:
    """A code span's fence is longer than any run of backticks inside, and its pipes are escaped."""
    span = markdown.code(text)
    if not span:
        assert not text.strip()
        return
    fence = re.match("`+", span)
    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert span.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inner)
    assert not re.search(r"(?<!\\)\|", span)


def test_rows_keep_their_cells_under_attack() -> None:
    """Whatever a client is called and says, each row of the table has as many cells as its head."""
    lines = [line for line in markdown.render(made.hostile()).splitlines() if line.startswith("|")]

    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert "<script" not in re.sub(r"(`+).*?\1", "", markdown.render(made.hostile()))
