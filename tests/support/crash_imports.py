"""What the fork server makes once for all dying children; nothing here connects or starts a thread."""

import os

import tests.support.shop  # noqa: F401
from cinestream_platform.marts.project import dbt_executable
from cinestream_platform.settings import get_settings
from tests.support import platform, warm

if "CINESTREAM_HOME" in os.environ:  # the settings of the test that starts it: a second of each child with the same
    os.environ.setdefault(warm.WARM_DBT, dbt_executable())
    platform.nodes()
    get_settings.cache_clear()  # those of each child say where its database and its stores are
