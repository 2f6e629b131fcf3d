"""OAuth2 client credentials towards a sink, with a token server that issues and takes back tokens of its own."""

import base64
import contextlib
import http.server
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

CLIENT, SECRET = "hooks-client", "hooks-client-secret"


class TokenServer(http.server.ThreadingHTTPServer):
    """RFC 6749, sections 4.4 and 5: for its one client, by HTTP Basic."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.issued: list[str] = []
        self.asked: list[dict[str, list[str]]] = []
        self.valid: set[str] = set()
        self.expires_in = 3600
        self.instead: list[tuple[int, dict[str, str], bytes]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._numbers = itertools.count(1)
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/token"

    def answer(self, authorization: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        form = parse_qs(body.decode())
        self.asked.append(form)
        self.gate.wait(20)
        if self.instead:
            return self.instead.pop(0)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {basic}":
            told = {"error": "invalid_client", "error_description": f"not {authorization}, {SECRET}"}
            return 401, {}, json.dumps(told).encode()
        if form["grant_type"] != ["client_credentials"]:
            return 400, {}, b'{"error": "unsupported_grant_type"}'
        token = f"issued-token-{next(self._numbers)}"
        self.issued.append(token)
        self.valid.add(token)
        granted = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}
        return 200, {}, json.dumps(granted).encode()


class TokenHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, answer = self.server.answer(self.headers["Authorization"] or "", body)
        with contextlib.suppress(OSError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    server = TokenServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()


def credential(tokens: TokenServer, **changed: Any) -> dict[str, Any]:
    return {
        "credentialtype": "OAUTH2CLIENTCREDENTIALS",
        "tokenurl": tokens.url,
        "clientid": CLIENT,
        "clientsecret": SECRET,
        "scope": "hooks.write",
        "audience": "https://sink.example",
    } | changed


@pytest.fixture
def guarded(sink, tokens, reply):
    """A sink that takes what has a valid token, and echoes the token to whoever has none."""

    def rule(post):
        token = post.headers["authorization"].removeprefix("Bearer ")
        return reply(204) if token in tokens.valid else reply(401, {"X-Echo": token}, token.encode())

    return sink.reply_by(rule)


def test_conformance_32_a_token_is_fetched_once_and_sent_in_the_header(
    shared, guarded, tokens, make_event, kind
):
    made = shared.subscribe(guarded, types=[kind], sinkcredential=credential(tokens))
    assert "clientsecret" not in made["sinkcredential"]
    tokens.gate.clear()
    shared.publish(*(make_event() for _ in range(20)))
    posts_before = list(guarded.posts)
    tokens.gate.set()
    posts = guarded.wait(20)
    assert posts_before == []
    assert {post.headers["authorization"] for post in posts} == {"Bearer issued-token-1"}
    assert tokens.asked == [
        {"grant_type": ["client_credentials"], "scope": ["hooks.write"], "audience": ["https://sink.example"]}
    ]
    shown = shared.subscription(made)
    assert "clientsecret" not in shown["sinkcredential"]
    assert SECRET not in json.dumps(shown)


def test_a_token_near_its_end_is_replaced(shared, guarded, tokens, make_event, kind):
    tokens.expires_in = 0  # used for the attempt that it was fetched for
    shared.subscribe(guarded, types=[kind], sinkcredential=credential(tokens))
    for count in (1, 2):
        (position,) = shared.publish(make_event())
        guarded.wait(count)
        shared.settled(position, "delivered")
    assert [post.headers["authorization"] for post in guarded.posts] == [
        "Bearer issued-token-1",
        "Bearer issued-token-2",
    ]


def test_a_401_gives_a_token_up_once_and_nothing_of_it_is_stored(shared, guarded, tokens, make_event, kind):
    shared.subscribe(guarded, types=[kind], sinkcredential=credential(tokens))
    shared.settled(shared.publish(make_event())[0], "delivered")
    tokens.valid.clear()
    (position,) = shared.publish(make_event())
    delivery = shared.settled(position, "delivered")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [401, 204]
    assert tokens.issued == ["issued-token-1", "issued-token-2"]
    refused = shared.client.get(f"/v1/deliveries/{delivery['id']}").json()
    assert "issued-token" not in json.dumps(refused)
    assert "***" in json.dumps(refused["attempts"][0])


def test_a_sink_that_takes_no_token_at_all_does_not_drain_the_endpoint(
    shared, sink, tokens, make_event, kind
):
    sink.reply_always(401)
    shared.subscribe(sink, types=[kind], sinkcredential=credential(tokens), config={"retry": [0.05] * 6})
    (position,) = shared.publish(make_event())
    assert len(shared.settled(position, "exhausted")["attempts"]) == 7
    assert len(tokens.issued) == 2


def test_what_the_endpoint_says_is_the_attempts_error_and_is_retried(
    shared, guarded, tokens, make_event, kind
):
    tokens.instead = [
        (400, {}, b'{"error": "invalid_scope", "error_description": "no such scope"}'),
        (302, {"Location": guarded.url}, b""),
        (503, {}, b""),
        (200, {}, b"{}"),
        (200, {}, b'{"access_token": "x", "pad": "' + b"x" * 100_000 + b'"}'),
    ]
    shared.subscribe(guarded, types=[kind], sinkcredential=credential(tokens))
    (position,) = shared.publish(make_event())
    attempts = shared.settled(position, "delivered")["attempts"]
    assert [attempt["error_class"] for attempt in attempts] == [
        "token_refused",
        "token_refused",
        "token_unavailable",
        "token_malformed",
        "token_malformed",
        None,
    ]
    assert attempts[0]["detail"] == "the token endpoint answered 400: invalid_scope: no such scope"
    assert "302" in attempts[1]["detail"]
    assert len(guarded.posts) == 1


def test_a_wrong_secret_is_told_and_never_shown(shared, guarded, tokens, make_event, kind):
    wrong = "another-secret-entirely"
    made = shared.subscribe(
        guarded,
        types=[kind],
        sinkcredential=credential(tokens, clientsecret=wrong),
        config={"retry": [0.05]},
    )
    (position,) = shared.publish(make_event())
    delivery = shared.settled(position, "exhausted")
    said = json.dumps(delivery)
    assert delivery["attempts"][-1]["error_class"] == "token_refused"
    assert "invalid_client" in said
    assert wrong not in said
    assert base64.b64encode(f"{CLIENT}:{wrong}".encode()).decode() not in said
    assert guarded.posts == []
    # Corrected, it is read before the next attempt (S3d).
    path = f"/v1/subscriptions/{made['id']}"
    assert shared.client.patch(path, json={"sinkcredential": {"clientsecret": SECRET}}).status_code == 200
    assert shared.client.post(f"/v1/deliveries/{delivery['id']}/retry").status_code == 202
    shared.settled(position, "delivered")


def test_batches_carry_it_too(shared, guarded, tokens, make_event, kind):
    shared.subscribe(
        guarded,
        types=[kind],
        sinkcredential=credential(tokens),
        config={"format": "batch", "batch_age_s": 0.05},
    )
    tokens.instead = [(503, {}, b"")]
    positions = shared.publish(*(make_event() for _ in range(5)))
    for position in positions:
        attempts = shared.settled(position, "delivered")["attempts"]
        assert [attempt["error_class"] for attempt in attempts] == ["token_unavailable", None]


def test_a_token_endpoint_is_judged_like_a_sink(shared, guarded, tokens):
    for url in ("http://169.254.169.254/token", shared.said["url"] + "/token", "ftp://example.com/"):
        body = {"sink": guarded.url, "sinkcredential": credential(tokens, tokenurl=url)}
        answer = shared.client.post("/v1/subscriptions", json=body)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/sinkcredential/tokenurl"]
    assert tokens.asked == []


def test_an_endpoint_that_is_gone_or_hangs_is_an_error_of_its_own(
    make_gateway, guarded, tokens, make_event, kind
):
    gateway = make_gateway(GATEWAY_DELIVERY_TIMEOUT="0.3").start()
    tokens.gate.clear()
    gateway.subscribe(guarded, types=[kind], sinkcredential=credential(tokens), config={"retry": []})
    (position,) = gateway.publish(make_event())
    (attempt,) = gateway.settled(position, "exhausted")["attempts"]
    assert attempt["error_class"] == "token_unavailable"
    assert "(timeout)" in attempt["detail"]
    # In no file: not in the database, not in what was printed.
    gateway.stop()
    kept = b"".join(path.read_bytes() for path in gateway.data_dir.rglob("*") if path.is_file())
    assert SECRET.encode() not in kept
    assert b"issued-token" not in kept
    assert SECRET not in gateway.said_on_stderr()
