"""The Faust app of the batch consumer."""

import faust
from faust.transport.drivers import aiokafka as driver

from stream.consumer.batch_consumer import BatchConsumer, Offsets


class BatchTransport(driver.Transport):  # type: ignore[misc]  # Faust is untyped
    """Faust's aiokafka transport with the batch consumer's consumer."""

    Consumer = BatchConsumer


class BatchApp(faust.App):  # type: ignore[misc]
    """A Faust app on the batch consumer; `offsets` must be set before it starts."""

    offsets: Offsets

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Make none: they are for tables on disk, and a worker that is killed would leave its own behind."""
