"""Signs, words, and text made fit to be shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.model.result import Observation, Observed, Verdict
from lab.report.words import MEANINGS, SEVERITY, Sign, duration, printable, sign_of, word_of
from tests.report import synthetic as made

CASE = "s/long+both@after"


def test_signs_say_what_happened() -> None:
    """Only acceptance connects and only rejection does not; all else, and what was not run, is unknown."""
    signs = {
        seen: sign_of(made.cell(CASE, "c-1", "accept", "pass", made.observation(seen))) for seen in map(str, Observed)
    }

    assert signs.pop("accepted") is Sign.CONNECTS
    assert signs.pop("rejected") is Sign.DOES_NOT
    assert set(signs.values()) == {Sign.UNKNOWN}
    assert sign_of(None) is Sign.UNKNOWN


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.PASS])
@pytest.mark.parametrize("seen", [made.OK, made.EXPIRED, made.observation("crashed")])
def test_only_a_pass_has_no_word(verdict: Verdict, seen: Observation) -> None:
    """Whatever is no pass has a word beside its sign, so that nothing depends on colour."""
    assert word_of(made.cell(CASE, "c-1", "accept", verdict, seen))


def test_words_of_passes() -> None:
    """A plain pass has no word, a marked one has the client's reason with a star, a missing cell is not run."""
    plain = made.cell(CASE, "c-1", "reject", "pass", made.NO_ISSUER)
    marked = made.cell(CASE, "c-1", "reject", "pass", made.EXPIRED, marked=True)

    assert [word_of(plain), word_of(marked), word_of(None)] == ["", "expired*", "not run"]


def test_every_verdict_is_explained_and_ranked() -> None:
    """No verdict is left out of the legend or of the order of gravity."""
    assert set(MEANINGS) == set(SEVERITY) == set(Verdict)
    assert len(SEVERITY) == len(Verdict)


@given(st.text())
def test_printable_cannot_steer(text: str) -> None:
    """No control, format or unassigned character is left, and the result stays as it is when cleaned again."""
    shown = printable(text)

    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert printable(shown) == shown


def test_printable_keeps_lines_where_asked() -> None:
    """Line feeds and tabs stay where lines are wanted, and escape sequences never do."""
    assert printable("a\r\n\tb\x1b[2Jc", lines=True) == "a\n\tb\N{REPLACEMENT CHARACTER}[2Jc"
    assert printable(" a\n\tb ") == "a b"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.85, "850 ms"),
        (0.9996, "1.0 s"),
        (12.44, "12.4 s"),
        (59.97, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    """A length of time is said in the two units that matter, and never as sixty of one."""
    assert duration(seconds) == said
