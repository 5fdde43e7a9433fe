"""Subjects: what an alert, a timer or a job is about, their text form, and the partition that owns them."""

from enum import StrEnum
from typing import NamedTuple

from contracts.partitioning import partition_of


class SubjectKind(StrEnum):
    """What kind of thing a subject is."""

    VISITOR = "visitor"
    CUSTOMER = "customer"
    PRODUCT = "product"
    CATEGORY = "category"
    SITE = "site"
    """The whole shop; there is one."""


PERSONAL = frozenset({SubjectKind.VISITOR, SubjectKind.CUSTOMER})
"""Kinds of subjects that are people: what is kept of them is forgotten with them."""


class InvalidSubject(ValueError):
    """A text that names no subject."""


class Subject(NamedTuple):
    """One thing of a kind. Its text is such as `visitor:ID`; that of the only site is `site`."""

    kind: SubjectKind
    id: str

    def __str__(self) -> str:
        return self.kind.value if self.kind is SubjectKind.SITE else f"{self.kind.value}:{self.id}"

    @property
    def is_personal(self) -> bool:
        """Whether it is a person."""
        return self.kind in PERSONAL

    def partition(self, partitions: int) -> int:
        """The partition whose owner does the work on this subject; a visitor's is that of their events."""
        return partition_of(self.id, partitions)


SITE = Subject(SubjectKind.SITE, "site")
_WITH_ID = {kind.value: kind for kind in SubjectKind if kind is not SubjectKind.SITE}


def visitor(user_id: str) -> Subject:
    """A visitor as a subject."""
    return Subject(SubjectKind.VISITOR, user_id)


def customer(customer_id: str) -> Subject:
    """A customer as a subject."""
    return Subject(SubjectKind.CUSTOMER, customer_id)


def product(product_id: str) -> Subject:
    """A product as a subject."""
    return Subject(SubjectKind.PRODUCT, product_id)


def parse_subject(text: str) -> Subject:
    """The subject of a text such as `product:p1`, its id as it stands; raises `InvalidSubject`."""
    if text == SITE.kind:
        return SITE
    name, _, id_ = text.partition(":")
    kind = _WITH_ID.get(name)
    if kind is None or not id_:
        forms = ", ".join(f"{name}:ID" for name in _WITH_ID)
        raise InvalidSubject(f"a subject must be one of {forms} or {SITE}, got {text!r}")
    return Subject(kind, id_)
