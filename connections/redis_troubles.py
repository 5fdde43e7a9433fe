"""What is wrong with Redis, from the exceptions of its client."""

import re
from typing import Literal

from redis.exceptions import ConnectionError, TimeoutError

from connections.troubles import Trouble, causes, plain, tls_trouble

_OF_PIPELINE = re.compile(r"^Command # \d+ .* of pipeline caused error: ", re.DOTALL)
"""Before it redis-py puts the command with all its bytes, which are nobody's business."""
_CODE = re.compile(
    r"(?:^|[\s:('\"-])-?(OOM|READONLY|MISCONF|NOPERM|NOAUTH|WRONGPASS|LOADING|WRONGTYPE|CLUSTERDOWN|MASTERDOWN"
    r"|MOVED|ASK|CROSSSLOT|NOREPLICAS|BUSY|TRYAGAIN)\b"
)
_SCRIPT_DENIED = "The user executing the script can't"
"""How Redis 6 says NOPERM within a script."""
_CLUSTER = (
    "this Redis is one node of a cluster",
    "use a Redis that has all keys",
)

_TROUBLES: dict[str, tuple[str, str, bool]] = {
    "OOM": (
        "Redis is full and rejects writes",
        "raise its maxmemory (keep maxmemory-policy noeviction), or shorten the lifetimes STOREPULSE_*_TTL_S",
        False,
    ),
    "READONLY": (
        "this Redis is a read-only replica",
        "set STOREPULSE_REDIS_URL to the primary",
        False,
    ),
    "MISCONF": (
        "Redis cannot write to its disk and rejects writes",
        "free space on its disk and check its log",
        False,
    ),
    "NOAUTH": (
        "Redis requires a password",
        "set STOREPULSE_REDIS_PASSWORD or STOREPULSE_REDIS_PASSWORD_FILE",
        True,
    ),
    "WRONGPASS": (
        "Redis rejects the user name or the password",
        "check STOREPULSE_REDIS_USERNAME and STOREPULSE_REDIS_PASSWORD",
        True,
    ),
    "NOPERM": (
        "the Redis user lacks a permission",
        "its ACL needs ~NAMESPACE:* &NAMESPACE:* +@all -@admin -@dangerous +info (docs/connections.md)",
        True,
    ),
    "LOADING": ("Redis is loading its data", "wait until it is done", False),
    "WRONGTYPE": (
        "a key has the wrong type",
        "`storepulse doctor` names it; rename or delete it",
        False,
    ),
    "CLUSTERDOWN": ("the Redis cluster is down", "restart its nodes", False),
    "MASTERDOWN": ("this replica has lost its primary", "set STOREPULSE_REDIS_URL to the primary", False),
    "MOVED": (*_CLUSTER, True),
    "ASK": (*_CLUSTER, True),
    "CROSSSLOT": (*_CLUSTER, True),
    "NOREPLICAS": ("Redis waits for its replicas", "restart them, or lower min-replicas-to-write", False),
    "BUSY": ("Redis is busy with a script", "wait; SCRIPT KILL ends one that only reads", False),
    "TRYAGAIN": ("the Redis cluster is being resharded", "wait until it is done", False),
}
_NAMES = {
    "OOM": "full", "READONLY": "read_only", "MISCONF": "disk", "NOAUTH": "no_password",
    "WRONGPASS": "wrong_password", "NOPERM": "no_right", "LOADING": "loading", "WRONGTYPE": "wrong_type",
    "CLUSTERDOWN": "cluster_down", "MASTERDOWN": "replica_alone", "NOREPLICAS": "no_replicas",
    "BUSY": "busy", "TRYAGAIN": "resharding",
}  # fmt: skip


_CODES = {
    "OutOfMemoryError": "OOM", "ReadOnlyError": "READONLY", "NoPermissionError": "NOPERM",
    "BusyLoadingError": "LOADING", "ClusterDownError": "CLUSTERDOWN", "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED", "AskError": "ASK", "ClusterCrossSlotError": "CROSSSLOT",
}  # fmt: skip
"""Classes of errors from whose text redis-py has taken the code."""


def redis_trouble(exc: BaseException) -> Trouble:
    """The trouble behind an exception of a Redis client, or of a socket to Redis."""
    for one in causes(exc):
        code = _code_of(one)
        if code is not None:
            found, remedy, is_refusal = _TROUBLES[code]
            if code == "NOPERM":
                found += _lacking(_words(one))
            return Trouble(_NAMES.get(code, "cluster"), found, remedy, is_refusal)
    words = _words(exc)
    if (trouble := tls_trouble("Redis", exc)) is not None:
        return trouble
    if isinstance(exc, TimeoutError) or type(exc).__name__ == "TimeoutError":
        return Trouble("slow", "Redis does not answer in time", "check its load and the network")
    if "max number of clients" in words:
        return Trouble("too_many_clients", "Redis has too many connections", "raise its maxclients")
    if isinstance(exc, ConnectionError | OSError):
        reason = _reason_of(words)
        return Trouble("away", f"Redis does not answer{reason}", "check that it runs at STOREPULSE_REDIS_URL")
    return Trouble("error", f"Redis rejected a command: {plain(words)}", "check its log and its version")


def is_code(exc: BaseException, code: Literal["WRONGTYPE", "OOM", "NOPERM"]) -> bool:
    """Whether an exception is about this word of Redis."""
    return any(_code_of(one) == code for one in causes(exc))


def _code_of(exc: BaseException) -> str | None:
    code = getattr(exc, "status_code", None)
    if code in _TROUBLES:
        return str(code)
    words = _words(exc)
    if _SCRIPT_DENIED in words:
        return "NOPERM"
    if "AUTH" in words and ("without any password" in words or "no password is set" in words):
        return "WRONGPASS"
    if type(exc).__name__ in _CODES:
        return _CODES[type(exc).__name__]
    if type(exc).__name__ == "AuthenticationError":
        return "NOAUTH" if "required" in words.lower() else "WRONGPASS"
    found = _CODE.search(words)
    return found[1] if found else None


def _words(exc: BaseException) -> str:
    return _OF_PIPELINE.sub("", str(exc))


def _lacking(words: str) -> str:
    """Which right, if Redis said so: only the name of a command is repeated."""
    command = re.search(r"run the '([\w|-]{1,40})' command", words)
    if command:
        return f": it may not run {command[1].upper()}"
    return ": it may not use these keys" if " key" in words else ""


def _reason_of(words: str) -> str:
    for word in ("refused", "reset by peer", "Name or service not known", "unreachable", "closed by server"):
        if word in words:
            return f" ({word.lower()})"
    return ""
