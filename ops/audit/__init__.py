"""Auditing: an independent count of what was sent, what lies in Redis, and where they differ."""

from ops.audit.compare import Totals as Totals
from ops.audit.compare import VisitorView as VisitorView
from ops.audit.compare import differences as differences
from ops.audit.compare import lost_and_doubled as lost_and_doubled
from ops.audit.expected import Rules as Rules
from ops.audit.expected import expected_of as expected_of
from ops.audit.kafka_log import LogCount as LogCount
from ops.audit.kafka_log import count_log as count_log
from ops.audit.kafka_log import distinct_letters as distinct_letters
from ops.audit.kafka_log import log_ends as log_ends
from ops.audit.state import has_settled as has_settled
from ops.audit.state import read_state as read_state
