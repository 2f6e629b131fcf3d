"""The `letta-emitter` command."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from letta_emitter.entry import let_go_of_output, loading, prepare_streams

TYPE_CHECKING = False
if TYPE_CHECKING:  # a command imports what it needs
    from letta_emitter.doctor import Report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 good, 1 a failed check, 2 wrong usage."""
    prepare_streams()
    try:
        options = _parser().parse_args(arguments)
        if options.command == "run":
            return _run(options.program)
        return _doctor(as_json=options.json)
    except KeyboardInterrupt:
        sys.stderr.write("letta-emitter: Interrupted.\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="letta-emitter",
        description="Events from an unmodified Letta server into a Redis Stream.",
        epilog="Settings: LETTA_EMITTER_REDIS_URL (required), _STREAM, _SOURCE_BASE, _SPOOL_DIR, _SPOOL_BYTES_MAX, "
        "_STREAM_MAX, _GATEWAY_URL, _GATEWAY_TOKEN.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="start a command with the emitter attached",
        usage="letta-emitter run [-h] -- COMMAND [ARGUMENT ...]",
        description="Becomes the command: signals and the exit status are its own.",
    )
    run.add_argument("program", nargs=argparse.REMAINDER, metavar="COMMAND", help="such as: letta server")
    doctor = commands.add_parser("doctor", help="check hooks, Redis, spool, drain and webhook routes")
    doctor.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _run(program: list[str]) -> int:
    with loading("letta-emitter"):
        from letta_emitter.launch import run  # noqa: PLC0415 (each command imports what it needs)

    command = program[1:] if program[:1] == ["--"] else program
    if not command:
        sys.stderr.write(
            "letta-emitter run: give the command to start, as in: letta-emitter run -- letta server\n"
        )
        return 2
    return run(command)


def _doctor(*, as_json: bool) -> int:
    with loading("letta-emitter"):
        from letta_emitter.doctor import examine  # noqa: PLC0415 (each command imports what it needs)

    report = examine()
    try:
        sys.stdout.write(json.dumps(report.as_json()) + "\n" if as_json else _as_text(report))
        sys.stdout.flush()
    except OSError as error:
        let_go_of_output()
        if not isinstance(error, BrokenPipeError):  # whose reader has seen enough
            sys.stderr.write(f"letta-emitter: stdout cannot be written: {error.strerror or error}\n")
        return 1
    return 0 if report.ok else 1


def _as_text(report: Report) -> str:
    width = max(len(check.name) for check in report.checks)
    lines = [
        f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.detail}\n"
        for check in report.checks
    ]
    lines += [f"      {name:<{width}}  {count}\n" for name, count in report.counters.items()]
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
