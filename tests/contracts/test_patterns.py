"""How much work a pattern can make: counted as our own automaton counts it, step by step."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from contracts.document import NoContractError, document_of
from contracts.patterns import (
    AT_ONCE_MAX,
    NESTED_MAX,
    STEPS_MAX,
    TEXT_CHARS_MAX,
    PatternError,
    chars_limit,
    extent_of,
)

DNS = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$"


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a{0,500}){0,200}$",
        "^(a{0,50}){0,50}$",
        "^([a-z]{1,30} ?){1,200}$",
        "^([^,]{1,64},?){1,100}$",
        "^(?:(?:a{0,20}b?){0,20})*$",
        "^((a?){60}){60}$",
        "^" + "a?" * 2000 + "a" * 2000 + "$",
        "[ab]*a[ab]{500}c",
        "(?m)^([ab]a?){200}$",
        "^(a{0,100}){100,}$",
        "^(?P<n>a{0,40}b?){0,40}",
        "^(?<n>[)]{0,40}b?){0,40}",
        r"^(\){0,40}b?){0,40}",
        r"^(\x{61}{0,40}b?){0,40}",
        "^([^a]{ 0, 40 }b?){,40}",
        "^(a{0,40}?b?){0,40}?",
        "^(a{0,40}+){0,40}",
        "^(a{0,140}[])]?){0,700}$",
        "^(a{0,140}[^])]?){0,700}$",
    ],
)
def test_what_would_hold_up_everybody_is_refused_where_it_stands(pattern: str) -> None:
    with pytest.raises(NoContractError) as refused:
        document_of({"properties": {"p": {"type": "string", "pattern": pattern}}})
    (problem,) = refused.value.problems
    assert problem.pointer == "/properties/p/pattern"
    assert "takes too long on a long text" in problem.detail
    limit = chars_limit(pattern)
    assert limit is not None
    assert f"maxLength of {limit} or less" in problem.detail
    assert document_of({"pattern": pattern, "maxLength": limit})
    with pytest.raises(NoContractError, match="takes too long"):
        document_of({"pattern": pattern, "maxLength": limit + 1})


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a",
        "^[a-z]{1,500}$",
        "^.{1,5000}$",
        r"^([0-9]{1,3}\.){3}[0-9]{1,3}$",
        "^#([0-9a-f]{3}){1,2}$",
        r"^[0-9a-f]{32}(,[0-9a-f]{32})*$",
        r"^[^@]{1,64}@[^@]{1,255}$",
        r"^([a-z0-9]{1,63}\.){1,10}[a-z]{2,63}$",
        "^(a+)+$",
        r"^\p{L}{1,50}$",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "^[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?$",
        "^(" + "|".join(f"word{number}" for number in range(2000)) + ")$",
        DNS,
    ],
)
def test_what_people_write_is_taken(pattern: str) -> None:
    compiled = contracts.Compiled(document_of({"pattern": pattern}))
    assert len(compiled.problems("a" * 65_536)) <= 1


def test_a_pattern_of_names_has_no_length_to_go_by() -> None:
    with pytest.raises(NoContractError) as refused:
        document_of({"patternProperties": {"^(a{0,50}){0,50}$": True}, "maxLength": 5})
    assert [problem.pointer for problem in refused.value.problems] == ["/patternProperties/^(a{0,50}){0,50}$"]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("^(?!foo).*$", "looks ahead or behind"),
        ("(?<=a)b", "looks ahead or behind"),
        (r"(a)\1", "refers back"),
        (r"(?<n>a)\k<n>", "refers back"),
        ("(?x)a # (", "the flag x"),
        ("(" * (NESTED_MAX + 1) + ")" * (NESTED_MAX + 1), "groups in one another"),
    ],
)
def test_what_the_engine_does_not_have_is_named(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        extent_of(pattern)
    with pytest.raises(NoContractError, match=why):
        document_of({"pattern": pattern})


@pytest.mark.parametrize(
    "schema", [{"pattern": r"^\p{L}{1,500}$"}, {"patternProperties": {r"^\p{L}{1,500}$": True}}]
)
def test_what_is_too_large_for_the_engine_is_not_called_wrong(schema: dict[str, Any]) -> None:
    with pytest.raises(contracts.SchemaError, match="too large for the engine"):
        contracts.Compiled(document_of(schema))
    with pytest.raises(contracts.SchemaError, match="is not a"):
        contracts.Compiled(document_of({"pattern": r"^\p{Nothing}{1,500}$"}))


@pytest.mark.parametrize("braces", ["a{" + " " * 100_000 + "," + " " * 100_000, "a{" + "9" * 60_000 + ","])
def test_braces_without_an_end_are_read_once(braces: str) -> None:
    """A search that goes back and forth in them would take hours; they are no count, but so many characters."""
    assert extent_of(braces).shortest == len(braces)


def test_a_count_of_thousands_of_digits_is_no_fault_of_ours() -> None:
    with pytest.raises(NoContractError, match="takes too long"):
        document_of({"pattern": "a" + "{16777216}" * 700, "maxLength": 3})


def test_a_class_looks_like_a_group_and_is_none() -> None:
    assert extent_of(r"^[(?=\]{9}]{3}$").places == 3


@given(st.text(alphabet=r"ab()[]{}|^$*+?\\,:<>=!P0123x-", max_size=40))
def test_any_text_is_counted_or_refused(pattern: str) -> None:
    try:
        document_of({"pattern": pattern})
    except NoContractError:
        return
    assert chars_limit(pattern) is None


def test_one_from_before_the_rule_sees_no_text_that_is_too_long_for_it() -> None:
    pattern = "^(a{0,500}){0,200}$"
    limit = chars_limit(pattern)
    for schema in ({"pattern": pattern}, {"$ref": "#/$defs/p", "$defs": {"p": {"pattern": pattern}}}):
        compiled = contracts.Compiled(schema)
        assert compiled.problems("aaa") == []
        assert [str(problem) for problem in compiled.problems("b")] == [
            f'/data: "b" does not match "{pattern}"'
        ]
        (problem,) = compiled.problems("a" * 90_000)
        assert f"is longer than {limit} characters" in problem.detail


def test_the_engine_runs_no_slow_pattern_on_a_text_that_its_own_length_refuses() -> None:
    schema = {"pattern": "^(a{0,50}){0,50}$", "maxLength": 9, "allOf": [{"minLength": 2}]}
    (problem,) = contracts.Compiled(document_of(schema)).problems("a" * 65_536)
    assert "is longer than 9 characters" in problem.detail
    assert schema["allOf"] == [{"minLength": 2}]


# A pattern as a tree, its text, and an automaton that is spelled out: one number per place.
atoms = st.sampled_from(["a", "b", "[ab]", ".", r"\w"])
counts = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda pair: (pair[0], sum(pair) or 1))
trees = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(st.just("each"), st.lists(inner, min_size=1, max_size=4)),
        st.tuples(st.just("one"), st.lists(inner, min_size=2, max_size=3)),
        st.tuples(st.just("times"), inner, counts),
        st.tuples(st.just("star"), inner),
    ),
    max_leaves=8,
)


def text_of(tree: Any) -> str:
    match tree:
        case str():
            return tree
        case ("each", parts):
            return "".join(map(text_of, parts))
        case ("one", cases):
            return f"(?:{'|'.join(map(text_of, cases))})"
        case ("times", body, (least, most)):
            return f"(?:{text_of(body)}){{{least},{most}}}"
    return f"(?:{text_of(tree[1])})*"


class Automaton:
    """Places by number; each has what it takes, and what follows. Built backwards, from what comes after."""

    def __init__(self, tree: Any) -> None:
        self.takes: list[str] = []
        self.follows: list[frozenset[int]] = []
        self.first = self._before(tree, frozenset())

    def _before(self, tree: Any, after: frozenset[int]) -> frozenset[int]:
        match tree:
            case str():
                self.takes.append("ab" if tree in {"[ab]", ".", r"\w"} else tree)
                self.follows.append(after)
                return frozenset({len(self.takes) - 1})
            case ("each", parts):
                for part in reversed(parts):
                    after = self._before(part, after)
                return after
            case ("one", cases):
                return frozenset().union(*(self._before(case, after) for case in cases))
            case ("times", body, (least, most)):
                entered = after
                for number in range(most, 0, -1):
                    entered = self._before(body, entered) | (after if number > least else frozenset())
                return entered
        begun = len(self.takes)
        entered = self._before(tree[1], after)
        # Wherever the body can be left it can be begun again.
        mark = frozenset({-1})
        del self.takes[begun:], self.follows[begun:]
        entered = self._before(tree[1], after | mark)
        again = entered - mark | after
        for place in range(begun, len(self.takes)):
            if -1 in self.follows[place]:
                self.follows[place] = self.follows[place] - mark | again
        return again

    def steps(self, text: str, *, anchored: bool) -> Iterator[int]:
        """How many places it is at, before each character."""
        at = self.first
        for character in text:
            yield len(at)
            at = frozenset().union(*(self.follows[place] for place in at if character in self.takes[place]))
            at = at if anchored else at | self.first
        yield len(at)


@given(trees, st.text(alphabet="ab", max_size=60))
def test_no_text_makes_more_work_than_was_counted(tree: Any, text: str) -> None:
    automaton = Automaton(tree)
    anchored = extent_of("^" + text_of(tree))
    assert anchored.places >= len(automaton.takes)
    steps = list(automaton.steps(text, anchored=True))
    assert max(steps) <= anchored.at_once
    assert all(count == 0 for count in steps[anchored.longest :])
    assert max(automaton.steps(text, anchored=False)) <= extent_of(text_of(tree)).places


@given(trees, st.sampled_from(["", "^"]), st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_what_is_taken_is_done_with_a_long_text_in_bounded_steps(
    tree: Any, beginning: str, times: tuple[int, int]
) -> None:
    one, other = times
    pattern = f"{beginning}(?:(?:{text_of(tree)}){{0,{one}}}){{0,{other}}}"
    limit = chars_limit(pattern)
    extent = extent_of(pattern)
    at_once = extent.at_once if beginning else extent.places
    looked_at = min(limit or TEXT_CHARS_MAX, extent.longest if beginning else TEXT_CHARS_MAX)
    assert at_once <= AT_ONCE_MAX or at_once * looked_at <= STEPS_MAX
    try:
        compiled = contracts.Compiled({"pattern": pattern + "$"})
    except contracts.SchemaError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert refused.startswith("/pattern: is too large for the engine")
        return
    for text in ("ab" * 32_768, "a" * 65_536):
        problems = compiled.problems(text)
        assert limit is None or any("is longer than" in problem.detail for problem in problems)
