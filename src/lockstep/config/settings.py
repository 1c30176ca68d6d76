"""Settings from environment variables: one declaration each, with its variables, default and meaning."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.config import use_cases
from lockstep.errors import ConfigError


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting."""

    name: str
    variables: tuple[str, ...]
    default: str
    meaning: str
    secret: bool = False
    whole: bool = False


def _setting(variables: str | tuple[str, ...], meaning: str, default: str = "", secret: bool = False) -> Any:
    """Declare a field of `Settings`: the variables that set it, its default as text, and its meaning in the docs."""
    names = (variables,) if isinstance(variables, str) else variables
    return field(repr=not secret, metadata={"variables": names, "default": default, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """The settings of a process, read from environment variables: one field declares one setting."""

    host: str = _setting("HOST", "address the app listens on", "127.0.0.1")
    port: int = _setting("PORT", "port the app listens on", "5000")
    workers: int = _setting("LOCKSTEP_WORKERS", "server processes", "2")
    model_name: str = _setting("LOCKSTEP_MODEL_NAME", "models to serve, the default first; else those of the project")
    state: str = _setting("LOCKSTEP_STATE", "folder for the local tracking store and the model cache", str(paths.STATE))
    baked_model: str = _setting("LOCKSTEP_BAKED_MODEL", "folder with a model to serve while the registry is away")
    poll_s: int = _setting("LOCKSTEP_POLL_S", "seconds between two polls of the registry", "2")
    pinned: int = _setting(
        "LOCKSTEP_PINNED", "versions other than Production that stay loaded for requests that name them", "2"
    )
    drain_s: int = _setting(
        "LOCKSTEP_DRAIN_S", "seconds after SIGTERM in which requests are still answered, while /ready says no", "5"
    )
    registry_socket: str = _setting("LOCKSTEP_REGISTRY_SOCKET", "socket of the registry sidecar; set by `serve`")
    exp_name: str = _setting("DVC_EXP_NAME", "name of the experiment that a stage runs in; set by `dvc exp run`")
    exp_baseline: str = _setting("DVC_EXP_BASELINE_REV", "commit that the experiment starts from; set by DVC too")
    tracking_uri: str = _setting("MLFLOW_TRACKING_URI", "MLflow server; else DagsHub; else a local sqlite file")
    tracking_username: str = _setting("MLFLOW_TRACKING_USERNAME", "user at the MLflow server")
    tracking_password: str = _setting("MLFLOW_TRACKING_PASSWORD", "password at the MLflow server", secret=True)
    dagshub_repo: str = _setting("DAGSHUB_REPO", "owner/name of a DagsHub repository that hosts the tracking server")
    dagshub_token: str = _setting(("DAGSHUB_USER_TOKEN", "CAPSTONE_TEST"), "token for DagsHub", secret=True)
    wandb_project: str = _setting(
        "WANDB_PROJECT", "project on Weights & Biases that gets a copy of each run; else none"
    )
    wandb_entity: str = _setting("WANDB_ENTITY", "team or user that the project belongs to; else the key's own")
    wandb_mode: str = _setting("WANDB_MODE", "online, offline (a copy in the state folder alone) or disabled", "online")
    wandb_key: str = _setting("WANDB_API_KEY", "key for Weights & Biases", secret=True)
    actor: str = _setting(("LOCKSTEP_ACTOR", "GITHUB_ACTOR", "USER"), "who promotes, for the history", "unknown")
    api_keys: str = _setting("LOCKSTEP_API_KEYS", "keys, one of which every request needs; else none", secret=True)
    admin_token: str = _setting("LOCKSTEP_ADMIN_TOKEN", "token for /admin; without one it is off", secret=True)
    rate_limit: str = _setting("LOCKSTEP_RATE_LIMIT", "requests of one client, such as 100/s or 600/m; else no limit")
    trusted_proxies: int = _setting(
        "LOCKSTEP_TRUSTED_PROXIES", "proxies before the app, each adding to X-Forwarded-For", "0"
    )
    url_prefix: str = _setting("LOCKSTEP_URL_PREFIX", "path at which a proxy shows the app, such as /ml; else none")
    allowed_hosts: str = _setting("LOCKSTEP_ALLOWED_HOSTS", "accepted names in the Host header; else all")
    max_in_flight: int = _setting("LOCKSTEP_MAX_IN_FLIGHT", "concurrent requests of one process, then 503", "256")
    queue_s: int = _setting("LOCKSTEP_QUEUE_S", "seconds that a large request waits for a slot, then 503", "5")
    max_body_mb: int = _setting("LOCKSTEP_MAX_BODY_MB", "largest body of a request, in MiB", "8")
    max_rows: int = _setting("LOCKSTEP_MAX_ROWS", "most rows of a request", "10000")
    cache_rows: int = _setting("LOCKSTEP_CACHE_ROWS", "predictions cached in each process; 0: no cache", "0")
    redis_url: str = _setting("REDIS_URL", "Redis that caches predictions for all processes", secret=True)
    database_url: str = _setting(
        "DATABASE_URL",
        "database of the prediction log, postgresql:// or sqlite:///; else a SQLite file in the state folder",
        secret=True,
    )
    log_rows: str = _setting(
        "LOCKSTEP_LOG_ROWS",
        "features in the prediction log: plain, hashed (texts and categories), or none; off logs nothing at all",
        "plain",
    )
    log_days: int = _setting("LOCKSTEP_LOG_DAYS", "days after which predictions leave the log; 0: never", "90")
    spool_mb: int = _setting("LOCKSTEP_SPOOL_MB", "most MiB of predictions spooled on disk for the database", "512")
    recorder_socket: str = _setting(
        "LOCKSTEP_RECORDER_SOCKET", "Unix socket of the recorder, for reading the prediction log; set by `serve`"
    )
    monitor_s: int = _setting("LOCKSTEP_MONITOR_S", "seconds between two evaluations of drift and quality", "10")
    challenger_share: int = _setting(
        "LOCKSTEP_CHALLENGER_SHARE", "percent of requests that the challenger answers; 0: shadow mode", "0"
    )
    project: str = _setting("LOCKSTEP_PROJECT", "project folder in which retraining runs; else the current folder")
    retrain_on: str = _setting("LOCKSTEP_RETRAIN_ON", "alerts that start retraining: drift, quality, or both")
    retrain_every_h: int = _setting("LOCKSTEP_RETRAIN_EVERY_H", "hours between two retrainings; 0: no schedule", "0")
    retrain_cooldown_h: int = _setting(
        "LOCKSTEP_RETRAIN_COOLDOWN_H", "hours after a retraining in which no alert starts another", "24"
    )
    source_password: str = _setting(
        ("LOCKSTEP_SOURCE_PASSWORD", "PGPASSWORD"),
        "password at the database that `data_ingestion.source` names",
        secret=True,
    )
    dispatch_repo: str = _setting(
        "LOCKSTEP_DISPATCH_REPO",
        "owner/name of the GitHub repository whose workflow retrains, in place of this machine",
    )
    dispatch_token: str = _setting("LOCKSTEP_DISPATCH_TOKEN", "token that may start that workflow", secret=True)
    dispatch_url: str = _setting("LOCKSTEP_DISPATCH_URL", "address of GitHub's API", "https://api.github.com")
    dispatch_rows: str = _setting(
        "LOCKSTEP_DISPATCH_ROWS",
        "s3://BUCKET/{model}.csv or .parquet to which labelled predictions go before the workflow is started",
    )
    dask_address: str = _setting(
        "DASK_SCHEDULER_ADDRESS",
        "Dask scheduler, tcp:// or tls://, for the search and for folders in `lockstep predict`; overrides params.yaml",
    )
    metrics_dir: str = _setting("PROMETHEUS_MULTIPROC_DIR", "folder in which workers share their metrics")
    secret_key: str = _setting("LOCKSTEP_SECRET_KEY", "signs the forms; else one in the state folder", secret=True)
    log_level: str = _setting("LOCKSTEP_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", "INFO")
    debug: str = _setting("LOCKSTEP_DEBUG", "any value: print the traceback of an error")

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the table from an environment; a secret may also stand in the file that `NAME_FILE` names.

        Raises ConfigError: a number is not one, or a secret's file cannot be read.
        """
        return cls(**{setting.name: _setting_value(setting, environment) for setting in SETTINGS})


# The table of settings, in the order of the fields.
SETTINGS: tuple[Setting, ...] = tuple(
    Setting(each.name, secret=not each.repr, whole=each.type is int, **each.metadata) for each in fields(Settings)
)


def _setting_value(setting: Setting, environment: Mapping[str, str]) -> Any:
    text = next(
        (value for name in setting.variables if (value := _lookup(name, setting, environment))), setting.default
    )
    if not setting.whole:
        return text
    if not text.isdecimal():
        raise ConfigError(f"{setting.variables[0]} = {text!r} is not a whole number", f"it is the {setting.meaning}")
    return int(text)


def _lookup(name: str, setting: Setting, environment: Mapping[str, str]) -> str:
    file = environment.get(f"{name}_FILE", "") if setting.secret else ""
    if not file:
        return environment.get(name, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{name}_FILE: {file} cannot be read: {error.strerror}", "name a readable file") from None


def model_name(settings: Settings) -> str:
    """Return the name of the model, the first if several are served."""
    return model_names(settings)[0]


def model_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the models to serve: those of the settings, else those of the project."""
    names = dict.fromkeys(name.strip() for name in settings.model_name.split(",") if name.strip())
    return tuple(names) or use_cases.names(Path())
