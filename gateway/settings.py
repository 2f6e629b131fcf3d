"""The settings of a gateway process: environment variables `GATEWAY_*`, checked all at once at start-up.

A wrong value never gets past `load_settings`: it raises `SettingsError`, which names every wrong setting and
what is allowed there. The value of a setting that can hold a secret is not repeated in any message.
"""

import base64
import binascii
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "GATEWAY_"
POSTGRES_SCHEMES = ("postgresql+asyncpg", "postgresql", "postgres")
#: Read by the commands that speak to a running gateway, not by a gateway process.
CLIENT_NAMES = frozenset({"GATEWAY_URL"})
SECRET_KEY_BYTES = 32
SECRET_KEYS_MAX = 16
PRODUCTION_TOKEN_CHARS_MIN = 16
#: Of 32 random bytes about 30 differ, of 16 random characters about 14: what has fewer was typed, not drawn.
DRAWN_DIFFERENT_MIN = 8
_PLACEHOLDER = re.compile(r"change-?_?me|replace-?_?me|placeholder|example", re.IGNORECASE)
LOOPBACK: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_EMPTY_IS_A_VALUE = "allow_networks"


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong setting: its environment name and what is allowed (or wrong) there."""

    name: str
    problem: str


class SettingsError(Exception):
    """One or more settings are wrong; `faults` has all of them, and the text names each on its own line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        lines = [f"  {fault.name}: {fault.problem}" for fault in self.faults]
        super().__init__("\n".join(["The settings are not valid:", *lines]))


def _url_of(schemes: tuple[str, ...]) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError("unknown scheme")
        if not value.get_secret_value().startswith(("sqlite:", "unix:")):
            for host in urlsplit(value.get_secret_value()).netloc.rpartition("@")[2].split(","):
                _ = urlsplit(f"//{host}").port  # raises where it is no port
        return value

    return AfterValidator(check)


def check_token(text: str) -> None:
    """Raise ValueError unless `text` can stand behind `Bearer ` (RFC 6750, section 2.1)."""
    if not re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", text):
        raise ValueError("not a bearer token")


def _token(value: SecretStr) -> SecretStr:
    check_token(value.get_secret_value())
    return value


def decode_secret_keys(text: str) -> tuple[bytes, ...]:
    """Decode comma-separated base64 keys; raises ValueError unless each is 32 bytes."""
    try:
        keys = tuple(base64.b64decode(part.strip(), validate=True) for part in text.split(","))
    except binascii.Error:
        raise ValueError("not base64") from None
    if any(len(key) != SECRET_KEY_BYTES for key in keys) or len(keys) > SECRET_KEYS_MAX:
        raise ValueError("a key that is not 32 bytes, or too many keys")
    return keys


def _secret_keys(value: SecretStr) -> SecretStr:
    decode_secret_keys(value.get_secret_value())
    return value


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    named = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
    if not named or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("not a plain URL")
    return value.rstrip("/")


def _dns_name(value: str) -> str:
    if not _DNS_NAME.fullmatch(value):
        raise ValueError("not a DNS name")
    return value


