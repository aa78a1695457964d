"""Settings of this source alone: where the operational rental database is, and who reads it."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from cinestream_platform.settings import OperationalPostgresSettings

READER = "dvdrental_reader"
"""The login that reads the database where that is ours."""


class DvdrentalSettings(OperationalPostgresSettings):
    """Settings, each read from the environment variable ``CINESTREAM_DVDRENTAL_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="CINESTREAM_DVDRENTAL_")

    user: str = Field(READER, description="Login on that host; it need only read.")
    database: str = Field("dvdrental", description="Name of the database, on whichever server.")
    schema_name: str = Field(  # ``schema`` is a method of pydantic's
        "public", validation_alias="CINESTREAM_DVDRENTAL_SCHEMA", description="Schema of its tables."
    )
