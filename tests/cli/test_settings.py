"""Settings: what is allowed, and how a wrong one is told."""

import base64
import secrets
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.adapters.development import ensure_secret_keys, ensure_token, with_development_secrets
from gateway.settings import (
    LOOPBACK,
    Settings,
    SettingsError,
    check_bind,
    load_settings,
    unknown_names,
)

KEY = base64.b64encode(bytes(range(32))).decode()
PRODUCTION = {
    "GATEWAY_ENV": "production",
    "GATEWAY_REDIS_URL": "rediss://user:hunter2@redis.example:6380/0",
    "GATEWAY_API_TOKEN": "a-token-of-sixteen-or-more",
    "GATEWAY_SECRET_KEYS": KEY,
    "GATEWAY_PUBLIC_URL": "https://hooks.example.org/",
}


def faults(environ: dict[str, str]) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return {fault.name: fault.problem for fault in caught.value.faults}


def test_nothing_given_is_development_with_loopback_allowed() -> None:
    settings = load_settings({})
    assert settings.env == "development"
    assert settings.stream == "letta.events"
    assert settings.delivery_timeout == 5
    assert settings.disable_after_days == 5
    assert settings.allowed_networks == LOOPBACK
    assert settings.event_bytes_max >= 65_536


def test_production_with_all_it_needs() -> None:
    settings = load_settings(PRODUCTION)
    assert settings.allowed_networks == ()
    assert settings.public_url == "https://hooks.example.org"
    assert settings.secret_keys_raw == (bytes(range(32)),)


def test_production_names_everything_it_lacks_at_once() -> None:
    found = faults({"GATEWAY_ENV": "production"})
    assert set(found) == {
        "GATEWAY_REDIS_URL",
        "GATEWAY_API_TOKEN",
        "GATEWAY_SECRET_KEYS",
        "GATEWAY_PUBLIC_URL",
    }
    assert "https://" in found["GATEWAY_PUBLIC_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_ENV", "staging"),
        ("GATEWAY_DATABASE_URL", "mysql://db"),
        ("GATEWAY_REDIS_URL", "http://redis"),
        ("GATEWAY_STREAM", "two words"),
        ("GATEWAY_STREAM", "s" * 257),
        ("GATEWAY_API_TOKEN", "two words"),
        ("GATEWAY_API_TOKEN", "tök"),
        ("GATEWAY_SECRET_KEYS", "not base64!"),
        ("GATEWAY_SECRET_KEYS", base64.b64encode(b"short").decode()),
        ("GATEWAY_SECRET_KEYS", KEY + ","),
        ("GATEWAY_PUBLIC_URL", "hooks.example.org"),
        ("GATEWAY_PUBLIC_URL", "https://user:pw@hooks.example.org"),
        ("GATEWAY_PUBLIC_URL", "https://hooks.example.org?x=1"),
        ("GATEWAY_PUBLIC_URL", "http://h:99999"),
        ("GATEWAY_WEBHOOK_ORIGIN", "https://hooks.example.org"),
        ("GATEWAY_ALLOW_NETWORKS", "10.0.0.1/8"),
        ("GATEWAY_ALLOW_NETWORKS", "everything"),
        ("GATEWAY_DELIVERY_TIMEOUT", "15.1"),
        ("GATEWAY_DELIVERY_TIMEOUT", "0"),
        ("GATEWAY_DELIVERY_TIMEOUT", "nan"),
        ("GATEWAY_DISABLE_AFTER_DAYS", "0"),
        ("GATEWAY_DISABLE_AFTER_DAYS", "366"),
        ("GATEWAY_DISABLE_AFTER_DAYS", "soon"),
        ("GATEWAY_UNKNOWN_TYPES", "maybe"),
        ("GATEWAY_CONTRACT_POLICY", "lenient"),
        ("GATEWAY_EVENT_BYTES_MAX", "65535"),
        ("GATEWAY_BATCH_EVENTS_MAX", "0"),
        ("GATEWAY_BATCH_BYTES_MAX", "x"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: str) -> None:
    found = faults({name: value})
    assert set(found) == {name}
    assert "allowed" in found[name]


def test_all_wrong_values_are_named_at_once_those_of_production_too() -> None:
    found = faults(
        PRODUCTION | {"GATEWAY_STREAM": "", "GATEWAY_DELIVERY_TIMEOUT": "60", "GATEWAY_API_TOKEN": ""}
    )
    assert set(found) == {"GATEWAY_DELIVERY_TIMEOUT", "GATEWAY_API_TOKEN"}


