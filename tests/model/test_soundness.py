"""Soundness: each mistake in a scenario is reported with its place and its remedy, and none hides another."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.corpus import load_scenario
from lab.errors import Problem

SOUND = """schema = 1
title = "A small one"
date = 2021-09-30
summary = "A root and a site."
[entities]
old  = { cn = "Old Root" }
new  = { cn = "New Root" }
site = { dns = ["shop.example"] }
[certificates]
old-root = { subject = "old", issuer = "old", from = 2000-01-01T00:00:00Z, until = 2021-09-30T14:01:15Z }
new-root = { subject = "new", issuer = "new", from = 2015-01-01T00:00:00Z, until = 2035-01-01T00:00:00Z }
cross    = { subject = "new", issuer = "old" }
back     = { subject = "old", issuer = "new" }
site     = { subject = "site", issuer = "new", from = 2021-08-20T00:00:00Z, until = 2021-11-18T00:00:00Z }
[server]
host = "shop.example"
[chains]
long = { send = ["site", "cross", "back"], at = ["before", "old-root.until+1s"] }
[stores]
old   = ["old-root"]
empty = []
[times]
before = 2021-09-30T14:01:14Z
late   = 2021-12-24T00:00:00Z
[expect.long]
old   = { before = "accept", "old-root.until+1s" = "either" }
empty = { before = "reject:unknown-ca", "old-root.until+1s" = "reject:unknown-ca" }
"""
LATE = [
    ('"old-root.until+1s"]', '"late"]'),
    ('"old-root.until+1s" = "either"', 'late = "reject:expired"'),
    ('"old-root.until+1s" = "reject:unknown-ca"', 'late = "reject:expired"'),
]
"""Changes that put the chain before a time when its end-entity certificate is over, and expect that."""


def problems_of(tmp_path: Path, *changes: tuple[str, str]) -> list[Problem]:
    text = SOUND
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "small" / "scenario.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    found, problems = load_scenario(path)
    assert (found is None) == bool(problems)
    return sorted(problems)


def test_sound(tmp_path: Path) -> None:
    """An empty store and a loop of cross-signs are legitimate."""
    assert problems_of(tmp_path) == []


def test_a_dead_leaf_on_purpose(tmp_path: Path) -> None:
    """A dead end-entity certificate is legitimate where every expectation says that this is the point."""
    assert problems_of(tmp_path, *LATE) == []


@pytest.mark.parametrize(
    ("change", "line", "field", "found", "remedy"),
    [
        (
            ('subject = "new", issuer = "old"', 'subject = "nwe", issuer = "old"'),
            12,
            "certificates.cross.subject",
            'no entity is called "nwe"',
            'did you mean "new"?',
        ),
        (
            ('"cross", "back"]', '"crossed", "back"]'),
            18,
            "chains.long.send",
            'no certificate is called "crossed"',
            'did you mean "cross"?',
        ),
        (
            ("until = 2021-09-30T14:01:15Z", "until = 2021-09-31"),
            10,
            "certificates.old-root.until",
            'found "2021-09-31"',
            "day value is outside expected range",
        ),
        (
            ("from = 2015-01-01T00:00:00Z", "from = 2021-13-01T00:00:00Z"),
            11,
            "certificates.new-root.from",
            'found "2021-13-01T00:00:00Z"',
            "month value is outside expected range of 1-12",
        ),
        (
            ("from = 2015-01-01T00:00:00Z", "from = 2036-01-01T00:00:00Z"),
            11,
            "certificates.new-root.until",
            "it ends (2035-01-01T00:00:00Z) before it begins (2036-01-01T00:00:00Z)",
            "",
        ),
        (
            ('old   = { before = "accept", ', 'old   = { before = "accept", late = "accept", '),
            26,
            "expect.long.old.late",
            'the chain "long" has no case with the time "late"',
            "known: before, old-root.until+1s",
        ),
        (
            ('old   = { before = "accept", ', "old   = { "),
            26,
            "expect.long.old.before",
            "the case long+old@before has no expectation",
            'say "accept", "reject" or "either"',
        ),
        (
            ("[expect.long]", "[expect.log]\n[expect.long]"),
            25,
            "expect.log",
            'no chain is called "log"',
            'did you mean "long"?',
        ),
        (("empty = []", 'empty = ["newroot"]'), 21, "stores.empty", 'no certificate is called "newroot"', "new-root"),
        (
            ('site = { dns = ["shop.example"] }', 'site = { dns = ["shop.example"], same_key_as = "oldd" }'),
            8,
            "entities.site.same_key_as",
            'no entity is called "oldd"',
            'did you mean "old"?',
        ),
        (
            ('old  = { cn = "Old Root" }', 'old  = { cn = "Old Root", same_key_as = "old" }'),
            6,
            "entities.old.same_key_as",
            "a loop: old -> old",
            "",
        ),
        (("host = ", "hots = "), 16, "server.hots", "no such field", 'did you mean "host"?'),
        (
            ('issuer = "new", from = 2021', 'issuer = "new", ocsp = "goof", from = 2021'),
            14,
            "certificates.site.ocsp",
            'found "goof"',
            "'good', 'revoked', 'unknown', 'expired'",
        ),
        (
            ('issuer = "new", from = 2021', 'issuer = "new", aia = "new-rot", from = 2021'),
            14,
            "certificates.site.aia",
            'no certificate is called "new-rot"',
            'did you mean "new-root"?',
        ),
        (
            ('issuer = "new", from = 2021', 'issuer = "new", reinstated = 2021-09-01T00:00:00Z, from = 2021'),
            14,
            "certificates.site.reinstated",
            "it was never revoked",
            'say since when: "revoked"',
        ),
        (
            ('issuer = "old" }', 'issuer = "old", revoked = 2021-09-01T00:00:00Z, reinstated = 2021-09-01T00:00:00Z }'),
            12,
            "certificates.cross.reinstated",
            "not after it was revoked (2021-09-01T00:00:00Z)",
            "",
        ),
        (
            ('"old-root.until+1s"] }', '"old-root.until+1s"], staple = "revoke" }'),
            18,
            "chains.long.staple",
            'found "revoke"',
            "'good', 'revoked', 'unknown', 'expired'",
        ),
        (
            ("[entities]", 'slug = "small"\n[entities]'),
            5,
            "slug",
            "no such field",
            'it is "small"',
        ),
    ],
)
def test_one_mistake(  # noqa: PLR0917 - a row of the table
    tmp_path: Path, change: tuple[str, str], line: int, field: str, found: str, remedy: str
) -> None:
    """A mistake is reported with its file, line and field, what stands there, and the names that would be right."""
    (problem,) = [one for one in problems_of(tmp_path, change) if one.field == field]
    assert (problem.file, problem.line) == (str(tmp_path / "small" / "scenario.toml"), line)
    assert problem.found == found
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("time", "found", "remedy"),
    [
        ("befor", 'no time is called "befor"', '"before"'),
        ("cross.until", '"cross" has no "until"', "give the certificate that date"),
        ("coss.until", 'no certificate is called "coss"', '"cross"'),
        ("site.until+999999999999s", '"site.until+999999999999s" is beyond the years 1 to 9999', ""),
    ],
)
def test_no_time(tmp_path: Path, time: str, found: str, remedy: str) -> None:
    """A time is one of the scenario's, or an end that a certificate has, within the years that there are."""
    problems = problems_of(tmp_path, ('at = ["before", ', f'at = ["before", "{time}", '))
    (problem,) = [one for one in problems if one.field == "chains.long.at"]
    assert (problem.line, problem.found) == (18, found)
    assert remedy in problem.remedy


