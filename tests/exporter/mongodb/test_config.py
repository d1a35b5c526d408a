from datetime import timedelta

import pytest

from exporter.mongodb import MongoConfig


def test_client_options_bare_uri_waits_for_majority_and_journal() -> None:
    options = MongoConfig("local", "mongodb://host/", "otel", timeout=timedelta(seconds=4)).client_options()

    assert options["w"] == "majority"
    assert options["journal"] is True
    assert options["socketTimeoutMS"] == 4500
    assert options["appname"] == "otlp-mongo"


@pytest.mark.parametrize(
    ("query", "key"),
    [("w=1", "w"), ("JOURNAL=false", "journal"), ("sockettimeoutms=9", "socketTimeoutMS"), ("appName=mine", "appname")],
)
def test_client_options_given_in_the_uri_are_left_to_it(query: str, key: str) -> None:
    options = MongoConfig("local", f"mongodb://host/?{query}", "otel").client_options()

    assert key not in options


def test_repr_does_not_show_the_uri() -> None:
    assert "secret" not in repr(MongoConfig("local", "mongodb://me:secret@host/", "otel"))
