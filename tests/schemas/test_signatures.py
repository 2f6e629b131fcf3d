"""The helpers for receivers: what they take, what they refuse, and the same in Node by the lines of the docs."""

import builtins
import hmac
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from gateway.domain.signing import Signer, new_secret, public_key_of
from schemas.signatures import (
    TOLERANCE_S,
    BadSignature,
    public_key,
    secret_key,
    verify_letta,
    verify_letta_headers,
    verify_webhook,
)

ROOT = Path(__file__).parents[2]
CASES = json.loads((ROOT / "contracts/vectors/signatures.json").read_text("utf-8"))["cases"]
OLD, NEW = (new_secret(bytes(range(first, first + 32))) for first in (0, 1))
SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
PUBLIC, OTHER_PUBLIC = public_key_of(SEED), public_key_of(OTHER_SEED)
ID, NOW_S, BODY = "dlv_a", 1_767_268_800, b'{"a": 1}'


def signed(*secrets: str, seeds: tuple[bytes, ...] = (), body: bytes = BODY) -> dict[str, str]:
    return dict(Signer(secrets or (OLD,), seeds).sign(ID, NOW_S, body))


def good(headers: Any, *keys: str, body: bytes = BODY, now_s: float = NOW_S) -> bool:
    try:
        return verify_webhook(headers, body, keys, now_s=now_s) == ID
    except BadSignature:
        return False


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vectors_hold(case: dict[str, Any]) -> None:
    body, headers, now_s = case["body"].encode(), case["headers"], case["timestamp_s"]
    for key in (*case["secrets"], *case.get("public_keys", ())):
        assert verify_webhook(headers, body, key, now_s=now_s) == case["id"]
        with pytest.raises(BadSignature, match="no signature"):
            verify_webhook(headers, body + b" ", key, now_s=now_s)
    for secret in case["secrets"]:
        verify_letta_headers(headers, body, secret)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_standards_own_library_takes_them(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Then":
            return cls.fromtimestamp(case["timestamp_s"], tz or UTC)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Then)
    for secret in case["secrets"]:
        Webhook(secret).verify(case["body"].encode(), case["headers"], json_parse=False)


