"""What an error of PostgreSQL or of its driver means to the flows: wait, or give this value up."""

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.errors import Unavailable

# Classes of SQLSTATE (PostgreSQL, appendix A). 22: a text with NUL or a number out of range; 54: a row or an
# index entry over the server's limits. The same value would fail tomorrow as well.
_OF_THE_VALUE = ("22", "54")


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Errors of the storage become ``Unavailable``, those of a value ValueError.

    Whatever is not plainly a value's fault is waited for: a lost connection, a restart, a full disk, a lock or
    an answer that takes too long, a server that is read-only after a failover, a statement that was prepared
    before somebody migrated.
    """
    try:
        yield
    except DBAPIError as error:
        if _is_of_the_value(error):
            raise ValueError(f"The database cannot hold this: {said(error)}.") from error
        raise Unavailable(f"The database cannot be used now: {said(error)}.") from error
    except PoolTimeoutError as error:
        raise Unavailable("The database has more to do than it can.", retry_after_s=1) from error
    except TimeoutError as error:
        raise Unavailable("The database does not answer.") from error
    except OSError as error:
        raise Unavailable(f"The database cannot be reached: {said(error)}.") from error


def sqlstate(error: BaseException) -> str:
    """The five characters of an error that the server sent; empty for the driver's own."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    return getattr(error, "sqlstate", None) or ""


def said(error: BaseException) -> str:
    """What the server or the driver said, in one line, as part of a sentence."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    cause = error.__cause__ or error
    text = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__
    return " ".join(text.split()).rstrip(".")


def _is_of_the_value(error: DBAPIError) -> bool:
    # The driver refuses what it cannot encode (half a surrogate pair, say) by a ValueError of its own.
    driver = error.orig.__cause__ if error.orig is not None else None
    return sqlstate(error).startswith(_OF_THE_VALUE) or isinstance(driver, ValueError)
