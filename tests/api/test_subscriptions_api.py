"""`/v1/subscriptions`: the resource, its versions and its end; and the doors around the API."""

from concurrent.futures import ThreadPoolExecutor

import pytest

SINK = "http://127.0.0.1:9/hook"


def make(client, **members):
    answer = client.post("/v1/subscriptions", json={"sink": SINK} | members)
    assert answer.status_code == 201, answer.text
    return answer


def test_created_with_a_secret_that_is_shown_once(client):
    answer = make(client, types=["agent.step.completed"], name="mine", id="my-own")
    body = answer.json()
    assert body["secret"].startswith("whsec_")
    assert body["id"] != "my-own"
    assert answer.headers["location"] == f"/v1/subscriptions/{body['id']}"
    assert (body["protocol"], body["state"], body["organization"]) == ("HTTP", "active", "*")
    again = client.get(answer.headers["location"])
    assert "secret" not in again.json()
    assert again.headers["etag"] == answer.headers["etag"]


def test_a_secret_of_ones_own(client):
    own = "whsec_" + "A" * 40
    assert make(client, secret=own).json()["secret"] == own
    short = client.post("/v1/subscriptions", json={"sink": SINK, "secret": "whsec_c2hvcnQ="})
    assert short.status_code == 422
    assert [error["pointer"] for error in short.json()["errors"]] == ["/secret"]
    assert "c2hvcnQ" not in short.text


def test_every_fault_at_once(client):
    body = {
        "sink": "",
        "protocol": "MQTT",
        "types": "x",
        "filters": [{"exact": {"type": ""}}, {"regex": {"type": "x"}}],
        "config": {"format": "xml", "timeout_s": 99, "retry": [-1]},
        "colour": "red",
    }
    answer = client.post("/v1/subscriptions", json=body)
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} >= {
        "/sink",
        "/protocol",
        "/types",
        "/filters/0/exact/type",
        "/config/format",
        "/config/timeout_s",
        "/config/retry",
        "/colour",
    }


@pytest.mark.parametrize(
    "sink",
    [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://0x7f.1:8080/",
        "http://127.0.0.1:8080/v1/events",
        "ftp://example.com/",
        "http://user:pw@example.com/",
        "http://[::ffff:10.0.0.1]/",
        "http://2852039166/",
        "not a url",
    ],
)
def test_a_sink_that_is_not_allowed(client, sink):
    answer = client.post("/v1/subscriptions", json={"sink": sink})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/sink"


@pytest.mark.parametrize(
    "config",
    [
        {"format": "batch", "batch_events_max": 10, "batch_bytes_max": 65_536, "batch_age_s": 0.5},
        {"ordering": "partitionkey", "max_per_second": 2.5},
    ],
)
def test_how_it_is_sent_is_shown_as_it_was_given(client, config):
    made = make(client, config=config).json()
    assert made["config"].items() >= config.items()
    assert client.get(f"/v1/subscriptions/{made['id']}").json()["config"] == made["config"]


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"batch_events_max": 10}, "/config/batch_events_max"),
        ({"format": "batch", "batch_events_max": 0}, "/config/batch_events_max"),
        ({"format": "batch", "batch_bytes_max": 1_000}, "/config/batch_bytes_max"),
        ({"format": "batch", "batch_age_s": -1}, "/config/batch_age_s"),
        ({"max_per_second": 0}, "/config/max_per_second"),
        ({"ordering": "subject"}, "/config/ordering"),
    ],
)
def test_bounds_of_how_it_is_sent(client, config, pointer):
    answer = client.post("/v1/subscriptions", json={"sink": SINK, "config": config})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b"\xff"])
