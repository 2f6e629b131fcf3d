"""Archives as files: written whole or not at all, read line by line; memory is that of a block (S8)."""

import contextlib
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from gateway.domain.archive import (
    SUFFIX,
    ArchiveDamaged,
    ArchivedRow,
    header_line,
    line_of,
    read_header,
    row_of,
)

_PART: Final = ".part"
_LEVEL: Final = 6
_LINE_BYTES_MAX: Final = 256 * 1024 * 1024
_READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is on the disk."""

    size_bytes: int
    sha256: str


class ArchiveWriter:
    """Writes one file under another name, and gives it its own when it is whole and on the disk.

    A process that dies leaves a part behind, which the next writer of the folder removes. Raises OSError.
    """

    def __init__(self, folder: Path, first: int, previous: bytes) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._part = folder / f"{first:020d}{_PART}"
        for left in folder.glob(f"*{_PART}"):
            left.unlink()
        descriptor = os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._raw: IO[bytes] = os.fdopen(descriptor, "wb")
        # No name and no time in it: the same rows make the same file.
        self._zip = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self._raw, mtime=0)
        self._zip.write(header_line(first, None, previous))

    def add(self, rows: Iterable[Any]) -> None:
        """The next rows of the log, or of another archive."""
        self._zip.write(b"".join(map(line_of, rows)))

    def finish(self, name: str) -> Written:
        """Bring it to the disk, under its name. It replaces a file of this name, at once and whole."""
        self._zip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        written = Written(self._part.stat().st_size, sha256_of(self._part))
        self._part.replace(self._folder / name)
        sync_folder(self._folder)
        return written

    def abort(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError, ValueError):
            self._raw.close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)


def read_head(path: Path) -> tuple[int, bytes]:
    """Where a file begins, and the hash before it. Raises as ``read_rows`` does."""
    try:
        with gzip.open(path, "rb") as lines:
            return read_header(lines.readline(_LINE_BYTES_MAX))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveDamaged(f"it is no archive ({error})") from error


def read_rows(path: Path) -> Iterator[ArchivedRow]:
    """The rows of a file, in log order. Raises ArchiveDamaged, and OSError where there is none."""
    try:
        with gzip.open(path, "rb") as lines:
            read_header(lines.readline(_LINE_BYTES_MAX))
            number = 1
            while line := lines.readline(_LINE_BYTES_MAX):
                number += 1
                yield _row(line, number)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveDamaged(f"it ends before its end, or is no archive ({error})") from error


def _row(line: bytes, number: int) -> ArchivedRow:
    try:
        return row_of(line)
    except ArchiveDamaged as error:
        raise ArchiveDamaged(f"line {number} cannot be read: {error}") from error


def in_pages(path: Path, size: int) -> Iterator[Sequence[ArchivedRow]]:
    """The same, some at a time."""
    page: list[ArchivedRow] = []
    for row in read_rows(path):
        page.append(row)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def archive_names(folder: Path) -> list[str]:
    """What there is in a folder, in log order."""
    return sorted(path.name for path in folder.glob(f"*{SUFFIX}"))


def sync_folder(folder: Path) -> None:
    """A new name is on the disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
