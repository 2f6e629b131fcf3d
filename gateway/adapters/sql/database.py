"""One way to run a transaction on any database: a plain function over a SQLAlchemy ``Connection``.

SQLite runs it in a thread (``sqlite.py``), PostgreSQL by an asynchronous driver's ``run_sync`` (``postgres.py``):
the functions are the very same, so nothing above these two files knows which database it talks to.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from gateway.ports import Leadership

T = TypeVar("T")


class Database(Leadership, Protocol):
    """Runs functions in transactions.

    Errors of the storage itself surface as ``Unavailable``; a value that no column can hold as ValueError, since
    waiting would not help it; ``LeaseLost`` where another process has taken the log over. A caller that is
    cancelled leaves its transaction to end by itself: none is ever cut off in its middle.
    """

    @property
    def name(self) -> str:
        """What it is called in sentences; never with a password."""
        ...

    @property
    def identity(self) -> str:
        """The same for every process that opens this log, and for no other log."""
        ...

    @property
    def writable(self) -> bool:
        """Whether the last write went through: a full disk can still be read."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the one serialised write transaction; commit, or roll back on any error."""
        ...

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which changes the schema, as ``write`` does, for as long as it takes."""
        ...

    async def erase(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` as ``write`` does; what it deletes is overwritten where that is the database's to do (S8b)."""
        ...

    async def scrub(self) -> bool | None:
        """Let go of what the database's own files still have of what ``erase`` deleted.

        Returns whether they were rewritten, so that nothing of it is left in space that is free; None: it cannot
        be done at the moment.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a short read transaction beside the writer, on one state of the database."""
        ...

    async def close(self) -> None:
        """Finish what is running and release everything."""
        ...
