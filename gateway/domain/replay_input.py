"""Reading what a replay is asked for: a range by positions or by times, and whether it is to be counted only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.ids import NUMBER_MAX
from gateway.domain.members import Members
from schemas import Problem

_MEMBERS: Final = ("from_position", "since", "until_position", "until", "only", "dry_run")
_ONLY: Final = ("all", "failed")


@dataclass(frozen=True, slots=True)
class AskedReplay:
    """A replay as it was asked for. Of each pair one is set, or for the end none; times are included by appended-at."""

    from_position: int | None
    since: datetime | None
    until_position: int | None
    until: datetime | None
    only_failed: bool
    dry_run: bool


def parse_replay(value: object) -> tuple[AskedReplay | None, list[Problem]]:
    """Read the body of a replay; None where there are problems."""
    problems: list[Problem] = []
    members = Members({} if value is None else value, "", problems, allowed=_MEMBERS)
    asked = AskedReplay(
        from_position=members.integer("from_position", 1, NUMBER_MAX),
        since=members.moment("since"),
        until_position=members.integer("until_position", 1, NUMBER_MAX),
        until=members.moment("until"),
        only_failed=_only(members) == "failed",
        dry_run=_flag(members, "dry_run"),
    )
    if not problems:
        _check(asked, members)
    return (None, problems) if problems else (asked, [])


def _check(asked: AskedReplay, members: Members) -> None:
    if (asked.from_position is None) == (asked.since is None):
        members.fault("from_position", "give either `from_position` or `since`: where the replay begins")
    if asked.until_position is not None and asked.until is not None:
        members.fault("until_position", "give `until_position` or `until`, not both; with neither it is all")
    if (
        asked.from_position is not None
        and asked.until_position is not None
        and asked.until_position < asked.from_position
    ):
        members.fault("until_position", f"must not lie before `from_position`, {asked.from_position}")

    if asked.since is not None and asked.until is not None and asked.until < asked.since:
        members.fault("until", "must not lie before `since`")


def _only(members: Members) -> str:
    value = members.get("only")
    if value is None:
        return "all"
    if value not in _ONLY:
        members.fault("only", "must be `all` (the default) or `failed`: what is exhausted or refused by now")
    return str(value)


def _flag(members: Members, name: str) -> bool:
    value = members.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    members.fault(name, "must be true or false")
    return False
