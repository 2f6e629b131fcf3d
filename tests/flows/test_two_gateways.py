"""Two gateways on one Redis: one reads the stream, the other stands by, and takes over when the first has ended."""


def event(number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/two",
        "type": "two.happened",
        "data": number,
    }


def listed(gateway) -> list[dict[str, object]]:
    return gateway.client.get("/v1/events", params={"limit": 500}).json()["items"]


def test_one_reads_and_the_other_takes_over(make_gateway, valkey, until):
    first = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    until(lambda: first.client.get("/readyz").status_code == 200)
    second = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    first.add(*(event(number) for number in range(20)))
    until(lambda: len(listed(first)) == 20)
    assert listed(second) == []
    assert second.client.get("/readyz").json()["checks"]["redis"] == "failing"
    first.stop()
    second.add(event(20), event(21))
    until(lambda: len(listed(second)) == 2)
    until(lambda: second.client.get("/readyz").status_code == 200)


def test_a_killed_one_takes_its_own_place_again_at_once(make_gateway, valkey, until):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    until(lambda: gateway.client.get("/readyz").status_code == 200)
    gateway.kill()
    gateway.start()
    gateway.add(event(1))
    until(lambda: len(listed(gateway)) == 1, within_s=8)
