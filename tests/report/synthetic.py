"""Runs made by code: any matrix that a report may have to draw, without a socket or a client."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.ledger import RunRecord
from lab.model.result import (
    Cell,
    CertificateRecord,
    ColumnState,
    Control,
    ExhibitRecord,
    Observation,
    Observed,
    Run,
    Verdict,
    Witness,
)
from lab.model.scenario import Expectation, Reason
from lab.model.wire import Stage

AT = datetime(2021, 9, 30, 14, 1, 16, tzinfo=UTC)
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\x00\u202e|`*_[x](javascript:0)"
    "{{ 7*7 }} ]]> & \"'\n@after [red]x[/red] \ufffe"
)
EXPECT = {
    "accept": Expectation(expect="accept"),
    "reject": Expectation(expect="reject", reason=Reason.UNKNOWN_CA),
    "either": Expectation(expect="either", why="RFC 5280 6.1.1(d) and 6.2: whether an anchor's dates count"),
}


def digest(name: str) -> str:
    """Return a stable made-up digest."""
    return hashlib.sha256(name.encode()).hexdigest()


def certificate(name: str, subject: str, issuer: str, until: datetime) -> CertificateRecord:
    """Return a certificate as evidence."""
    return CertificateRecord(
        name=name,
        subject=subject,
        issuer=issuer,
        serial="0a1b2c",
        not_before=min(until - timedelta(days=365), AT - timedelta(days=40)),
        not_after=until,
        key="rsa2048",
        sha256=digest(name),
        pem="-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    )


DST, ISRG, R3 = "CN=DST Root CA X3,O=Digital Signature Trust Co.", "CN=ISRG Root X1,C=US", "CN=R3,O=Let's Encrypt,C=US"


def exhibit(scenario: str, case: str, title: str, *, date: str = "2021-09-30") -> ExhibitRecord:
    """Return what a case served: the long chain of Let's Encrypt, before a store with both roots."""
    return ExhibitRecord(
        scenario=scenario,
        title=title,
        date=date,
        case=case,
        chain=(
            certificate("site", "CN=shop.example", R3, AT + timedelta(days=48)),
            certificate("r3", R3, ISRG, AT + timedelta(days=1500)),
            certificate("isrg-cross", ISRG, DST, AT + timedelta(days=1000)),
        ),
        anchors=(
            certificate("dst-root", DST, DST, AT - timedelta(seconds=1)),
            certificate("isrg-root", ISRG, ISRG, AT + timedelta(days=5000)),
        ),
        path=("site", "r3", "isrg-root"),
        reference="accept: site, r3, isrg-root",
    )


def observation(observed: str, *, code: str = "", text: str = "", reason: str | None = None) -> Observation:
    """Return an observation with the stage that goes with it."""
    seen = Observed(observed)
    stage = {Observed.ACCEPTED: Stage.HTTP, Observed.UNREACHABLE: Stage.CONNECT}.get(seen, Stage.HANDSHAKE)
    path = ("site", "r3", "isrg-cross", "dst-root") if reason == "expired" else None
    return Observation(
        observed=seen,
        stage=stage,
        code=code,
        text=text,
        reason=Reason(reason) if reason else None,
        tls="1.2",
        path=tuple(digest(name) for name in path) if path else None,
    )


def witness(seen: Observation) -> Witness:
    """Return what a server sees of such a client."""
    if seen.observed is Observed.UNREACHABLE:
        return Witness()
    accepted = seen.observed is Observed.ACCEPTED
    return Witness(
        connections=1,
        hello="01" * 223,
        server_name="shop.example",
        versions=("1.2",),
        ciphers=(0xC02B, 0xC02F, 0x009E),
        certificates=(digest("site"), digest("r3"), digest("isrg-cross")),
        tls="1.2",
        cipher="ECDHE-RSA-AES128-GCM-SHA256",
        alert=None if accepted else "fatal certificate_expired",
        handshake=accepted,
        request=accepted,
        answered=accepted,
        bytes_in=517,
        bytes_out=3321,
        closed="close-notify" if accepted else "fin",
        ms=4.25,
        handshake_ms=3.5 if accepted else None,
    )


