"""Scenarios that repeat themselves: parameters, sweeps, and what is like something else, written out before reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

from lab.errors import did_you_mean
from lab.model.document import Document

__all__ = ["MAX_TABLES", "write_out"]

MAX_TABLES = 4096
"""How many tables and elements a scenario may become by itself, so that no file can make a run endless."""

_REPEATED = ("entities", "certificates", "chains", "stores", "times", "expect", "remedies", "faults")
_FILLED = (*_REPEATED, "server", "patches", "date", "orders")
_BRACES = re.compile(r"\{(?P<name>[A-Za-z0-9_-]*?)(?P<step>[+-][0-9]+)?\}")
_SPAN = re.compile(r"\{(?P<begin>[A-Za-z0-9_+-]+)\.\.(?P<end>[A-Za-z0-9_+-]+)\}")
_RANGE = re.compile(r"(-?[0-9]{1,6})\.\.(-?[0-9]{1,6})")
_TERM = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_-]*?)(?P<step>[+-][0-9]+)?")

Table = dict[str, Any]
Values = Mapping[str, Any]


class _NotWritableError(Exception):
    """What is wrong at one place, and what would be right."""

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


def write_out(document: Document, overrides: Values | None = None) -> None:
    """Write out a scenario's document in place: ``document.data`` then says every table by itself.

    ``[parameters]`` stand where ``"{name}"`` is; ``overrides`` take their place.  A table whose name holds the name
    of a sweep in braces is there once for each value of it.  A certificate that is ``like`` another has its fields,
    and those of its ``patch``; a chain that is like another sends the same, but for what it swaps.  What cannot be
    written out is added to ``document.problems``, everything at once.
    """
    if document.data is not None:
        _Writer(document, dict(overrides or {})).write()


def _table(value: object) -> Table:
    return value if isinstance(value, dict) else {}


class _Room:
    """How many tables and elements a document may still become."""

    def __init__(self) -> None:
        self.left = MAX_TABLES

    def take(self, number: int) -> None:
        if number > self.left:
            self.left = 0
            raise _NotWritableError(f"with this it becomes more than {MAX_TABLES} tables and elements")
        self.left -= number


class _Writer:
    def __init__(self, document: Document, overrides: Table) -> None:
        assert document.data is not None
        self.document = document
        self.data: Table = document.data
        self.parameters = dict(_table(self.data.get("parameters")))
        for name, value in overrides.items():
            if name not in self.parameters:
                self.wrong(
                    ("parameters",),
                    _NotWritableError(f'there is no parameter "{name}"', did_you_mean(name, self.parameters)),
                )
            self.parameters[name] = value
        self.sweeps: dict[str, list[Any]] = {}
        for name, said in _table(self.data.get("sweep")).items():
            try:
                self.sweeps[name] = _values(said)
            except _NotWritableError as error:
                self.wrong(("sweep", name), error)
                self.sweeps[name] = []
        self.room = _Room()

    def wrong(self, loc: tuple[str | int, ...], error: _NotWritableError) -> None:
        self.document.problems.append(self.document.problem(loc, error.found, error.remedy))

    def write(self) -> None:
        written = dict(self.data)
        if self.parameters:
            written["parameters"] = self.parameters
        for where in _FILLED:
            if where in written:
                written[where] = self.filled((where,), written[where])
        patches = _table(written.get("patches"))
        mergers: dict[str, Callable[[Table, Table], Table]] = {
            "certificates": lambda other, own: _merged_certificate(other, own, patches),
            "chains": _merged_chain,
        }
        for kind, merge in mergers.items():
            if isinstance(written.get(kind), dict):
                written[kind] = self.liken(kind, written[kind], merge)
        written.pop("patches", None)
        self.document.data = written

    def filled(self, loc: tuple[str, ...], value: Any) -> Any:
        """Return a top-level value with nothing in braces left in it."""
        if loc[0] in _REPEATED and isinstance(value, dict):
            return self.repeated(loc, value, {})
        try:
            return _Filler(self.parameters, self.parameters, self.room).fill(value)
        except _NotWritableError as error:
            self.wrong(loc, error)
            return value

    def repeated(self, loc: tuple[str, ...], table: Table, outer: Values) -> Table:
        """Return a table of tables in which those whose names hold a sweep are repeated."""
        written: Table = {}
        for name, body in table.items():
            swept = [match["name"] for match in _BRACES.finditer(name) if match["name"] in self.sweeps]
            swept = [one for one in dict.fromkeys(swept) if one not in outer]
            for values in product(*(self.sweeps[one] for one in swept)):
                own = {**outer, **dict(zip(swept, values, strict=True))}
                try:
                    self.room.take(1 if own else 0)
                    self.one(loc, name, body, own, written)
                except _NotWritableError as error:
                    self.wrong((*loc, name), error)
                    break
        return written

    def one(self, loc: tuple[str, ...], name: str, body: Any, own: Values, written: Table) -> None:
        filler = _Filler({**self.parameters, **own}, {**self.parameters, **self.sweeps}, self.room)
        spelt = str(filler.text(name))
        if loc[0] == "expect" and len(loc) == 1 and isinstance(body, dict):
            filled = self.repeated((*loc, name), body, own)
        else:
            filled = filler.fill(body)
        if spelt in written:
            raise _NotWritableError(f'"{spelt}" is there already')
        if loc == ("chains",) and isinstance(filled, dict):
            if "swept" in filled:
                raise _NotWritableError('"swept" is the lab\'s to say', "leave it out")
            if own:
                filled["swept"] = {"family": name, "values": dict(own)}
        if spelt != name:
            self.document.spelt[(*loc, spelt)] = (*loc, name)
        written[spelt] = filled

    def liken(self, kind: str, tables: Table, merge: Callable[[Table, Table], Table]) -> Table:
        """Return tables of which each that is like another has been merged with it: ``merge(other, own)``."""
        done: Table = {}

        def resolve(name: str, seen: tuple[str, ...]) -> Table:
            if name not in done:
                own = dict(_table(tables[name]))
                other, base = own.pop("like", None), {}
                if other is not None:
                    if other not in tables:
                        what = f'it is like "{other}", which is no {kind.removesuffix("s")}'
                        raise _NotWritableError(what, did_you_mean(str(other), tables))
                    if other in seen:
                        raise _NotWritableError("a loop: " + " -> ".join([*seen, str(other)]))
                    base = resolve(other, (*seen, other))
                done[name] = merge(base, own)
            return _table(done[name])

        for name in tables:
            if isinstance(tables[name], dict):
                try:
                    resolve(name, (name,))
                except _NotWritableError as error:
                    self.wrong((kind, name), error)
        return {name: done.get(name, tables[name]) for name in tables}


def _merged_certificate(other: Table, own: Table, patches: Table) -> Table:
    """Return a certificate with the other's fields, over them those of its patch, over both its own."""
    own = dict(own)
    patch = own.pop("patch", None)
    if patch is not None and patch not in patches:
        raise _NotWritableError(f'no patch is called "{patch}"', did_you_mean(str(patch), patches))
    return {**other, **_table(patches.get(patch)), **own}


