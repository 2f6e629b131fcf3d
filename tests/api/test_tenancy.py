"""What an organization's token may do, and what it is never told (S1b, S1c, S11a, S11b)."""

import json

import pytest

CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
PUBLIC, LOOPBACK = "https://93.184.216.34/hook", "http://127.0.0.1:9999/hook"
S = "/v1/subscriptions"


def event(number="1", organization="org-1", type_="com.letta.test", **members):
    return {
        "specversion": "1.0",
        "id": number,
        "source": f"https://letta/organizations/{organization}/agents/agent-1",
        "type": type_,
        "data": {"organization_id": organization},
    } | members


@pytest.fixture
def one(tokens):
    return tokens.make(organization="org-1")[1]


@pytest.fixture
def two(tokens):
    return tokens.make(organization="org-2")[1]


@pytest.fixture
def publish(anonymous):
    def run(item, headers):
        batch = BATCH if isinstance(item, list) else CLOUDEVENT
        return anonymous.post("/v1/events", content=json.dumps(item), headers=headers | batch)

    return run


@pytest.fixture
def subscribe(anonymous):
    def run(headers, **members):
        answer = anonymous.post(S, json={"sink": PUBLIC} | members, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return run


def slug(answer):
    return answer.json()["type"].rpartition(":")[2]


@pytest.mark.parametrize(
    "foreign",
    [
        event(organization="org-2"),
        event(organization="org-2", type_="some.other.type"),
        event(organization="org-2", type_="some.other.type", data=None),
        [event(), event("2", organization="org-2")],
    ],
)
def test_s1c_it_publishes_only_its_own(publish, anonymous, one, foreign):
    answer = publish(foreign, one)
    assert (answer.status_code, slug(answer)) == (403, "foreign-organization")
    assert anonymous.get("/v1/events", headers=one).json()["items"] == []


@pytest.mark.parametrize(
    "foreign",
    [
        *(f"https://letta/organizations/org-2{end}" for end in ("/x", "/", "?x=1", "#f", "/agents/a/runs/r")),
        *("https://letta/%6frganizations/org-2", "urn:letta:organizations:org-2"),
        "https://letta/organizations/org-2/organizations/org-1",
    ],
)
def test_s1c_wherever_a_source_names_another_it_is_refused(publish, one, foreign):
    answer = publish(event(type_="some.type", source=foreign), one)
    assert (answer.status_code, slug(answer)) == (403, "foreign-organization")


def test_an_agent_that_a_source_names_is_found_whatever_the_type(publish, anonymous, one):
    source = "https://letta/organizations/org-1/agents/agent-9"
    assert publish(event(type_="some.type", source=source), one).status_code == 202
    found = anonymous.get("/v1/events?agent_id=agent-9", headers=one).json()["items"]
    assert [item["event"]["source"] for item in found] == [source]


def test_s1c_source_and_data_must_agree_for_it_too(publish, one):
    answer = publish(event(data={"organization_id": "org-2"}), one)
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")


def test_s1b_the_gateways_names_are_refused_to_every_token(publish, one, admin):
    for headers in (one, admin):
        for item in (
            event(type_="com.letta.gateway.token.created"),
            event(source="http://127.0.0.1:8080/gateway", type_="x"),
        ):
            answer = publish(item, headers)
            assert (answer.status_code, slug(answer)) == (403, "reserved-name")


def test_s1c_what_names_no_organization_is_the_tokens(publish, anonymous, one, two, admin):
    item = event(type_="some.type", source="urn:anything")
    assert publish(item, one).json()["accepted"] == 1
    assert len(anonymous.get("/v1/events", headers=one).json()["items"]) == 1
    assert anonymous.get("/v1/events", headers=two).json()["items"] == []
    # An administrator's, of which nothing says whose it is, is no organization's.
    assert publish(item | {"id": "2"}, admin).json()["accepted"] == 1
    assert len(anonymous.get("/v1/events", headers=one).json()["items"]) == 1


def test_s11a_an_event_neither_keeps_out_nor_betrays_anothers(publish, anonymous, one, two, admin):
    item = event(type_="some.type", source="urn:shared")
    first = publish(item, one).json()
    second = publish(item, two).json()
    third = publish(item, admin).json()
    assert [answer["duplicates"] for answer in (first, second, third)] == [0, 0, 0]
    again = publish(item, one).json()
    assert (again["duplicates"], again["positions"]) == (1, first["positions"])
    [mine] = anonymous.get("/v1/events", headers=two).json()["items"]
    assert [mine["position"]] == second["positions"]


def test_s11a_a_subscription_is_the_tokens_and_stays_so(subscribe, anonymous, one, two, admin):
    made = subscribe(one)
    assert made["organization"] == "org-1"
    assert subscribe(one, organization="org-1")["organization"] == "org-1"
    for named in ("org-2", "*"):
        answer = anonymous.post(S, json={"sink": PUBLIC, "organization": named}, headers=one)
        assert (answer.status_code, slug(answer)) == (403, "foreign-organization")
    for headers in (one, admin):
        answer = anonymous.patch(f"{S}/{made['id']}", json={"organization": "org-2"}, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/organization"
    assert anonymous.get(S, headers=two).json()["items"] == []


def test_s11a_what_an_administrator_made_for_it_is_its_own_and_for_all_is_not(
    subscribe, anonymous, one, admin
):
    mine, everyones = subscribe(admin, organization="org-1"), subscribe(admin)
    assert everyones["organization"] == "*"
    assert [item["id"] for item in anonymous.get(S, headers=one).json()["items"]] == [mine["id"]]
    assert anonymous.get(f"{S}/{mine['id']}", headers=one).status_code == 200
    assert anonymous.get(f"{S}/{everyones['id']}", headers=one).status_code == 404


def test_s11a_its_filters_never_reach_beyond_it(publish, subscribe, anonymous, one, admin):
    selects = {
        "filters": [{"prefix": {"source": "https://letta/organizations/org-2"}}],
        "config": {"start": "beginning"},
    }
    pulled, sent = subscribe(one, sink="pull:", **selects), subscribe(one, **selects)
    publish(event(organization="org-2"), admin)
    publish(event("2"), admin)
    assert anonymous.get(f"{S}/{pulled['id']}/stream", headers=one).json() == []
    answer = anonymous.post(
        f"{S}/{sent['id']}/replay", json={"from_position": 1, "dry_run": True}, headers=one
    )
    assert answer.json()["count"] == 0


def test_s11a_it_is_not_sent_facts_of_others(subscribe, anonymous, one, two, admin):
    made = subscribe(
        one, sink="pull:", types=["com.letta.gateway.subscription.created"], config={"start": "beginning"}
    )
    subscribe(two)
    subscribe(admin)
    types = {"type": "com.letta.gateway.subscription.created"}
    shown = anonymous.get("/v1/events", params=types, headers=one).json()["items"]
    assert {item["event"]["data"]["organization"] for item in shown} == {"org-1"}
    assert anonymous.get(f"{S}/{made['id']}/stream", headers=one).text.count("org-2") == 0


def test_explaining_anothers_event_or_one_that_never_was_is_the_same(publish, subscribe, anonymous, one, two):
    mine = subscribe(one)
    [position] = publish(event(organization="org-2"), two).json()["positions"]
    answers = [
        anonymous.get(f"/v1/events/{at}/explain", params={"subscription": mine["id"]}, headers=one)
        for at in (position, 999_999)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text == answers[1].text


def test_s11b_private_networks_are_an_administrators(subscribe, anonymous, one, admin):
    answer = anonymous.post(S, json={"sink": LOOPBACK}, headers=one)
    assert (answer.status_code, slug(answer)) == (422, "sink-refused")
    assert subscribe(admin, sink=LOOPBACK, organization="org-1")["sink"] == LOOPBACK


def test_s11b_who_moves_an_administrators_sink_does_not_inherit_its_reach(
    subscribe, anonymous, services, one, admin
):
    made = subscribe(admin, sink=LOOPBACK, organization="org-1")
    path = f"{S}/{made['id']}"

    def privileged():
        return anonymous.portal.call(services.subscriptions.get, made["id"]).privileged

    # What it may change of it leaves the sink, and so its reach.
    assert anonymous.patch(path, json={"name": "mine"}, headers=one).status_code == 200
    assert privileged()
    for verb, body in (("PATCH", {"sink": LOOPBACK + "/2"}), ("PUT", {"sink": "http://127.0.0.1:22/"})):
        answer = anonymous.request(verb, path, json=body, headers=one)
        assert (answer.status_code, slug(answer)) == (422, "sink-refused")
    assert privileged()
    # A name may be made to point anywhere later: with the sink, the reach is gone.
    assert anonymous.patch(path, json={"sink": "https://moved.test/"}, headers=one).status_code == 200
    assert not privileged()
    assert anonymous.patch(path, json={"sink": LOOPBACK}, headers=one).status_code == 422


def test_who_moves_an_administrators_sink_does_not_get_what_was_sent_along(subscribe, anonymous, one, admin):
    """Write-only credentials would be read at another address (CONFORMANCE 36)."""
    secret = {"credentialtype": "ACCESSTOKEN", "accesstoken": "an-administrators-token"}
    made = subscribe(admin, organization="org-1", sinkcredential=secret)
    path, elsewhere = f"{S}/{made['id']}", {"sink": "https://93.184.216.35/hook"}
    answer = anonymous.patch(path, json=elsewhere, headers=one)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/sinkcredential"]
    assert anonymous.patch(path, json={"name": "the same sink"}, headers=one).status_code == 200
    own = elsewhere | {"sinkcredential": {"accesstoken": "its-own"}}
    assert anonymous.patch(path, json=own, headers=one).status_code == 200
    assert anonymous.patch(path, json={"sink": PUBLIC}, headers=one).status_code == 200, (
        "by now it is its own"
    )


def test_what_only_reads_is_told_so(anonymous, tokens):
    for headers in (
        tokens.make(organization="org-1", read_only=True)[1],
        tokens.make(read_only=True)[1],
    ):
        answer = anonymous.post(S, json={"sink": PUBLIC}, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["detail"] == "This token only reads. Use one that may change things."
        assert anonymous.get(S, headers=headers).status_code == 200
