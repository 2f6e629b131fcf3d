"""The log of a process: one formatter for everything, bounded, and without secrets."""

import io
import json
import logging
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters import logs
from gateway.adapters.logs import FIELD_CHARS_MAX, FIELDS_MAX, MESSAGE_CHARS_MAX, STACK_CHARS_MAX, handler_for
from otel.redaction import Redaction

SECRET = "a-secret-of-this-process"


class Written:
    def __init__(self, style, name="gateway.test"):
        self.stream = io.StringIO()
        self.logger = logging.Logger(name, logging.DEBUG)  # noqa: LOG001 - one that nobody else has
        self.logger.addHandler(handler_for(style, Redaction([SECRET]), self.stream))

    @property
    def text(self):
        return self.stream.getvalue()

    @property
    def line(self):
        (line,) = self.text.splitlines()
        return json.loads(line)


def raised(text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - one that has a stack
        raise ValueError(text)
    return caught.value


@pytest.fixture
def as_json():
    return Written("json")


@pytest.fixture
def as_text():
    return Written("text")


def test_a_wide_line_as_json(as_json):
    as_json.logger.info(
        "attempt", extra={"fields": {"position": 7, "status": None, "duration_ms": 1.5, "ok": True}}
    )
    line = as_json.line
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "gateway.test",
        "message": "attempt",
        "position": 7,
        "duration_ms": 1.5,
        "ok": True,
    }


def test_a_wide_line_for_a_person(as_text):
    as_text.logger.warning("attempt", extra={"fields": {"position": 7, "type": "a b", "status": None}})
    assert as_text.text.endswith('Z WARNING gateway.test: attempt position=7 type="a b"\n')


def test_a_field_never_takes_the_place_of_what_every_line_has(as_json):
    as_json.logger.info(
        "what", extra={"fields": {"message": "mine", "level": "x", "logger": "y", "time": "z"}}
    )
    assert (as_json.line["message"], as_json.line["level"], as_json.line["logger"]) == (
        "what",
        "info",
        "gateway.test",
    )


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_stack_is_told_without_the_secrets_in_it(style):
    written = Written(style)
    error = raised(f"redis://user:hunter2@host {SECRET}")
    written.logger.error("it failed with %s", SECRET, exc_info=error)
    assert "Traceback" in written.text
    assert "redis://***@host ***" in written.text
    assert "hunter2" not in written.text
    assert SECRET not in written.text
    if style == "json":
        assert written.line["message"] == "it failed with ***"


@pytest.mark.parametrize("style", ["json", "text"])
def test_nothing_in_a_line_is_without_a_bound(style):
    written = Written(style)
    huge = "x" * 1_000_000
    fields = {f"{number}{huge}": huge for number in range(10 * FIELDS_MAX)}
    written.logger.error(huge, extra={"fields": fields}, exc_info=raised(huge))
    most = MESSAGE_CHARS_MAX + STACK_CHARS_MAX + FIELDS_MAX * 2 * (FIELD_CHARS_MAX + 10) + 1_000
    assert len(written.text) < most


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("before", [0, FIELD_CHARS_MAX - 4, MESSAGE_CHARS_MAX - 4])
def test_a_secret_that_would_be_cut_in_two_is_not_half_there(style, before):
    written = Written(style)
    said = "-" * before + SECRET + "-" * 10
    written.logger.info(said, extra={"fields": {"a": said}})
    assert "a-se" not in written.text


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("before", range(0, len(SECRET) + 3, 3))
def test_nor_one_of_very_many(style, before):
    """Each that is taken out makes the text shorter, so that what was cut far behind comes into sight."""
    written = Written(style)
    said = "-" * before + SECRET * 10_000
    written.logger.error(said, extra={"fields": {"a": said}}, exc_info=raised(said))
    assert "a-se" not in written.text
    assert "process" not in written.text.replace("this_process", "")


@pytest.mark.parametrize("style", ["json", "text"])
@given(said=st.text(max_size=80))
def test_nobody_makes_a_line_of_his_own(style, said):
    written = Written(style)
    written.logger.info("said: %s", said, extra={"fields": {"a": said}})
    assert len(written.text.splitlines()) == 1
    if style == "json":
        assert "said: " in written.line["message"]


def test_one_place_configures_everything(monkeypatch):
    """Also what libraries and the interpreter say, each from its level on."""
    root, gateway = logging.getLogger(), logging.getLogger("gateway")
    kept = (list(root.handlers), root.level, gateway.level)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        logs.configure("json", "info", Redaction([SECRET]))
        logging.getLogger("uvicorn.error").warning("of %s", SECRET)
        logging.getLogger("uvicorn.error").info("not heard")
        logging.getLogger("gateway.deliver").info("heard")
        logging.getLogger("gateway.deliver").debug("not heard")
        warnings.warn("a warning", stacklevel=1)
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], root.level = kept[0], kept[1]
        gateway.setLevel(kept[2])
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["logger"] for line in lines[:2]] == ["uvicorn.error", "gateway.deliver"]
    assert lines[0]["message"] == "of ***"
    assert all("not heard" not in line["message"] for line in lines)


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_failure_of_telemetry_is_a_line_with_its_cause(style):
    """A variable of the user's or an exporter's end is behind it: where in the SDK it was found helps nobody."""
    written = Written(style, "opentelemetry.sdk.resources")
    written.logger.error("skipped", exc_info=raised(f"no such detector {SECRET}"))
    (line,) = written.text.splitlines()
    assert "skipped (ValueError: no such detector " in line
    assert SECRET not in line
    assert "Traceback" not in line
