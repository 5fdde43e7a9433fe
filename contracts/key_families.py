"""Families of keys that a partition has in Redis: what each is called, its type, and whose state it holds."""

from typing import Literal, NamedTuple

from contracts.buckets import Grain
from contracts.subjects import SubjectKind

META = "meta"
"""Hash: `epoch`, `off:<topic>` (next offset), `max_event_ms`, counters. Never expires."""
ACTIVE = "active"
"""Sorted set: visitor to the time of the last event, trimmed to the last session gap."""
VISITOR_TIMERS = "due"
"""Sorted set: visitor to the event time at which to look at them again if they stay silent."""
OUTBOX = "outbox"
"""Stream: what must be published, in commit order, until the relay has published it."""
CURRENCIES = "currencies"
"""Set: currencies seen in purchases."""
FORGOTTEN = "forgotten"
"""Hash: digest of a deleted visitor to the ms up to which events are kept out. Never expires."""
FORGETTING = "forgetting"
"""Hash: digest of a visitor to their id, from the request of a deletion until it is applied."""
VISITOR = "v:"
"""Followed by the visitor's id. String: the visitor's state blob (`contracts.visitor`)."""
ORDER = "order:"
"""Followed by an order's id. String: what is known of the order (`stream.components.orders`)."""
CUSTOMER = "customer:"
"""Followed by the customer's id. String: what is kept of the customer (`contracts.customers`)."""
PRODUCT_BUCKETS = "d"
"""Hashes: `<metric>:<product_id>` to a count, for events of this partition in a bucket."""
SHOP_BUCKETS = "s"
"""Hashes: `<metric>` to a count, all products together."""
QUALITY_BUCKETS = "q"
"""Hashes: `<name>:<model version>` to a count (`models.quality`) of predictions and alerts."""
TREND = "t:"
"""Followed by a landmark in ms. Sorted set: product to its decayed score relative to the landmark."""
TIMERS = "timers:"
"""Followed by the name of a kind of timers. Sorted set: id of a subject to the event time of its timer."""
JOB_QUEUES = "jobs:"
"""Followed by a job. Sorted set: id of a subject to the epoch ms from which its snapshot may be made."""
LEARNED = "learned:"
"""Followed by a model slot. String: what the partition's answers have taught it (`models.online.blob`)."""
PAIRED = "paired:"
"""Followed by a model slot and two versions. Hash: sums of both judged by the same answers
(`models.lifecycle.pairs`)."""
PAIRED_TTL_S = 30 * 86_400
"""Sums are kept so long after the last answer."""
ALERT_USE = "alert_use"
"""String: how many alerts of each kind were wanted and fired of late (`models.alert_threshold`)."""
ITEM_COUNTS = "item_counts"
"""Hash: product (`p<id>`), category (`c<name>`) or the whole shop (`s`) to what was done of it in this
partition (`stream.components.items`)."""
PRODUCT = "product:"
"""Followed by the product's id. String: the shop's facts of the product (`contracts.products`)."""
CATALOGUE_IDS = "catalogue_ids"
"""Sorted set: the partition's products, all with the score 0, so that they are in the order of their ids."""
CATALOGUE_CHANGED = "catalogue_changed"
"""Sorted set: the same products to when what is known of each last changed (epoch ms)."""
CATALOGUE_REMOVED = "catalogue_removed"
"""Hash: a product that the shop removed to when it said so and when that was applied (epoch ms each)."""
CATEGORY_PRODUCTS = "category_products:"
"""Followed by a category. Sorted set: its products, all with the score 0."""
SESSIONS = "sessions:"
"""Followed by the visitor's id. Hash: number of a session modulo 16 to its blob (`contracts.sessions`)."""
SESSIONS_CHANGED = "sessions_changed"
"""Sorted set: visitors with sessions to when one of these last changed: epoch ms by the broker's clock, and
higher with every commit. The newest are kept, with their sessions (`Settings.session_visitors`)."""
SEEN_PRODUCTS = "seen_products"
"""Hash: product to what events of this partition told of it (`contracts.seen_products`)."""
EXPOSURES = "exposures:"
"""Followed by the visitor's id. String: what the visitor was recommended of late (`contracts.exposures`)."""
EXPOSED = "exposed"
"""Hash: visitor with such a string to when the newest recommendation was made (event time, epoch ms)."""
EXPOSURE_BUCKETS = "x"
"""Hashes: `<metric>:<scenario>:<arm>` to a count (`models.exposures`), in the bucket of the exposure."""
QUARANTINE = "quarantine:"
"""Followed by a name of this partition: what was found under it and could not be read."""
QUARANTINE_TTL_S = 7 * 86_400
"""It is kept so long for whoever wants to know how it came to be."""
SNAPSHOTS = "snapshot:"
"""Followed by `<job>:<id of a subject>`. String: the subject's newest snapshot (`contracts.snapshots`)."""


