from __future__ import annotations

from pathlib import Path

import pytest

import schemas
from letta_emitter.emitter import Emitter
from letta_emitter.errors import SettingsError
from letta_emitter.settings import EmitterSettings, is_enabled, shown_url

URL = "redis://user:secret@127.0.0.1:6379/0"


def settings(**values: str) -> EmitterSettings:
    env = {"HOME": "/home/someone", "LETTA_EMITTER_REDIS_URL": URL}
    return EmitterSettings.from_env(env | {f"LETTA_EMITTER_{name}": value for name, value in values.items()})


def test_defaults(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    found = settings()
    assert (found.stream, found.source_base, found.stream_max) == ("letta.events", "https://letta", 1_000_000)
    assert found.spool_dir.parent == Path("/home/someone/.local/state/letta-emitter")
    assert "secret" not in repr(found)


def test_the_default_folder_is_of_this_redis_and_stream_and_outlives_a_rotated_password(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    first = settings().spool_dir
    assert settings(REDIS_URL=URL.replace("secret", "other")).spool_dir == first
    assert settings(REDIS_URL=URL.replace("6379", "6380")).spool_dir != first
    assert settings(STREAM="other").spool_dir != first


def test_xdg_state_home_is_honoured():
    env = {"XDG_STATE_HOME": "/state", "LETTA_EMITTER_REDIS_URL": URL}
    assert EmitterSettings.from_env(env).spool_dir.parent == Path("/state/letta-emitter")


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://h", "unix:///run/redis.sock"])
def test_urls_that_are_taken(url):
    assert settings(REDIS_URL=url).redis_url == url


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REDIS_URL", "", "not set"),
        ("REDIS_URL", "http://h", "redis://"),
        ("REDIS_URL", "redis://", "redis://"),
        ("REDIS_URL", "redis://h:99999", "redis://"),
        ("STREAM", "with space", "printable ASCII"),
        ("SOURCE_BASE", "no uri", "absolute URI"),
        ("SOURCE_BASE", "https://ü", "absolute URI"),
        ("STREAM_MAX", "many", "whole number"),
        ("STREAM_MAX", "0", "1 or more"),
        ("SPOOL_BYTES_MAX", "1", "65536 or more"),
        ("SPOOL_DIR", "relative", "absolute path"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name, value, said):
    with pytest.raises(SettingsError, match=f"LETTA_EMITTER_{name} .*{said}"):
        settings(**{name: value})


def test_a_wrong_url_is_not_shown_since_it_may_hold_a_password():
    with pytest.raises(SettingsError) as caught:
        settings(REDIS_URL="http://user:secret@h")
    assert "secret" not in str(caught.value)
    assert shown_url(URL) == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("value", "on"), [("1", True), ("TRUE", True), ("", False), ("0", False), ("off", False)]
)
def test_enabled(value, on):
    assert is_enabled({"LETTA_EMITTER_ENABLED": value}) is on


def test_a_wrong_setting_switches_it_off_with_one_line(monkeypatch, caplog):
    monkeypatch.setenv("LETTA_EMITTER_ENABLED", "1")
    monkeypatch.setenv("LETTA_EMITTER_REDIS_URL", "nonsense")
    emitter = Emitter.from_env()
    assert not emitter.enabled
    emitter.emit(schemas.build({"id": "1", "source": "/s", "type": "t"}))
    assert len(caplog.records) == 1
    assert "LETTA_EMITTER_REDIS_URL" in caplog.text


def test_off_unless_switched_on(monkeypatch, caplog):
    monkeypatch.delenv("LETTA_EMITTER_ENABLED", raising=False)
    emitter = Emitter.from_env()
    emitter.emit(schemas.build({"id": "1", "source": "/s", "type": "t"}))
    emitter.start()
    emitter.close()
    assert not emitter.enabled
    assert not caplog.records


def test_a_wrong_gateway_costs_the_routes_and_no_event(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert settings(GATEWAY_URL="ftp://h").stream == "letta.events"
