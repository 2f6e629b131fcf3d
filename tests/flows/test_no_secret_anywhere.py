"""Secrets that are known, put wherever one can be given, and then looked for wherever anything is kept or said."""

import base64
import contextlib
import hashlib
import hmac
import json
import sqlite3
import traceback
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from gateway.adapters.vault import Keyring
from gateway.cli.endpoint import Connection, Endpoint, without_password
from gateway.domain.payload_links import PayloadLinks
from gateway.parts import Running
from gateway.settings import SettingsError, load_settings

TOKEN = "flows_token_of_sixteen"
KEYS = [hashlib.sha256(f"key {number}".encode()).digest() for number in range(2)]
GIVEN = "whsec_" + base64.b64encode(hashlib.sha256(b"given").digest()).decode()
ROTATED = "whsec_" + base64.b64encode(hashlib.sha256(b"rotated").digest()).decode()
BEARER = "bearer-credential-that-nobody-may-see"
CLIENT = "client-secret-that-nobody-may-see"
HEADER = "own-header-value-that-nobody-may-see"
REDIS = "redis-password-that-nobody-may-see"
DATABASE = "not-asked-for"
# As `letta-gateway serve`, with every logger told to say all it can.
LOUD = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
logging.Logger.setLevel = lambda *_: None
from gateway.__main__ import main
sys.argv[0:1] = ["letta-gateway", "serve"]
main()
"""


def forms(secret: str | bytes) -> Iterator[bytes]:
    """What it may look like: as it is, quoted, in hexadecimal, in base64, and the key that a secret's text spells."""
    raw = secret.encode() if isinstance(secret, str) else secret
    if isinstance(secret, str) and secret.startswith("whsec_"):
        yield from forms(base64.b64decode(secret.removeprefix("whsec_")))
        yield secret.removeprefix("whsec_").encode()
    yield raw
    yield raw.hex().encode()
    yield base64.b64encode(raw)
    yield base64.urlsafe_b64encode(raw).rstrip(b"=")
    yield urllib.parse.quote_from_bytes(raw, safe="").encode()


class Secrets:
    def __init__(self) -> None:
        links = [hmac.digest(key, b"letta-gateway payload link 1", "sha256") for key in KEYS]
        self.known: dict[str, str | bytes] = {
            "token": TOKEN,
            "given": GIVEN,
            "rotated": ROTATED,
            "bearer": BEARER,
            "client": CLIENT,
            "header": HEADER,
            "redis": REDIS,
            "database": DATABASE,
            **{f"key {number}": key for number, key in enumerate(KEYS)},
            **{f"link key {number}": key for number, key in enumerate(links)},
        }

    def found_in(self, text: bytes) -> list[str]:
        return [name for name, secret in self.known.items() if any(form in text for form in forms(secret))]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request) -> Iterator[tuple[dict[str, str], object]]:
    """Settings that name a database, and a way to read every byte of it."""
    if request.param == "sqlite":
        yield {}, lambda folder: b"".join(path.read_bytes() for path in Path(folder).glob("gateway.db*"))
        return
    server = request.getfixturevalue("postgres_server")
    name = f"secrets_{uuid.uuid4().hex}"

    def dump(_folder) -> bytes:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return b"".join(
            line.encode() + _unescaped(line)
            for table in server.sql(tables, database=name).split()
            for line in server.sql(f"TABLE {table}", database=name).splitlines()
        )

    yield {"GATEWAY_DATABASE_URL": server.create(name)}, dump
    server.drop(name)


