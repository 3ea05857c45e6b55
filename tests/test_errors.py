"""Errors say whose fault it is, where, and what to do about it."""

from __future__ import annotations

import pytest

from lab.errors import ClientError, EngineError, InputError, LabError, Problem, did_you_mean


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(found="something"), "something"),
        (Problem(file="a.toml", found="something"), "a.toml: something"),
        (
            Problem(file="a.toml", line=3, field="b.c", found="something", remedy="do this"),
            "a.toml:3: b.c: something (do this)",
        ),
    ],
)
def test_problem_in_words(problem: Problem, text: str) -> None:
    """A problem's text has its place, field, finding and remedy, and nothing for what it does not have."""
    assert str(problem) == text


def test_input_error_says_everything_once() -> None:
    """An input error holds each of its problems once, in the order of files and lines, and says them all."""
    first, second = Problem(file="a", line=1, found="x"), Problem(file="a", line=2, found="y")
    error = InputError([second, first, second])
    assert error.problems == (first, second)
    assert str(error) == "a:1: x\na:2: y"


def test_input_error_of_one() -> None:
    """A single problem needs no list."""
    error = InputError.one("x", file="a", field="b", remedy="c")
    assert error.problems == (Problem(file="a", field="b", found="x", remedy="c"),)


@pytest.mark.parametrize(
    ("error", "status"),
    [(InputError([]), 2), (ClientError("c", "broke"), 3), (EngineError("no answer"), 3), (LabError("no"), 3)],
)
def test_exit_status(error: LabError, status: int) -> None:
    """Wrong input ends with 2, a broken lab or client with 3."""
    assert error.exit_status == status


def test_client_error_keeps_its_evidence() -> None:
    """What a client printed is in the error's text."""
    assert str(ClientError("openssl-1.0.2q", "ended", "Segmentation fault")) == (
        "openssl-1.0.2q: ended\nSegmentation fault"
    )


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("isgr", ["isrg", "dst"], 'did you mean "isrg"?'),
        ("zzz", ["isrg", "dst"], "known: dst, isrg"),
        ("zzz", [], "known: none"),
    ],
)
def test_did_you_mean(name: str, known: list[str], remedy: str) -> None:
    """A wrong name is answered with the nearest ones, or with all of them."""
    assert did_you_mean(name, known) == remedy
