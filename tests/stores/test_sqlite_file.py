"""What is particular to the file: it belongs to one process, and nothing in it is readable that is secret."""

import pytest

from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import DatabaseInUse


@pytest.mark.usefixtures("sqlite_stores")
def test_one_process_at_a_time(tmp_path):
    with pytest.raises(DatabaseInUse):
        SqliteDatabase(tmp_path / "gateway.db")


def test_nothing_secret_is_readable_in_the_file(sqlite_stores, tmp_path):
    secret, path = "whsec_" + "Z" * 40, "very-private-path"
    asked = SubscriptionSpec(sink=f"https://example.com/{path}", headers={"X-Key": "header-secret-value"})
    sqlite_stores.run(
        sqlite_stores.subscriptions.create(asked, organization="*", privileged=True, secret=secret)
    )
    sqlite_stores.run(sqlite_stores.database.close())
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    for text in (secret, secret.removeprefix("whsec_"), path, "header-secret-value"):
        assert text.encode() not in raw