def cell(case_id: str, client: str, expect: str, verdict: str, seen: Observation, **more: object) -> Cell:
    """Return a cell."""
    scenario, _, case = case_id.partition("/")
    chain, _, rest = case.partition("+")
    store, _, time = rest.partition("@")
    return Cell(
        scenario=scenario,
        case=case,
        chain=chain,
        store=store,
        time=time,
        at=AT,
        client=client,
        expected=EXPECT[expect],
        observation=seen,
        witness=witness(seen),
        verdict=Verdict(verdict),
        ms=5.0,
        **more,
    )


def column(name: str, stack: str, **more: object) -> ColumnState:
    """Return a column that took part."""
    values = {"version": f"{stack} as it says itself", "runtime": "process", "clock": "native", **more}
    return ColumnState(name=name, stack=stack, **values)


def run(cases: tuple[str, ...], columns: tuple[str, ...]) -> Run:
    """Return a header."""
    slugs = dict.fromkeys(case.partition("/")[0] for case in cases)
    return Run(
        id="20260102-030405-7",
        lab="0.1.0",
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seed=7,
        jobs=4,
        runtime="process",
        timeout_ms=5000,
        scenarios={slug: digest(slug) for slug in slugs},
        cases=cases,
        columns=columns,
    )


LE = "letsencrypt-2021"
LE_TITLE = "Let's Encrypt, 30 September 2021: DST Root CA X3 expires under ISRG Root X1"
OK = observation("accepted")
EXPIRED = observation("rejected", code="10", text="certificate has expired", reason="expired")
NO_ISSUER = observation("rejected", code="20", text="unable to get local issuer certificate", reason="unknown-ca")


def example() -> RunRecord:
    """Return the run of the design's picture, with one more column of each trouble and one cell of each verdict."""
    cases = tuple(
        f"{LE}/{name}" for name in ("long+both@before", "long+both@after", "long+old@after", "short+old@after")
    )
    names = (
        "openssl-1.0.2q",
        "openssl-1.0.2q+trusted-first",
        "mbedtls-2.28.3",
        "bearssl-0.6",
        "gnutls-3.7.9",
        "wolfssl-5.5.4",
        "go-1.19.8",
        "java-17.0.15",
    )
    why = {"why": "prefers the path it was sent", "source": "OpenSSL blog, 2021-09-13"}
    weak = observation("rejected", code="-3", text="weak", reason="weak")
    crash = observation("crashed", text="signal 11")
    lost = observation("unreachable", text="no connection was seen")
    none = observation("unsupported", text="no TLS 1.2")
    by_column = (
        (("pass", OK), ("known", EXPIRED), ("open", EXPIRED), ("pass", NO_ISSUER)),
        (("pass", OK), ("pass", OK), ("open", EXPIRED), ("pass", NO_ISSUER)),
        (("pass", OK), ("fixed", OK), ("open", EXPIRED), ("pass", EXPIRED)),
        (("pass", OK), ("pass", OK), ("open", OK), ("exposure", OK)),
        (("pass", OK), ("outage", weak), ("fault", crash), ("inconclusive", lost)),
        (("unsupported", none), ("pass", OK), ("open", OK), None),
        (("none", OK), ("none", OK), ("none", OK), ("none", OK)),
        (None, None, None, None),
    )
    expects = ("accept", "accept", "either", "reject")
    cells = []
    for index, case in enumerate(cases):
        for name, outcomes in zip(names, by_column, strict=True):
            if (outcome := outcomes[index]) is None:
                continue
            verdict, seen = outcome
            more: dict[str, object] = dict(why) if verdict == "known" else {}
            if name == "mbedtls-2.28.3" and verdict == "pass" and seen is EXPIRED:
                more = {"marked": True, "why": "rejected as expired, where unknown-ca was expected"}
            cells.append(cell(case, name, expects[index], verdict, seen, **more))
    failed = Control(
        column="go-1.19.8", name="wrong-host", outcome="failed", why="accepted", observation=OK, witness=witness(OK)
    )
    skipped = Control(
        column="bearssl-0.6",
        name="expired",
        outcome="not-checked",
        why="a pin column",
        observation=OK,
        witness=witness(OK),
    )
    return RunRecord(
        run=run(cases, names),
        columns=(
            *(column(name, name.partition("-")[0]) for name in names[:6]),
            column("go-1.19.8", "go", state="control-failed", why="wrong-host: accepted"),
            column("java-17.0.15", "java", version="", state="unbuilt", why="javac is not installed"),
        ),
        controls=(failed, skipped),
        exhibits=tuple(exhibit(LE, case.partition("/")[2], LE_TITLE) for case in cases),
        cells=tuple(cells),
    )


