"""Every operation of the OpenAPI document, with what fits it and what does not: no 500, and each fault is a problem."""

import sys
from pathlib import Path

import pytest
import schemathesis
from hypothesis import settings
from hypothesis import strategies as st

from gateway.api.application import openapi_document

sys.path.insert(0, str(Path(__file__).parent))

from bodies import with_bodies

document = openapi_document("0")
schema = schemathesis.openapi.from_dict(with_bodies(document))
HEADERS = {"Authorization": "Bearer fuzz_token_of_sixteen"}
EVENT = {"specversion": "1.0", "id": "1", "source": "/fuzz/known", "type": "fuzz.known"}


@pytest.fixture
def known(target):
    """Things that there are, for the paths that name one."""
    event = {"Content-Type": "application/cloudevents+json"}
    assert target.client.post("/v1/events", json=EVENT, headers=event).status_code == 202
    made = target.client.post(
        "/v1/subscriptions", json={"sink": "http://127.0.0.1:9/", "types": ["fuzz.known"]}
    )
    assert made.status_code == 201, made.text
    found = target.client.post(f"/v1/subscriptions/{made.json()['id']}/test").json()["position"]
    deliveries = target.client.get(f"/v1/events/{found}/deliveries").json()["items"]
    things = {
        "subscription_id": made.json()["id"],
        "position": str(found),
        "group": "com.letta",
        "name": "agent.run.completed",
        "version": "1",
    }
    if deliveries:
        things["delivery_id"] = deliveries[0]["id"]
    yield things
    target.client.delete(f"/v1/subscriptions/{made.json()['id']}")


@schema.given(exists=st.booleans())
@schema.parametrize()
@settings(settings.get_profile("fuzz"))
def test_no_request_makes_it_fail(case, target, known, exists):
    if exists:
        path = case.path_parameters or {}
        path.update({name: value for name, value in known.items() if name in path})
    answer = case.call(base_url=target.url, headers=HEADERS, timeout=30)
    target.answers[answer.status_code] += 1
    assert answer.status_code < 500, f"{answer.status_code}: {answer.text}"
    if answer.status_code >= 400 and case.method.upper() != "HEAD":  # which has no body to look at
        assert answer.headers["content-type"][0].startswith("application/problem+json")
        assert answer.json()["status"] == answer.status_code
        assert isinstance(answer.json()["errors"], list)