def test_node_verifies_the_vectors_by_the_lines_of_the_docs(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (block,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs/quickstart.md").read_text("utf-8"), re.DOTALL)
    script = tmp_path / "vectors.js"
    script.write_text(
        block
        + f"\nconst cases = {json.dumps(CASES)}, late = 301;\n"
        + """
const assert = require("node:assert");
for (const { secrets, public_keys = [], headers, body, timestamp_s, id } of cases) {
  Date.now = () => timestamp_s * 1000;
  const raw = Buffer.from(body), changed = Buffer.concat([raw, Buffer.from(" ")]);
  for (const key of [...secrets, ...public_keys, ["whsec_" + "A".repeat(32), ...secrets]]) {
    assert(verify(key, headers, raw), `${key} of ${id}`);
    assert(!verify(key, headers, changed));
    assert(!verify(key, {}, raw));
  }
  const others = ["whsec_" + "A".repeat(32), "whpk_" + Buffer.alloc(32, 7).toString("base64")];
  assert(!verify(others, headers, raw));
  assert(verifyLetta(secrets[0], headers["X-Letta-Signature"], raw));
  assert(!verifyLetta(secrets[0], headers["X-Letta-Signature"], changed));
  assert(!verifyLetta(secrets[0], undefined, raw));
  Date.now = () => (timestamp_s + late) * 1000;
  assert(!verify(secrets, headers, raw));
}
"""
    )
    done = subprocess.run([node, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_what_we_sign_with_ed25519_a_public_key_verifies(seed: bytes, body: bytes) -> None:
    headers = signed(seeds=(seed,), body=body)
    assert good(headers, public_key_of(seed), body=body)
    assert not good(headers, public_key_of(seed), body=body + b" ")


def test_several_keys_of_both_kinds_of_which_one_is_good() -> None:
    assert good(signed(OLD), NEW, OLD)
    assert good(signed(OLD, NEW), NEW)
    assert good(signed(OLD, seeds=(SEED,)), OTHER_PUBLIC, PUBLIC)
    assert good(signed(OLD, seeds=(SEED,)), NEW, PUBLIC)
    assert not good(signed(OLD, seeds=(SEED,)), NEW, OTHER_PUBLIC)
    # Neither signature is taken for the other.
    assert not good(signed(OLD), PUBLIC)
    for wrong in (
        "v1a,",
        "v1a,AAAA",
        "v1a,\u00e9",
        "v1a",
        "v1," + signed(seeds=(SEED,))["webhook-signature"][-88:],
    ):
        assert not good({**signed(), "webhook-signature": wrong}, PUBLIC)


def test_headers_in_any_case_and_as_pairs() -> None:
    headers = signed()
    assert good({name.upper(): value for name, value in headers.items()}, OLD)
    assert good(list(headers.items()), OLD)
    twice = [*headers.items(), ("Webhook-Id", ID)]
    with pytest.raises(BadSignature, match="no webhook-id header"):
        verify_webhook(twice, BODY, OLD, now_s=NOW_S)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        with pytest.raises(BadSignature, match=f"no {name} header"):
            verify_webhook(
                {key: value for key, value in headers.items() if key != name}, BODY, OLD, now_s=NOW_S
            )


def test_the_clock_counts_where_no_time_is_given() -> None:
    with pytest.raises(BadSignature, match="more than 300 s"):
        verify_webhook(signed(), BODY, OLD)
    now_s = int(datetime.now(UTC).timestamp())
    assert verify_webhook(dict(Signer([OLD]).sign(ID, now_s, BODY)), BODY, OLD) == ID
    assert good(signed(), OLD, now_s=NOW_S + TOLERANCE_S)
    assert not good(signed(), OLD, now_s=NOW_S + TOLERANCE_S + 1)


def test_a_key_that_is_none_is_told_and_not_repeated() -> None:
    for wrong in ("", "whsec_", "whpk_", "whpk_AAAA", PUBLIC[5:], "secret"):
        with pytest.raises(ValueError, match="must be `wh") as told:
            verify_webhook(signed(), BODY, [OLD, wrong], now_s=NOW_S)
        assert len(wrong) < 8 or wrong not in str(told.value)
    with pytest.raises(ValueError, match="at least one key"):
        verify_webhook(signed(), BODY, [], now_s=NOW_S)
    assert (len(secret_key(OLD)), len(public_key(PUBLIC))) == (32, 32)


def test_lettas_own_header_in_a_rotation() -> None:
    headers = signed(OLD, NEW)
    verify_letta_headers(headers, BODY, OLD)
    verify_letta_headers(headers, BODY, NEW)
    verify_letta([NEW, OLD], signature=headers["X-Letta-Signature"], body=BODY)
    with pytest.raises(BadSignature, match="not of this secret"):
        verify_letta_headers(headers, BODY, new_secret(bytes(32)))
    with pytest.raises(BadSignature):
        verify_letta(OLD, signature=None, body=BODY)
    with pytest.raises(BadSignature, match="no X-Letta-Signature"):
        verify_letta_headers({}, BODY, OLD)


def test_hmac_takes_nothing_but_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return whole(name, *arguments, **named)

    headers = signed(seeds=(SEED,))
    monkeypatch.setattr(builtins, "__import__", without)
    assert good(headers, OLD)
    with pytest.raises(RuntimeError, match="takes the package `cryptography`"):
        good(headers, PUBLIC)


@pytest.mark.parametrize("secrets", ["", [], ["whsec_x", ""], "plain"])
def test_no_secret_is_no_key(secrets: Any) -> None:
    """A setting that is missing is an empty text, and anybody can sign with that."""
    forged = "sha256=" + hmac.digest(b"", b"{}", "sha256").hex()
    with pytest.raises(ValueError, match=r"secret|whsec_"):
        verify_letta(secrets, signature=forged, body=b"{}")
    with pytest.raises(ValueError, match=r"secret|whsec_"):
        verify_letta_headers({"X-Letta-Signature": forged}, b"{}", secrets)
