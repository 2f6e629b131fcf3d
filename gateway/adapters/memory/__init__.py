"""The stores in memory: what the SQL adapter does, without a disk. For simulations and for tests of the flows."""

from gateway.adapters.memory.commands import MemoryStreamCommands
from gateway.adapters.memory.contracts import MemoryContracts
from gateway.adapters.memory.deliveries import MemoryDeliveries
from gateway.adapters.memory.erasing import MemoryErasures
from gateway.adapters.memory.idempotency import MemoryIdempotencyKeys
from gateway.adapters.memory.log import MemoryLog
from gateway.adapters.memory.quarantine import MemoryQuarantine
from gateway.adapters.memory.store import MemoryStore
from gateway.adapters.memory.subscriptions import MemorySubscriptions
from gateway.adapters.memory.tokens import MemoryApiTokens

__all__ = [
    "MemoryApiTokens",
    "MemoryContracts",
    "MemoryDeliveries",
    "MemoryErasures",
    "MemoryIdempotencyKeys",
    "MemoryLog",
    "MemoryQuarantine",
    "MemoryStore",
    "MemoryStreamCommands",
    "MemorySubscriptions",
]
