"""The Faust app of the lane."""

import faust
from faust.transport.drivers import aiokafka as driver

from stream.consumer.batch_consumer import LaneConsumer, Offsets


class LaneTransport(driver.Transport):  # type: ignore[misc]  # Faust is untyped
    """Faust's aiokafka transport with the lane's consumer."""

    Consumer = LaneConsumer


class LaneApp(faust.App):  # type: ignore[misc]
    """A Faust app on the lane; `offsets` must be set before it starts."""

    offsets: Offsets

    def _new_transport(self) -> LaneTransport:
        return LaneTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Make none: they are for tables on disk, and a worker that is killed would leave its own behind."""
