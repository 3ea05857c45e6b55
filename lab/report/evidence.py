"""What stands behind a cell, as titled facts: what the client said, what was expected, what the server saw."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import NamedTuple

from lab.model.result import Cell, CertificateRecord, DeviceVerdict, ExhibitRecord, Observation, Witness
from lab.report.words import duration, printable

__all__ = ["Section", "as_text", "commands", "moment", "sections", "tables"]

Facts = tuple[tuple[str, str], ...]


class Section(NamedTuple):
    """Facts under one title; facts that are not there are left out, never shown empty."""

    title: str
    facts: Facts


def moment(when: datetime) -> str:
    """Return a time in UTC, to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def sections(cell: Cell, exhibit: ExhibitRecord | None) -> tuple[Section, ...]:
    """Return the evidence of a cell, fit to be shown."""
    names = _names(exhibit)
    about_device = exhibit is not None and exhibit.device is not None
    found = (
        Section("Observed" if about_device else "Client", _client(cell.observation, names)),
        Section("Server on the device", _device(cell.witness.device, exhibit)),
        Section("Expected", _expected(cell, exhibit)),
        Section("Server saw", _witness(cell.witness, names)),
    )
    return tuple(Section(title, _kept(facts)) for title, facts in found if facts)


def commands(run: str, cell: Cell) -> tuple[str, ...]:
    """Return what a person types to see a cell again, and to have its files."""
    case = f"{cell.scenario}/{cell.case}"
    typed = (["tlslab", "reproduce", run, cell.id], ["tlslab", "mint", case, "-o", "files"])
    return tuple(printable(shlex.join(words)) for words in typed)


def as_text(run: str, cell: Cell, exhibit: ExhibitRecord | None) -> str:
    """Return the evidence as lines of plain text, certificates included."""
    lines = []
    for title, facts in sections(cell, exhibit):
        lines.append(f"{title}:")
        lines += [f"  {label}: {value}" for label, value in facts]
    if exhibit is not None:
        for title, certificates in tables(exhibit):
            lines.append(f"{title}:")
            lines += [
                printable(f"  {one.name}: {one.subject} by {one.issuer}")
                + f", {moment(one.not_before)} to {moment(one.not_after)}"
                for one in certificates
            ] or ["  empty"]
    return "\n".join([*lines, *commands(run, cell)])


def tables(exhibit: ExhibitRecord) -> tuple[tuple[str, tuple[CertificateRecord, ...]], ...]:
    """Return the certificates of a case by what they were in it: what was served and trusted, on both sides."""
    shown = exhibit.device
    device = (("Given to the device", shown.chain), ("Trusted for devices", shown.anchors)) if shown else ()
    return ("Chain", exhibit.chain), ("Store", exhibit.anchors), *device


def _device(verdict: DeviceVerdict | None, exhibit: ExhibitRecord | None) -> Facts:
    """Return what the server made of the device; of a case about the device, also that it made nothing of it."""
    given = exhibit.device if exhibit is not None else None
    if verdict is None:
        return () if given is None else (("verdict", "none: the client never answered"),)
    names = {one.sha256: one.name for one in given.chain} if given is not None else {}
    shown = ", ".join(names.get(digest, f"not ours: {digest[:16]}…") for digest in verdict.presented)
    asked = "" if given is None else "required" if given.required else "requested, not required"
    return (
        ("certificate", asked),
        ("client showed", shown or "none"),
        ("verdict", "accepted" if verdict.accepted else "rejected"),
        ("code", verdict.code),
        ("text", verdict.text),
        ("reason", verdict.reason or ""),
    )


def _names(exhibit: ExhibitRecord | None) -> dict[str, str]:
    """Return certificates' names by digest; a certificate that is both served and trusted is an anchor."""
    if exhibit is None:
        return {}
    served = {one.sha256: one.name for one in exhibit.chain}
    return served | {one.sha256: f"{one.name} (anchor)" for one in exhibit.anchors}


def _path(digests: tuple[str, ...], names: dict[str, str]) -> str:
    return " → ".join(names.get(digest, f"not ours: {digest[:16]}…") for digest in digests)


def _clock(seconds: int | None) -> str:
    try:
        return "" if seconds is None else moment(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s after 1970"


def _client(seen: Observation, names: dict[str, str]) -> Facts:
    return (
        ("observed", str(seen.observed)),
        ("stage", seen.stage or ""),
        ("code", seen.code),
        ("text", seen.text),
        ("reason", seen.reason or ""),
        ("client said", seen.said),
        ("TLS", seen.tls or ""),
        ("path built", "" if seen.path is None else _path(seen.path, names) or "empty"),
        ("clock", _clock(seen.clock)),
        ("stderr", seen.stderr),
    )


def _expected(cell: Cell, exhibit: ExhibitRecord | None) -> Facts:
    return (
        ("expected", str(cell.expected)),
        ("because", cell.expected.why or ""),
        ("right path", " → ".join(exhibit.path) if exhibit is not None else ""),
        ("staple", exhibit.staple if exhibit is not None else ""),
        ("reference", exhibit.reference if exhibit is not None else ""),
        ("verdict", f"{cell.verdict}, for another reason" if cell.marked else str(cell.verdict)),
        ("why", cell.why),
        ("source", cell.source),
    )


def _witness(seen: Witness, names: dict[str, str]) -> Facts:
    ciphers = " ".join(f"{code:04x}" for code in seen.ciphers)
    bare = {digest: name.removesuffix(" (anchor)") for digest, name in names.items()}
    sent = ", ".join(bare.get(digest, f"{digest[:16]}…") for digest in seen.certificates)
    request = f"whole, {'answered' if seen.answered else 'not answered'}" if seen.request else "none"
    if not seen.connections:
        return (("connections", "none"),)
    return (
        ("connections", str(seen.connections) if seen.connections != 1 else ""),
        ("asked for", seen.server_name if seen.server_name is not None else "no server name"),
        ("offered", ", ".join(f"TLS {version}" for version in seen.versions) or "no ClientHello"),
        ("ciphers", f"{len(seen.ciphers)}: {ciphers}" if seen.ciphers else ""),
        ("hello", f"{len(seen.hello) // 2} bytes" if seen.hello else ""),
        ("agreed", ", ".join(part for part in (f"TLS {seen.tls}" if seen.tls else "", seen.cipher or "") if part)),
        ("Certificate sent", sent or "not fully"),
        ("status asked", "yes" if seen.status_request else ""),
        ("staple sent", seen.staple),
        ("HTTP port asked", ", ".join(seen.asked)),
        ("alert received", seen.alert or "none"),
        ("alert sent", seen.alert_sent or ""),
        ("handshake", "finished" if seen.handshake else "not finished"),
        ("resumed", "yes" if seen.resumed else ""),
        ("request", request),
        ("closed by", seen.closed),
        ("bytes", f"{seen.bytes_in} in, {seen.bytes_out} out"),
        ("took", duration(seen.ms / 1000)),
        ("handshake took", "" if seen.handshake_ms is None else duration(seen.handshake_ms / 1000)),
        ("clock in hello", _clock(seen.clock)),
    )


def _kept(facts: Facts) -> Facts:
    shown = ((label, printable(value, lines=label == "stderr").strip()) for label, value in facts)
    return tuple((label, value) for label, value in shown if value)
