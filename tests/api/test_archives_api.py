"""`/v1/archives`: what is asked for, and what is told; and what a list of events tells of it."""

import pytest

EVENT = {"specversion": "1.0", "source": "urn:a", "type": "a.b", "data": {}}
STRUCTURED = {"content-type": "application/cloudevents+json"}


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
    expected = {"first_position": 1, "until_position": 2, "positions": 2, "again": [], "held_by": []}
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


@pytest.fixture
def archived(client, services):
    """Six events are made, of an administrator; four of them are archived."""

    async def archive() -> None:
        run = await services.archives.request(4)
        while not (await services.archives.step(run.id)).finished:
            pass

    for number in range(6):
        assert client.post("/v1/events", json=EVENT | {"id": f"e{number}"}, headers=STRUCTURED).is_success
    last = client.get("/v1/events/4").json()["appended_at"]
    client.portal.call(archive)
    return {"position": 4, "appended_at": last}


def page(client, headers=None, **params):
    """The positions that a page shows, what it says of archives, and its `next`."""
    answer = client.get("/v1/events", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) <= {"items", "next", "archived_until"}
    return [item["position"] for item in body["items"]], body.get("archived_until"), body["next"]


def test_a_list_of_events_says_up_to_where_they_were_archived(client, archived):
    assert page(client) == ([6, 5], archived, None)
    newest, nothing, following = page(client, limit=1)
    assert (newest, nothing) == ([6], None)
    assert page(client, limit=1, cursor=following) == ([5], archived, None)
    first, until, following = page(client, limit=1, order="asc")
    assert (first, until) == ([5], archived)
    assert page(client, limit=1, order="asc", cursor=following) == ([6], None, None)
    assert page(client, until=archived["appended_at"]) == ([], archived, None)
    assert page(client, type="a.b", agent_id="nobody")[1] == archived
    assert page(client, id="e1") == ([], archived, None)
    assert page(client, type="com.letta.gateway.archived")[1] is None
    assert client.post("/v1/archives/2/restore").status_code == 200
    assert page(client, order="asc")[:2] == ([1, 2, 3, 4, 5, 6], None)


def test_s11a_an_organization_is_told_that_there_was_an_archive_and_not_whose(client, archived, tokens):
    _, one = tokens.make(organization="org-1")
    _, two = tokens.make(organization="org-2")
    for params in ({}, {"order": "asc"}, {"id": "e1"}, {"id": "e-none"}):
        assert page(client, one, **params) == page(client, two, **params) == ([], archived, None)


@pytest.mark.usefixtures("archived")
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_an_archive_whose_file_cannot_be_used_is_a_problem_of_its_own(client, services, how):
    path = services.archives.path(client.portal.call(services.archives.holding, 1))
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
        answer = client.get("/v1/archives/2/file")
        assert (answer.status_code, answer.json()["type"][-16:]) == (409, "archive-unusable")
    else:
        path.write_bytes(whole[:-20])
    answer = client.post("/v1/archives/2/restore")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "urn:letta-gateway:problem:archive-unusable")
    assert path.name in problem["detail"]
    assert ("is not in the folder" if how == "missing" else "is damaged: it ends before its end") in problem[
        "detail"
    ]
    path.write_bytes(whole)
    assert client.post("/v1/archives/2/restore").status_code == 200
