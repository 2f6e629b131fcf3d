"""`docs/problems.md` is what the code makes, and the `type` of every problem leads to a heading there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import problems_page
from gateway.errors import PROBLEM_TYPE_BASE, GatewayError

PAGE = Path(__file__).parents[2] / "docs" / problems_page.PAGE
HEADINGS = re.findall(r"^### (\S+)$", PAGE.read_text(), re.MULTILINE)


def kinds(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    problems_page.every_error()  # imports whatever declares one
    yield kind
    for inner in kind.__subclasses__():
        if inner.__module__.startswith("gateway."):
            yield from kinds(inner)


def test_the_committed_page_is_the_one_the_code_makes() -> None:
    assert PAGE.read_text() == problems_page.problems_page(), "run: python -m gateway.cli.problems_page docs"


def test_no_heading_is_there_twice() -> None:
    assert len(HEADINGS) == len(set(HEADINGS)) > 30


@pytest.mark.parametrize("kind", sorted(set(kinds()), key=lambda one: one.__name__))
def test_every_type_leads_to_a_heading_that_says_something(kind: type[GatewayError]) -> None:
    error = kind("It happened.")
    slug = error.problem_type.removeprefix(PROBLEM_TYPE_BASE)
    assert slug in HEADINGS
    section = re.split(r"\n##+ ", PAGE.read_text().split(f"\n### {slug}\n")[1])[0]
    assert f"`{error.problem_type}`" in section
    assert kind.default_hint in section or "slug" not in vars(kind)
    # What is declared with a type of its own says what it is.
    assert len(re.split(r"\n\n", section.strip())[1]) > 15
