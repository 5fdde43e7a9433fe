"""The private methods the batch consumer overrides or calls are those of the pinned Faust and aiokafka."""

import inspect
from importlib.metadata import version

import aiokafka
import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver

from stream.consumer.batch_app import BatchApp
from stream.consumer.batch_consumer import BatchConsumer
from stream.consumer.consumer_thread import BatchConsumerThread

OURS = {
    Consumer: BatchConsumer,
    driver.Consumer: BatchConsumer,
    driver.AIOKafkaConsumerThread: BatchConsumerThread,
    faust.App: BatchApp,
}
OVERRIDDEN = {
    (Consumer, "getmany"): ["self", "timeout"],
    (Consumer, "_wait_next_records"): ["self", "timeout"],
    (Consumer, "perform_seek"): ["self"],
    (Consumer, "on_partitions_revoked"): ["self", "revoked"],
    (Consumer, "_add_gap"): ["self", "tp", "offset_from", "offset_to"],
    (Consumer, "_filter_tps_with_pending_acks"): ["self", "topics"],
    (Consumer, "_new_offset"): ["self", "tp"],
    (driver.Consumer, "_new_consumer_thread"): ["self"],
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"): ["self", "transport"],
    (driver.AIOKafkaConsumerThread, "on_start"): ["self"],
    (driver.AIOKafkaConsumerThread, "_commit"): ["self", "offsets"],
    (driver.AIOKafkaConsumerThread, "verify_event_path"): ["self", "now", "tp"],
    (driver.AIOKafkaConsumerThread, "_fetch_records"): [
        "self", "consumer", "active_partitions", "timeout", "max_records",
    ],
    (faust.App, "_new_transport"): ["self"],
    (faust.App, "_create_directories"): ["self"],
}  # fmt: skip


@pytest.mark.parametrize(("owner", "name"), OVERRIDDEN, ids=lambda part: getattr(part, "__name__", part))
def test_the_overridden_method_has_the_parameters_we_know(owner: type, name: str) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == OVERRIDDEN[owner, name]
    assert name in vars(OURS[owner]), f"{OURS[owner].__name__} no longer overrides {name}"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (GroupCoordinator, "check_errors"),
        (SubscriptionState, "fetch_context"),
        (Fetcher, "fetched_records"),
        (Consumer, "_get_active_partitions"),
        (Consumer, "highwater"),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
        (AIOKafkaClient, "set_topics"),
    ],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_what_the_batch_consumer_calls_is_there(owner: type, name: str) -> None:
    assert hasattr(owner, name)


def test_a_consumer_waits_for_records_as_long_as_it_is_told() -> None:
    parameters = inspect.signature(aiokafka.AIOKafkaConsumer).parameters
    assert "fetch_max_wait_ms" in parameters
    assert "self._fetch_max_wait_ms" in inspect.getsource(aiokafka.AIOKafkaConsumer.start)


def test_the_fetcher_asks_what_to_do_before_every_fetch() -> None:
    assert list(inspect.signature(Fetcher._get_actions_per_node).parameters) == ["self", "assignment"]
    source = inspect.getsource(Fetcher._fetch_requests_routine)
    asked = source.index("fetch_requests,\n                    reset_requests,\n                    timeout,")
    assert asked < source.index("= self._get_actions_per_node(assignment)") < source.index("asyncio.wait(")
    assert "timeout=timeout" in source


def test_the_versions_are_the_pinned_ones() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")
