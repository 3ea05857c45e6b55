"""Whether a scenario's names fit together: what refers to what, and which cases have an expectation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from lab.errors import Problem, did_you_mean
from lab.model.document import Document
from lab.model.scenario import BOUNDARY
from lab.model.variants import BOUNDARIES

__all__ = ["scenario_problems"]

Table = dict[str, Any]

_CHANGES = {"store": "trust", "chain": "send", "device": "send", "device_store": "trust"}
"""The parts of a case that a remedy may change, with the name of the field that replaces the whole."""


def scenario_problems(document: Document) -> list[Problem]:
    """Return every reference that leads nowhere, every case without an expectation and every accidental dead leaf.

    Works on the document's data rather than on a model, so that a date that is no date does not hide a misspelt
    entity.
    """
    return list(_Checks(document).all()) if document.data is not None else []


def _table(value: object) -> Table:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _moment(value: object) -> datetime | None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return None


class _Checks:
    def __init__(self, document: Document) -> None:
        data = document.data or {}
        self.document = document
        self.entities = _table(data.get("entities"))
        self.certificates = _table(data.get("certificates"))
        self.chains = _table(data.get("chains"))
        self.stores = _table(data.get("stores"))
        self.times = _table(data.get("times"))
        self.expect = _table(data.get("expect"))
        self.server = _table(data.get("server"))
        self.remedies = _table(data.get("remedies"))
        self.faults = _table(data.get("faults"))
        self.orders = data.get("orders")

    def all(self) -> Iterator[Problem]:
        yield from self.entity_references()
        yield from self.certificate_references()
        yield from self.revocation_references()
        yield from self.chain_references()
        yield from self.store_references()
        yield from self.server_references()
        yield from self.remedy_references()
        yield from self.cases_named()
        yield from self.expectations()
        yield from self.dead_leaves()

    def unknown(self, loc: tuple[str | int, ...], name: object, known: Table, what: str) -> Iterator[Problem]:
        if isinstance(name, str) and name not in known:
            yield self.document.problem(loc, f'no {what} is called "{name}"', did_you_mean(name, known))

    def entity_references(self) -> Iterator[Problem]:
        for name, entity in self.entities.items():
            for field in ("same_key_as", "same_key_id_as"):
                loc = ("entities", name, field)
                yield from self.unknown(loc, _table(entity).get(field), self.entities, "entity")
            seen, owner = [name], _table(entity).get("same_key_as")
            while isinstance(owner, str) and owner in self.entities:
                if owner in seen:
                    yield self.document.problem(
                        ("entities", name, "same_key_as"), "a loop: " + " -> ".join([*seen, owner])
                    )
                    break
                seen.append(owner)
                owner = _table(self.entities[owner]).get("same_key_as")

    def certificate_references(self) -> Iterator[Problem]:
        for name, certificate in self.certificates.items():
            for field in ("subject", "issuer"):
                loc = ("certificates", name, field)
                yield from self.unknown(loc, _table(certificate).get(field), self.entities, "entity")
            begin, end = (_moment(_table(certificate).get(field)) for field in ("from", "until"))
            if begin is not None and end is not None and end < begin:
                found = f"it ends ({end:%Y-%m-%dT%H:%M:%SZ}) before it begins ({begin:%Y-%m-%dT%H:%M:%SZ})"
                yield self.document.problem(("certificates", name, "until"), found)

    def revocation_references(self) -> Iterator[Problem]:
        """Yield what says something of a revocation that cannot be said."""
        subjects = {_table(one).get("subject") for one in self.certificates.values()}
        for name, chain in self.chains.items():
            send = _names(_table(chain).get("send"))
            if _table(chain).get("staple") and send and _table(self.certificates.get(send[0])).get("issuer"):
                yield from self.issuer_known(("chains", name, "staple"), send[0], subjects)
        for name, body in self.certificates.items():
            certificate = _table(body)
            if isinstance(certificate.get("aia"), str):
                loc: tuple[str, ...] = ("certificates", name, "aia")
                yield from self.unknown(loc, certificate["aia"], self.certificates, "certificate")
            for field in ("ocsp", "crl", "aia"):
                if not certificate.get(field):
                    continue
                yield from self.issuer_known(("certificates", name, field), name, subjects)
            begin, end = (_moment(certificate.get(field)) for field in ("revoked", "reinstated"))
            loc = ("certificates", name, "reinstated")
            if end is not None and begin is None:
                yield self.document.problem(loc, "it was never revoked", 'say since when: "revoked"')
            elif end is not None and begin is not None and end <= begin:
                yield self.document.problem(loc, f"not after it was revoked ({begin:%Y-%m-%dT%H:%M:%SZ})")

    def issuer_known(self, loc: tuple[str | int, ...], name: str, subjects: set[Any]) -> Iterator[Problem]:
        issuer = _table(self.certificates[name]).get("issuer")
        if issuer in self.entities and issuer not in subjects:
            yield self.document.problem(loc, f'its issuer "{issuer}" has no certificate', "give it one")

    def chain_references(self) -> Iterator[Problem]:
        for name, chain in self.chains.items():
            for certificate in _names(_table(chain).get("send")):
                yield from self.unknown(("chains", name, "send"), certificate, self.certificates, "certificate")
            for store in _names(_table(chain).get("stores")):
                yield from self.unknown(("chains", name, "stores"), store, self.stores, "store")
            yield from self.device_references(name, _table(chain))
            times = _names(_table(chain).get("at"))
            for time in times:
                if time == BOUNDARIES:
                    continue
                yield from self.time(("chains", name, "at"), time)
            for time in sorted({time for time in times if times.count(time) > 1}):
                yield self.document.problem(("chains", name, "at"), f'"{time}" stands here twice')

    def device_references(self, name: str, chain: Table) -> Iterator[Problem]:
        for certificate in _names(chain.get("device")):
            yield from self.unknown(("chains", name, "device"), certificate, self.certificates, "certificate")
        yield from self.unknown(("chains", name, "device_store"), chain.get("device_store"), self.stores, "store")
        said = [field for field in ("device_store", "device_required", "device_hints") if field in chain]
        if "device" in chain and "device_store" not in chain:
            found, remedy = "nothing says whom the server trusts for devices", "name a store"
            yield self.document.problem(("chains", name, "device_store"), found, remedy)
        elif "device" not in chain and said:
            found, remedy = "there is no device to judge", 'say what it shows: device = ["..."], or [] for nothing'
            yield self.document.problem(("chains", name, said[0]), found, remedy)

    def time(self, loc: tuple[str | int, ...], time: str) -> Iterator[Problem]:
        if time in self.times:
            return
        boundary = BOUNDARY.fullmatch(time)
        if boundary is None:
            near = did_you_mean(time, self.times)
            remedy = near + ("" if near.endswith("?") else ",") + ' or an end of a certificate, such as "NAME.until+1s"'
            yield self.document.problem(loc, f'no time is called "{time}"', remedy)
        elif boundary["certificate"] not in self.certificates:
            yield from self.unknown(loc, boundary["certificate"], self.certificates, "certificate")
        elif boundary["end"] not in _table(self.certificates[boundary["certificate"]]):
            found = f'"{boundary["certificate"]}" has no "{boundary["end"]}"'
            yield self.document.problem(loc, found, "give the certificate that date")
        elif _moment(self.certificates[boundary["certificate"]][boundary["end"]]) and self.moment(time) is None:
            yield self.document.problem(loc, f'"{time}" is beyond the years 1 to 9999')

    def server_references(self) -> Iterator[Problem]:
        yield from self.unknown(("server", "pin"), self.server.get("pin"), self.certificates, "certificate")
        for store in _names(self.orders):
            yield from self.unknown(("orders",), store, self.stores, "store")

    def remedy_references(self) -> Iterator[Problem]:
        for name, remedy in self.remedies.items():
            for part, whole in _CHANGES.items():
                change = _table(_table(remedy).get(part))
                for field in ("without", "with", whole):
                    for certificate in _names(change.get(field)):
                        loc = ("remedies", name, part, field)
                        yield from self.unknown(loc, certificate, self.certificates, "certificate")
            clock = _table(remedy).get("clock")
            if isinstance(clock, str):
                yield from self.time(("remedies", name, "clock"), clock)
            if not {*_CHANGES, "clock", "column"} & _table(remedy).keys():
                remedy_says = "say what changes: store, chain, device, device_store, clock or column"
                yield self.document.problem(("remedies", name), "it changes nothing", remedy_says)

    def cases_named(self) -> Iterator[Problem]:
        """Yield the patterns of remedies and faults that name no written case."""
        written = [f"{chain}+{store}@{time}" for chain in self.chains for store, time in product(*self.cases(chain))]
        for table, tables in (("remedies", self.remedies), ("faults", self.faults)):
            for name, one in tables.items():
                for pattern in _names(_table(one).get("of")):
                    if not any(fnmatchcase(case, pattern) for case in written):
                        found = f'no written case is called "{pattern}"'
                        yield self.document.problem((table, name, "of"), found, did_you_mean(pattern, written))

    def store_references(self) -> Iterator[Problem]:
        for name, store in self.stores.items():
            for certificate in _names(store):
                yield from self.unknown(("stores", name), certificate, self.certificates, "certificate")

    def cases(self, chain: str) -> tuple[list[str], list[str]]:
        """Return the stores and times that a chain is put before."""
        table = _table(self.chains[chain])
        stores = _names(table["stores"]) if "stores" in table else list(self.stores)
        return stores, [time for time in _names(table.get("at")) if time != BOUNDARIES]

    def expectations(self) -> Iterator[Problem]:
        for chain in self.expect:
            yield from self.unknown(("expect", chain), chain, self.chains, "chain")
        for chain in self.chains:
            yield from self.expectations_of(chain)

    def expectations_of(self, chain: str) -> Iterator[Problem]:
        stores, times = self.cases(chain)
        said = _table(self.expect.get(chain))
        generated = "swept" in _table(self.chains[chain])
        for store in said:
            if store not in stores:
                yield from self.no_case(("expect", chain, store), store, stores, "store")
                continue
            for time in _table(said[store]):
                if time not in times:
                    yield from self.no_case(("expect", chain, store, time), time, times, "time")
        for store in stores:
            for time in times:
                if time not in _table(said.get(store)) and not generated:
                    found = f"the case {chain}+{store}@{time} has no expectation"
                    remedy = 'say "accept", "reject" or "either"'
                    yield self.document.problem(("expect", chain, store, time), found, remedy)

    def no_case(self, loc: tuple[str | int, ...], name: str, known: list[str], what: str) -> Iterator[Problem]:
        found = f'the chain "{loc[1]}" has no case with the {what} "{name}"'
        yield self.document.problem(loc, found, did_you_mean(name, known))

    def dead_leaves(self) -> Iterator[Problem]:
        for chain in self.chains:
            table = _table(self.chains[chain])
            send = _names(table.get("device")) or _names(table.get("send"))  # whichever is judged
            leaf = _table(self.certificates.get(send[0])) if send else {}
            begin, end = _moment(leaf.get("from")), _moment(leaf.get("until"))
            stores, times = self.cases(chain)
            for time in times:
                at = self.moment(time)
                if at is None:
                    continue
                if begin is not None and at < begin:
                    state, reason = f"is not valid before {begin:%Y-%m-%dT%H:%M:%SZ}", "not-yet-valid"
                elif end is not None and at > end:
                    state, reason = f"ended at {end:%Y-%m-%dT%H:%M:%SZ}", "expired"
                else:
                    continue
                for store in stores:
                    if self.reason(chain, store, time) not in {reason, *self.unsaid(chain)}:
                        found = f'the end-entity certificate "{send[0]}" {state}, which alone decides this case'
                        remedy = f'serve one that is in its dates, or expect "reject:{reason}" if that is the point'
                        yield self.document.problem(("expect", chain, store, time), found, remedy)

    def moment(self, time: str) -> datetime | None:
        if time in self.times:
            return _moment(self.times[time])
        boundary = BOUNDARY.fullmatch(time)
        if boundary is None:
            return None
        end = _moment(_table(self.certificates.get(boundary["certificate"])).get(boundary["end"]))
        if end is None:
            return None
        try:
            return end + timedelta(seconds=int((boundary["offset"] or "0s")[:-1]))
        except (OverflowError, ValueError):  # ValueError: more digits than Python reads
            return None

    def unsaid(self, chain: str) -> set[None]:
        """Return what the reason of a case without expectation is, where a chain may have such cases."""
        return {None} if "swept" in _table(self.chains[chain]) else set()

    def reason(self, chain: str, store: str, time: str) -> str | None:
        said = _table(_table(self.expect.get(chain)).get(store)).get(time)
        text = _table(said).get("expect") if isinstance(said, dict) else said
        return text.partition(":")[2] if isinstance(text, str) else None