def _unescaped(line: str) -> bytes:
    """What stands in binary columns: PostgreSQL prints it in hexadecimal."""
    return b" ".join(
        bytes.fromhex("".join(char for char in part[: len(part) // 2 * 2]))
        for part in (piece.split("|")[0] for piece in line.split("\\x")[1:])
        if all(char in "0123456789abcdef" for char in part)
    )


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def gateway(make_gateway, valkey, database):
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("requirepass", REDIS)
    url = valkey.url.replace("redis://", f"redis://:{REDIS}@")
    keys = ",".join(base64.b64encode(key).decode() for key in KEYS)
    made = make_gateway(
        GATEWAY_ENV="development", GATEWAY_REDIS_URL=url, GATEWAY_SECRET_KEYS=keys, **database[0]
    )
    made.program = ["-c", LOUD]
    return made.start()


def echo(reply):
    """An answer with all of the request in it: in headers, and in a body that is cut off in the middle of a secret."""

    def rule(post):
        lines = "\n".join(f"{name}: {value}" for name, value in post.pairs)
        told = " ".join((GIVEN, ROTATED) if post.headers["x-number"] == "whole" else (BEARER, HEADER))
        cut = b"x" * (1024 - len(BEARER) // 2) + BEARER.encode() * 2
        body = cut if post.headers["x-number"] == "cut" else f"{lines}\n{told}".encode()
        return reply(500, {"X-Echo": post.headers["authorization"], "X-Own": HEADER}, body)

    return rule


def wrong_requests(client: httpx.Client, made: dict) -> Iterator[httpx.Response]:
    """Requests that are not valid, each with every secret somewhere in it."""
    told = {"secret": GIVEN, "accesstoken": BEARER, "value": HEADER, "redis": REDIS, "token": TOKEN}
    path = f"/v1/subscriptions/{made['id']}"
    credential = {"credentialtype": "ACCESSTOKEN", "accesstoken": BEARER}
    bodies = [
        {"sink": "ftp://x/", "secret": GIVEN, "sinkcredential": credential},
        {"sink": f"https://user:{BEARER}@example.com/"},
        {"sink": "http://10.0.0.1/", "secret": GIVEN + "!", "sinkcredential": {**credential, "x": BEARER}},
        {"sink": made["sink"], "secret": [GIVEN], "sinkcredential": BEARER},
        {"sink": made["sink"], "sinkcredential": {"credentialtype": BEARER, "accesstoken": [BEARER]}},
        {"sink": made["sink"], "sinkcredential": {**credential, "accesstokenexpiresutc": BEARER}},
        {
            "sink": made["sink"],
            "sinkcredential": {"credentialtype": "OAUTH2CLIENTCREDENTIALS", "clientsecret": CLIENT},
        },
        {"sink": made["sink"], "protocolsettings": {"headers": {"X-A": HEADER + "\r\n", "Host": HEADER}}},
        {"sink": made["sink"], "protocol": BEARER, "config": {"format": BEARER, "retry": GIVEN}},
        {"sink": made["sink"], "filters": [{"exact": {"type": [BEARER]}}], "types": BEARER},
        told,
    ]
    for body in bodies:
        yield client.post("/v1/subscriptions", json=body)
        yield client.post("/v1/subscriptions/import", json=[body])
        yield client.put(path, json=body)
        yield client.post("/v1/events", json=body, headers={"Content-Type": "application/cloudevents+json"})
        yield client.post(f"{path}/replay", json=body)
        yield client.post(f"{path}/rotate-secret", json={"secret": [body]})
    broken = json.dumps(told)[:-1].encode()
    for target in ("/v1/subscriptions", "/v1/events", f"{path}/resume", f"{path}/rotate-secret"):
        yield client.post(target, content=broken, headers={"Content-Type": "application/json"})
        yield client.post(target, content=broken, headers={"Content-Type": f"application/{BEARER}"})
    yield client.post(f"{path}/rotate-secret", json={"secret": ROTATED[:-1]})
    for name in ("cursor", "limit", "since", "order", "type", "state", "status_code", "after", "wait"):
        for listed in ("/v1/events", "/v1/subscriptions", f"{path}/deliveries", f"{path}/stream"):
            yield client.get(listed, params={name: BEARER})
    for unknown in ("subscriptions", "events", "deliveries", "quarantine", "nothing"):
        yield client.get(f"/v1/{unknown}/{BEARER}")
    yield client.get("/v1/events", headers={"Authorization": f"Bearer {BEARER}"})
    yield client.get("/v1/events", headers={"Authorization": f"Basic {TOKEN}"})
    yield client.get(path, headers={"If-Match": BEARER, "Last-Event-ID": BEARER, "X-Any": GIVEN})


def every_page(client: httpx.Client, made: dict, delivery: str) -> Iterator[httpx.Response]:
    """Each GET of the OpenAPI document, and that document."""
    document = client.get("/openapi.json")
    yield document
    names = {
        "subscription_id": made["id"],
        "position": "1",
        "delivery_id": delivery,
        "name": "agent.run.completed",
    }
    for path in document.json()["paths"]:
        if "get" in document.json()["paths"][path] and not path.endswith("/stream"):
            filled = path
            for name, value in (names | {"version": "1"}).items():
                filled = filled.replace(f"{{{name}}}", value)
            yield client.get(filled, params={"subscription": made["id"]} if "explain" in path else {})
    facts = {"type": "com.letta.gateway.subscription.created"}
    yield client.get("/v1/events", params=facts)
    yield client.get(f"/v1/subscriptions/{made['id']}/stream")
    yield client.get("/metrics")
    yield client.get("/")


def test_known_secrets_are_found_nowhere(
    gateway, database, receiver, reply, make_event, until, secrets, valkey
):
    sink = receiver.sink().reply_by(echo(reply))
    members = {
        "secret": GIVEN,
        "sinkcredential": {"credentialtype": "ACCESSTOKEN", "accesstoken": BEARER},
    }
    made, _ = (
        gateway.subscribe(
            sink,
            **members,
            protocolsettings={"headers": {"X-Own": HEADER, "X-Number": number}},
            config={"retry": [0.05] * 3, "payload": "thin"},
        )
        for number in ("whole", "cut")
    )
    own_secret = {name: value for name, value in members.items() if name != "secret"}
    fresh = gateway.subscribe(
        sink, **own_secret, protocolsettings={"headers": {"X-Own": HEADER, "X-Number": "fresh"}}
    )
    secrets.known["made"] = fresh["secret"]
    # An endpoint that says the client's secret back, in the very words that are kept of an error.
    told = {"error": "invalid_client", "error_description": f"no client has {CLIENT}", "x": CLIENT}
    endpoint = receiver.sink().reply_by(
        lambda _post: reply(400, {"X-Echo": CLIENT}, json.dumps(told).encode())
    )
    fetched = {
        "credentialtype": "OAUTH2CLIENTCREDENTIALS",
        "tokenurl": endpoint.url,
        "clientid": "gateway",
        "clientsecret": CLIENT,
    }
    gateway.subscribe(receiver.sink(), sinkcredential=fetched, config={"retry": [0.05]})
    said: list[httpx.Response] = []
    client = gateway.client
    secrets.known["made token"] = client.post("/v1/tokens", json={"admin": True}).json()["token"]
    client.headers["Authorization"] = f"Bearer {secrets.known['made token']}"
    rotated = client.post(f"/v1/subscriptions/{made['id']}/rotate-secret", json={"secret": ROTATED})
    assert rotated.status_code == 200, rotated.text
    (position,) = gateway.publish(make_event())
    with redis.Redis.from_url(gateway.env["GATEWAY_REDIS_URL"]) as queue:
        queue.xadd("letta.events", {"event": json.dumps(make_event())})
    sink.wait(8)
    endpoint.wait(2)
    until(lambda: sum(item["state"] == "exhausted" for item in gateway.deliveries(position)) == 3)
    delivery = gateway.deliveries(position)[0]["id"]
    said += [
        client.post(f"/v1/subscriptions/{made['id']}/{verb}", json={})
        for verb in ("pause", "resume", "test", "replay")
    ]
    said += [client.patch(f"/v1/subscriptions/{made['id']}", json={"name": "another"})]
    said += [client.post("/v1/secrets/rotate-key"), client.post(f"/v1/deliveries/{delivery}/retry")]
    said += wrong_requests(client, made)
    said += every_page(client, made, delivery)
    # Redis goes away for a while, and comes back with another password.
    valkey.restart()
    until(lambda: "Redis is not readable" in gateway.said_on_stderr() or _asks(valkey))
    deliveries = [client.get(f"/v1/deliveries/{item['id']}") for item in gateway.deliveries(position)]
    assert sum(bool(item.json()["attempts"][0]["response_body"]) for item in deliveries) >= 3
    assert "token_refused" in "".join(item.text for item in deliveries)
    assert BEARER[:6] not in "".join(item.text for item in deliveries), "nor a part of one that was cut off"
    said += deliveries
    assert {answer.status_code // 100 for answer in said} >= {2, 4}
    found = {
        f"{answer.request.method} {answer.request.url.path}: {answer.text[:300]}": names
        for answer in said
        if (names := secrets.found_in(answer.content + str(answer.headers).encode()))
    }
    assert found == {}
    stored = database[1](
        gateway.data_dir
    )  # before the end, so that what is not checkpointed yet is there as well
    assert gateway.stop() == 0
    stored += database[1](gateway.data_dir)
    assert made["id"].encode() in stored
    assert b'"specversion"' in stored, "this is in a binary column"
    assert b"X-Echo" in stored or b"x-echo" in stored
    assert secrets.found_in(stored) == []
    logged = gateway.log.read_bytes()
    assert b"DEBUG" in logged
    assert [line for line in logged.splitlines() if secrets.found_in(line)] == []
    assert secrets.found_in(gateway.printed.encode()) == []


def _asks(valkey) -> bool:
    with redis.Redis.from_url(valkey.url) as client:
        return bool(client.client_list())


def test_an_error_nobody_foresaw_says_nothing_of_them(gateway, database, sink, secrets, request):
    """A table that was damaged: the answer is a bare 500, and the log has where, not what."""
    made = gateway.subscribe(
        sink, secret=GIVEN, sinkcredential={"credentialtype": "ACCESSTOKEN", "accesstoken": BEARER}
    )
    if "postgres" in str(database[0]):
        server = request.getfixturevalue("postgres_server")
        name = database[0]["GATEWAY_DATABASE_URL"].rsplit("/", 1)[1]
        server.sql("UPDATE subscription SET skips = 'broken'", database=name)
    else:
        with contextlib.closing(sqlite3.connect(gateway.data_dir / "gateway.db", timeout=10)) as connection:
            connection.execute("UPDATE subscription SET skips = 'broken'")
            connection.commit()
    body = {"secret": ROTATED}
    answer = gateway.client.post(f"/v1/subscriptions/{made['id']}/rotate-secret", json=body)
    assert answer.status_code == 500
    assert secrets.found_in(answer.content) == []
    gateway.stop()  # or it has ended: it does not go on with a table that is not as it wrote it
    logged = gateway.log.read_bytes()
    assert b"Traceback" in logged
    assert secrets.found_in(logged) == []


def test_no_dump_of_the_settings_shows_one(secrets):
    """Nor what is made of them, nor what is said where they are wrong."""
    given = {
        "GATEWAY_ENV": "production",
        "GATEWAY_PUBLIC_URL": "https://gateway.example",
        "GATEWAY_API_TOKEN": TOKEN,
        "GATEWAY_SECRET_KEYS": ",".join(base64.b64encode(key).decode() for key in KEYS),
        "GATEWAY_REDIS_URL": f"rediss://user:{REDIS}@redis.example/0",
        "GATEWAY_DATABASE_URL": f"postgresql://user:{DATABASE}@database.example/log",
    }
    settings = load_settings(given)
    dumps = [
        repr(settings),
        str(settings),
        repr(settings.model_dump()),
        settings.model_dump_json(),
        json.dumps(settings.model_dump(mode="json"), default=str),
        repr(dict(settings)),
        repr(vars(settings)),
        repr(list(settings.__rich_repr__())),
        repr(Keyring(settings.secret_keys_raw)),
        repr(PayloadLinks("https://gateway.example", settings.secret_keys_raw)),
        repr(Running("https://gateway.example", given["GATEWAY_REDIS_URL"], "letta.events")),
        repr(Endpoint("https://gateway.example", given["GATEWAY_REDIS_URL"], "letta.events", 1, None)),
        repr(Connection("https://gateway.example", TOKEN, "the environment")),
        without_password(given["GATEWAY_REDIS_URL"]),
        without_password(f"unix:///run/redis.sock?db=1&password={REDIS}"),
    ]
    for name, value in given.items():
        for wrong in (
            f"{value} {value}",
            f"wrong{value}:{value}",
            f"redis://x:{value}@h:port",
            f"{value},{value[1:]}",
        ):
            try:
                load_settings(given | {name: wrong})
            except SettingsError as error:
                dumps.append("".join(traceback.format_exception(error)))
    assert len(dumps) > 20
    assert [secrets.found_in(dump.encode()) for dump in dumps if secrets.found_in(dump.encode())] == []