def test_no_secret_is_repeated() -> None:
    wrong = {
        "GATEWAY_REDIS_URL": "https://user:hunter2@redis",
        "GATEWAY_DATABASE_URL": "mysql://user:hunter2@db",
        "GATEWAY_API_TOKEN": "hunter2 hunter2",
        "GATEWAY_SECRET_KEYS": "hunter2",
        "GATEWAY_PUBLIC_URL": "https://user:hunter2@hooks",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(wrong)
    assert len(caught.value.faults) == len(wrong)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "hunter2" not in repr(load_settings(PRODUCTION))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"GATEWAY_PUBLIC_URL": "http://hooks.example.org"}, "GATEWAY_PUBLIC_URL"),
        ({"GATEWAY_PUBLIC_URL": "HTTP://hooks.example.org"}, "GATEWAY_PUBLIC_URL"),
        ({"GATEWAY_API_TOKEN": "short"}, "GATEWAY_API_TOKEN"),
        ({"GATEWAY_API_TOKEN": "aaaaaaaaaaaaaaaaaaaa"}, "GATEWAY_API_TOKEN"),
        ({"GATEWAY_API_TOKEN": "please-change-me-soon"}, "GATEWAY_API_TOKEN"),
        ({"GATEWAY_API_TOKEN": "ChangeMe-1234567890abc"}, "GATEWAY_API_TOKEN"),
        ({"GATEWAY_API_TOKEN": "an-example-token-0123"}, "GATEWAY_API_TOKEN"),
        ({"GATEWAY_SECRET_KEYS": base64.b64encode(bytes(32)).decode()}, "GATEWAY_SECRET_KEYS"),
        ({"GATEWAY_SECRET_KEYS": base64.b64encode(b"secret!!" * 4).decode()}, "GATEWAY_SECRET_KEYS"),
        (
            {"GATEWAY_SECRET_KEYS": f"{KEY},{base64.b64encode(b'k' * 32).decode()}"},
            "GATEWAY_SECRET_KEYS",
        ),
    ],
)
def test_production_is_stricter(change: dict[str, str], name: str) -> None:
    assert set(faults(PRODUCTION | change)) == {name}
    load_settings(change)


@pytest.mark.parametrize("name", ["REDIS_URL", "API_TOKEN", "SECRET_KEYS", "PUBLIC_URL"])
@pytest.mark.parametrize("empty", [True, False])
def test_production_lacks_nothing(name: str, empty: bool) -> None:  # noqa: FBT001 - both ways not to give it
    environ = {key: value for key, value in PRODUCTION.items() if key != f"GATEWAY_{name}"}
    assert set(faults(environ | ({f"GATEWAY_{name}": ""} if empty else {}))) == {f"GATEWAY_{name}"}


def test_what_is_drawn_at_random_is_taken() -> None:
    for _ in range(100):
        load_settings(
            PRODUCTION
            | {
                "GATEWAY_API_TOKEN": secrets.token_hex(32),
                "GATEWAY_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
            }
        )


def test_a_batch_may_not_be_smaller_than_an_event() -> None:
    assert set(faults({"GATEWAY_EVENT_BYTES_MAX": "16777216"})) == {"GATEWAY_BATCH_BYTES_MAX"}
    load_settings({"GATEWAY_EVENT_BYTES_MAX": "16777216", "GATEWAY_BATCH_BYTES_MAX": "16777216"})


def test_networks_given_replace_the_default_and_empty_means_none() -> None:
    assert load_settings({"GATEWAY_ALLOW_NETWORKS": ""}).allowed_networks == ()
    given = load_settings({"GATEWAY_ALLOW_NETWORKS": "10.0.0.0/8, fd00::/8"})
    assert given.allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_an_empty_value_is_one_not_given() -> None:
    assert load_settings({"GATEWAY_ENV": "", "GATEWAY_REDIS_URL": ""}) == load_settings({})


def test_misspelled_names_are_found() -> None:
    environ = {"GATEWAY_STREM": "x", "GATEWAY_URL": "http://h", "GATEWAY_STREAM": "x", "PATH": ""}
    assert unknown_names(environ) == ["GATEWAY_STREM"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
def test_development_binds_loopback(host: str) -> None:
    check_bind(load_settings({}), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org", ""])  # noqa: S104 - refused
def test_development_binds_nothing_else(host: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        check_bind(load_settings({}), host)
    check_bind(load_settings(PRODUCTION), host)


def test_development_makes_token_and_keys_once_readable_by_the_owner_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    settings = with_development_secrets(load_settings({}), data_dir)
    assert settings.api_token is not None
    assert len(settings.secret_keys_raw) == 1
    for name in ("token", "secret_keys"):
        assert (data_dir / name).stat().st_mode & 0o777 == 0o600
    assert with_development_secrets(load_settings({}), data_dir) == settings
    assert sorted(path.name for path in data_dir.iterdir()) == ["secret_keys", "token"]


def test_a_token_from_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    ensure_token(tmp_path)
    settings = with_development_secrets(load_settings({"GATEWAY_API_TOKEN": "mine"}), tmp_path)
    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "mine"


def test_a_file_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    ensure_token(tmp_path)
    (tmp_path / "token").chmod(0o644)
    ensure_token(tmp_path)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_damaged_keys_are_told_and_never_replaced(tmp_path: Path) -> None:
    ensure_secret_keys(tmp_path)
    (tmp_path / "secret_keys").write_text("damaged")
    with pytest.raises(SettingsError, match="secret_keys"):
        ensure_secret_keys(tmp_path)
    assert (tmp_path / "secret_keys").read_text() == "damaged"


def test_production_makes_no_secrets(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert with_development_secrets(load_settings(PRODUCTION), data_dir) == load_settings(PRODUCTION)
    assert not data_dir.exists()


def test_the_environment_itself_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_STREAM", "elsewhere")
    assert load_settings().stream == "elsewhere"
    assert Settings().stream == "elsewhere"


@pytest.mark.parametrize(
    ("public_url", "origin"),
    [
        ("https://hooks.example.org", "hooks.example.org"),
        ("https://hooks.example.org:8443/base", "hooks.example.org"),
        ("http://127.0.0.1:8080", "localhost"),
        ("http://[::1]:8080", "localhost"),
        ("http://localhost:8080", "localhost"),
    ],
)
def test_sinks_know_the_gateway_by_the_name_in_its_public_url(public_url, origin):
    assert load_settings({}).origin_for(public_url) == origin
    assert load_settings({"GATEWAY_WEBHOOK_ORIGIN": "a.example"}).origin_for(public_url) == "a.example"