def test_a_time_twice(tmp_path: Path) -> None:
    """A chain is put before each time once."""
    (problem,) = problems_of(tmp_path, ('at = ["before", ', 'at = ["before", "before", '))
    assert (problem.field, problem.found) == ("chains.long.at", '"before" stands here twice')


def test_a_date_beyond_utc(tmp_path: Path) -> None:
    """A date that UTC cannot tell is a problem of its file."""
    (problem,) = problems_of(tmp_path, ("until = 2035-01-01T00:00:00Z", "until = 9999-12-31T23:59:59-01:00"))
    assert problem.found == "a date too early or too late to be told in UTC"


def test_a_dead_leaf_by_accident(tmp_path: Path) -> None:
    """An end-entity certificate out of its dates is a problem in each case whose expectation does not say so."""
    expired, unknown, other = LATE
    problems = problems_of(tmp_path, expired, (unknown[0], 'late = "reject:unknown-ca"'), other)
    (problem,) = problems
    assert (problem.line, problem.field) == (26, "expect.long.old.late")
    assert problem.found == (
        'the end-entity certificate "site" ended at 2021-11-18T00:00:00Z, which alone decides this case'
    )
    assert "reject:expired" in problem.remedy


def test_a_leaf_too_young_by_accident(tmp_path: Path) -> None:
    """The same holds before its first second."""
    problems = problems_of(tmp_path, ("from = 2021-08-20T00:00:00Z", "from = 2021-10-20T00:00:00Z"))
    assert {problem.field for problem in problems} == {
        "expect.long.old.before",
        "expect.long.empty.before",
        'expect.long.old."old-root.until+1s"',
        'expect.long.empty."old-root.until+1s"',
    }
    assert all("is not valid before 2021-10-20T00:00:00Z" in problem.found for problem in problems)
    assert all("reject:not-yet-valid" in problem.remedy for problem in problems)


