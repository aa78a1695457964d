"""The PostgreSQL Tutorial's own archive gives the truths that were measured on it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cinestream_platform.sources.dvdrental.load_database import load_archive
from tests.support.platform import Platform


@pytest.fixture
def dvdrental(platform: Platform, dvdrental_files: Path) -> Platform:
    """The published archive restored, extracted and built."""
    load_archive(platform.settings, dvdrental_files / "dvdrental.tar", replace=True)
    platform.extract()
    platform.load_and_build()
    return platform


def test_it(dvdrental: Platform):
    assert dvdrental.query("SELECT count(*), sum(amount), min(amount), max(amount) FROM dvddw.fact_payment") == [
        (14_596, Decimal("61312.04"), Decimal("0.00"), Decimal("11.99"))
    ]
