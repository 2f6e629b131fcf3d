"""The hash chain of the log, and what verifying it finds (S8)."""

import pytest

from gateway.adapters.sql.verify import VerifyResult, verify_log
from gateway.ports import NewEntry


def fill(stores, count: int) -> None:
    stores.run(
        stores.log.append(
            [NewEntry(type="t", source="/s", id=str(n), envelope=b'{"n": %d}' % n) for n in range(count)]
        )
    )


def verify(stores) -> VerifyResult:
    return stores.run(verify_log(stores.database))


def test_a_sound_log_verifies(sql_stores):
    fill(sql_stores, 2_500)
    result = verify(sql_stores)
    assert (result.ok, result.checked) == (True, 2_500)


@pytest.mark.parametrize(
    ("tampering", "first_bad"),
    [
        (["UPDATE log_entry SET envelope = nonce WHERE position = 3"], 3),
        (["UPDATE log_entry SET row_hash = nonce WHERE position = 3"], 3),
        (["UPDATE log_entry SET type = 'x' WHERE position = 4"], 4),
        (["UPDATE log_entry SET organization = 'x' WHERE position = 4"], 4),
        (["UPDATE log_entry SET appended_at = appended_at + 1 WHERE position = 2"], 2),
        (["DELETE FROM log_entry WHERE position = 5"], 5),
        (["DELETE FROM log_entry WHERE position = 1"], 1),
        (["DELETE FROM log_entry WHERE position >= 6"], 6),
        (["UPDATE log_entry SET nonce = NULL WHERE position = 3"], 3),
        (
            [
                "UPDATE log_entry SET position = 99 WHERE position = 2",
                "UPDATE log_entry SET position = 2 WHERE position = 3",
                "UPDATE log_entry SET position = 3 WHERE position = 99",
            ],
            2,
        ),
        (["DELETE FROM log_head"], 1),
    ],
)
def test_tampering_is_found_at_its_first_position(sql_stores, tampering, first_bad):
    fill(sql_stores, 8)
    for statement in tampering:
        sql_stores.sql(statement)
    result = verify(sql_stores)
    assert not result.ok
    assert (result.first_bad, bool(result.reason)) == (first_bad, True)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE log_entry SET envelope = '{}' WHERE position = 3",
        "UPDATE log_entry SET appended_at = 'x' WHERE position = 3",
        "UPDATE log_entry SET row_hash = 'x' WHERE position = 3",
    ],
)
def test_a_value_of_another_type_is_found(sqlite_stores, tampering):
    """SQLite keeps whatever somebody writes into a column."""
    fill(sqlite_stores, 8)
    sqlite_stores.sql(tampering)
    assert verify(sqlite_stores).first_bad == 3


def test_a_payload_that_is_gone_without_a_fact_is_found(sql_stores):
    """What an erasure leaves is in `test_erasure.py`."""
    fill(sql_stores, 5)
    sql_stores.sql("UPDATE log_entry SET envelope = NULL, nonce = NULL WHERE position = 3")
    assert verify(sql_stores).first_bad == 3