def _merged_chain(other: Table, own: Table) -> Table:
    """Return a chain with the other's fields, over them its own, and what it swaps in its certificates' places."""
    whole = {key: value for key, value in other.items() if key != "swept"} | own
    swap, send = _table(whole.pop("swap", None)), whole.get("send")
    if swap and isinstance(send, list):
        for one in swap:
            if one not in send:
                raise _NotWritableError(f'it swaps "{one}", which it does not send', did_you_mean(one, map(str, send)))
        whole["send"] = [swap.get(one, one) for one in send]
    return whole


def _values(said: object) -> list[Any]:
    """Return the values of a sweep: those of a list, or of a range such as ``1..12``."""
    if isinstance(said, str) and (span := _RANGE.fullmatch(said)):
        begin, end = int(span[1]), int(span[2])
        if abs(end - begin) >= MAX_TABLES:
            raise _NotWritableError(f"{said} has more than {MAX_TABLES} values")
        return list(_counted(begin, end))
    if isinstance(said, list) and said and all(isinstance(one, str | int | float) for one in said):
        if len({str(one) for one in said}) < len(said):
            raise _NotWritableError("a value stands here twice")
        return said
    raise _NotWritableError(f"found {said!r}", 'give a list of values, or a range such as "1..12"')


def _counted(begin: int, end: int) -> range:
    return range(begin, end + 1) if begin <= end else range(begin, end - 1, -1)


class _Filler:
    """Puts values where their names stand in braces.

    ``known`` are the names that could have been meant; ``room`` is how many elements lists may still grow by.
    """

    def __init__(self, values: Values, known: Values, room: _Room) -> None:
        self.values = values
        self.known = known
        self.room = room

    def fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [filled for one in value for filled in self.elements(one)]
        return value

    def elements(self, value: Any) -> Iterator[Any]:
        span = _SPAN.search(value) if isinstance(value, str) else None
        if span is None:
            yield self.fill(value)
            return
        numbers = _counted(self.number(span["begin"]), self.number(span["end"]))
        self.room.take(len(numbers))
        for number in numbers:
            yield self.fill(value[: span.start()] + str(number) + value[span.end() :])

    def number(self, term: str) -> int:
        if re.fullmatch(r"[0-9]+", term):
            return int(term)
        parts = _TERM.fullmatch(term)
        if parts is None:
            raise _NotWritableError(f'"{term}" is no number and no name', "such as {1..depth}")
        return self.stepped(parts["name"], parts["step"])

    def stepped(self, name: str, step: str | None) -> int:
        number = self.value(name)
        if not isinstance(number, int):
            raise _NotWritableError(f'"{name}" is {number!r}: only a whole number can be counted')
        return number + int(step or 0)

    def value(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name in self.known:
            raise _NotWritableError(f"{{{name}}} has no value here", "the table's own name must hold it")
        raise _NotWritableError(f"nothing is called {{{name}}}", did_you_mean(name, self.known))

    def text(self, text: str) -> Any:
        whole = _BRACES.fullmatch(text)
        return self.braces(whole) if whole is not None else _BRACES.sub(lambda match: str(self.braces(match)), text)

    def braces(self, match: re.Match[str]) -> Any:
        name = f"{match['name']}{match['step'] or ''}"
        if match["step"] is None or name in self.values:
            return self.value(name)
        return self.stepped(match["name"], match["step"])
