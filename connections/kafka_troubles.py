"""What is wrong with Kafka, from the exceptions of any of its clients: they name the same things alike."""

import re

from connections.troubles import Trouble, causes, plain, tls_trouble

_SECURITY = "check STOREPULSE_KAFKA_SECURITY and STOREPULSE_KAFKA_MECHANISM"
_RIGHTS = "grant it with kafka-acls; docs/connections.md lists what each part needs"

_TROUBLES: tuple[tuple[str, str, str, str], ...] = (
    (
        "SaslAuthenticationFailed|AuthenticationFailed|_AUTHENTICATION$",
        "wrong_password",
        "Kafka rejects the user name or the password",
        "check STOREPULSE_KAFKA_USERNAME, STOREPULSE_KAFKA_PASSWORD and STOREPULSE_KAFKA_MECHANISM",
    ),
    (
        "UnsupportedSaslMechanism|AuthenticationMethodNotSupported",
        "mechanism",
        "Kafka does not offer this SASL mechanism",
        "check STOREPULSE_KAFKA_MECHANISM",
    ),
    ("IllegalSaslState", "no_sasl", "Kafka does not use SASL on this port", _SECURITY),
    (
        "TopicAuthorization|TOPIC_AUTHORIZATION",
        "no_right_to_topic",
        "the Kafka user lacks a permission on a topic",
        _RIGHTS,
    ),
    (
        "GroupAuthorization|GROUP_AUTHORIZATION",
        "no_right_to_group",
        "the Kafka user lacks a permission on the consumer group",
        _RIGHTS,
    ),
    (
        "ClusterAuthorization|CLUSTER_AUTHORIZATION",
        "no_right_to_cluster",
        "the Kafka user lacks a permission on the cluster",
        _RIGHTS,
    ),
)


def kafka_trouble(exc: BaseException) -> Trouble:
    """The trouble behind an exception of a Kafka client, or of a socket to Kafka."""
    for one in causes(exc):
        trouble = _of_names(_names(one), str(one))
        if trouble is not None:
            return trouble
    if (trouble := tls_trouble("Kafka", exc)) is not None:
        return trouble
    words = " ".join(str(one) for one in causes(exc))
    if re.search(r"closed|IncompleteRead|EOF|reset by peer|disconnected", words, re.IGNORECASE):
        found = "Kafka closed the connection"
        return Trouble("closed", found, f"if it expects TLS or a password, {_SECURITY}")
    if re.search(
        r"refused|Unable to bootstrap|NoBrokers|nothing listens|not known|resolve|unreachable", words
    ):
        return Trouble("away", "Kafka does not answer", "check that it runs at STOREPULSE_BOOTSTRAP")
    if "Timeout" in " ".join(name for one in causes(exc) for name in _names(one)):
        return Trouble("slow", "Kafka does not answer in time", "check its load and the network")
    return Trouble("error", f"Kafka fails: {type(exc).__name__} {plain(exc)}", "check its log")


def _of_names(names: list[str], words: str) -> Trouble | None:
    for pattern, code, found, remedy in _TROUBLES:
        if any(re.search(pattern, name) for name in names):
            topic = re.search(r"(?:topics?[^\w]{1,4}|\{'|\[')([\w.-]{1,249})'?[\]}]", words)
            if code == "no_right_to_topic" and topic:
                found += f" ({topic[1]})"
            return Trouble(code, found, remedy, is_refusal=True)
    return None


def _names(exc: BaseException) -> list[str]:
    """The class's name, and librdkafka's name of the error in it."""
    names = [type(exc).__name__]
    for argument in exc.args:
        name = getattr(argument, "name", None)
        if callable(name):
            names.append(str(name()))
    return names
