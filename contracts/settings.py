"""Every setting of Storepulse, once, typed, with its unit in its name."""

import re
from functools import lru_cache
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator

from contracts.alert_budgets import parse_budgets
from contracts.connection_settings import ConnectionSettings, is_secret
from contracts.currencies import MINOR_DIGITS
from contracts.recommendation_arms import parse_arms


class Settings(ConnectionSettings):
    """Effective settings; environment variables are the field names with the prefix `STOREPULSE_`."""

    namespace: str = Field("sp", description="Prefix of every Redis key", pattern=r"^[a-zA-Z0-9_.-]{1,40}$")
    group: str = Field("storepulse", description="Kafka consumer group of the workers")
    topic_prefix: str = Field("", description="Prefix of every topic name", pattern=r"^[a-zA-Z0-9_.-]{0,80}$")
    partitions: int = Field(12, ge=1, le=512, description="Partitions of each event topic")
    replication: int = Field(
        1, ge=1, le=10, description="Replication factor of the topics that Storepulse creates"
    )

    currency: str = Field("EUR", description="Currency of events that name none (ISO 4217)")
    timezone: str = Field("UTC", description="Time zone of the shop; 'today' starts at its midnight")

    idle_ms: int = Field(30 * 60_000, ge=1_000, description="A longer gap starts a new session (event time)")
    disorder_ms: int = Field(
        60_000, ge=0, description="Allowed disorder: the watermark trails event time by this much"
    )
    lateness_ms: int = Field(
        86_400_000, ge=0, description="Events later than this are counted as late, and not applied"
    )
    merge_wait_ms: int = Field(2_000, ge=0, description="Maximum wait for a co-partitioned topic with lag")

    extensions: str = Field(
        "",
        description="Packages with capabilities of their own, comma-separated (docs/extending.md)",
        pattern=r"^([A-Za-z_][\w.]*(,[A-Za-z_][\w.]*)*)?$",
    )
    compiled: bool = Field(
        True,
        description="Use the compiled steps, if they were built; False: the steps in Python",
    )
    scoring: bool = Field(True, description="Ask the next-action model about every visitor who acts")
    scoring_budget_ms: int = Field(
        60,
        ge=0,
        description="Time for scores in a round of live traffic, those that matter most first; 0: for all",
    )
    learning: bool = Field(
        True,
        description="Calibrate the model to this shop and mix it with what is learnt from answers",
    )
    model_dir: str = Field("", description="Folder of the model; empty: the one that comes with Storepulse")
    next_item_dir: str = Field(
        "",
        description="Folder of a session network that also ranks recommendations until one is promoted; "
        "empty: sessions alone do",
    )
    next_basket_dir: str = Field(
        "",
        description="Folder of a model of next baskets; empty: a list of what was bought before answers",
    )
    model_store: str = Field(
        ".storepulse/models",
        description="Folder of the versions that `storepulse learn` makes; all parts must see the same one",
    )
    learn_events: str = Field(
        "",
        description="File or archive that `storepulse learn` trains on; empty: that of STOREPULSE_ARCHIVE",
    )
    learn_every_s: float = Field(
        86_400, gt=0, description="`storepulse learn` makes a candidate of each model this often at least"
    )
    learn_host: str = Field("127.0.0.1", description="Address the learner's /metrics listens on")
    learn_port: int = Field(0, ge=0, le=65_535, description="Learner's /metrics port; 0 picks a free one")
    churn_fire: float = Field(
        0.25, ge=0, le=1, description="churn_risk fires below this purchase probability, given intent"
    )
    churn_rearm: float = Field(
        0.35, ge=0, le=1, description="It may fire again in the session once the probability has reached this"
    )
    churn_intent: float = Field(
        0.3,
        ge=0,
        le=1,
        description="A purchase probability of at least this is intent too, unless churn_needs_cart",
    )
    churn_needs_cart: bool = Field(
        True, description="churn_risk only fires with something in the cart; False: on any intent"
    )
    look_again_ms: int = Field(
        86_400_000,
        ge=1_000,
        description="churn_risk is decided again after this long a silence; from idle_ms up: only while the "
        "visitor acts",
    )
    alert_watch_ms: int = Field(
        86_400_000,
        ge=0,
        description="What visitors buy is followed for this long after an alert; 0: not at all, and nothing "
        "limits alerts per visitor",
    )
    alert_budgets: str = Field(
        "churn_risk=5%",
        description="Maximum number of alerts by kind: KIND=N/h (per hour) or KIND=N% (of sessions), with "
        "commas between; the threshold follows",
    )
    alerts_per_visitor: int = Field(
        3, ge=1, description="Alerts that a visitor may have within alert_watch_ms, all kinds together"
    )
    alert_hold_out: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of visitors whose alerts are not published, to measure what alerts bring",
    )
    recommendation_hold_out: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of visitors who are shown what is popular, to measure what recommendations bring",
    )
    recommendation_arms: str = Field(
        "",
        description="Arms with other weights, NAME=N%:VIEW/CART/PURCHASE, with commas between",
    )
    recommendation_interval_s: float = Field(
        0.0,
        ge=0,
        description="What visitors would be shown is published when they act, of each this often at most; "
        "0: not at all",
    )
    publish_host: str = Field("127.0.0.1", description="Address the publisher's /metrics listens on")
    publish_port: int = Field(0, ge=0, le=65_535, description="Publisher's /metrics port; 0 picks a free one")
    cart_idle_ms: int = Field(
        900_000, ge=1_000, description="cart_abandoned fires after this long a silence; at most idle_ms"
    )
    alert_cooldown_ms: int = Field(
        3_600_000, ge=0, description="Minimum time between two alerts of a kind for one visitor"
    )
    alert_ttl_ms: int = Field(
        7_200_000, ge=1_000, description="churn_risk expires after this, in a session that does not end"
    )
    cart_recovery_ms: int = Field(
        86_400_000, ge=1_000, description="cart_abandoned is resolved by a purchase within this time"
    )
    severity_medium_minor: int = Field(
        5_000,
        ge=0,
        description="Alerts about carts of at least this value are medium (minor units of the currency)",
    )
    severity_high_minor: int = Field(
        20_000,
        ge=0,
        description="Alerts about carts of at least this value are high (minor units of the currency)",
    )
    alerts_kept: int = Field(
        100_000, ge=100, description="Approximate number of alert steps kept in Redis for the API"
    )

    visitor_ttl_s: int = Field(
        7 * 86_400, ge=1, description="Visitor state expires this long after its last write"
    )
    order_ttl_s: int = Field(
        60 * 86_400,
        ge=1,
        description="A repeated order is recognised shop-wide this long after its last report",
    )
    customer_ttl_s: int = Field(
        730 * 86_400, ge=1, description="A customer's record expires this long after its last write"
    )
    catalogue_products: int = Field(
        20_000,
        ge=1,
        description="Products that one partition keeps; a new one beyond them becomes a dead letter",
    )
    session_visitors: int = Field(
        500_000,
        ge=0,
        description="Visitors whose sessions are kept for recommendations, the newest of the whole shop; "
        "0: sessions are not kept",
    )
    session_ttl_s: int = Field(
        60 * 86_400, ge=1, description="A visitor's sessions expire this long after the last one was written"
    )
    minute_ttl_s: int = Field(50 * 3_600, ge=60, description="Retention of the shop's minute buckets")
    product_minute_ttl_s: int = Field(3 * 3_600, ge=60, description="Retention of products' minute buckets")
    hour_ttl_s: int = Field(35 * 86_400, ge=3_600, description="Retention of hour buckets")
    day_ttl_s: int = Field(400 * 86_400, ge=86_400, description="Retention of day buckets")
    trend_half_life_s: int = Field(30 * 60, ge=120, description="Half-life of a product's trending score")

    deletion_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret of the digests that stand for deleted visitors; set it before the first "
        "deletion, and keep it",
    )

    cache_visitors: int = Field(50_000, ge=1, description="Visitor states a worker keeps in memory")
    batch_events: int = Field(
        16_000, ge=1, description="Maximum number of events of one partition in one commit"
    )
    stall_s: float = Field(30.0, gt=0, description="A worker with lag and no progress for this long exits")
    session_timeout_s: float = Field(10.0, gt=0, description="Kafka group session timeout")
    worker_host: str = Field("127.0.0.1", description="Address the worker's /metrics listens on")
    worker_port: int = Field(0, ge=0, le=65_535, description="Worker's /metrics port; 0 picks a free one")

    api_host: str = Field("127.0.0.1", description="Address the API listens on")
    api_port: int = Field(8000, ge=0, le=65_535, description="Port the API listens on")
    api_processes: int = Field(
        1, ge=0, le=256, description="API processes that share the port; 0: one per core"
    )
    api_max_requests: int = Field(
        512, ge=1, description="Concurrent requests of one API process, not counting streams; more get 503"
    )
    api_max_slow_bodies: int = Field(
        128,
        ge=8,
        description="Bodies that one API process may wait for longer than 1 s; an eighth of them from one "
        "address",
    )
    api_max_connections: int = Field(
        8_192, ge=1, description="Open connections of one API process; more get 503"
    )
    api_max_connections_per_address: int = Field(
        0, ge=0, description="Open connections from one address; 0: no limit, for use behind a proxy"
    )
    api_keep_alive_s: int = Field(
        65,
        ge=1,
        description="An idle connection is closed after this; set it longer than a load balancer's own "
        "timeout",
    )
    api_trusted_proxies: str = Field(
        "127.0.0.1", description="Addresses or networks, comma-separated, whose X-Forwarded-For is trusted"
    )
    pre_stop_s: float = Field(
        0.0,
        ge=0,
        le=300,
        description="At shutdown, time between failing readiness and the last request accepted",
    )
    log_format: Literal["text", "json"] = Field("text", description="text, or json: one object per line")
    log_requests: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of successful requests that are logged; failed ones always are",
    )
    api_max_waiting_events: int = Field(
        50_000, ge=1_000, description="Events that may wait for Kafka in one API process; more get 503"
    )
    api_max_waiting_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes of events read and not yet acknowledged in one API process; more get 503",
    )
    privacy_signal_mode: Literal["anonymise", "drop", "ignore"] = Field(
        "anonymise",
        description="How to treat events whose visitor objects to tracking: GPC, DNT, denied consent",
    )
    root_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="A key with every scope, for containers: at least 32 random characters",
    )
    api_key: SecretStr | None = Field(None, description="Key that commands send to the API")
    allowed_origins: str = Field(
        "", description="Origins of pages that may send events while no keys are required, comma-separated"
    )
    key_requests_per_s: int = Field(
        200, ge=0, description="Requests per second of a key that has no limit of its own; 0: no limit"
    )
    key_events_per_minute: int = Field(
        120_000, ge=0, description="Events per minute of a key that has no quota of its own; 0: no quota"
    )
    key_events_per_day: int = Field(
        0, ge=0, description="Events per day (UTC) of a key that has no quota of its own; 0: no quota"
    )
    deliver_host: str = Field("127.0.0.1", description="Address the webhook deliverer's /metrics listens on")
    deliver_port: int = Field(
        0, ge=0, le=65_535, description="Webhook deliverer's /metrics port; 0 picks a free one"
    )
    webhook_endpoints_max: int = Field(50, ge=1, le=500, description="Maximum number of webhook endpoints")
    webhook_pending_max: int = Field(
        1_000, ge=10, le=10_000, description="Maximum number of deliveries waiting for one webhook endpoint"
    )
    webhook_log_kept: int = Field(
        500, ge=10, le=10_000, description="Number of finished deliveries kept for each webhook endpoint"
    )
    webhook_timeout_s: float = Field(15.0, gt=0, le=60, description="Timeout of one webhook attempt")
    webhook_concurrency: int = Field(
        4, ge=1, le=64, description="Concurrent attempts at one webhook endpoint"
    )
    webhook_ports: str = Field(
        "443,8443", description="Ports webhooks may be sent to", pattern=r"^\d{1,5}(,\d{1,5})*$"
    )
    webhook_blocked_hosts: str = Field(
        "", description="Host names webhooks must not be sent to, HOST[,HOST], such as the API's public name"
    )
    webhook_allow_private: bool = Field(
        False, description="For development: allow webhooks to private addresses, and http to this machine"
    )
    archive: str = Field(
        "", description="Where `storepulse archive` keeps events: a folder, or s3://, gs://; empty: nowhere"
    )
    archive_flush_s: float = Field(
        60.0, gt=0, description="Events are in the archive's files this long after they were read"
    )
    archive_flush_rows: int = Field(
        100_000, ge=1_000, le=500_000, description="Or as soon as there are so many, which bounds its memory"
    )
    archive_host: str = Field("127.0.0.1", description="Address the archive's /metrics listens on")
    archive_port: int = Field(0, ge=0, le=65_535, description="Archive's /metrics port; 0 picks a free one")
    stream_clients: int = Field(
        1_000, ge=1, description="Open alert streams of one API process; more get 503"
    )
    stream_clients_per_key: int = Field(
        200,
        ge=1,
        description="Open alert streams of one API key (without keys: of all clients); more get 429",
    )
    stream_send_timeout_s: float = Field(
        5.0, gt=0, description="A stream whose client reads nothing for this long is closed"
    )
    stream_max_s: float = Field(
        900.0,
        gt=0,
        description="A stream ends after about this long; the client reconnects with its last id",
    )
    durable: bool = Field(True, description="False if broker and Redis store nothing; the live page says so")

    @property
    def extension_names(self) -> tuple[str, ...]:
        """The packages in `extensions`."""
        return tuple(self.extensions.split(",")) if self.extensions else ()

    @model_validator(mode="after")
    def _ordered_thresholds(self) -> Self:
        if self.churn_rearm < self.churn_fire:
            raise ValueError(f"churn_rearm must be at least churn_fire ({self.churn_fire})")
        if self.severity_high_minor < self.severity_medium_minor:
            raise ValueError(
                f"severity_high_minor must be at least severity_medium_minor ({self.severity_medium_minor})"
            )
        arms = parse_arms(self.recommendation_arms)
        if sum(arm.share for arm in arms.values()) + self.recommendation_hold_out > 1:
            raise ValueError("recommendation_arms and recommendation_hold_out must be at most all visitors")
        return self

    @field_validator("root_key", "api_key", mode="before")
    @classmethod
    def _none_if_empty(cls, value: object) -> object:
        """Compose blanks a key of `.env` where it is not needed, and cannot leave it out."""
        return None if value == "" else value

    @field_validator("root_key", "api_key")
    @classmethod
    def _key_fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-9;-~]+", value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces and colons")
        return value

    @field_validator("alert_budgets")
    @classmethod
    def _readable_budgets(cls, value: str) -> str:
        parse_budgets(value)
        return value

    @field_validator("recommendation_arms")
    @classmethod
    def _readable_arms(cls, value: str) -> str:
        parse_arms(value)
        return value

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        if value not in MINOR_DIGITS:
            raise ValueError(f"currency must be an ISO 4217 code, got {value!r}")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ValueError(f"timezone must be an IANA name, got {value!r}") from exc
        return value


SECRETS = frozenset(name for name, field in Settings.model_fields.items() if is_secret(field))
"""Fields that are shown nowhere, and that each process reads from its own environment."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read from the environment once."""
    return Settings()
