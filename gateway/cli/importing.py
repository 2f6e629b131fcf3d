"""`subscriptions import`: many subscriptions from a file, some hundreds a request."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

import httpx
import typer

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir
from gateway.cli.output import print_line, print_record, say
from gateway.errors import AnswerError, CommandError, FieldError, NoServer, UsageError
from schemas import MalformedJsonError, strict_json

LINES_MAX = 500
LINE_BYTES_MAX = 256 * 1024
BYTES_MAX = 2 * 1024 * 1024
TIMEOUT_S = 120.0

_PATH = "/v1/subscriptions/import"

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="One subscription a line, as a JSON object like that of POST /v1/subscriptions; - for stdin.",
    ),
]


class Line(NamedTuple):
    """A subscription, and where it stands in the file."""

    number: int
    value: Any


def import_(
    *,
    file: File,
    from_line: Annotated[
        int, typer.Option("--from-line", min=1, help="Begin at this line: where an import was ended.")
    ] = 1,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create many subscriptions from a file; shows line, id and signing secret of each, this once.

    Each request of 500 lines is made whole or not at all. Where one is refused, it says what is wrong in which lines,
    and from which line to go on.
    """
    done, made = from_line - 1, 0
    with connect(data_dir) as client, _opened(file) as stream:
        try:
            for part in _parts(stream, from_line):
                for line, item in zip(part, _send(client, part), strict=True):
                    made += 1
                    if as_json:
                        print_record({"line": line.number, **item})
                    else:
                        print_line(f"{line.number} {item['id']} {item['secret']}")
                done = part[-1].number
        except CommandError as error:
            error.hint = f"{error.hint} {_go_on(error, done)}".strip()
            raise
    say(f"{made} subscriptions were made. Their secrets are shown this once: keep them now.")


def _send(client: GatewayClient, part: Sequence[Line]) -> list[Json]:
    try:
        answer = client.request("POST", _PATH, body=[line.value for line in part], timeout_s=TIMEOUT_S)
    except AnswerError as error:
        error.fields = tuple(_in_file(field, part) for field in error.fields)
        raise
    found = answer.get("items")
    if not isinstance(found, list) or len(found) != len(part):
        raise AnswerError(f"What answers at {client.connection.url} is not a letta-gateway.")
    return found


def _go_on(error: CommandError, done: int) -> str:
    if isinstance(error, NoServer) and not isinstance(error.__cause__, httpx.ConnectError):
        # The request was on its way: it may have been made all the same.
        return f"Lines up to {done} were imported; of the next {LINES_MAX} it is not known."
    return f"Nothing behind line {done} was imported: go on with --from-line {done + 1}."


def _in_file(field: FieldError, part: Sequence[Line]) -> FieldError:
    """A fault by the line of its subscription, instead of its place in the request."""
    index, _, rest = field.pointer.removeprefix("/").partition("/")
    if not index.isdigit() or int(index) >= len(part):
        return field
    return FieldError(f"line {part[int(index)].number}: /{rest}", field.detail)


def _parts(stream: BinaryIO, from_line: int) -> Iterator[list[Line]]:
    """The lines of the file, as many at a time as a request takes."""
    part: list[Line] = []
    size = 0
    for number, raw in enumerate(iter(lambda: stream.readline(LINE_BYTES_MAX + 1), b""), 1):
        if len(raw) > LINE_BYTES_MAX:
            raise UsageError(f"Line {number} has more than {LINE_BYTES_MAX} bytes.")
        if number < from_line or not raw.strip():
            continue
        if part and (len(part) == LINES_MAX or size + len(raw) > BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(Line(number, _decoded(raw, number)))
        size += len(raw)
    if part:
        yield part


def _decoded(raw: bytes, number: int) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    try:
        return strict_json.decode(raw, "")
    except MalformedJsonError as error:
        raise UsageError(f"Line {number} {error.problems[0].detail}.") from None


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.") from None
    with stream:
        yield stream
