"""A creation that is asked for again after a kill -9 is answered as it was, on each database."""

import threading

import httpx

KEY = {"Idempotency-Key": '"once"'}


def ask(gateway, name="one", key=KEY):
    return gateway.client.post("/v1/subscriptions", json={"sink": "pull:", "name": name}, headers=key)


def test_asked_again_after_a_kill(make_gateway, valkey):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    first = ask(gateway)
    assert first.status_code == 201, first.text
    gateway.kill()
    gateway.start()
    again = ask(gateway)
    assert (again.status_code, again.json()) == (201, first.json())
    assert ask(gateway, name="another").status_code == 422


def test_killed_while_it_is_served_it_was_made_once_or_not_at_all(make_gateway, valkey, until):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()

    def many():
        for number in range(10_000):
            try:
                ask(gateway, key={"Idempotency-Key": f"k{number}"})
            except httpx.TransportError:
                return

    asking = threading.Thread(target=many)
    asking.start()
    until(lambda: gateway.client.get("/v1/subscriptions", params={"limit": 1}).json()["next"])
    gateway.kill()
    asking.join(timeout=60)
    gateway.start()
    there = gateway.client.get("/v1/subscriptions", params={"limit": 500}).json()["items"]
    number = len(there)
    # The last one that was made, and the one that may not have been: each is there once after it was asked for again.
    ask(gateway, key={"Idempotency-Key": f"k{number - 1}"})
    last = ask(gateway, key={"Idempotency-Key": f"k{number}"})
    assert last.json() == ask(gateway, key={"Idempotency-Key": f"k{number}"}).json()
    after = gateway.client.get("/v1/subscriptions", params={"limit": 500}).json()["items"]
    assert len(after) == number + 1
