"""Which database the settings mean, without opening it: workers ask too, and load no database library."""

from pathlib import Path

from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

FILE = "lockstep.db"
SPOOL = "spool"
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite",
}


def database(settings: Settings) -> str:
    """Return the prediction log's database address with its driver. Raises ConfigError: its kind is unknown."""
    if not settings.database_url:
        return f"sqlite:///{Path(settings.state).absolute() / FILE}"
    scheme, separator, rest = settings.database_url.partition("://")
    if not separator or scheme not in DRIVERS:
        raise ConfigError(
            f"DATABASE_URL begins with {scheme[:20]!r}",
            "write postgresql://USER:PASSWORD@HOST/NAME or sqlite:////absolute/path.db",
        )
    return f"{DRIVERS[scheme]}://{rest}"


def spool(settings: Settings) -> Path:
    """Return the folder in which predictions wait for the database."""
    return Path(settings.state).absolute() / SPOOL
