"""What may go wrong with webhooks, whoever asks."""


class UnknownEndpoint(LookupError):
    """There is no endpoint of this id."""

    def __init__(self) -> None:
        super().__init__("no webhook endpoint has this id")


class UnreadableEndpoint(RuntimeError):
    """What is stored of an endpoint is none of ours: it can only be deleted."""

    def __init__(self) -> None:
        super().__init__(
            "the stored record of this webhook endpoint is damaged: delete it and create it again"
        )


class UnknownDelivery(LookupError):
    """There is no delivery of this id in the endpoint's log."""

    def __init__(self) -> None:
        super().__init__("no delivery of this endpoint has this id")


class TooManyEndpoints(RuntimeError):
    """There are as many endpoints as there may be."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there may be at most {most} webhook endpoints")


class ChangedMeanwhile(RuntimeError):
    """Others changed the endpoint again and again."""

    def __init__(self) -> None:
        super().__init__("it was changed by someone else at the same time")


class QueueFull(RuntimeError):
    """As many deliveries wait for the endpoint as may wait."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} deliveries are already waiting for this endpoint")