def test_a_body_that_is_no_object(client, body):
    answer = client.post("/v1/subscriptions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_patch_and_put_make_revisions(client):
    body = make(client, types=["a.b"], config={"retry": [0.5]}).json()
    path = f"/v1/subscriptions/{body['id']}"
    patched = client.patch(path, json={"types": ["c.d"], "config": {"timeout_s": 2}})
    assert patched.status_code == 200, patched.text
    assert patched.json()["types"] == ["c.d"]
    assert patched.json()["config"]["retry"] == [0.5]
    assert patched.json()["revision"] == 2
    replaced = client.put(path, json={"sink": SINK})
    assert "types" not in replaced.json()
    assert "retry" not in replaced.json()["config"]
    # What was read can be handed back.
    assert client.put(path, json=client.get(path).json()).status_code == 200
    assert client.patch(path, json={"organization": "other"}).status_code == 422
    assert client.patch(path, json={"sink": "http://10.0.0.1/"}).status_code == 422


def test_two_editors_do_not_overwrite_each_other(client):
    made = make(client)
    path, first = made.headers["location"], made.headers["etag"]
    assert client.patch(path, json={"name": "a"}, headers={"if-match": first}).status_code == 200
    late = client.patch(path, json={"name": "b"}, headers={"if-match": first})
    assert late.status_code == 412
    assert client.get(path).json()["name"] == "a"
    assert client.delete(path, headers={"if-match": first}).status_code == 412
    assert client.delete(path, headers={"if-match": "*"}).status_code == 204


@pytest.mark.parametrize("verb", ["pause", "resume", "rotate-secret"])
def test_what_is_asked_of_a_version_that_was_is_not_done(client, verb):
    made = make(client)
    path, first = made.headers["location"], made.headers["etag"]
    second = client.patch(path, json={"name": "a"}).headers["etag"]
    before = client.get(path).json()
    assert client.post(f"{path}/{verb}", json={}, headers={"if-match": first}).status_code == 412
    assert client.get(path).json() == before
    assert client.post(f"{path}/{verb}", json={}, headers={"if-match": f'"x", {second}'}).status_code == 200


def test_what_is_there_is_not_made_again(client):
    made = make(client)
    path, tag = made.headers["location"], made.headers["etag"]
    for said in ("*", tag, f'"other", W/{tag}'):
        condition = {"if-none-match": said}
        assert client.put(path, json={"sink": SINK, "name": "b"}, headers=condition).status_code == 412
        assert client.patch(path, json={"name": "b"}, headers=condition).status_code == 412
        assert client.delete(path, headers=condition).status_code == 412
    assert "name" not in client.get(path).json()
    assert client.patch(path, json={"name": "b"}, headers={"if-none-match": '"1.1"'}).status_code == 200


def test_what_the_reader_has_is_not_sent_again(client):
    made = make(client)
    path, tag = made.headers["location"], made.headers["etag"]
    for said in ("*", tag, f'"other", W/{tag}'):
        answer = client.get(path, headers={"if-none-match": said})
        assert (answer.status_code, answer.headers["etag"], answer.content) == (304, tag, b"")
    assert client.get(path, headers={"if-none-match": '"1.1"'}).status_code == 200


def test_deleted_is_gone(client):
    path = make(client).headers["location"]
    assert client.delete(path).status_code == 204
    for answer in (
        client.get(path),
        client.delete(path),
        client.patch(path, json={}),
        client.post(path + "/pause"),
    ):
        assert answer.status_code == 404
    assert client.get("/v1/subscriptions").json()["items"] == []


def test_pause_and_resume(client):
    path = make(client).headers["location"]
    assert client.post(path + "/pause").json()["state"] == "paused"
    assert client.post(path + "/pause").json()["state"] == "paused"
    assert client.post(path + "/resume", json={"from": "elsewhere"}).status_code == 422
    assert client.post(path + "/resume", json={"from": "now"}).json()["state"] == "active"
    assert client.post(path + "/resume").json()["state"] == "active"


def test_a_start_in_the_future_is_refused(client):
    answer = client.post(
        "/v1/subscriptions", json={"sink": SINK, "config": {"start": "2100-01-01T00:00:00Z"}}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/config/start"


def test_start_ahead_of_the_log_is_refused(client):
    answer = client.post("/v1/subscriptions", json={"sink": SINK, "config": {"start": 99}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/config/start"


def test_lists_are_paged_in_order_of_creation(client):
    ids = [make(client, name=str(number)).json()["id"] for number in range(5)]
    first = client.get("/v1/subscriptions?limit=3").json()
    second = client.get(f"/v1/subscriptions?limit=3&cursor={first['next']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids
    assert second["next"] is None
    assert client.get("/v1/subscriptions?limit=0").status_code == 422


def test_a_rotation_shows_the_new_secret_this_once(client):
    made = make(client)
    path, old = made.headers["location"], made.json()["secret"]
    answer = client.post(path + "/rotate-secret")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["secret"].startswith("whsec_")
    assert body["secret"] != old
    assert body["overlap_until"] > body["updated_at"]
    assert answer.headers["etag"] != made.headers["etag"]
    again = client.get(path)
    assert again.headers["etag"] == answer.headers["etag"]
    assert "whsec_" not in again.text
    facts = client.get("/v1/events", params={"type": "com.letta.gateway.subscription.secret_rotated"})
    assert len(facts.json()["items"]) == 1
    assert "whsec_" not in facts.text


def test_a_rotation_to_a_secret_of_ones_own(client):
    path, own = make(client).headers["location"], "whsec_" + "B" * 40
    assert client.post(path + "/rotate-secret", json={"secret": own}).json()["secret"] == own
    assert client.post(path + "/rotate-secret", json={}).json()["secret"] != own


@pytest.mark.parametrize(
    "body",
    [
        {"secret": "whsec_c2hvcnQ="},
        {"secret": "A" * 40},
        {"secret": "whsec_" + "A" * 88},
        {"secret": 1},
        {"secret": None},
        {"secret": "whsec_" + "A" * 40, "more": 1},
        {"key": 1},
        [],
        "whsec_" + "A" * 40,
    ],
)
def test_no_rotation(client, body):
    path = make(client).headers["location"]
    answer = client.post(path + "/rotate-secret", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/secret"]
    assert "whsec_" + "A" not in answer.text
    assert "c2hvcnQ" not in answer.text


def test_no_rotation_of_what_is_gone(client):
    path = make(client).headers["location"]
    client.delete(path)
    assert client.post(path + "/rotate-secret").status_code == 404


ROUTES = [
    ("POST", "/v1/events"),
    ("GET", "/v1/events"),
    ("GET", "/v1/events/1"),
    ("GET", "/v1/events/1/deliveries"),
    ("POST", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions/x"),
    ("PUT", "/v1/subscriptions/x"),
    ("PATCH", "/v1/subscriptions/x"),
    ("DELETE", "/v1/subscriptions/x"),
    ("OPTIONS", "/v1/subscriptions/x"),
    ("POST", "/v1/subscriptions/x/pause"),
    ("GET", "/v1/deliveries/x"),
    ("GET", "/v1/quarantine"),
    ("GET", "/v1/quarantine/x"),
]


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic abc", "Bearer", "Bearer é"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_token_no_answer(anonymous, method, path, header):
    headers = {} if header is None else {"authorization": header.encode()}
    answer = anonymous.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_route_under_v1_asks_for_a_token(anonymous):
    paths = anonymous.get("/openapi.json").json()["paths"]
    listed = {
        (method.upper(), path) for path, item in paths.items() for method in item if path.startswith("/v1")
    }
    tried = {(method, path) for method, path in listed}
    for method, path in tried:
        answer = anonymous.request(method, path.replace("{", "").replace("}", ""))
        assert answer.status_code == 401, (method, path)


def test_open_doors(anonymous):
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    ready = anonymous.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (503, {"database": "ok", "redis": "failing"})
    assert "letta-gateway" in anonymous.get("/").text
    base = "/registry/schemagroups/com.letta/schemas/agent.step.completed"
    version = anonymous.get(base + "/versions/1")
    assert version.json()["$id"] == "http://127.0.0.1:8080" + base + "/versions/1"
    assert "immutable" in version.headers["cache-control"]
    unchanged = anonymous.get(base + "/versions/1", headers={"if-none-match": version.headers["etag"]})
    assert unchanged.status_code == 304
    assert anonymous.get(base).json()["$id"].endswith("/versions/1")
    assert anonymous.get(base + "/versions/2").status_code == 404
    assert anonymous.get(base + "x").status_code == 404
    assert anonymous.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_a_foreign_host_name_is_refused_in_development(anonymous):
    answer = anonymous.get("/healthz", headers={"host": "evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize("delivery_id", ["x", "dlv_" + "a" * 36, "dlv_", "%00"])
def test_no_such_delivery(client, delivery_id):
    assert client.get(f"/v1/deliveries/{delivery_id}").status_code == 404


def test_concurrent_patches_lose_nothing(client):
    path = make(client).headers["location"]

    def change(number: int) -> int:
        member = {"name": f"n{number}"} if number % 2 else {"description": f"d{number}"}
        return client.patch(path, json=member).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(change, range(24))) == {200}
    last = client.get(path).json()
    assert last["name"].startswith("n")
    assert last["description"].startswith("d")


def test_a_patch_that_changes_nothing_says_nothing(client):
    made = make(client, name="same")
    again = client.patch(made.headers["location"], json={"name": "same"})
    assert (again.json()["revision"], again.headers["etag"]) == (1, made.headers["etag"])


def test_resume_from_now_skips_of_an_active_stream_too(client, database):
    made = make(client, config={"start": "beginning"})
    client.post(made.headers["location"] + "/resume", json={"from": "now"})
    cursor = database.read_now(
        lambda connection: connection.exec_driver_sql("SELECT cursor FROM delivery_cursor").scalar()
    )
    assert cursor == 2


@pytest.mark.parametrize("body", [{"from": []}, {"from": {}}, {"from": "now", "more": 1}, [], "now", 1])
def test_no_way_to_resume(client, body):
    path = make(client).headers["location"]
    assert client.post(path + "/resume", json=body).status_code == 422


@pytest.mark.parametrize(
    "start", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", 10**30, -1, True]
)
def test_a_start_out_of_every_calendar(client, start):
    answer = client.post("/v1/subscriptions", json={"sink": SINK, "config": {"start": start}})
    assert answer.status_code == 422


def test_an_if_match_of_any_kind(client):
    path = make(client).headers["location"]
    for value in ('"1.' + "9" * 5000 + '"', '"²"', "x", '""'):
        answer = client.patch(path, json={"name": "x"}, headers={"if-match": value.encode()})
        assert answer.status_code == 412


@pytest.mark.parametrize("version", ["²", "01", "0", "-1", "1" * 5000])
def test_no_such_version_of_a_contract(anonymous, version):
    path = f"/registry/schemagroups/com.letta/schemas/agent.step.completed/versions/{version}"
    assert anonymous.get(path).status_code == 404


def test_ed25519_public_keys_are_shown_and_follow_a_rotation(client):
    made = make(client, config={"signing": ["v1", "v1a"]})
    path, first = made.headers["location"], made.json()["public_key"]
    assert first.startswith("whpk_")
    assert "previous_public_keys" not in made.json()
    rotated = client.post(path + "/rotate-secret").json()
    shown = client.get(path).json()
    assert shown["public_key"] == rotated["public_key"] != first
    assert shown["previous_public_keys"] == [{"public_key": first, "until": rotated["overlap_until"]}]
    # What a view adds may be handed back, and signing by HMAC alone shows none.
    assert client.put(path, json=shown).status_code == 200
    assert "public_key" not in client.patch(path, json={"config": {"signing": None}}).json()
    again = client.patch(path, json={"config": {"signing": ["v1", "v1a"]}}).json()
    assert again["public_key"] == shown["public_key"]
    assert client.post("/v1/subscriptions", json={"sink": SINK, "public_key": first}).status_code == 422


def test_validate_is_a_fact_and_shown(client):
    made = make(client, config={"handshake": "required"})
    path = made.headers["location"]
    assert made.json()["handshake"] == {"state": "unasked"}
    asked = client.post(path + "/validate")
    assert asked.status_code == 202
    assert asked.json()["handshake"]["state"] == "requested"
    types = {"type": "com.letta.gateway.subscription.handshake_requested"}
    assert len(client.get("/v1/events", params=types).json()["items"]) == 1
    # What a view adds may be handed back.
    assert client.put(path, json=client.get(path).json()).status_code == 200
    client.delete(path)
    assert client.post(path + "/validate").status_code == 404


@pytest.mark.parametrize("token", ["A" * 43, "A" * 42, "A" * 5_000, "%00", "\u00e9"])
def test_s11e_a_callback_that_nobody_waits_for(client, token):
    for method in ("GET", "POST"):
        answer = client.request(method, f"/handshake/{token}", headers={"Authorization": ""})
        assert answer.status_code == 404
    assert client.request("PUT", f"/handshake/{token}").status_code in {404, 405}
