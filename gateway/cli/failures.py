"""The one place where an exception that a user can cause becomes a sentence and an exit code."""

import errno
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.settings import SettingsError
from letta_emitter import EmitterError

FAILED = 1
WRONG_USAGE = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """What is said on stderr and how the process ends."""

    sentence: str
    exit_code: int


def explain(error: BaseException) -> Failure | None:
    """The failure behind an exception, or None for one that only a mistake in the program can cause."""
    match error:
        case BaseExceptionGroup():
            return _explain_group(error)
        case GatewayError():
            return Failure(str(error), error.exit_code)
        case EmitterError():
            return Failure(f"{error}.", FAILED)
        case SettingsError():
            return Failure(str(error), WRONG_USAGE)
        case KeyboardInterrupt():
            return Failure("Interrupted.", FAILED)
    # A broken pipe is a reader of our output that went away and wants no more of it: nothing to say.
    sentence = _os_sentence(error) if isinstance(error, OSError) and error.errno is not None else None
    return None if sentence is None else Failure(sentence, FAILED)


def _explain_group(group: BaseExceptionGroup[BaseException]) -> Failure | None:
    # A task group reports all its tasks: one mistake in the program among them is what must be seen.
    failures = [explain(error) for error in group.exceptions]
    known = [failure for failure in failures if failure is not None]
    if len(known) < len(failures):
        return None
    sentences = dict.fromkeys(failure.sentence for failure in known)
    return Failure("\n".join(sentences), max(failure.exit_code for failure in known))


_SENTENCES = {
    errno.ENOSPC: "no space is left on the device. Free some, or choose another --data-dir.",
    errno.EACCES: "permission denied. Check its owner and mode.",
    errno.EROFS: "the file system is read-only. Choose another --data-dir.",
    errno.EADDRINUSE: "the address is in use. Choose another --port, or 0 for a free one.",
}
_SENTENCES |= {errno.EDQUOT: _SENTENCES[errno.ENOSPC], errno.EPERM: _SENTENCES[errno.EACCES]}


def _os_sentence(error: OSError) -> str:
    if error.errno == errno.EPIPE:
        return ""
    if error.errno == errno.EBADF and not error.filename:
        return "stdin or stdout is closed. Give /dev/null where nothing is to be read or kept."
    where = f"{error.filename}: " if error.filename else ""
    return where + _SENTENCES.get(error.errno or 0, f"{error.strerror or error}.")
