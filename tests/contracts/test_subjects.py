"""Subjects have a text that says which they are, and one partition that does the work on them."""

import pytest

from contracts.partitioning import partition_of
from contracts.subjects import SITE, InvalidSubject, Subject, SubjectKind, parse_subject, product, visitor

SUBJECTS = [*(Subject(kind, "a:b c") for kind in SubjectKind if kind is not SubjectKind.SITE), SITE]


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_the_text_of_a_subject_gives_it_back(subject: Subject) -> None:
    assert parse_subject(str(subject)) == subject


def test_the_texts_are_those_of_the_contract() -> None:
    assert [str(subject) for subject in (visitor("u1"), product("p1"), SITE)] == [
        "visitor:u1",
        "product:p1",
        "site",
    ]


@pytest.mark.parametrize("text", ["", "u1", "visitor", "visitor:", "site:1", "shop:1", "Visitor:u1"])
def test_what_names_no_subject_is_refused(text: str) -> None:
    with pytest.raises(InvalidSubject, match="a subject must be one of visitor:ID"):
        parse_subject(text)


def test_a_subject_is_owned_by_the_partition_its_id_hashes_to() -> None:
    assert visitor("u1").partition(12) == product("u1").partition(12) == partition_of("u1", 12)


def test_visitors_and_customers_are_people() -> None:
    assert {subject.kind for subject in SUBJECTS if subject.is_personal} == {
        SubjectKind.VISITOR,
        SubjectKind.CUSTOMER,
    }
