from pathlib import Path

import pytest
from pymongo.errors import OperationFailure
from pymongo.helpers_shared import _RETRYABLE_ERROR_CODES

from exporter.mongodb import error_codes, failures
from exporter.mongodb.error_codes import Meaning, meaning, parse

_NAMED = {
    Meaning.FINAL: parse(error_codes.FINAL),
    Meaning.FINAL_OF_DOCUMENT: parse(error_codes.FINAL_OF_DOCUMENT),
    Meaning.DUPLICATE: parse(error_codes.DUPLICATE),
    Meaning.MISCONFIGURED: parse(error_codes.MISCONFIGURED),
    Meaning.PASSING: parse(error_codes.PASSING),
}


def _servers_list() -> dict[int, str]:
    lines = Path(__file__).with_name("error_codes.txt").read_text().splitlines()
    return {int(code): name for code, name in (line.split() for line in lines if not line.startswith("#"))}


def test_every_code_of_the_server_is_in_exactly_one_list() -> None:
    listed = [(code, name) for codes in _NAMED.values() for code, name in codes.items()]

    assert sorted(listed) == sorted(_servers_list().items())


@pytest.mark.parametrize("expected", _NAMED, ids=str)
def test_meaning_is_that_of_the_list(expected: Meaning) -> None:
    assert {meaning(code) for code in _NAMED[expected]} == {expected}


def test_codes_without_a_name_are_in_no_list_of_names() -> None:
    unnamed = [
        *error_codes.FINAL_UNNAMED,
        *error_codes.DUPLICATE_UNNAMED,
        *error_codes.MISCONFIGURED_UNNAMED,
        *error_codes.PASSING_UNNAMED,
    ]

    assert len(set(unnamed)) == len(unnamed)
    assert not set(unnamed) & set(_servers_list())


@pytest.mark.parametrize("code", [0, -1, 1, 8, 96, 125, 227, 318, 462, 12501, 16500, 429, 987654, 2**31])
def test_meaning_unknown_throttled_or_internal_is_passing(code: int) -> None:
    assert meaning(code) is Meaning.PASSING


def test_meaning_what_the_driver_repeats_is_passing() -> None:
    assert {meaning(code) for code in _RETRYABLE_ERROR_CODES} == {Meaning.PASSING}


def test_bad_value_is_final_for_a_document_and_passing_for_a_command() -> None:
    assert not failures.is_passing(2)
    assert not failures.is_about_content(OperationFailure("bad", 2))
    assert failures.is_about_content(OperationFailure("bad", 121))
    assert failures.is_about_content(OperationFailure("duplicate", 11000))


def test_without_a_code_nothing_is_final() -> None:
    assert [failures.code_of(error) for error in ({}, {"code": None}, {"code": "x"}, {"code": 121.0})] == [0, 0, 0, 121]
    assert not failures.is_about_content(OperationFailure("no code"))
