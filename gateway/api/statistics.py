"""``/v1/subscriptions/{id}/stats``: how a stream is doing."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.services import services
from gateway.api.subscriptions import PREFIX, own_subscription
from gateway.views.statistics import WINDOW_S, WINDOW_S_MAX, Statistics

router = APIRouter(prefix=PREFIX, tags=["subscriptions"])


@router.get("/{subscription_id}/stats", summary="How a stream is doing")
async def stats(
    request: Request,
    caller: Caller,
    subscription_id: str,
    *,
    window_s: Annotated[
        int, Query(ge=1, le=WINDOW_S_MAX, description="Of attempts that began within so many seconds")
    ] = WINDOW_S,
) -> JSONResponse:
    """Rates, percentiles of latency, lag, what waits longest, and the breaker.

    Rates and percentiles are of the last hour, or of `window_s`, and of at most 1,000 attempts, those of the latest
    events; where there were more, `window.complete` is false and the window is as long as those 1,000 took.
    `latency_ms` is from the append of an event to the end of the attempt that delivered it, `answer_ms` how long the
    sink took. `lag` counts all positions of the log that the stream has to pass, its own and those of others; it is
    null where events are only fetched. What was retried by hand or replayed is no part of the latency.
    """
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    view = Statistics(service.log, service.subscriptions, service.deliveries)
    return JSONResponse(await view.of(record, window_s=window_s, now_us=service.now()))
