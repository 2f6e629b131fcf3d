"""A rotation while events flow: both secrets sign for a day, then the new one alone, without a restart."""

import asyncio

import pytest
from simulation.small import Engine, answer

from gateway.domain.rotation import OVERLAP_US
from gateway.domain.signing import public_key_of
from gateway.domain.subscription import Config, Signing
from schemas.signatures import BadSignature, verify_letta, verify_v1

OLD, NEW = ("whsec_" + letter * 32 for letter in "AB")


def verified(request, secret: str) -> bool:
    headers = {name.lower(): value for name, value in request.headers}
    try:
        verify_v1(
            secret,
            id=headers["webhook-id"],
            timestamp=headers["webhook-timestamp"],
            signature=headers["webhook-signature"],
            body=request.body,
            now_s=int(headers["webhook-timestamp"]),
        )
    except BadSignature:
        return False
    return True


def letta(request, name: str, secret: str) -> bool:
    headers = dict(request.headers)
    try:
        verify_letta(secret, signature=headers[name], body=request.body)
    except (BadSignature, KeyError):
        return False
    return True


def test_both_sign_for_a_day_and_then_the_new_one_alone(virtually):
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            record = await engine.subscribe()
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 1)
            assert (verified(engine.requests[0], OLD), verified(engine.requests[0], NEW)) == (True, False)

            await engine.subscriptions.rotate_secret(record.number, NEW)
            engine.tell(record.number)
            await asyncio.sleep(1)
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 2)
            during = engine.requests[1]
            assert (verified(during, OLD), verified(during, NEW)) == (True, True)
            assert letta(during, "X-Letta-Signature", OLD)
            assert letta(during, "X-Letta-Signature-Next", NEW)

            await asyncio.sleep(OVERLAP_US / 1_000_000)
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 3)
            after = engine.requests[2]
            assert (verified(after, OLD), verified(after, NEW)) == (False, True)
            assert letta(after, "X-Letta-Signature", NEW)
            assert "X-Letta-Signature-Next" not in dict(after.headers)

    virtually(main())


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_s11g_an_echo_of_either_secret_is_masked(virtually, secret):
    async def main() -> None:
        async def echo(_number: int, _position: int):
            return answer(200, ("X-Echo", secret))

        engine = Engine(script=echo)
        async with engine.running():
            record = await engine.subscribe()
            await engine.subscriptions.rotate_secret(record.number, NEW)
            engine.tell(record.number)
            await asyncio.sleep(1)
            (position,) = await engine.publish()
            await engine.until(lambda: bool(engine.decisions(record.number, position)))
            (attempt,) = engine.store.attempts[record.number, position]
            assert attempt.response_headers == (("X-Echo", "***"),)

    virtually(main())


def test_ed25519_signs_where_it_is_asked_for_and_both_keys_for_a_day(virtually):
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            record = await engine.subscribe(Config(signing=(Signing.V1, Signing.V1A)))
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 1)
            await engine.subscriptions.rotate_secret(record.number, NEW)
            engine.tell(record.number)
            await asyncio.sleep(1)
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 2)
            rotated = await engine.subscriptions.by_number(record.number)
            assert rotated is not None
            old, new = (public_key_of(secret.seed or b"") for secret in rotated.secrets)
            await asyncio.sleep(OVERLAP_US / 1_000_000)
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 3)
            before, during, after = engine.requests
            assert [verified(request, old) for request in engine.requests] == [True, True, False]
            assert [verified(request, new) for request in engine.requests] == [False, True, True]
            assert verified(before, OLD)
            assert verified(during, NEW)
            assert dict(after.headers)["webhook-signature"].count("v1a,") == 1

    virtually(main())