def hostile() -> RunRecord:
    """Return a run in which every text that a client or a scenario can choose is an attack."""
    case = f"evil/{HOSTILE}+s@t"
    name = f"evil-1.0{HOSTILE}"
    seen = Observation(
        observed=Observed.REJECTED, stage=Stage.LOAD, code=HOSTILE, text=HOSTILE, reason=Reason.OTHER, tls=HOSTILE,
        path=(HOSTILE,), clock=10**18, stderr=HOSTILE,
    )  # fmt: skip
    said = Witness(
        connections=1, server_name=HOSTILE, versions=(HOSTILE,), certificates=(HOSTILE,), cipher=HOSTILE, alert=HOSTILE
    )
    evil = Cell(
        scenario="evil", case=case.partition("/")[2], chain="c", store="s", time="t", at=AT, client=name,
        expected=Expectation(expect="accept", why=HOSTILE), observation=seen, witness=said, verdict=Verdict.OUTAGE,
        why=HOSTILE, source=HOSTILE,
    )  # fmt: skip
    known = evil.model_copy(update={"client": "known-1", "verdict": Verdict.KNOWN})
    bad = certificate(HOSTILE, HOSTILE, HOSTILE, AT)
    served = ExhibitRecord(
        scenario="evil", title=HOSTILE, date=HOSTILE, case=evil.case, chain=(bad,), anchors=(bad,), path=(HOSTILE,),
        reference=HOSTILE,
    )  # fmt: skip
    control = Control(column=name, name=HOSTILE, outcome="failed", why=HOSTILE, observation=seen, witness=said)
    return RunRecord(
        run=run((case,), (name, "known-1")).model_copy(update={"id": f"id {HOSTILE}"}),
        columns=(
            ColumnState(name=name, stack="evil", version=HOSTILE, runtime="process", clock="native",
                        state="harness", why=HOSTILE),
            column("known-1", "known"),
        ),
        controls=(control,),
        exhibits=(served,),
        cells=(evil, known),
    )  # fmt: skip


def wide(columns: int = 30, cases: int = 12, scenarios: int = 3) -> RunRecord:
    """Return a run of many columns and cases, of all verdicts in a fixed pattern."""
    stacks = ("openssl", "mbedtls", "bearssl", "gnutls", "wolfssl", "go", "java", "nss")
    names = tuple(
        f"{stacks[index % 8]}-{1 + index // 8}.{index % 8}.{index}" + ("+trusted-first" if index % 11 == 5 else "")
        for index in range(columns)
    )
    slugs = (LE, "sectigo-2020", "symantec-distrust", "short-lived", "rebrand", "one-more")[:scenarios]
    stores = ("old", "both", "new")
    times = ("before", "after", "dst-root.until-1s", "dst-root.until+1s")
    ids = tuple(
        f"{slug}/{'long' if index % 2 else 'short-2024'}+{stores[index % 3]}@{times[index % 4]}"
        + ("~" + "x" * index if index > 11 else "")
        for slug in slugs
        for index in range(cases)
    )
    pattern = {3: ("known", EXPIRED), 7: ("outage", EXPIRED), 11: ("fault", observation("timeout", text="5000 ms"))}
    cells = []
    for row, case in enumerate(ids):
        expect = ("accept", "accept", "either", "reject", "accept")[row % 5]
        for number, name in enumerate(names):
            usual = {"accept": ("pass", OK), "either": ("open", OK), "reject": ("pass", NO_ISSUER)}[expect]
            verdict, seen = pattern.get((row * 5 + number * 3) % 61, usual)
            if verdict in {"known", "outage"} and expect != "accept":
                verdict, seen = usual
            cells.append(cell(case, name, expect, verdict, seen))
    return RunRecord(
        run=run(ids, names),
        columns=tuple(column(name, name.partition("-")[0]) for name in names),
        controls=(),
        exhibits=tuple(
            exhibit(slug, case, f"What happened in {slug}") for slug, case in (one.split("/") for one in ids)
        ),
        cells=tuple(cells),
    )


def unpacked(island: str) -> Any:
    """Return the data that the script of an HTML report reads."""
    return json.loads(gzip.decompress(base64.b64decode(island)))
