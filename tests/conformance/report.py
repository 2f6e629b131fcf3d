"""What the standards ask, row by row, with what the tests say: python tests/conformance/report.py (`just conformance`).

A test belongs to the rows that its name begins with, `test_row_07_…` or `test_rows_26_27_…`, wherever it stands. The
report runs all of them, prints the table, and writes it to docs/conformance.md. It ends with 1 if a row fails, or has
neither a test nor a reason.
"""

import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
PAGE = TOP / "docs" / "conformance.md"
ROWS = json.loads((HERE / "rows.json").read_text())
NAME = re.compile(r"test_rows?_(?P<rows>\d\d(?:_\d\d)*)_")
DECLARED = re.compile(r"^ *(?:async )?def (test_rows?_\d\d\w*)", re.MULTILINE)
APART = ("letta", "chaos", "bench")
"""Folders of tests that need a machine of their own."""

REASONS: dict[int, str] = {}
"""Why a row that no test names does not apply; one that a test names needs none."""

HEAD = """\
# Conformance

Made by `just conformance`; do not edit.

What CloudEvents 1.0.2 (core, HTTP binding, JSON format, web hooks, extensions, subscriptions), Standard Webhooks,
OpenTelemetry's conventions, xRegistry 1.0-rc4 and W3C Trace Context ask of this gateway. M: must, S: should, D: decided
here. Each row is held by tests with its number in their name: `pytest -k test_row_07` runs those of row 7.

| row | | what is asked | from | held by | |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass
class Outcome:
    """What the tests of a row said."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    files: Counter[str] = field(default_factory=Counter)


def rows_of(name: str) -> list[int]:
    """The rows that a test's name begins with."""
    found = NAME.match(name)
    return [int(row) for row in found["rows"].split("_")] if found else []


def declared() -> dict[str, list[str]]:
    """The names of all tests of rows, by file below `tests`."""
    found = {}
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        place = path.relative_to(TOP / "tests")
        names = [] if place.parts[0] in APART else DECLARED.findall(path.read_text())
        if names:
            found[place.as_posix()] = names
    return found


def run(files: list[str]) -> dict[int, Outcome]:
    """Run every test of a row, and gather what they say."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-k",
            "test_row_ or test_rows_",
            f"--junit-xml={told}",
        ]
        done = subprocess.run(
            [*command, *(f"tests/{name}" for name in files)],
            cwd=TOP,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 1}:
            raise SystemExit(done.stdout)
        if done.returncode == 1:
            print(done.stdout)
        return _outcomes(ET.parse(told).getroot())  # noqa: S314 - written by our own run


def _outcomes(told: ET.Element) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    for case in told.iter("testcase"):
        name = case.get("name", "")
        for row in rows_of(name):
            outcome = found.setdefault(row, Outcome())
            outcome.files[_file(case.get("classname", ""))] += 1
            if case.find("failure") is not None or case.find("error") is not None:
                outcome.failed.append(name)
            elif case.find("skipped") is not None:
                outcome.skipped += 1
            else:
                outcome.passed += 1
    return found


def _file(classname: str) -> str:
    return "/".join(classname.removeprefix("tests.").split(".")) + ".py"


def verdict(row: int, outcome: Outcome | None) -> str:
    """`pass`, `fail`, `open`, or why the row does not apply."""
    if outcome is None or not (outcome.passed or outcome.failed):
        return REASONS.get(row, "open")
    return "fail" if outcome.failed else "pass"


def held_by(row: int) -> str:
    """The files with a test of the row, as the page names them: by what is written, not by what a machine could run."""
    files = [name for name, tests in declared().items() if any(row in rows_of(test) for test in tests)]
    return ", ".join(f"`{name}`" for name in files)


def lines(outcomes: dict[int, Outcome]) -> Iterator[str]:
    """The rows of the table, in Markdown."""
    for row in ROWS:
        outcome = outcomes.get(row["row"])
        cells = (str(row["row"]), row["level"], row["requirement"], row["from"], held_by(row["row"]))
        yield "| " + " | ".join(cells) + f" | {verdict(row['row'], outcome)} |"


def show(outcomes: dict[int, Outcome]) -> None:
    """Print the table for a person."""
    for row in ROWS:
        outcome = outcomes.get(row["row"])
        said = verdict(row["row"], outcome)
        tests = 0 if outcome is None else outcome.passed + len(outcome.failed)
        count = f"{tests:3d} tests" if tests else "         "
        print(
            f"{row['row']:2d} {row['level']} {said if tests else 'n/a ':4} {count}  {row['requirement'][:96]}"
        )
        if not tests:
            print(f"                    {said}")
        for name in outcome.failed if outcome else ():
            print(f"                    {name}")


def main() -> int:
    outcomes = run(list(declared()))
    show(outcomes)
    PAGE.write_text(HEAD + "".join(f"{line}\n" for line in lines(outcomes)))
    said = Counter(verdict(row["row"], outcomes.get(row["row"])) for row in ROWS)
    others = len(ROWS) - said["pass"] - said["fail"] - said["open"]
    print(
        f"{said['pass']} rows pass, {said['fail']} fail, {others} have a reason instead, {said['open']} are open."
    )
    return 1 if said["fail"] or said["open"] else 0


if __name__ == "__main__":
    sys.exit(main())
