"""What the flows need from the outside, declared by the flows: protocols and the records that cross them.

An adapter implements a protocol; a flow never knows which one. Times are integers, microseconds since the
Unix epoch, UTC (``_us``); positions count from 1, and 0 stands before the first row.
"""

from gateway.ports.archives import (
    ArchivePlan,
    ArchiveRecord,
    Archives,
    ArchiveState,
    ArchiveStep,
    Holder,
    RunRecord,
    RunState,
)
from gateway.ports.contracts import (
    CONTRACTS_MAX,
    VERSIONS_MAX,
    ContractStore,
    NewContract,
    StoredContract,
)
from gateway.ports.deliveries import (
    AttemptRecord,
    CursorUpdate,
    Deliveries,
    DeliveryItem,
    DeliveryPage,
    DeliveryPlace,
    DeliveryQuery,
    DueKey,
    JournalBatch,
    Standing,
)
from gateway.ports.erasures import ErasureCount, ErasureRecord, Erasures, ErasureState, ErasureStep
from gateway.ports.idempotency import IdempotencyKeys, Remembered
from gateway.ports.log import (
    Appended,
    Entry,
    Event,
    EventLog,
    EventQuery,
    Head,
    Kind,
    NewEntry,
    NewQuarantine,
)
from gateway.ports.process import Leadership, Now, Random, Sender
from gateway.ports.quarantine import Quarantine, QuarantineRecord, QuarantineState
from gateway.ports.streams import ReplayRange, ReplayRecord, ReplayState, ReplayUpdate, StreamCommands
from gateway.ports.subscriptions import (
    NewSubscription,
    Opened,
    Private,
    Remembering,
    Revision,
    SubscriptionHistory,
    SubscriptionRecord,
    Subscriptions,
    SubscriptionState,
)
from gateway.ports.tokens import ApiTokens, NewApiToken
from gateway.ports.vault import KeyUse, Resealed, RowKey, VaultKeys

__all__ = [
    "CONTRACTS_MAX",
    "VERSIONS_MAX",
    "ApiTokens",
    "Appended",
    "ArchivePlan",
    "ArchiveRecord",
    "ArchiveState",
    "ArchiveStep",
    "Archives",
    "AttemptRecord",
    "ContractStore",
    "CursorUpdate",
    "Deliveries",
    "DeliveryItem",
    "DeliveryPage",
    "DeliveryPlace",
    "DeliveryQuery",
    "DueKey",
    "Entry",
    "ErasureCount",
    "ErasureRecord",
    "ErasureState",
    "ErasureStep",
    "Erasures",
    "Event",
    "EventLog",
    "EventQuery",
    "Head",
    "Holder",
    "IdempotencyKeys",
    "JournalBatch",
    "KeyUse",
    "Kind",
    "Leadership",
    "NewApiToken",
    "NewContract",
    "NewEntry",
    "NewQuarantine",
    "NewSubscription",
    "Now",
    "Opened",
    "Private",
    "Quarantine",
    "QuarantineRecord",
    "QuarantineState",
    "Random",
    "Remembered",
    "Remembering",
    "ReplayRange",
    "ReplayRecord",
    "ReplayState",
    "ReplayUpdate",
    "Resealed",
    "Revision",
    "RowKey",
    "RunRecord",
    "RunState",
    "Sender",
    "Standing",
    "StoredContract",
    "StreamCommands",
    "SubscriptionHistory",
    "SubscriptionRecord",
    "SubscriptionState",
    "Subscriptions",
    "VaultKeys",
]
