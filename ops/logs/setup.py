"""Log lines of the long-running processes: as text or as JSON, and never with a secret or personal data."""

import logging
import sys
import time
from datetime import UTC, datetime

import orjson

from api.http.request_log import REQUEST_ID
from contracts.settings import Settings
from ops.logs.outages import OutageLines
from ops.logs.redaction import redact

_FIELDS = ("request_id", "route", "method", "status", "duration_ms", "key_id")
"""What lines about requests have beside the message."""


class Redaction(logging.Filter):
    """Takes out of each line what must not be logged, whoever wrote it; none is ever dropped."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces message, traceback and fields by what may be seen."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # a mistake in the call; `logging` would print the arguments
            message = str(record.msg)
        record.msg, record.args = redact(message), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if not getattr(record, "request_id", ""):
            record.request_id = REQUEST_ID.get()
        for name in _FIELDS:
            value = getattr(record, name, None)
            if type(value) is str:
                setattr(record, name, redact(value))
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: ts, level, logger, message, the fields of requests, and exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without fields that the record does not have."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "ts": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = {name: getattr(record, name, None) for name in _FIELDS}
        line |= {name: value for name, value in fields.items() if value not in (None, "")}
        if record.exc_text:
            line["exception"] = record.exc_text
        return orjson.dumps(line).decode()


def configure_logging(settings: Settings) -> None:
    """Everything from INFO up to stderr, in UTC; the talkative Kafka clients from WARNING, seldom."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(OutageLines())
    handler.addFilter(Redaction())
    handler.setFormatter(_formatter(settings))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("kafka", "aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _formatter(settings: Settings) -> logging.Formatter:
    if settings.log_format == "json":
        return JsonLines()
    text = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", datefmt="%FT%T")
    text.converter = time.gmtime
    return text
