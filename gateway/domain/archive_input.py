"""An archiving as it is asked for over the API: up to a position, or a time; pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.ids import NUMBER_MAX
from gateway.domain.members import Members
from schemas import Problem

_MEMBERS: Final = ("before_position", "before", "dry_run")


@dataclass(frozen=True, slots=True)
class AskedArchive:
    """What lies before one of them is to be archived; one is set."""

    before_position: int | None
    before: datetime | None
    dry_run: bool


def parse_archive(value: object) -> tuple[AskedArchive | None, list[Problem]]:
    """Read a request; None where there are problems."""
    problems: list[Problem] = []
    members = Members({} if value is None else value, "", problems, allowed=_MEMBERS)
    position, before = members.integer("before_position", 1, NUMBER_MAX), members.moment("before")
    dry_run = members.get("dry_run")
    if dry_run is not None and not isinstance(dry_run, bool):
        members.fault("dry_run", "must be true or false")
    if not problems and (position is None) == (before is None):
        members.fault(
            "before_position", "give either `before_position` or `before`: where the archived part ends"
        )
    return (None, problems) if problems else (AskedArchive(position, before, bool(dry_run)), [])
