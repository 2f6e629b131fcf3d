"""The files of archives while something is erased in them (S8b): what of a file goes, and the file without it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.adapters.archive_files import ArchiveWriter, Written, in_pages
from gateway.adapters.sql.erased_rows import NOTHING
from gateway.domain.archive import ArchivedRow
from gateway.domain.erasure import Scope, Target
from gateway.ports import Kind

_PAGE: Final = 500


def takes(target: Target, row: ArchivedRow) -> bool:
    """Whether a row of a file is to go with a target, and is there yet."""
    if row.kind != Kind.EVENT.value or row.erased_by is not None:
        return False
    if target.scope is Scope.ORGANIZATION:
        return row.organization == target.id
    return target.id in {row.agent_id, row.partition_key}


def rewrite(path: Path, first: int, previous: bytes, facts: Mapping[int, int]) -> Written:
    """Write a file anew, with what is left of the rows at some positions, each erased by a fact. Raises OSError."""
    writer = ArchiveWriter(path.parent, first, previous)
    try:
        for page in in_pages(path, _PAGE):
            writer.add(_emptied(page, facts))
        return writer.finish(path.name)
    finally:
        writer.abort()


def _emptied(page: Sequence[ArchivedRow], facts: Mapping[int, int]) -> Iterator[ArchivedRow]:
    for row in page:
        fact = facts.get(row.position)
        yield row if fact is None else replace(row, **NOTHING, erased_by=fact)
