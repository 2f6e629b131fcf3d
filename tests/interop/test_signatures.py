"""Whoever verifies by Standard Webhooks, or by the lines of our docs, verifies real deliveries (CONFORMANCE 38, S3)."""

import base64
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peering.environments import PEERS, node_folder, python_of

from schemas.signatures import BadSignature, verify_letta_headers, verify_webhook

pytestmark = pytest.mark.interop

QUICKSTART = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()

Verify = Callable[[dict[str, str], bytes, list[str]], list[bool]]


def _program(command: list[str], headers: dict[str, str], body: bytes, keys: list[str]) -> list[bool]:
    asked = {"headers": headers, "body": base64.b64encode(body).decode(), "secrets": keys}
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    good: list[bool] = json.loads(done.stdout)
    return good


def by_npm(headers: dict[str, str], body: bytes, keys: list[str]) -> list[bool]:
    return _program(["node", str(node_folder() / "verify.cjs")], headers, body, keys)


def by_python(headers: dict[str, str], body: bytes, keys: list[str]) -> list[bool]:
    command = [str(python_of("python_sdk")), str(PEERS / "python_sdk" / "verify.py")]
    return _program(command, headers, body, keys)


def by_ours(headers: dict[str, str], body: bytes, keys: list[str]) -> list[bool]:
    def good(key: str) -> bool:
        try:
            verify_webhook(headers, body, key)
        except BadSignature:
            return False
        return True

    return [good(key) for key in keys]


NODE = """
let text = "";
process.stdin.on("data", (chunk) => (text += chunk)).on("end", () => {
  const { headers, body, secrets } = JSON.parse(text);
  console.log(JSON.stringify(secrets.map((key) => CALL)));
});
"""


def _by_the_docs(call: str) -> Verify:
    def verify(headers: dict[str, str], body: bytes, keys: list[str]) -> list[bool]:
        blocks = re.findall(r"```js\n(.*?)```", QUICKSTART.read_text("utf-8"), re.DOTALL)
        (block,) = [text for text in blocks if "function verify(" in text]
        return _program(["node", "-e", block + NODE.replace("CALL", call)], headers, body, keys)

    return verify


by_the_docs = _by_the_docs('verify(key, headers, Buffer.from(body, "base64"))')
letta_by_the_docs = _by_the_docs(
    'verifyLetta(key, headers["x-letta-signature"], Buffer.from(body, "base64"))'
)

VERIFIERS = {"npm": by_npm, "python": by_python, "schemas": by_ours, "docs-node": by_the_docs}
WITH_ED25519 = ("schemas", "docs-node")


@pytest.mark.parametrize("name", VERIFIERS)
def test_a_delivery_is_verified_before_in_and_for_its_own_secret_alone(
    name: str, shared: Any, sink: Any, kind: str, make_event: Callable[..., dict[str, Any]]
) -> None:
    verify = VERIFIERS[name]
    made = shared.subscribe(sink, types=[kind])
    shared.publish(make_event(data={"text": "Grüße 😀"}))
    (post,) = sink.wait(1)
    old = made["secret"]
    assert verify(post.headers, post.body, [old, OTHER]) == [True, False]
    assert verify(post.headers, post.body + b" ", [old]) == [False]
    assert verify(post.headers | {"webhook-id": "dlv_other"}, post.body, [old]) == [False]

    # Both sign while one takes the other's place: a receiver may change over at any moment.
    new = shared.subscription(made, "rotate-secret")["secret"]
    shared.publish(make_event())
    _, post = sink.wait(2)
    assert verify(post.headers, post.body, [old, new, OTHER]) == [True, True, False]
    assert verify(post.headers, post.body + b" ", [old, new]) == [False, False]


@pytest.mark.parametrize("name", WITH_ED25519)
def test_ed25519_is_verified_with_the_public_key(
    name: str, shared: Any, sink: Any, kind: str, make_event: Callable[..., dict[str, Any]]
) -> None:
    verify = VERIFIERS[name]
    made = shared.subscribe(sink, types=[kind], config={"signing": ["v1", "v1a"]})
    (public,) = keys_of(shared.subscription(made))
    other = "whpk_" + base64.b64encode(bytes(32)).decode()
    shared.publish(make_event())
    (post,) = sink.wait(1)
    assert verify(post.headers, post.body, [public, made["secret"], other]) == [True, True, False]

    shared.subscription(made, "rotate-secret")
    shared.publish(make_event())
    _, post = sink.wait(2)
    both = keys_of(shared.subscription(made))
    assert public in both
    assert len(both) == 2
    assert verify(post.headers, post.body, both) == [True, True]
    assert verify(post.headers, post.body + b" ", both) == [False, False]


def keys_of(subscription: dict[str, Any]) -> list[str]:
    """The public keys that a subscription shows, wherever they stand in it."""
    return sorted(set(re.findall(r"whpk_[A-Za-z0-9+/]+=*", json.dumps(subscription))))


def test_lettas_own_signature_is_verified(
    shared: Any, sink: Any, kind: str, make_event: Callable[..., dict[str, Any]]
) -> None:
    made = shared.subscribe(sink, types=[kind])
    shared.publish(make_event())
    (post,) = sink.wait(1)
    verify_letta_headers(post.headers, post.body, made["secret"])
    assert letta_by_the_docs(post.headers, post.body, [made["secret"], OTHER]) == [True, False]
    assert letta_by_the_docs(post.headers, post.body + b" ", [made["secret"]]) == [False]
