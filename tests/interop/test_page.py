"""The page of interoperability says what the tests expect, and every limit on it is of something tested."""

from pathlib import Path

from peering.cases import WHAT
from peering.expected import LIMITS
from peering.page import PAGE, page
from peering.receivers import PACKAGES, RECEIVERS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_not_stale() -> None:
    assert (DOCS / PAGE).read_text(encoding="utf-8") == page(), "run `just generate`"


def test_every_limit_is_of_what_is_tested() -> None:
    for limit in LIMITS:
        assert set(limit.receivers) <= RECEIVERS.keys()
        assert set(limit.cases) <= WHAT.keys()
        for name in limit.receivers:
            assert set(limit.modes) <= set(RECEIVERS[name].modes)
        assert (limit.refused is None) == bool(limit.has)


def test_versions_are_exact() -> None:
    for package in PACKAGES:
        assert package.version.replace(".", "").isdigit(), package
