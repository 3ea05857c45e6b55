"""The document reader: whatever a file holds, its reader gets a model or problems, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.corpus import home, load_client, load_scenario
from lab.model.base import Model
from lab.model.document import Document, field_path, validate

SAMPLE = (home() / "scenarios" / "letsencrypt-2021" / "scenario.toml").read_text(encoding="utf-8")

quietly = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    """Return where a scenario's file goes."""
    folder = tmp_path / "a-scenario"
    folder.mkdir()
    return folder / "scenario.toml"


def scenario_of(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found, problems = load_scenario(path)
    assert (found is None) == bool(problems)
    assert all(problem.file == str(path) and problem.found for problem in problems)
    lines = content.count(b"\n") + content.count(b"\r") + 1
    assert all(0 <= problem.line <= lines for problem in problems)


@given(content=st.binary(max_size=400))
@example(content=b"\xff\xfe")
@example(content=b"x = " + b"[" * 20_000)
@example(content=b"x = " + b"1" * 5_000)
@example(content=b"\xef\xbb\xbfschema = 1")
@quietly
def test_any_bytes(scenario_file: Path, content: bytes) -> None:
    """Bytes that are no scenario give problems that name the file."""
    scenario_of(scenario_file, content)


@given(data=st.data())
@quietly
def test_any_damage_to_a_sound_file(scenario_file: Path, data: st.DataObject) -> None:
    """A sound scenario with any piece of its text cut out, doubled or overwritten gives a model or problems."""
    begin = data.draw(st.integers(0, len(SAMPLE)))
    end = data.draw(st.integers(begin, min(begin + 60, len(SAMPLE))))
    piece = data.draw(
        st.one_of(
            st.text(max_size=12),
            st.just(SAMPLE[begin:end] * 2),
            st.sampled_from(["{}", "[]", "1", "-1", "true", '""', "nan", "2021-02-30", "9999-12-31T23:59:59-10:00"]),
        )
    )
    scenario_of(scenario_file, (SAMPLE[:begin] + piece + SAMPLE[end:]).encode("utf-8", "surrogatepass"))


values = st.recursive(
    st.one_of(
        st.sampled_from(["dst", "site", "now", "dst.until+1s", "accept", "reject:expired", "either:x", "reject:"]),
        st.integers(-3, 3),
        st.booleans(),
        st.sampled_from(["2021-09-30T14:01:15Z", "2021-09-31", "0001-01-01T00:00:00+14:00", "12:00:00"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["dst", "site", "subject", "issuer", "from", "until", "send", "at", "stores", "expect"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml(one)}' for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if isinstance(value, int) or text[:1].isdigit() else f'"{text}"'


@given(
    tables=st.dictionaries(
        st.sampled_from(["entities", "certificates", "chains", "stores", "times", "expect", "server", "slug"]), values
    )
)
@example(tables={"chains": {"site": {"send": "site", "at": "now", "stores": 1}}, "expect": {"site": {"dst": 1}}})
@quietly
def test_any_shape_of_any_table(scenario_file: Path, tables: dict[str, object]) -> None:
    """Tables of any shape, where others are expected, give problems."""
    scenario_of(scenario_file, "".join(f"{name} = {toml(value)}\n" for name, value in tables.items()).encode())


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8"))))
@quietly
def test_any_manifest(tmp_path: Path, content: bytes) -> None:
    """Whatever a client's two files hold, loading them gives a client or problems."""
    folder = tmp_path / "stack"
    folder.mkdir(exist_ok=True)
    (folder / "client.toml").write_bytes(content)
    (folder / "deviations.toml").write_bytes(content)
    found, problems = load_client(folder)
    assert (found is None) == bool(problems)


def document(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "some.toml"
    path.write_text(text, encoding="utf-8")
    return Document(path)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is a problem in the system's words."""
    missing = Document(tmp_path / "none.toml")
    assert missing.data is None
    assert [problem.found for problem in missing.problems] == ["No such file or directory"]


def test_syntax_error_names_its_line(tmp_path: Path) -> None:
    """Text that is no TOML is reported with the line at which it stops being TOML."""
    broken = document(tmp_path, 'a = 1\nb = "\n')
    assert broken.data is None
    assert [problem.line for problem in broken.problems] == [2]


def test_impossible_date_does_not_hide_the_rest(tmp_path: Path) -> None:
    """A date that is no date is reported and read as text, so that everything else can be checked as well."""
    odd = document(tmp_path, 'a = 2021-09-31\nb = [2021-13-01T00:00:00Z, "2021-13-01"]\n')
    assert odd.data == {"a": "2021-09-31", "b": ["2021-13-01T00:00:00Z", "2021-13-01"]}
    assert [(problem.line, problem.found) for problem in odd.problems] == [
        (1, '"2021-09-31" is no date'),
        (2, '"2021-13-01T00:00:00Z" is no date'),
    ]


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        (("top",), 1),
        (("plain",), 2),
        (("plain", "key"), 3),
        (("plain", "inline", "deep"), 4),
        (("plain", "dotted", "key"), 5),
        (("plain", "quoted.key"), 6),
        (("plain", "no-such-key"), 2),
        (("item",), 7),
        (("item", 0, "name"), 8),
        (("item", 1), 9),
        (("item", 1, "name"), 10),
        (("item", 1, "sub", "key"), 12),
        (("nothing",), 0),
        ((), 0),
    ],
)
def test_where_a_field_stands(tmp_path: Path, loc: tuple[str | int, ...], line: int) -> None:
    """A field is found on its line, each element of an array of tables on its own, else the nearest one above it."""
    text = """top = 0
[plain]
key = 1
inline = { deep = 1 }
dotted.key = 1
"quoted.key" = 1
[[item]]
name = "first"
[[item]]
name = "second"
[item.sub]
key = 1
"""
    assert document(tmp_path, text).line_of(loc) == line


def test_field_path() -> None:
    """A field's path is dotted, as TOML writes it, without what only the validator knows."""
    assert field_path(("columns", 1, "name", "[key]")) == "columns.1.name"
    assert field_path(("expect", "long", "dst.until+1s")) == 'expect.long."dst.until+1s"'


def test_unwritten_field(tmp_path: Path) -> None:
    """A field that the file's place decides may not be written in the file, nor is it offered as a remedy."""

    class Named(Model):
        slug: str
        title: str

    found, problems = validate(document(tmp_path, 'slug = "mine"\ntitel = 1\n'), Named, lambda _: Named, {"slug": "a"})
    assert found is None
    said = {problem.field: (problem.line, problem.found, problem.remedy) for problem in problems}
    assert said == {
        "slug": (1, "no such field", 'it is "a"'),
        "titel": (2, "no such field", 'did you mean "title"?'),
        "title": (0, "missing", "this field is needed"),
    }


def test_long_values_are_cut(tmp_path: Path) -> None:
    """What is quoted of a wrong value fits on a line."""

    class Number(Model):
        n: int

    _, problems = validate(document(tmp_path, f'n = "{"x" * 500}"\n'), Number, lambda _: Number)
    assert len(problems[0].found) < 100
