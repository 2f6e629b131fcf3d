"""`/v1/archives`: what is asked for, and what is told."""

import pytest


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (None, ["/before_position"]),
        ({}, ["/before_position"]),
        ({"before_position": 5, "before": "2026-01-01T00:00:00Z"}, ["/before_position"]),
        ({"before_position": 0}, ["/before_position"]),
        ({"before_position": "5"}, ["/before_position"]),
        ({"before": "yesterday"}, ["/before"]),
        ({"before": "2026-01-01T00:00:00"}, ["/before"]),
        ({"before_position": 5, "dry_run": 1, "to": "here"}, ["/dry_run", "/to"]),
        ([], [""]),
    ],
)
def test_what_is_no_archiving(client, body, pointers):
    answer = client.post("/v1/archives", json=body)
    assert answer.status_code == 422, answer.text
    assert sorted(error["pointer"] for error in answer.json()["errors"])[-len(pointers) :] == pointers


def test_a_dry_run_archives_nothing(client):
    for _ in range(3):
        client.post("/v1/subscriptions", json={"sink": "pull:"})
    answer = client.post("/v1/archives", json={"before_position": 3, "dry_run": True})
    expected = {"first_position": 1, "until_position": 2, "positions": 2, "held_by": []}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert client.get("/v1/archives").json() == {"items": [], "next": None}
    late = client.post("/v1/archives", json={"before": "2001-01-01T00:00:00Z", "dry_run": True})
    assert late.json()["positions"] == 0


def test_one_at_a_time(client):
    client.post("/v1/subscriptions", json={"sink": "pull:"})
    first = client.post("/v1/archives", json={"before_position": 2})
    assert (first.status_code, first.json()["state"]) == (202, "running")
    assert client.get(first.headers["location"]).json() == first.json()
    assert client.post("/v1/archives", json={"before_position": 2}).status_code == 409


def test_what_there_is_not(client):
    for method, path in (("get", "/7"), ("get", "/7/file"), ("post", "/7/restore"), ("get", "/runs/7")):
        assert client.request(method, f"/v1/archives{path}").status_code == 404
    for path in ("/0", "/x", "/99999999999999999999", "/runs/x"):
        assert client.get(f"/v1/archives{path}").status_code == 422
    assert client.get("/v1/archives", params={"cursor": "x"}).status_code == 400
