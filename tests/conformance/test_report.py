"""The report of the rows: every row is held by a test or has a reason, and the committed page has every row."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import report


def held() -> set[int]:
    return {row for names in report.declared().values() for name in names for row in report.rows_of(name)}


def test_the_rows_are_numbered_without_a_gap() -> None:
    assert [row["row"] for row in report.ROWS] == list(range(1, len(report.ROWS) + 1))


def test_every_row_is_held_by_a_test_or_has_a_reason() -> None:
    assert {row["row"] for row in report.ROWS} - held() <= report.REASONS.keys()


def test_no_test_names_a_row_that_there_is_not() -> None:
    assert held() <= {row["row"] for row in report.ROWS}


def test_the_committed_page_has_every_row_as_it_is_and_none_that_fails() -> None:
    page = report.PAGE.read_text()
    assert page.startswith(report.HEAD), "run: just conformance"
    found = re.findall(r"^\| (\d+) \| (\w) \| (.*) \| (.*) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    asked = [(str(row["row"]), row["level"], row["requirement"], row["from"]) for row in report.ROWS]
    assert [row[:4] for row in found] == asked, "run: just conformance"
    assert [row[4] for row in found] == [report.held_by(row["row"]) for row in report.ROWS], (
        "run: just conformance"
    )
    assert not {"fail", "open"} & {row[5] for row in found}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_row_07_a_time", [7]),
        ("test_rows_26_27_28_failure[sender-400]", [26, 27, 28]),
        ("test_row_7_short", []),
        ("test_rowing_07_boats", []),
    ],
)
def test_a_test_belongs_to_the_rows_that_its_name_begins_with(name: str, rows: list[int]) -> None:
    assert report.rows_of(name) == rows


def test_a_failure_counts_for_each_of_its_rows_and_a_skip_for_none() -> None:
    told = report.ET.fromstring(
        "<testsuites><testsuite>"
        '<testcase classname="tests.a.test_b" name="test_rows_01_02_x"><failure/></testcase>'
        '<testcase classname="tests.a.test_b" name="test_row_02_y"/>'
        '<testcase classname="tests.a.test_b" name="test_row_03_z"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    found = report._outcomes(told)
    assert [report.verdict(row, found.get(row)) for row in (1, 2, 3, 4)] == ["fail", "fail", "open", "open"]
    assert found[2].files == {"a/test_b.py": 2}
