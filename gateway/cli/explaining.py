"""`explain`: why an event was, or was not, delivered."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from gateway.cli.client import Json, connect
from gateway.cli.deliveries import print_attempts
from gateway.cli.options import AsJson, DataDir
from gateway.cli.output import plain, print_details, print_record, print_table, results

Row = tuple[object, ...]

_SHOWN = ("position", "subscription", "state", "until", "lag_events", "blocked_by")


def explain(
    *,
    position: Annotated[int, typer.Argument(metavar="POSITION", min=1, help="The event's place in the log.")],
    subscription_id: Annotated[
        str, typer.Argument(metavar="SUBSCRIPTION", help="The subscription's id; a deleted one's as well.")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say why an event was, or was not, delivered to a subscription, clause by clause."""
    with connect(data_dir) as client:
        found = client.request(
            "GET", f"/v1/events/{position}/explain", params={"subscription": subscription_id}
        )
    if as_json:
        print_record(found)
        return
    results().print(plain(f"{found['verdict']}: {found['sentence']}"), soft_wrap=True)
    print_details([*((name, found[name]) for name in _SHOWN), ("revision", _revision(found["revision"]))])
    if found["clauses"]:
        print_table(("MATCHES", "CLAUSE", "WANTED", "THE EVENT HAS"), _rows(found["clauses"]))
    if found["delivery"] is not None:
        print_details([("delivery", found["delivery"]["id"])])
        print_attempts(found["delivery"])


def _revision(revision: Json) -> str:
    return f"{revision['in_force']} in force there, {revision['present']} at present"


def _rows(clauses: Sequence[Json], depth: int = 0) -> Iterator[Row]:
    """Each clause, and below it, indented, what is in it."""
    for clause in clauses:
        has = clause["actual"] or ("" if clause["attribute"] is None else "nothing")
        wanted = "" if clause["expected"] is None else f"{clause['rule']} {clause['expected']}"
        yield ("yes" if clause["matches"] else "no", "  " * depth + clause["pointer"], wanted, has)
        yield from _rows(clause["parts"], depth + 1)
