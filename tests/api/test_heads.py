"""HEAD: what GET answers, without the body."""

import pytest


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/openapi.json", "/v1/events", "/v1/events/9", "/registry"]
)
def test_head_answers_as_get_does_without_the_body(client, path):
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    dated = ("date", "etag", "last-modified")
    kept = {name: value for name, value in got.headers.items() if name not in dated}
    assert {name: value for name, value in head.headers.items() if name not in dated} == kept


def test_head_wants_a_token_as_get_does(anonymous):
    assert anonymous.head("/v1/events").status_code == 401


def test_head_of_a_stream_ends(client):
    answer = client.head("/v1/events/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_head_grants_nothing_where_a_get_would(client):
    assert client.head("/handshake/" + "a" * 43).status_code == 405
