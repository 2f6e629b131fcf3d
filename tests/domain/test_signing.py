import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from gateway.domain.signing import Signer, check_secret, new_secret, public_key_of
from schemas.signatures import TOLERANCE_S, BadSignature, verify_letta, verify_v1

VECTORS = Path(__file__).parents[2] / "contracts" / "vectors" / "signatures.json"
OLD = new_secret(bytes(range(32)))
NEW = new_secret(bytes(range(1, 33)))
ID = "dlv_aaaaaaaaaaaacaaaaaaaaaaaaiaacaqdaqcq"
NOW_S = 1_767_268_800
BODY = b'{"event_type":"agent.step.completed"}'

secrets = st.binary(min_size=24, max_size=64).map(lambda raw: "whsec_" + base64.b64encode(raw).decode())
bodies = st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode))


def signed(*keys: str, body: bytes = BODY, at_s: int = NOW_S) -> dict[str, str]:
    return dict(Signer(keys).sign(ID, at_s, body))


def check(secret: str, headers: dict[str, str], *, body: bytes = BODY, now_s: float = NOW_S) -> None:
    verify_v1(
        secret,
        id=headers["webhook-id"],
        timestamp=headers["webhook-timestamp"],
        signature=headers["webhook-signature"],
        body=body,
        now_s=now_s,
    )


@pytest.mark.parametrize(
    "case", json.loads(VECTORS.read_text("utf-8"))["cases"], ids=lambda case: case["name"]
)
def test_conformance_38_the_vectors_in_the_repository_hold(case: dict[str, Any]) -> None:
    body, seeds = case["body"].encode(), [bytes.fromhex(text) for text in case.get("ed25519_seeds", ())]
    signer = Signer(case["secrets"], seeds)
    assert dict(signer.sign(case["id"], case["timestamp_s"], body)) == case["headers"]
    assert [public_key_of(seed) for seed in seeds] == case.get("public_keys", [])
    for secret in (*case["secrets"], *case.get("public_keys", ())):
        check(secret, case["headers"], body=body, now_s=case["timestamp_s"])
    verify_letta(case["secrets"][0], signature=case["headers"]["X-Letta-Signature"], body=body)


@given(secrets, bodies)
def test_conformance_38_what_we_sign_both_schemes_verify(secret: str, body: bytes) -> None:
    headers = signed(secret, body=body)
    check(secret, headers, body=body)
    verify_letta(secret, signature=headers["X-Letta-Signature"], body=body)


@given(secrets, st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_conformance_38_the_standards_own_library_verifies(secret: str, value: dict[str, str]) -> None:
    body = json.dumps(value, ensure_ascii=True).encode()
    now_s = int(datetime.now(UTC).timestamp())
    headers = signed(secret, body=body, at_s=now_s)
    assert Webhook(secret).verify(body, headers) == value
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


@given(secrets)
def test_conformance_38_what_the_standards_own_library_signs_we_verify(secret: str) -> None:
    moment = datetime.fromtimestamp(NOW_S, UTC)
    signature = Webhook(secret).sign(ID, moment, BODY.decode())
    assert signature == signed(secret)["webhook-signature"]
    verify_v1(secret, id=ID, timestamp=str(NOW_S), signature=signature, body=BODY, now_s=NOW_S)


def test_one_secret_makes_four_headers() -> None:
    assert [name for name, _ in Signer([OLD]).sign(ID, NOW_S, BODY)] == [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "X-Letta-Signature",
    ]


def test_conformance_38_during_a_rotation_both_secrets_sign() -> None:
    headers = signed(OLD, NEW)
    assert headers["webhook-signature"] == " ".join(
        signed(secret)["webhook-signature"] for secret in (OLD, NEW)
    )
    check(OLD, headers)
    check(NEW, headers)
    verify_letta(OLD, signature=headers["X-Letta-Signature"], body=BODY)
    verify_letta(NEW, signature=headers["X-Letta-Signature-Next"], body=BODY)
    with pytest.raises(BadSignature):
        verify_letta(NEW, signature=headers["X-Letta-Signature"], body=BODY)
    assert Webhook(NEW).verify(BODY, signed(OLD, NEW, at_s=int(datetime.now(UTC).timestamp())))


def test_a_second_rotation_within_the_overlap_keeps_them_all() -> None:
    third = new_secret(bytes(range(2, 34)))
    headers = signed(OLD, NEW, third)
    for secret in (OLD, NEW, third):
        check(secret, headers)
    verify_letta(third, signature=headers["X-Letta-Signature-Next"], body=BODY)


def test_a_signer_signs_any_number_of_times_and_shows_nothing() -> None:
    signer = Signer([OLD])
    assert signer.sign(ID, NOW_S, BODY) == signer.sign(ID, NOW_S, BODY) == Signer([OLD]).sign(ID, NOW_S, BODY)
    assert OLD[6:] not in repr(signer)
    with pytest.raises(ValueError, match="at least one"):
        Signer([])


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ID + "a"},
        {"webhook-timestamp": str(NOW_S + 1)},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v2," + "A" * 44},
        {"webhook-signature": "\u00e9"},
        {"webhook-id": "\ud800"},
    ],
)
def test_a_changed_request_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(BadSignature, match="no signature"):
        check(OLD, {**signed(OLD), **change})


