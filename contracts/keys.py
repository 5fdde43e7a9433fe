"""Every Redis key and its lifetime; those of partitions belong to families (`contracts.key_families`)."""

from dataclasses import dataclass

from contracts.buckets import Grain
from contracts.key_families import (
    ACTIVE,
    CATALOGUE_CHANGED,
    CATALOGUE_IDS,
    CATALOGUE_REMOVED,
    CATEGORY_PRODUCTS,
    CURRENCIES,
    CUSTOMER,
    EXPOSURE_BUCKETS,
    FORGETTING,
    FORGOTTEN,
    ITEM_COUNTS,
    JOB_QUEUES,
    LEARNED,
    META,
    OUTBOX,
    PAIRED,
    PRODUCT,
    PRODUCT_BUCKETS,
    QUALITY_BUCKETS,
    QUARANTINE,
    SEEN_PRODUCTS,
    SESSIONS,
    SESSIONS_CHANGED,
    SHOP_BUCKETS,
    TREND,
    VISITOR,
    VISITOR_TIMERS,
    bucket_key,
    snapshot_key,
)
from contracts.partitioning import hash_tags, partition_of

HANDLING_TTL_S = 35 * 86_400
"""What was said of an alert is kept this long after the last word."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names of one installation. All keys of partition `p` carry one hash tag, so they share a slot."""

    namespace: str
    partitions: int

    def prefix(self, p: int) -> str:
        """What every key of partition `p` starts with; the rest is of a `KeyFamily`."""
        return f"{self.namespace}:{{{hash_tags(self.partitions)[p]}}}:"

    def meta(self, p: int) -> str:
        """See `META`."""
        return self.prefix(p) + META

    def visitor(self, user_id: str) -> str:
        """See `VISITOR`: the key in the partition that owns the visitor."""
        return self.visitor_in(partition_of(user_id, self.partitions), user_id)

    def visitor_in(self, p: int, user_id: str) -> str:
        """The same key where the partition is known."""
        return f"{self.prefix(p)}{VISITOR}{user_id}"

    def customer(self, customer_id: str) -> str:
        """See `CUSTOMER`: the key in the partition that owns the customer."""
        return f"{self.prefix(partition_of(customer_id, self.partitions))}{CUSTOMER}{customer_id}"

    def product_bucket(self, p: int, grain: Grain, start_ms: int) -> str:
        """See `PRODUCT_BUCKETS`."""
        return self.prefix(p) + bucket_key(PRODUCT_BUCKETS, grain, start_ms)

    def shop_bucket(self, p: int, grain: Grain, start_ms: int) -> str:
        """See `SHOP_BUCKETS`."""
        return self.prefix(p) + bucket_key(SHOP_BUCKETS, grain, start_ms)

    def quality_bucket(self, p: int, grain: Grain, start_ms: int) -> str:
        """See `QUALITY_BUCKETS`."""
        return self.prefix(p) + bucket_key(QUALITY_BUCKETS, grain, start_ms)

    def active(self, p: int) -> str:
        """See `ACTIVE`."""
        return self.prefix(p) + ACTIVE

    def due(self, p: int) -> str:
        """See `VISITOR_TIMERS`."""
        return self.prefix(p) + VISITOR_TIMERS

    def trend(self, p: int, landmark_ms: int) -> str:
        """See `TREND`."""
        return f"{self.prefix(p)}{TREND}{landmark_ms}"

    def outbox(self, p: int) -> str:
        """See `OUTBOX`."""
        return self.prefix(p) + OUTBOX

    def job_queue(self, p: int, job: str) -> str:
        """See `JOB_QUEUES`."""
        return f"{self.prefix(p)}{JOB_QUEUES}{job}"

    def snapshot(self, job: str, subject_id: str) -> str:
        """See `SNAPSHOTS`: the key in the partition that owns the subject."""
        return self.snapshot_in(partition_of(subject_id, self.partitions), job, subject_id)

    def snapshot_in(self, p: int, job: str, subject_id: str) -> str:
        """The same key where the partition is known."""
        return self.prefix(p) + snapshot_key(job, subject_id)

    def learned(self, p: int, slot: str) -> str:
        """See `LEARNED`."""
        return f"{self.prefix(p)}{LEARNED}{slot}"

    def item_counts(self, p: int) -> str:
        """See `ITEM_COUNTS`."""
        return self.prefix(p) + ITEM_COUNTS

    def product(self, product_id: str) -> str:
        """See `PRODUCT`: the key in the partition that owns the product."""
        return f"{self.prefix(partition_of(product_id, self.partitions))}{PRODUCT}{product_id}"

    def catalogue_ids(self, p: int) -> str:
        """See `CATALOGUE_IDS`."""
        return self.prefix(p) + CATALOGUE_IDS

    def catalogue_changed(self, p: int) -> str:
        """See `CATALOGUE_CHANGED`."""
        return self.prefix(p) + CATALOGUE_CHANGED

    def catalogue_removed(self, p: int) -> str:
        """See `CATALOGUE_REMOVED`."""
        return self.prefix(p) + CATALOGUE_REMOVED

    def category_products(self, p: int, category: str) -> str:
        """See `CATEGORY_PRODUCTS`."""
        return self.prefix(p) + CATEGORY_PRODUCTS + category

    def sessions(self, user_id: str) -> str:
        """See `SESSIONS`: the key in the partition that owns the visitor."""
        return self.sessions_in(partition_of(user_id, self.partitions), user_id)

    def sessions_in(self, p: int, user_id: str) -> str:
        """The same key where the partition is known."""
        return f"{self.prefix(p)}{SESSIONS}{user_id}"

    def sessions_changed(self, p: int) -> str:
        """See `SESSIONS_CHANGED`."""
        return self.prefix(p) + SESSIONS_CHANGED

    def seen_products(self, p: int) -> str:
        """See `SEEN_PRODUCTS`."""
        return self.prefix(p) + SEEN_PRODUCTS

    def exposure_bucket(self, p: int, grain: Grain, start_ms: int) -> str:
        """See `EXPOSURE_BUCKETS`."""
        return self.prefix(p) + bucket_key(EXPOSURE_BUCKETS, grain, start_ms)

    def paired(self, p: int, pair: str) -> str:
        """See `PAIRED`."""
        return f"{self.prefix(p)}{PAIRED}{pair}"

    def quarantine(self, p: int, name: str) -> str:
        """See `QUARANTINE`."""
        return self.prefix(p) + QUARANTINE + name

    def currencies(self, p: int) -> str:
        """See `CURRENCIES`."""
        return self.prefix(p) + CURRENCIES

    def forgotten(self, p: int) -> str:
        """See `FORGOTTEN`."""
        return self.prefix(p) + FORGOTTEN

    def forgetting(self, p: int) -> str:
        """See `FORGETTING`."""
        return self.prefix(p) + FORGETTING

    def deletion(self, deletion_id: str) -> str:
        """Hash: how far one deletion is; has the visitor's id until it is done, expires 30 days later."""
        return f"{self.namespace}:{{privacy}}:deletion:{deletion_id}"

    def deletions_open(self) -> str:
        """Sorted set: deletions that are not done to when (epoch ms) somebody may go on with each."""
        return f"{self.namespace}:{{privacy}}:open"

    def deletions_by_digest(self) -> str:
        """Hash: digest of a visitor to the deletion of them that is not done."""
        return f"{self.namespace}:{{privacy}}:digests"

    def deletion_request(self, digest: str) -> str:
        """String: deletion and visitor's digest for one idempotency key, whose SHA-256 is `digest`; a day."""
        return f"{self.namespace}:{{privacy}}:request:{digest}"

    def archives(self) -> str:
        """Hash: id of an archive to its record (`contracts.archives`), until the archive is given up."""
        return f"{self.namespace}:{{privacy}}:archives"

    def alerts(self) -> str:
        """Stream: the newest steps of alerts of all partitions, in the order they were published; capped."""
        return f"{self.namespace}:{{alerts}}:log"

    def alert_places(self) -> str:
        """Hash: record id of each step in the stream of alerts to the id of its entry."""
        return f"{self.namespace}:{{alerts}}:places"

    def alert_pages(self) -> str:
        """Hash: partition to a token of the page of its outbox that was read last."""
        return f"{self.namespace}:{{alerts}}:pages"

    def alert_handling(self, alert_id: str) -> str:
        """String: what people said of one alert, as JSON; expires `HANDLING_TTL_S` after the last word."""
        return f"{self.namespace}:{{alerts}}:handling:{alert_id}"

    def alert_mutes(self) -> str:
        """Sorted set: `<kind>:<user_id>` to the time (epoch ms) until which subscribers are spared it.

        In place of the user id, of another subject than a visitor, is its text, as in `<kind>:product:<id>`.
        """
        return f"{self.namespace}:{{alerts}}:mutes"

    def feedback_bucket(self, grain: Grain, start_ms: int) -> str:
        """Hash: `<name>:<model version>` to a count (`models.quality`) of verdicts given in this bucket."""
        return f"{self.namespace}:{{alerts}}:q:{grain}:{start_ms}"

    def stream_ticket(self, digest: str) -> str:
        """String: whom a ticket speaks for, as JSON; `digest` is its SHA-256. Expires after a minute."""
        return f"{self.namespace}:ticket:{digest}"

    def api_keys(self) -> str:
        """Hash: id of an API key to its record (`api.identity.key_record`), which holds no secret."""
        return f"{self.namespace}:{{access}}:keys"

    def api_keys_version(self) -> str:
        """Integer: raised by every change of `api_keys`."""
        return f"{self.namespace}:{{access}}:version"

    def api_key_uses(self) -> str:
        """Hash: id of an API key to the epoch ms of its last use, about a minute exact."""
        return f"{self.namespace}:{{access}}:uses"

    def spent(self, key_id: str, limit: str, window: int) -> str:
        """Integer: what a key has spent of a limit in one window; expires when nobody needs it any more."""
        return f"{self.namespace}:{{access}}:spent:{key_id}:{limit}:{window}"

    def pseudonym_salt(self) -> str:
        """String: 32 random bytes, the key of pseudonyms of objecting visitors; expires after a day."""
        return f"{self.namespace}:pseudonym_salt"

    def tail_watchers(self) -> str:
        """Sorted set: API keys whose events are being watched, `*` for all, to the epoch ms they cease."""
        return f"{self.namespace}:{{tail}}:watchers"

    def tail(self, watched: str) -> str:
        """Channel: what becomes of events of an API key while somebody watches; `*` is of all keys."""
        return f"{self.namespace}:{{tail}}:of:{watched}"

    def webhook_endpoints(self) -> str:
        """Hash: id of an endpoint to its JSON, secrets included (`delivery.webhooks.endpoints`)."""
        return self._webhooks("endpoints")

    def webhook_deliverer(self) -> str:
        """String: a process that delivers webhooks; expires soon after its last sign of life."""
        return self._webhooks("deliverer")

    def webhook_lease(self, endpoint_id: str) -> str:
        """String: which process delivers to the endpoint; expires soon after its last sign of life."""
        return self._webhooks(f"{endpoint_id}:lease")

    def webhook_progress(self, endpoint_id: str) -> str:
        """Hash: `fence`, `cursor` (log of alerts), `replay`, `replay_until`, `seq`, `missed`, `health`."""
        return self._webhooks(f"{endpoint_id}:lane")

    def webhook_pending(self, endpoint_id: str) -> str:
        """Sorted set: deliveries that wait to the time of their next attempt in ms."""
        return self._webhooks(f"{endpoint_id}:pending")

    def webhook_waiting(self, endpoint_id: str) -> str:
        """Sorted set: the same deliveries to the time they began to wait in ms."""
        return self._webhooks(f"{endpoint_id}:waiting")

    def webhook_deliveries(self, endpoint_id: str) -> str:
        """Hash: id of a delivery to its JSON (`delivery.webhooks.deliveries`)."""
        return self._webhooks(f"{endpoint_id}:deliveries")

    def webhook_bodies(self, endpoint_id: str) -> str:
        """Hash: id of a delivery to the body that is sent."""
        return self._webhooks(f"{endpoint_id}:bodies")

    def webhook_log(self, endpoint_id: str) -> str:
        """Sorted set: deliveries to their number, in the order they were made."""
        return self._webhooks(f"{endpoint_id}:log")

    def webhook_finished(self, endpoint_id: str) -> str:
        """Sorted set: deliveries that wait no more to their number; capped."""
        return self._webhooks(f"{endpoint_id}:finished")

    def _webhooks(self, name: str) -> str:
        return f"{self.namespace}:{{webhooks}}:{name}"

    def installation(self) -> str:
        """Hash: `partitions` of the state that is here; while they are made more, `growing` and `phase`."""
        return f"{self.namespace}:installation"

    def replays(self) -> str:
        """Hash: digest of a file that was replayed to a sample of its rows; the newest 200."""
        return f"{self.namespace}:replays"

    def worker(self, worker_id: str) -> str:
        """Hash: heartbeat of one worker (`contracts.heartbeat`); expires after 10 s."""
        return f"{self.namespace}:worker:{worker_id}"

    def write_probe(self) -> str:
        """String: empty, written to see whether Redis takes writes; expires after a second."""
        return f"{self.namespace}:probe"

    def workers(self) -> str:
        """Sorted set: worker ids to the time of their last heartbeat, in ms."""
        return f"{self.namespace}:workers"