def test_everything_at_once(tmp_path: Path) -> None:
    """One file with many mistakes is reported once, with all of them: none hides another."""
    problems = problems_of(
        tmp_path,
        ('subject = "new", issuer = "old"', 'subject = "nwe", issuer = "old"'),
        ('"cross", "back"]', '"crossed", "back"]'),
        ("until = 2021-09-30T14:01:15Z", "until = 2021-09-31"),
        ("from = 2015-01-01T00:00:00Z", "from = 2021-13-01T00:00:00Z"),
        ('at = ["before", "old-root.until+1s"]', 'at = ["before", "late"]'),
        ('"old-root.until+1s" = "either"', 'elsewhen = "accept"'),
        ('"old-root.until+1s" = "reject:unknown-ca"', 'late = "reject:unknown-ca"'),
        ('title = "A small one"', 'titel = "A small one"'),
    )
    assert {(problem.line, problem.field) for problem in problems} == {
        (0, "title"),
        (2, "titel"),
        (10, "certificates.old-root.until"),
        (11, "certificates.new-root.from"),
        (12, "certificates.cross.subject"),
        (18, "chains.long.send"),
        (26, "expect.long.old.elsewhen"),
        (26, "expect.long.old.late"),
        (27, "expect.long.empty.late"),
    }


def test_a_pin_that_is_no_certificate(tmp_path: Path) -> None:
    """A pinned certificate that does not exist is named, with the one that was meant."""
    (problem,) = problems_of(tmp_path, ('host = "shop.example"', 'host = "shop.example"\npin = "sit"'))
    assert problem.field == "server.pin"
    assert 'no certificate is called "sit"' in problem.found
    assert '"site"' in problem.remedy


def test_nobody_answers_for_an_issuer_without_a_certificate(tmp_path: Path) -> None:
    """A responder and a staple need their issuer's certificate, and say so where there is none."""
    change = 'site = { dns = ["shop.example"] }', 'site = { dns = ["shop.example"] }\nlost = { cn = "Lost Root" }'
    told = 'issuer = "new", from = 2021', 'issuer = "lost", ocsp = true, from = 2021'
    stapled = '"old-root.until+1s"] }', '"old-root.until+1s"], staple = true }'
    found = {(one.field, one.found) for one in problems_of(tmp_path, change, told, stapled)}
    assert found >= {
        ("certificates.site.ocsp", 'its issuer "lost" has no certificate'),
        ("chains.long.staple", 'its issuer "lost" has no certificate'),
    }