def test_a_changed_body_or_another_secret_is_refused() -> None:
    with pytest.raises(BadSignature):
        check(OLD, signed(OLD), body=BODY + b" ")
    with pytest.raises(BadSignature):
        check(NEW, signed(OLD))


@given(st.integers(0, len(BODY) * 8 - 1))
def test_one_bit_of_the_body_breaks_both(bit: int) -> None:
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    headers = signed(OLD)
    with pytest.raises(BadSignature):
        check(OLD, headers, body=bytes(changed))
    with pytest.raises(BadSignature):
        verify_letta(OLD, signature=headers["X-Letta-Signature"], body=bytes(changed))


def test_an_old_or_early_timestamp_is_refused() -> None:
    for now_s in (NOW_S - TOLERANCE_S, NOW_S + TOLERANCE_S):
        check(OLD, signed(OLD), now_s=now_s)
    for late_s in (NOW_S - TOLERANCE_S - 1.0, NOW_S + TOLERANCE_S + 0.5):
        with pytest.raises(BadSignature, match="more than 300 s away"):
            check(OLD, signed(OLD), now_s=late_s)


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1.5", " 1", "\u0661", "9" * 5000, "1e9"])
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    with pytest.raises(BadSignature, match="whole number"):
        check(OLD, {**signed(OLD), "webhook-timestamp": timestamp})


def test_other_versions_of_signatures_are_passed_over() -> None:
    headers = signed(OLD)
    headers["webhook-signature"] = f"v1a,AAAA {headers['webhook-signature']} v2,BBBB"
    check(OLD, headers)


def test_only_so_many_signatures_are_looked_at() -> None:
    headers = signed(OLD)
    headers["webhook-signature"] = "v1,AAAA " * 16 + headers["webhook-signature"]
    with pytest.raises(BadSignature):
        check(OLD, headers)


@pytest.mark.parametrize("signature", ["", "sha256=", "sha1=aa", "\u00e9", "sha256=" + "0" * 64])
def test_lettas_own_header_is_checked(signature: str) -> None:
    with pytest.raises(BadSignature, match="X-Letta-Signature"):
        verify_letta(OLD, signature=signature, body=BODY)


def secret_of(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(size)).decode()


def test_s11g_secrets_of_24_to_64_bytes_are_accepted() -> None:
    for size in (24, 25, 26, 32, 64):
        assert check_secret(secret_of(size)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "password",
        secret_of(23),
        secret_of(65),
        secret_of(32)[6:],
        secret_of(32).upper(),
        secret_of(32).rstrip("="),
        secret_of(32) + "=",
        secret_of(32) + "\n",
        " " + secret_of(32),
        "whsec_whsec_" + secret_of(32),
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        secret_of(32)[:-2] + "B=",  # a stray bit behind the last byte
        "whsec_" + "\u00e9" * 44,
    ],
)
def test_s11g_another_text_is_no_secret_and_is_not_repeated(text: str) -> None:
    problem = check_secret(text, "/config/secret")
    assert problem is not None
    assert problem.pointer == "/config/secret"
    assert "24 to 64 bytes" in problem.detail
    assert len(text) < 12 or text not in problem.detail
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        Signer([text])


def test_a_new_secret_takes_32_random_bytes() -> None:
    assert check_secret(OLD) is None
    with pytest.raises(ValueError, match="32 random bytes, not 31"):
        new_secret(bytes(31))
