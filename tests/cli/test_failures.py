"""Exceptions become sentences and exit codes in one place; mistakes in the program stay visible."""

import errno
import io
import sys
from typing import Any

import pytest

from gateway import errors
from gateway.cli import main
from gateway.cli.failures import Failure, explain
from gateway.cli.output import plain
from gateway.settings import Fault, SettingsError
from letta_emitter import NotDeliveredError


def test_an_error_of_ours_is_its_sentence() -> None:
    found = explain(errors.NoServer("http://h does not answer."))
    assert found is not None
    assert found.exit_code == 1
    assert found.sentence.startswith("http://h does not answer. Start one with")


def test_wrong_usage_and_wrong_settings_are_2() -> None:
    for error in (errors.UsageError("No."), SettingsError([Fault("GATEWAY_ENV", "allowed: …")])):
        found = explain(error)
        assert found is not None
        assert found.exit_code == 2


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EDQUOT, "no space is left"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EADDRINUSE, "in use"),
        (errno.ENOTDIR, "Not a directory"),
    ],
)
def test_what_the_system_refuses_is_a_sentence_with_the_file(number: int, what: str) -> None:
    found = explain(OSError(number, "Not a directory", "/some/file"))
    assert found is not None
    assert what in found.sentence
    assert "/some/file" in found.sentence


def test_a_reader_that_went_away_is_told_nothing() -> None:
    assert explain(BrokenPipeError(errno.EPIPE, "Broken pipe")) == Failure("", 1)


def test_the_emitter_and_interrupts_are_known() -> None:
    assert explain(NotDeliveredError("it waits on disk")) == Failure("it waits on disk.", 1)
    assert explain(KeyboardInterrupt()) == Failure("Interrupted.", 1)


def test_a_mistake_in_the_program_is_not_explained_away() -> None:
    assert explain(ValueError("x")) is None
    assert explain(TimeoutError()) is None
    assert explain(AssertionError()) is None


def test_a_group_is_explained_only_as_a_whole() -> None:
    ours = errors.AddressInUse("Taken.")
    group = BaseExceptionGroup("tasks", [ours, ExceptionGroup("inner", [errors.UsageError("No.")])])
    found = explain(group)
    assert found is not None
    assert found.exit_code == 2
    assert found.sentence.startswith("Taken.")
    assert explain(ExceptionGroup("tasks", [ours, KeyError("x")])) is None
    twice = explain(ExceptionGroup("tasks", [errors.CheckFailed("Bad."), errors.CheckFailed("Bad.")]))
    assert twice == Failure("Bad.", 1)


def test_an_unexpected_exception_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(main, "app", broken)
    with pytest.raises(ZeroDivisionError):
        main.run([])


def test_a_full_disk_at_the_end_of_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", stderr)
    assert main.run(["contracts", "list", "--json"]) == 1
    assert "no space is left" in stderr.getvalue()


def subclasses(of: type[errors.GatewayError]) -> list[type[errors.GatewayError]]:
    return [of, *(inner for direct in of.__subclasses__() for inner in subclasses(direct))]


def test_every_error_has_a_problem_type_of_its_own_and_a_title() -> None:
    # The registry's, where it is loaded, have types of another standard (tests/api/test_registry_api.py).
    every = [one for one in subclasses(errors.GatewayError) if one.__module__ == errors.__name__]
    # One that is only a closer name for another's type has that one's.
    own = [error for error in every if "slug" in vars(error)]
    assert len({error.slug for error in own}) == len(own) >= len(every) - 1
    for error in every:
        made = error("It happened.", fields=[errors.FieldError("/a", "is wrong")])
        problem = made.problem()
        assert problem["type"] == f"urn:letta-gateway:problem:{error.slug}"
        assert problem["title"]
        assert problem["status"] == error.status
        assert 400 <= error.status < 600
        assert problem["errors"] == [{"pointer": "/a", "detail": "is wrong"}]
        assert "/a: is wrong" in str(made)


def test_control_characters_are_spelled_out() -> None:
    assert plain("a\x1b[31mb\u202ec") == "a\\x1b[31mb\\u202ec"
    assert plain("two\nlines ✓") == "two\nlines ✓"
    assert plain(None) == ""
