"""Sends one message after the other."""

from collections.abc import Sequence

from enqueuing import Job, commands
from worker import deliver


def enqueue(jobs: Sequence[Job]) -> None:
    for webhook_id, body in jobs:
        deliver.send(webhook_id, body)


if __name__ == "__main__":
    commands(enqueue)
