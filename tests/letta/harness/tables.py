"""Make Letta's tables in the database LETTA_PG_URI names. Runs with the Python of Letta's own environment.

The wheel carries no migrations, so the tables come from the models; the one default that the models leave
to the database is added by hand.
"""

import asyncio

from letta.orm import Base
from letta.server.db import engine
from sqlalchemy import text

SEQUENCE = (
    "CREATE SEQUENCE message_seq_id OWNED BY messages.sequence_id",
    "ALTER TABLE messages ALTER COLUMN sequence_id SET DEFAULT nextval('message_seq_id')",
)


async def main() -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        await connection.run_sync(Base.metadata.create_all)
        for statement in SEQUENCE:
            await connection.execute(text(statement))
    await engine.dispose()


asyncio.run(main())
