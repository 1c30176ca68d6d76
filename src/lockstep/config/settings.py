"""Settings from the environment: one table of names, variables, defaults and meanings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.config import params_file
from lockstep.errors import ConfigError


@dataclass(frozen=True)
class Setting:
    """One row of the table of settings."""

    name: str
    variables: tuple[str, ...]
    default: str
    meaning: str
    secret: bool = False
    whole: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("host", ("HOST",), "127.0.0.1", "address the app listens on"),
    Setting("port", ("PORT",), "5000", "port the app listens on", whole=True),
    Setting("workers", ("LOCKSTEP_WORKERS",), "2", "server processes", whole=True),
    Setting("model_name", ("LOCKSTEP_MODEL_NAME",), "", "models to serve, the default first; else that of params.yaml"),
    Setting("state", ("LOCKSTEP_STATE",), str(paths.STATE), "folder for the local tracking store and the model cache"),
    Setting("baked_model", ("LOCKSTEP_BAKED_MODEL",), "", "folder with a model to serve while the registry is away"),
    Setting("poll_s", ("LOCKSTEP_POLL_S",), "2", "seconds between two looks at the registry", whole=True),
    Setting(
        "pinned", ("LOCKSTEP_PINNED",), "2", "versions that a request may name, kept beside Production", whole=True
    ),
    Setting("drain_s", ("LOCKSTEP_DRAIN_S",), "5", "seconds of answering on after SIGTERM, not ready", whole=True),
    Setting("registry_socket", ("LOCKSTEP_REGISTRY_SOCKET",), "", "socket of the registry sidecar; set by `serve`"),
    Setting("exp_name", ("DVC_EXP_NAME",), "", "name of the experiment that a stage runs in; set by `dvc exp run`"),
    Setting("exp_baseline", ("DVC_EXP_BASELINE_REV",), "", "commit that the experiment starts from; set by DVC too"),
    Setting("tracking_uri", ("MLFLOW_TRACKING_URI",), "", "MLflow server; else DagsHub; else a local sqlite file"),
    Setting("tracking_username", ("MLFLOW_TRACKING_USERNAME",), "", "user at the MLflow server"),
    Setting("tracking_password", ("MLFLOW_TRACKING_PASSWORD",), "", "password at the MLflow server", secret=True),
    Setting("dagshub_repo", ("DAGSHUB_REPO",), "", "owner/name of a DagsHub repository that hosts the tracking server"),
    Setting("dagshub_token", ("DAGSHUB_USER_TOKEN", "CAPSTONE_TEST"), "", "token for DagsHub", secret=True),
    Setting(
        "wandb_project", ("WANDB_PROJECT",), "", "project on Weights & Biases that gets a copy of each run; else none"
    ),
    Setting("wandb_entity", ("WANDB_ENTITY",), "", "team or user that the project belongs to; else the key's own"),
    Setting("wandb_mode", ("WANDB_MODE",), "online", "online, offline (a copy in the state folder alone) or disabled"),
    Setting("wandb_key", ("WANDB_API_KEY",), "", "key for Weights & Biases", secret=True),
    Setting("actor", ("LOCKSTEP_ACTOR", "GITHUB_ACTOR", "USER"), "unknown", "who promotes, for the history"),
    Setting("api_keys", ("LOCKSTEP_API_KEYS",), "", "keys, one of which every request needs; else none", secret=True),
    Setting("admin_token", ("LOCKSTEP_ADMIN_TOKEN",), "", "token for /admin; without one it is off", secret=True),
    Setting(
        "rate_limit", ("LOCKSTEP_RATE_LIMIT",), "", "requests of one client, such as 100/s or 600/m; else no limit"
    ),
    Setting(
        "trusted_proxies",
        ("LOCKSTEP_TRUSTED_PROXIES",),
        "0",
        "proxies before the app, each adding to X-Forwarded-For",
        whole=True,
    ),
    Setting("allowed_hosts", ("LOCKSTEP_ALLOWED_HOSTS",), "", "names in the Host header that are answered; else all"),
    Setting(
        "max_in_flight", ("LOCKSTEP_MAX_IN_FLIGHT",), "256", "requests under way in one process, then 503", whole=True
    ),
    Setting(
        "queue_s", ("LOCKSTEP_QUEUE_S",), "5", "seconds that a large request waits for its turn, then 503", whole=True
    ),
    Setting("max_body_mb", ("LOCKSTEP_MAX_BODY_MB",), "8", "largest body of a request, in MiB", whole=True),
    Setting("max_rows", ("LOCKSTEP_MAX_ROWS",), "10000", "most rows of a request", whole=True),
    Setting(
        "cache_rows",
        ("LOCKSTEP_CACHE_ROWS",),
        "0",
        "answers kept in each process for rows asked again; 0: none",
        whole=True,
    ),
    Setting("redis_url", ("REDIS_URL",), "", "Redis that keeps such answers for all processes", secret=True),
    Setting(
        "database_url",
        ("DATABASE_URL",),
        "",
        "database of the prediction log, postgresql:// or sqlite:///; else a SQLite file in the state folder",
        secret=True,
    ),
    Setting(
        "log_rows",
        ("LOCKSTEP_LOG_ROWS",),
        "plain",
        "features in the prediction log: plain, hashed (texts and categories), or none; off logs nothing at all",
    ),
    Setting("log_days", ("LOCKSTEP_LOG_DAYS",), "90", "days that the prediction log keeps; 0: for ever", whole=True),
    Setting(
        "spool_mb",
        ("LOCKSTEP_SPOOL_MB",),
        "512",
        "most MiB of predictions that wait on disk for the database",
        whole=True,
    ),
    Setting("recorder_socket", ("LOCKSTEP_RECORDER_SOCKET",), "", "socket of the recorder; set by `serve`"),
    Setting("monitor_s", ("LOCKSTEP_MONITOR_S",), "10", "seconds between two looks at drift and quality", whole=True),
    Setting(
        "challenger_share",
        ("LOCKSTEP_CHALLENGER_SHARE",),
        "0",
        "percent of requests that the challenger answers; 0: it runs in the shadow",
        whole=True,
    ),
    Setting("project", ("LOCKSTEP_PROJECT",), "", "project folder in which retraining runs; else the present one"),
    Setting("retrain_on", ("LOCKSTEP_RETRAIN_ON",), "", "alerts that start retraining: drift, quality, or both"),
    Setting(
        "retrain_every_h",
        ("LOCKSTEP_RETRAIN_EVERY_H",),
        "0",
        "hours between two retrainings; 0: no schedule",
        whole=True,
    ),
    Setting(
        "retrain_cooldown_h",
        ("LOCKSTEP_RETRAIN_COOLDOWN_H",),
        "24",
        "hours after a retraining in which no alert starts another",
        whole=True,
    ),
    Setting(
        "source_password",
        ("LOCKSTEP_SOURCE_PASSWORD", "PGPASSWORD"),
        "",
        "password at the database that `data_ingestion.source` names",
        secret=True,
    ),
    Setting(
        "dispatch_repo",
        ("LOCKSTEP_DISPATCH_REPO",),
        "",
        "owner/name of the GitHub repository whose workflow retrains, in place of this machine",
    ),
    Setting("dispatch_token", ("LOCKSTEP_DISPATCH_TOKEN",), "", "token that may start that workflow", secret=True),
    Setting("dispatch_url", ("LOCKSTEP_DISPATCH_URL",), "https://api.github.com", "address of GitHub's API"),
    Setting(
        "dispatch_rows",
        ("LOCKSTEP_DISPATCH_ROWS",),
        "",
        "s3://BUCKET/KEY.csv or .parquet to which labelled predictions go before the workflow is started",
    ),
    Setting(
        "dask_address",
        ("DASK_SCHEDULER_ADDRESS",),
        "",
        "Dask scheduler, tcp:// or tls://, that the search and `lockstep predict` of folders run on, whatever "
        "`params.yaml` says",
    ),
    Setting("metrics_dir", ("PROMETHEUS_MULTIPROC_DIR",), "", "folder in which workers share their metrics"),
    Setting("secret_key", ("LOCKSTEP_SECRET_KEY",), "", "signs the forms; else one in the state folder", secret=True),
    Setting("log_level", ("LOCKSTEP_LOG_LEVEL",), "INFO", "DEBUG, INFO, WARNING or ERROR"),
    Setting("debug", ("LOCKSTEP_DEBUG",), "", "any value: print the traceback of an error"),
)


@dataclass(frozen=True)
class Settings:
    """What the environment says; each field is a row of `SETTINGS`."""

    host: str
    port: int
    workers: int
    model_name: str
    state: str
    baked_model: str
    poll_s: int
    pinned: int
    drain_s: int
    registry_socket: str
    exp_name: str
    exp_baseline: str
    tracking_uri: str
    tracking_username: str
    tracking_password: str = field(repr=False)
    dagshub_repo: str
    dagshub_token: str = field(repr=False)
    wandb_project: str
    wandb_entity: str
    wandb_mode: str
    wandb_key: str = field(repr=False)
    actor: str
    api_keys: str = field(repr=False)
    admin_token: str = field(repr=False)
    rate_limit: str
    trusted_proxies: int
    allowed_hosts: str
    max_in_flight: int
    queue_s: int
    max_body_mb: int
    max_rows: int
    cache_rows: int
    redis_url: str = field(repr=False)
    database_url: str = field(repr=False)
    log_rows: str
    log_days: int
    spool_mb: int
    recorder_socket: str
    monitor_s: int
    challenger_share: int
    project: str
    retrain_on: str
    retrain_every_h: int
    retrain_cooldown_h: int
    source_password: str = field(repr=False)
    dispatch_repo: str
    dispatch_token: str = field(repr=False)
    dispatch_url: str
    dispatch_rows: str
    dask_address: str
    metrics_dir: str
    secret_key: str = field(repr=False)
    log_level: str
    debug: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the table from an environment; a secret may also stand in the file that `NAME_FILE` names.

        Raises
        ------
        ConfigError
            A number is not one, or a secret's file cannot be read.
        """
        return cls(**{setting.name: _setting_value(setting, environment) for setting in SETTINGS})


def _setting_value(setting: Setting, environment: Mapping[str, str]) -> Any:
    text = next(
        (found for name in setting.variables if (found := _lookup(name, setting, environment))), setting.default
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
    """Return the names of the models to serve: those of the settings, else the one of params.yaml."""
    named = dict.fromkeys(name.strip() for name in settings.model_name.split(",") if name.strip())
    return tuple(named) or (params_file.load().register_model.model_name,)
