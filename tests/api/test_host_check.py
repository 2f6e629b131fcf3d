"""In development the API answers to the names of this machine alone; in production behind any name (S11c)."""

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from gateway.api.application import create_api


@pytest.fixture
def client(services):
    names = frozenset({"127.0.0.1", "localhost", "[::1]"})
    with TestClient(create_api(replace(services, allowed_hosts=names), "0")) as found:
        yield found


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "LocalHost", "[::1]", "[::1]:8080"]
)
def test_s11c_loopback_names_are_answered(client, host):
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost.",
        "evil.example@127.0.0.1",
        "[::1].evil.example",
        "[::1",
        "",
        "10.0.0.1",
        "127.0.0.1:80@evil.example",
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/events", "/payloads/x", "/nothing"])
def test_s11c_a_page_that_came_by_another_name_is_refused_everywhere(client, admin, host, path):
    answer = client.get(path, headers={"Host": host} | admin)
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(":forbidden")
    assert "loopback" in answer.json()["detail"]


def test_s11c_one_host_and_no_more(client):
    for headers in (
        [("Host", "127.0.0.1"), ("Host", "evil.example")],
        [("Host", "evil.example"), ("Host", "127.0.0.1")],
    ):
        assert client.get("/healthz", headers=headers).status_code == 403


def test_s11c_in_production_its_name_is_its_own(services):
    with TestClient(create_api(replace(services, production=True, allowed_hosts=frozenset()), "0")) as client:
        assert client.get("/healthz", headers={"Host": "hooks.example.org"}).status_code == 200
