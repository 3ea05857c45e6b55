"""Reads a TOML document into a model, and says everything that is wrong with it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lab.errors import Problem, did_you_mean

__all__ = ["Document", "field_path", "validate"]

M = TypeVar("M", bound=BaseModel)


class Document:
    """A TOML file: its path, text and data.  ``data`` is None where it is no TOML; ``problems`` then says why."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = ""
        self.data: dict[str, Any] | None = None
        self.problems: list[Problem] = []
        self.spelt: dict[tuple[str | int, ...], tuple[str | int, ...]] = {}
        """Where in the file a table stands whose name was written out from braces."""
        try:
            self.text = path.read_text(encoding="utf-8")
            self.data = self._parse(self.text)
        except OSError as error:
            self.problems.append(Problem(file=str(path), found=error.strerror or str(error)))
        except UnicodeDecodeError as error:
            self.problems.append(Problem(file=str(path), found=f"not UTF-8 at byte {error.start}"))
        except RecursionError:
            self.problems.append(Problem(file=str(path), found="not TOML that can be read: nested too deep"))
        except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python reads
            self.problems.append(Problem(file=str(path), line=_line(error), found=f"not TOML: {error}"))

    def _parse(self, text: str) -> dict[str, Any]:
        """Parse, but do not let a date that is no date (``2021-09-31``) hide what else is wrong: take it as text."""
        while True:
            try:
                return tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                number = _line(error)
                lines = text.split("\n")
                wrong = _first_no_date(lines[number - 1]) if number else None
                if wrong is None:
                    raise
                found = f'"{wrong[0]}" is no date'
                remedy = "such as 2021-09-30T14:01:15Z"
                self.problems.append(Problem(file=str(self.path), line=number, found=found, remedy=remedy))
                line = lines[number - 1]
                lines[number - 1] = f'{line[: wrong.start()]}"{wrong[0]}"{line[wrong.end() :]}'
                text = "\n".join(lines)

    def problem(self, loc: Sequence[str | int], found: str, remedy: str = "") -> Problem:
        """Return a problem at a field of this document."""
        return Problem(file=str(self.path), line=self.line_of(loc), field=field_path(loc), found=found, remedy=remedy)

    def line_of(self, loc: Sequence[str | int]) -> int:
        """Return the line (counted from 1) where a field stands, or the nearest one above it; 0 if unknown."""
        place = self._in_file(tuple(loc))
        return next(
            (self._lines[place[:depth]] for depth in range(len(place), 0, -1) if place[:depth] in self._lines), 0
        )

    def _in_file(self, place: tuple[str | int, ...]) -> tuple[str | int, ...]:
        for depth in range(len(place), 0, -1):
            if place[:depth] in self.spelt:
                return self._in_file(self.spelt[place[:depth]] + place[depth:])
        return place

    @cached_property
    def _lines(self) -> dict[tuple[str | int, ...], int]:
        """Where each table and key first stands: tomllib does not tell."""
        lines: dict[tuple[str | int, ...], int] = {}
        arrays: dict[tuple[str | int, ...], int] = {}
        table: tuple[str | int, ...] = ()
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := _HEADER.match(line):
                *above, last = _parts(header["name"]) or ("",)
                table = ()
                for name in above:
                    table += (name,)
                    table += (arrays[table],) if table in arrays else ()
                table += (last,)
                if header["array"]:
                    lines.setdefault(table, number)
                    arrays[table] = arrays.get(table, -1) + 1
                    table += (arrays[table],)
                lines.setdefault(table, number)
            elif key := _KEY.match(line):
                lines.setdefault(table + _parts(key[1]), number)
        return lines


_HEADER = re.compile(r"\s*\[(?P<array>\[?)(?P<name>[^\[\]]+)\]")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*""")
_LONGEST_QUOTE = 80


def _line(error: ValueError) -> int:
    """Return the line, counted from 1, that tomllib names in its message only; 0 if it names none."""
    place = re.search(r"at line (\d+)", str(error))
    return int(place[1]) if place else 0


_DATE_LIKE = re.compile(
    r"""(?<!["'\w])\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?(?!["'\w])"""
)


def _first_no_date(line: str) -> re.Match[str] | None:
    for token in _DATE_LIKE.finditer(line):
        try:
            datetime.fromisoformat(token[0])
        except ValueError:
            return token
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(quoted or single or bare for quoted, single, bare in _PART.findall(dotted))


def field_path(loc: Sequence[str | int]) -> str:
    """Return the dotted path of a field as TOML writes it: ``certificates.r3.from``, ``times."r3.until"``."""
    parts = [str(part) for part in loc if part != "[key]"]
    return ".".join(f'"{part}"' if "." in part else part for part in parts)


def validate(
    document: Document,
    model: type[M],
    model_at: Callable[[tuple[str | int, ...]], type[BaseModel] | None],
    extra: dict[str, Any] | None = None,
) -> tuple[M | None, list[Problem]]:
    """Return the model that a document says, or None, and every problem of it.

    ``model_at`` tells which model stands at a location, so that a field that it does not have is answered with the
    ones that it has.  ``extra`` is added to the document's data: fields that nobody may write in it.
    """
    if document.data is None:
        return None, list(document.problems)
    extra = extra or {}
    problems = [
        document.problem([name], "no such field", f'it is "{extra[name]}"') for name in extra.keys() & document.data
    ]
    found: M | None = None
    try:
        found = model.model_validate({**document.data, **extra})
    except ValidationError as error:
        problems += [_problem(document, details, model_at, extra) for details in error.errors(include_url=False)]
    except OverflowError:
        problems.append(Problem(file=str(document.path), found="a date too early or too late to be told in UTC"))
    lines = {problem.line for problem in problems}
    problems += [problem for problem in document.problems if problem.line not in lines]
    return (None, problems) if problems else (found, [])


def _problem(
    document: Document,
    details: Any,
    model_at: Callable[[tuple[str | int, ...]], type[BaseModel] | None],
    unwritten: Iterable[str],
) -> Problem:
    loc: tuple[str | int, ...] = details["loc"]
    kind: str = details["type"]
    if kind == "extra_forbidden":
        parent = model_at(loc[:-1])
        remedy = did_you_mean(str(loc[-1]), _field_names(parent) - set(unwritten)) if parent else ""
        return document.problem(loc, "no such field", remedy)
    if kind == "missing":
        return document.problem(loc, "missing", "this field is needed")
    message = str(details["msg"]).removeprefix("Value error, ")
    found = f"found {_short(details['input'])}"
    return document.problem(loc, found, message[:1].lower() + message[1:])


def _field_names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _short(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "..."