def bucket_key(family: str, grain: Grain, start_ms: int) -> str:
    """The key of a bucket of `PRODUCT_BUCKETS`, `SHOP_BUCKETS`, `QUALITY_BUCKETS` or `EXPOSURE_BUCKETS`."""
    return f"{family}:{grain}:{start_ms}"


def snapshot_key(job: str, subject_id: str) -> str:
    """The key of a snapshot without the prefix of its partition."""
    return f"{SNAPSHOTS}{job}:{subject_id}"


class KeyFamily(NamedTuple):
    """Keys of a partition that belong together: one name, or all that begin with `start`.

    `holds` is their type as Redis says it. `subject` is whose state they hold where an id follows `start`: a
    deletion of the subject deletes that key. `names_visitors` is whether values may hold visitors' ids,
    which a deletion looks for; whose key it is, its name tells. A key that `is_with_id` lies in the partition
    of the id after `start`, as those of visitors and customers do; others may lie in any. One that
    `holds_ids` has ids as members or fields, each of which belongs in its own partition.
    """

    start: str
    holds: Literal["hash", "string", "zset", "set", "list", "stream", "any"]
    subject: SubjectKind | None = None
    names_visitors: bool = True
    is_with_id: bool = False
    holds_ids: bool = False

    @property
    def is_one_key(self) -> bool:
        """Whether `start` is a whole name."""
        return not self.start.endswith(":")


_FAMILIES: dict[str, KeyFamily] = {}


def register_family(family: KeyFamily) -> None:
    """Make a family of keys known to every store; raises `ValueError` if its keys are another's already."""
    for known in _FAMILIES.values():
        if known != family and (known.start.startswith(family.start) or family.start.startswith(known.start)):
            raise ValueError(f"keys {family.start!r} and {known.start!r} could be the same")
    _FAMILIES[family.start] = family


def family_of(key: str) -> KeyFamily | None:
    """The family of a key of a partition, named without the partition's prefix."""
    for family in _FAMILIES.values():
        if key == family.start or (not family.is_one_key and key.startswith(family.start)):
            return family
    return None


def families() -> tuple[KeyFamily, ...]:
    """All families that are known."""
    return tuple(_FAMILIES.values())


for _family in (
    KeyFamily(META, "hash", names_visitors=False),
    KeyFamily(ACTIVE, "zset"),
    KeyFamily(VISITOR_TIMERS, "zset"),
    KeyFamily(OUTBOX, "stream"),
    KeyFamily(CURRENCIES, "set", names_visitors=False),
    KeyFamily(FORGOTTEN, "hash", names_visitors=False),
    KeyFamily(FORGETTING, "hash"),
    KeyFamily(VISITOR, "string", SubjectKind.VISITOR, names_visitors=False),
    KeyFamily(ORDER, "string", names_visitors=False, is_with_id=True),
    KeyFamily(CUSTOMER, "string", SubjectKind.CUSTOMER),
    KeyFamily(PRODUCT_BUCKETS + ":", "hash", names_visitors=False),
    KeyFamily(SHOP_BUCKETS + ":", "hash", names_visitors=False),
    KeyFamily(QUALITY_BUCKETS + ":", "hash", names_visitors=False),
    KeyFamily(TREND, "zset", names_visitors=False),
    KeyFamily(TIMERS, "zset"),
    KeyFamily(JOB_QUEUES, "zset"),
    KeyFamily(SNAPSHOTS, "string"),
    KeyFamily(LEARNED, "string", names_visitors=False),
    KeyFamily(PAIRED, "hash", names_visitors=False),
    KeyFamily(ALERT_USE, "string", names_visitors=False),
    KeyFamily(ITEM_COUNTS, "hash", names_visitors=False),
    KeyFamily(PRODUCT, "string", names_visitors=False, is_with_id=True),
    KeyFamily(CATALOGUE_IDS, "zset", names_visitors=False, holds_ids=True),
    KeyFamily(CATALOGUE_CHANGED, "zset", names_visitors=False, holds_ids=True),
    KeyFamily(CATALOGUE_REMOVED, "hash", names_visitors=False, holds_ids=True),
    KeyFamily(CATEGORY_PRODUCTS, "zset", names_visitors=False, holds_ids=True),
    KeyFamily(SESSIONS, "hash", SubjectKind.VISITOR, names_visitors=False),
    KeyFamily(SESSIONS_CHANGED, "zset", holds_ids=True),
    KeyFamily(SEEN_PRODUCTS, "hash", names_visitors=False),
    KeyFamily(EXPOSURES, "string", SubjectKind.VISITOR, names_visitors=False),
    KeyFamily(EXPOSED, "hash", holds_ids=True),
    KeyFamily(EXPOSURE_BUCKETS + ":", "hash", names_visitors=False),
    KeyFamily(QUARANTINE, "any"),
):
    register_family(_family)
