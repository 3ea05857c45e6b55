"""How one cell is said: its sign, its word, and any text from outside made fit to be shown."""

from __future__ import annotations

import unicodedata
from enum import StrEnum

from lab.model.result import Cell, Observation, Observed, Verdict

__all__ = [
    "FINDINGS",
    "MEANINGS",
    "NOT_RUN",
    "SEVERITY",
    "Sign",
    "duration",
    "native",
    "printable",
    "sign_of",
    "word_of",
]

NOT_RUN = "not run"

FINDINGS = (Verdict.EXPOSURE, Verdict.OUTAGE, Verdict.FAULT, Verdict.INCONCLUSIVE, Verdict.FIXED)
"""The verdicts that are news, the gravest first."""

SEVERITY = (
    *FINDINGS,
    Verdict.KNOWN,
    Verdict.OPEN,
    Verdict.UNSUPPORTED,
    Verdict.NONE,
    Verdict.PASS,
)
"""All verdicts, the gravest first."""

MEANINGS = {
    Verdict.EXPOSURE: "accepts what must be rejected",
    Verdict.OUTAGE: "rejects what is valid",
    Verdict.FAULT: "crashes, or hangs past the deadline",
    Verdict.INCONCLUSIVE: "the connection failed, and no certificate was judged",
    Verdict.FIXED: "a listed deviation that did not happen",
    Verdict.KNOWN: "a listed deviation that happened",
    Verdict.OPEN: "the standards leave it open",
    Verdict.UNSUPPORTED: "the client lacks an algorithm, a version or an option",
    Verdict.NONE: "the client failed a control, so nothing may be said",
    Verdict.PASS: "does what a careful relying party does",
}
"""What each verdict means, in a few words."""


class Sign(StrEnum):
    """What happened to a probe, as far as a device's owner cares."""

    CONNECTS = "connects"
    DOES_NOT = "does not connect"
    UNKNOWN = "unknown"

    @property
    def glyph(self) -> str:
        """The sign itself, which needs no colour."""
        return {Sign.CONNECTS: "●", Sign.DOES_NOT: "○", Sign.UNKNOWN: "?"}[self]


_SIGNS = {Observed.ACCEPTED: Sign.CONNECTS, Observed.REJECTED: Sign.DOES_NOT}


def sign_of(cell: Cell | None) -> Sign:
    """Return what happened: a cell that was not run is unknown, as is everything but acceptance and rejection."""
    return Sign.UNKNOWN if cell is None else _SIGNS.get(cell.observation.observed, Sign.UNKNOWN)


def word_of(cell: Cell | None) -> str:
    """Return the small word beside a sign.

    Empty only for a pass whose reason is the expected one; a marked pass names the client's reason with a star.
    """
    if cell is None:
        return NOT_RUN
    observation = cell.observation
    match cell.verdict:
        case Verdict.PASS:
            return f"{observation.reason or 'other'}*" if cell.marked else ""
        case Verdict.NONE:
            return "no verdict"
        case Verdict.OPEN if observation.observed is Observed.REJECTED and observation.reason is not None:
            return str(observation.reason)
        case Verdict.FAULT | Verdict.INCONCLUSIVE:
            return str(observation.observed)
        case verdict:
            return str(verdict)


def native(observation: Observation) -> str:
    """Return the stack's own code and words: ``code 10, certificate has expired``."""
    code = f"code {observation.code}" if observation.code else ""
    return ", ".join(part for part in (code, observation.text) if part)


def printable(text: str, *, lines: bool = False) -> str:
    """Return ``text`` without anything that could steer a terminal, a page or a reader's eye.

    Control, format, private and unassigned characters become U+FFFD.  White space becomes single spaces, unless
    ``lines`` keeps line feeds and tabs.
    """
    if text.isascii() and text.isprintable():  # nearly every text
        return text if lines else " ".join(text.split())
    return (text.replace("\r\n", "\n") if lines else " ".join(text.split())).translate(_FIT)


class _Fit(dict[int, int]):
    """What to show for a character, by code points; found once, as a report has millions."""

    def __missing__(self, code: int) -> int:
        self[code] = 0xFFFD if unicodedata.category(chr(code)) in _UNFIT else code
        return self[code]


_UNFIT = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_FIT = _Fit({ord(char): ord(char) for char in "\n\t"})


def duration(seconds: float) -> str:
    """Return a length of time as people say it: ``850 ms``, ``12.4 s``, ``3 min 20 s``, ``1 h 05 min``."""
    if round(seconds * 1000) < 1000:  # noqa: PLR2004 - a second
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
