"""The matrix in a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from lab.ledger import RunRecord
from lab.model.result import Verdict
from lab.report.table import STYLES, print_table
from tests.report import synthetic as made

PICTURE = """\
letsencrypt-2021 · Let's Encrypt, 30 September 2021: DST Root CA X3 expires
under ISRG Root X1

                            openssl    openssl         mbedtls     bearssl
                            1.0.2q     1.0.2q          2.28.3      0.6
                                       +trusted-first
  long+both@before          ●          ●               ●           ●
  long+both@after           ○ known    ●               ● fixed     ●
  long+old@after    either  ○ expired  ○ expired       ○ expired   ● open
  short+old@after   reject  ○          ○               ○ expired*  ● exposure

                            gnutls         wolfssl        go
                            3.7.9          5.5.4          1.19.8
                                                          control failed
  long+both@before          ●              ? unsupported  ● no verdict
  long+both@after           ○ outage       ●              ● no verdict
  long+old@after    either  ? crashed      ● open         ● no verdict
  short+old@after   reject  ? unreachable  ? not run      ● no verdict

                            java
                            17.0.15
                            unbuilt
  long+both@before          ? not run
  long+both@after           ? not run
  long+old@after    either  ? not run
  short+old@after   reject  ? not run

  does not connect: openssl-1.0.2q 3 of 4, openssl-1.0.2q+trusted-first 2,
    mbedtls-2.28.3 2, gnutls-3.7.9 1 (2 unknown), wolfssl-5.5.4 0 of 3 (1
    unknown)
  known  openssl-1.0.2q long+both@after: code 10, certificate has expired,
         prefers the path it was sent (OpenSSL blog, 2021-09-13)
  *      mbedtls-2.28.3 short+old@after: rejected as expired, where unknown-ca
         was expected

● connects   ○ does not connect   ? unknown   * rejected, for another reason than expected

exposure          letsencrypt-2021/short+old@after@bearssl-0.6
                  accepted
                  expected reject:unknown-ca
outage            letsencrypt-2021/long+both@after@gnutls-3.7.9
                  rejected at handshake (weak): code -3, weak
                  expected accept
fault             letsencrypt-2021/long+old@after@gnutls-3.7.9
                  crashed at handshake: signal 11
                  expected either
inconclusive      letsencrypt-2021/short+old@after@gnutls-3.7.9
                  unreachable at connect: no connection was seen
                  expected reject:unknown-ca
fixed             letsencrypt-2021/long+both@after@mbedtls-2.28.3
                  accepted
                  expected accept
control failed    go-1.19.8: wrong-host: accepted
unbuilt           java-17.0.15: javac is not installed
not checked       bearssl-0.6: expired, a pin column
cells             1 exposure, 1 outage, 1 fault, 1 inconclusive, 1 fixed, 1
                  known, 5 open, 1 unsupported, 4 no verdict, 11 pass, 5 not run
took              1 min 15 s
run               20260102-030405-7, seed 7, files in results/x
"""


BRIEF = """\
letsencrypt-2021 · Let's Encrypt, 30 September 2021: DST Root CA X3 expires
under ISRG Root X1
  4 cases:  ● 16  ○ 8  ? 3  1 exposure  1 outage  1 fault  1 inconclusive  1
    fixed  1 known  5 open  1 unsupported  4 no verdict

● connects"""


class _Latin(io.StringIO):
    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "latin-1"


def printed(record: RunRecord, width: int = 80, file: io.StringIO | None = None, **how: Any) -> str:
    out = io.StringIO() if file is None else file
    print_table(record, Console(file=out, width=width, **how), folder=Path("results/x"), took=75)
    return out.getvalue()


def test_the_picture() -> None:
    """A run with every verdict and every trouble looks as drawn, in 80 columns without colour."""
    assert printed(made.example()) == PICTURE


@pytest.mark.parametrize("width", [60, 80, 132, 400])
def test_many_clients_fit_any_width(width: int) -> None:
    """With 40 clients no line of the matrix is wider than the console, and every client and case is there."""
    record = made.wide(40, 12, 2)
    out = printed(record, width)
    legend = "● connects   ○ does not connect   ? unknown   * rejected, for another reason than expected"

    assert [line for line in out.splitlines() if cell_len(line) > width and line != legend] == []
    for head in record.run.columns:
        assert head.split("+")[0].split("-")[1] in out
    assert all(out.count(case.partition("/")[2]) for case in record.run.cases)


def test_a_matrix_too_long_to_read_is_told_in_sentences() -> None:
    """Above that many lines each scenario has its counts, and what is new stands below all the same."""
    whole, brief = io.StringIO(), io.StringIO()
    print_table(made.example(), Console(file=whole, width=80), took=75, folder=Path("results/x"), most=1000)
    print_table(made.example(), Console(file=brief, width=80), took=75, folder=Path("results/x"), most=3)

    assert whole.getvalue() == PICTURE
    assert BRIEF in brief.getvalue()
    assert "long+both@before " not in brief.getvalue()
    assert brief.getvalue().partition("? unknown")[2].startswith(PICTURE.partition("? unknown")[2])
    assert "tlslab report 20260102-030405-7 --format table" in " ".join(brief.getvalue().split())


def test_long_case_ids_are_never_cut() -> None:
    """A case whose id leaves no room for cells has its signs on the next line."""
    long = f"s/{'a' * 60}+{'b' * 60}@after"
    cells = (made.cell(long, "x-1", "accept", "outage", made.EXPIRED),)
    out = printed(RunRecord(made.run((long,), ("x-1",)), (), (), (), cells))

    lines = out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.strip() == long.partition("/")[2])
    assert lines[at + 1].strip() == "○ outage"


def test_piped_output_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, and with NO_COLOR on one, there is no colour; on a terminal there is."""
    assert "\x1b" not in printed(made.example())
    assert "\x1b[1;31m" in printed(made.example(), force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in printed(made.example(), force_terminal=True)


def test_a_terminal_without_utf8_gets_other_signs() -> None:
    """Where the signs cannot be encoded, others that differ in shape stand in, and nothing raises."""
    out = printed(made.example(), file=_Latin())

    assert "+ connects   - does not connect   ? unknown" in out
    assert out.encode("latin-1")
    printed(made.hostile(), file=_Latin()).encode("latin-1")


def test_hostile_text_cannot_steer_the_terminal() -> None:
    """Escape sequences, markup and line breaks from clients are shown as text."""
    out = printed(made.hostile(), 2000)

    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[red]x[/red]" in out


def test_a_partial_run_shows_no_pass() -> None:
    """A killed run without a single cell has only unknown signs, and says how much was not run."""
    record = replace(made.example(), cells=(), controls=(), columns=(), exhibits=())
    out = printed(record)
    matrix = out.partition("● connects")[0]

    assert "●" not in matrix
    assert "○" not in matrix
    assert "32 not run" in out
    assert "not started" in out


def test_without_its_length_a_run_says_its_probes_time() -> None:
    """A report made later has no wall-clock time, so it says how long the probes took."""
    out = io.StringIO()
    print_table(made.example(), Console(file=out, width=80))

    assert "took              135 ms of probes, 4 at a time" in out.getvalue()


def test_open_and_known_never_look_like_pass() -> None:
    """Every verdict but pass has a style other than pass's."""
    assert [verdict for verdict, style in STYLES.items() if style == STYLES[Verdict.PASS]] == [Verdict.PASS]
    assert set(STYLES) == set(Verdict)
