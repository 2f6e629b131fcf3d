"""The route behind `secrets rotate-key`: the administrator's, by cursor, and without a key in any answer."""

import base64

from gateway.domain.ids import encode_cursor


def test_a_batch_says_what_it_did_and_how_to_go_on(client):
    client.post("/v1/subscriptions", json={"sink": "http://127.0.0.1:9/"})
    found = client.post("/v1/secrets/rotate-key")
    assert found.status_code == 200, found.text
    assert found.json() == {"checked": 2, "resealed": 0, "unreadable": [], "next": None}
    behind = encode_cursor("vault", "subscription-secrets", "zzz", 1)
    assert client.post("/v1/secrets/rotate-key", params={"cursor": behind}).json()["checked"] == 0


def test_keys_are_told_by_their_ids(client):
    client.post("/v1/subscriptions", json={"sink": "http://127.0.0.1:9/"})
    answer = client.get("/v1/secrets/keys")
    (key,) = answer.json()["items"]
    assert (key["first"], key["sealed"], key["needed"], key["links_until"]) == (True, 2, True, None)
    assert len(key["id"]) == 16
    assert base64.b64encode(bytes(32)).decode() not in answer.text


def test_what_no_batch_gave_out_is_no_cursor(client):
    for cursor in ("x", "", encode_cursor("quarantine", 1, "a"), encode_cursor("vault", 1, 2, 3)):
        answer = client.post("/v1/secrets/rotate-key", params={"cursor": cursor})
        assert answer.status_code == 400, cursor
        assert answer.json()["type"] == "urn:letta-gateway:problem:invalid-cursor"


def test_without_a_token_nothing(anonymous):
    assert anonymous.post("/v1/secrets/rotate-key").status_code == 401
    assert anonymous.get("/v1/secrets/keys").status_code == 401
