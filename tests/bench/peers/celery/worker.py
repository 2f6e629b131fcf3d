"""Celery with its default pool, and what its "Optimizing" page says of short tasks; a session of requests a process."""

import requests
from celery import Celery
from webhook import REDIS_URL, SINK, headers_of

app = Celery("deliveries", broker=REDIS_URL)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
_session = requests.Session()


@app.task(name="deliver")
def deliver(webhook_id: str, body: str) -> None:
    payload = body.encode()
    _session.post(SINK, data=payload, headers=headers_of(webhook_id, payload), timeout=5).raise_for_status()
