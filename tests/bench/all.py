"""The whole report: `just bench`, or `just bench all --events 5000 --rounds 3 --only gateway,bullmq`.

Measures the gateway beside wrk, its own bare sender, and what users would pick instead, in turns, in one run,
and writes docs/benchmarks.md with docs/benchmarks.json beside it. A run of some rows only is printed instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "report"))

from paired.machine import machine  # noqa: E402 - the report's modules lie in no package that is installed
from paired.plan import LONG, ROWS, measure  # noqa: E402
from paired.receiver import receiving  # noqa: E402
from paired.rendering import markdown  # noqa: E402
from paired.report import report  # noqa: E402
from paired.run import Run  # noqa: E402

ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
NOT_POSSIBLE = 77
NAME = "benchmarks"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000, help="deliveries of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often each row is measured, in turns")
    parser.add_argument("--bytes", type=int, default=600, help="size of the body")
    parser.add_argument("--only", help=f"rows, separated by commas, of {', '.join(ROWS)}")
    parser.add_argument("--long", action="store_true", help=f"also what takes minutes: {', '.join(LONG)}")
    parser.add_argument(
        "--interpreted",
        action="store_true",
        help="measure the gateway from its sources, without compiling anything",
    )
    parser.add_argument(
        "--folder", type=Path, help="where logs are put (a local disk); default: a new folder"
    )
    parser.add_argument(
        "--out", type=Path, help=f"a folder for {NAME}.md and {NAME}.json; default: docs, if all"
    )
    options = parser.parse_args()
    if unknown := set(rows(options)) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if options.events < 100 or options.rounds < 1:
        parser.error("--events is at least 100, --rounds at least 1")
    return options


def rows(options: argparse.Namespace) -> list[str]:
    if options.only:
        return [name.strip() for name in options.only.split(",")]
    return [name for name in ROWS if options.long or name not in LONG]


def compiled() -> Path | None:
    """Where the project lies with its hot path compiled; None where no C compiler is at hand."""
    done = subprocess.run([sys.executable, ROOT / "tests/packaging/compiled.py"], check=False)
    if done.returncode not in {0, NOT_POSSIBLE}:
        raise SystemExit("It cannot be compiled, see above; --interpreted measures it as it is.")
    if done.returncode:
        return None
    tree = ROOT / ".compiled"
    # As the gateway is started there.
    ask = [sys.executable, "-c", "import gateway.domain.lane as it; print(it.__file__)"]
    said = subprocess.run(ask, cwd=tree, check=True, capture_output=True, text=True).stdout.strip()
    if Path(said).parents[2] != tree or Path(said).suffix == ".py":
        raise SystemExit(f"{said} would be measured, and not what is compiled; is PYTHONSAFEPATH set?")
    return tree


def main() -> int:
    options = arguments()
    load = os.getloadavg()[0]
    tree = None if options.interpreted else compiled()
    begun = datetime.now(UTC)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, receiving() as receiver:
        where = machine(Path(folder), compiled=tree is not None, load=load)
        run = Run(receiver, Path(folder), options.events, options.rounds, options.bytes, tree)
        measured = measure(run, rows(options))
    found = report(run, measured, where, begun, datetime.now(UTC))
    text = markdown(found)
    out = options.out or (None if options.only else DOCS)
    if out is None:
        print(text)
    else:
        (out / f"{NAME}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        (out / f"{NAME}.md").write_text(text)
        print(f"written: {out / NAME}.md and .json")
    return 1 if measured.failed else 0


if __name__ == "__main__":
    sys.exit(main())