def _stream(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError("unprintable or blank")
    return value


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


def _field(default: Any, meaning: str, allowed: str, shown: str | None = None, **bounds: Any) -> Any:  # noqa: ANN401 - as pydantic.Field
    extra: dict[str, Any] = {"allowed": allowed, "shown": str(default) if shown is None else shown}
    return Field(default, description=meaning, json_schema_extra=extra, **bounds)


class Settings(BaseSettings):
    """What a gateway process reads from its environment; construct it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=False
    )

    env: Literal["development", "production"] = _field(
        "development",
        "`production`: HTTPS sinks only, keys and token must be given, no embedded Redis; "
        "`development` binds loopback only. `serve` wants it given.",
        "`development` or `production`",
    )
    database_url: Annotated[SecretStr, _url_of(("sqlite", *POSTGRES_SCHEMES))] | None = _field(
        None,
        "The database of the log.",
        "`postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE` (`postgresql://` and `postgres://` are the same); "
        "`sqlite:///FILE`",
        "a SQLite file in the data directory",
    )
    redis_url: Annotated[SecretStr, _url_of(("redis", "rediss", "unix"))] | None = _field(
        None, "The Redis that carries the stream.", "`redis://…`, `rediss://…` or `unix://…`", "embedded"
    )
    stream: Annotated[str, AfterValidator(_stream)] = _field(
        "letta.events",
        "The Redis stream that the emitter publishes to.",
        "1 to 256 printable characters without spaces",
        min_length=1,
        max_length=256,
    )
    api_token: Annotated[SecretStr, AfterValidator(_token)] | None = _field(
        None,
        "The first administrator token.",
        "letters, digits and `-._~+/`, `=` only at the end; in production at least 16 characters, random",
        "development: made at first start, in `token` in the data directory; production: must be given",
    )
    secret_keys: Annotated[SecretStr, AfterValidator(_secret_keys)] | None = _field(
        None,
        "The keys that seal stored secrets: the first encrypts, all decrypt.",
        "base64 of 32 random bytes each, comma-separated, at most 16",
        "development: made at first start, in `secret_keys` in the data directory; production: must be given",
    )
    public_url: Annotated[str, AfterValidator(_public_url)] | None = _field(
        None,
        "The base of `dataschema`, `$id`, `dataref` and handshake callbacks.",
        "`http://` or `https://` with a host, without user, query and fragment; in production `https://`",
        "`http://HOST:PORT` as served; production: must be given",
    )
    archive_dir: Path | None = _field(
        None,
        "Where archives of the log are kept, on the machine of the gateway.",
        "a folder; it is made where it is not there",
        "`archive` in the data directory",
    )
    webhook_origin: Annotated[str, AfterValidator(_dns_name)] | None = _field(
        None,
        "Sent as `WebHook-Request-Origin`: the name that sinks know this gateway by, and agree to be sent events from.",
        "a DNS name",
        "the DNS name in the public URL; without one `localhost`",
    )
    handshake: Literal["off", "required"] = _field(
        "off",
        "`required`: every sink has to agree by the CloudEvents webhook handshake before it is sent anything; `off`: "
        "only those of subscriptions that ask for it.",
        "`off` or `required`",
    )
    allow_networks: (
        Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)] | None
    ) = _field(
        None,
        "Networks that a sink may resolve to although they are not public; replaces the default.",
        "CIDRs, comma-separated; empty for none",
        "development: loopback; production: none",
    )
    delivery_timeout: float = _field(
        5.0,
        "Seconds that one attempt may take, from the look-up of the name to the end of the answer.",
        "more than 0, at most 15",
        "5",
        gt=0,
        le=15,
        allow_inf_nan=False,
    )
    disable_after_days: float = _field(
        5.0,
        "Days after which a subscription that has done nothing but fail is disabled.",
        "more than 0, at most 365; fractions allowed",
        "5",
        gt=0,
        le=365,
        allow_inf_nan=False,
    )
    unknown_types: Literal["allow", "refuse"] = _field(
        "allow", "What happens to an event whose type has no contract.", "`allow` or `refuse`"
    )
    contract_policy: Literal["strict", "warn"] = _field(
        "strict",
        "What happens to an event that breaks its contract: `strict`: HTTP 422, from Redis quarantine.",
        "`strict` or `warn`",
    )
    event_bytes_max: int = _field(
        1_048_576,
        "Bytes of one event, envelope and data; above it is 413 over HTTP and quarantine from Redis.",
        "65536 (the standard's least) to 16777216",
        ge=65_536,
        le=16_777_216,
    )
    agent_events_per_second: float | None = _field(
        None,
        "Events a second that one agent may bring in, ten seconds' worth of them at once. Above it HTTP answers 429; "
        "what comes by Redis is stored all the same and delivered later.",
        "more than 0, at most 1000000; fractions allowed",
        "no limit",
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
    )
    log_format: Literal["json", "text"] | None = _field(
        None,
        "How the log on standard error is written: a JSON object a line, or for a person.",
        "`json` or `text`",
        "`json` in production, `text` in development",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _field(
        "info",
        "From which level on the gateway is heard. Libraries are heard from `warning` on; at `debug` they are heard "
        "as well.",
        "`debug`, `info`, `warning` or `error`",
    )
    log_deliveries: Literal["failed", "all", "none"] = _field(
        "failed",
        "Which delivery attempts get a line of the log, at level `info`: those that did not deliver, all, or none.",
        "`failed`, `all` or `none`",
    )
    batch_events_max: int = _field(1_000, "Events in one batch over HTTP.", "1 to 10000", ge=1, le=10_000)
    batch_bytes_max: int = _field(
        8_388_608,
        "Bytes of one batch over HTTP.",
        "65536 to 67108864, not less than GATEWAY_EVENT_BYTES_MAX",
        ge=65_536,
        le=67_108_864,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, values: dict[str, Any]) -> dict[str, Any]:
        # Compose files pass `NAME=` for "not set"; only for the networks does empty say something of its own.
        return {name: value for name, value in values.items() if value != "" or name == _EMPTY_IS_A_VALUE}

    @model_validator(mode="after")
    def _together(self) -> Self:
        if faults := _faults_together(self.__dict__):
            raise ValueError("; ".join(f"{fault.name}: {fault.problem}" for fault in faults))
        return self

    @property
    def production(self) -> bool:
        """Whether `GATEWAY_ENV` is `production`."""
        return self.env == "production"

    def origin_for(self, public_url: str) -> str:
        """The DNS name that sinks are asked to agree to."""
        if self.webhook_origin is not None:
            return self.webhook_origin
        host = urlsplit(public_url).hostname or ""
        is_name = _DNS_NAME.fullmatch(host) is not None and not host.rpartition(".")[2].isdigit()
        return host if is_name else "localhost"

    @property
    def allowed_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that sinks may resolve to beside public ones, the development default included."""
        if self.allow_networks is not None:
            return self.allow_networks
        return () if self.production else LOOPBACK

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret in here, as it might show in a text: what a log must not have."""
        keys = _plain(self.secret_keys).split(",")
        urls = [_plain(self.redis_url), _plain(self.database_url)]
        passwords = [word for url in urls for word in _passwords(url)]
        return tuple(word.strip() for word in (_plain(self.api_token), *keys, *passwords) if word.strip())

    @property
    def secret_keys_raw(self) -> tuple[bytes, ...]:
        """The sealing keys, 32 bytes each, the encrypting one first; empty where none are set."""
        return () if self.secret_keys is None else decode_secret_keys(self.secret_keys.get_secret_value())


def _faults_together(values: Mapping[str, Any]) -> list[Fault]:
    """What is wrong between settings; `values` by field name, raw or parsed."""
    faults: list[Fault] = []
    if values.get("env") == "production":
        faults += [
            Fault(f"{PREFIX}{name.upper()}", f"must be given in production: {allowed_text(name)}")
            for name in ("redis_url", "api_token", "secret_keys", "public_url")
            if not values.get(name)
        ]
        url = values.get("public_url")
        faults += _guessable(_plain(values.get("api_token")), _plain(values.get("secret_keys")))
        if url and not str(url).startswith("https://"):
            faults.append(Fault("GATEWAY_PUBLIC_URL", "in production it starts with https://"))
    event_max, batch_max = (_whole(values, name) for name in ("event_bytes_max", "batch_bytes_max"))
    if batch_max < event_max:
        faults.append(Fault("GATEWAY_BATCH_BYTES_MAX", "not less than GATEWAY_EVENT_BYTES_MAX"))
    return faults


def _guessable(token: str, keys: str) -> list[Fault]:
    """Token or keys that somebody could guess: short, or left as an example has them."""
    faults = []
    if token and len(token) < PRODUCTION_TOKEN_CHARS_MIN:
        faults.append(Fault("GATEWAY_API_TOKEN", "in production at least 16 characters"))
    elif token and (len(set(token)) < DRAWN_DIFFERENT_MIN or _PLACEHOLDER.search(token)):
        faults.append(
            Fault("GATEWAY_API_TOKEN", "in production a random one, such as `openssl rand -hex 32`")
        )
    try:
        drawn = (
            all(len(set(key)) >= DRAWN_DIFFERENT_MIN for key in decode_secret_keys(keys)) if keys else True
        )
    except ValueError:
        return faults  # they are told of already
    if not drawn:
        faults.append(
            Fault("GATEWAY_SECRET_KEYS", "in production random ones, such as `openssl rand -base64 32`")
        )
    return faults


def _passwords(url: str) -> list[str]:
    """A password in a URL, as it stands there and as it is meant."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    found = [user.partition(":")[2], *parse_qs(parts.query).get("password", ())]
    return [*found, *(unquote(word) for word in found)]


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")


def _whole(values: Mapping[str, Any], name: str) -> int:
    text = str(values.get(name, Settings.model_fields[name].default)).strip()
    return int(text) if text.isdecimal() else 0


def allowed_text(name: str) -> str:
    """What is allowed for the setting of that field name, in words."""
    return _extra(Settings.model_fields[name])["allowed"]


def default_text(name: str) -> str:
    """The default of the setting of that field name, in words."""
    return _extra(Settings.model_fields[name])["shown"]


def _extra(field: FieldInfo) -> dict[str, str]:
    extra = field.json_schema_extra
    return {key: str(value) for key, value in extra.items()} if isinstance(extra, dict) else {}


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings of `environ`, by default the process's own.

    Raises:
        SettingsError: With every wrong setting at once.
    """
    given = {
        name.upper().removeprefix(PREFIX).lower(): value
        for name, value in (os.environ if environ is None else environ).items()
        if name.upper().startswith(PREFIX)
    }
    raw = {name: value for name, value in given.items() if name in Settings.model_fields}
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        wrong = {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}
    present = {name: value for name, value in raw.items() if value != ""}
    faults = [
        Fault(f"{PREFIX}{name.upper()}", f"allowed: {allowed_text(name)}")
        for name in Settings.model_fields
        if name in wrong
    ]
    named = {fault.name for fault in faults}
    raise SettingsError(faults + [fault for fault in _faults_together(present) if fault.name not in named])


def unknown_names(environ: Mapping[str, str] | None = None) -> list[str]:
    """The `GATEWAY_*` names in the environment that no setting has: most likely spelled wrong."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | CLIENT_NAMES
    names = os.environ if environ is None else environ
    return sorted(name for name in names if name.startswith(PREFIX) and name not in known)


def check_bind(settings: Settings, host: str) -> None:
    """Refuse a listening address that is not loopback in development (S11c); raises SettingsError."""
    if not settings.production and not is_loopback(host):
        raise SettingsError(
            [Fault("--host", "development binds loopback only; GATEWAY_ENV=production opens others")]
        )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address as one writes it behind `--host`, is the machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
