"""Answers kept for rows that are asked again: in this process, or in a Redis that all processes share.

The key of an answer is a digest of the model's bytes and of the row, so it never belongs to another version, and says
nothing of the row. Who asks the cache has already checked the row; a hit is named, counted and logged like any answer.
"""

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from flask_app.models.loading import Serving
from lockstep.config.settings import Settings
from lockstep.data.schema import Row, RowsRefused
from lockstep.errors import ConfigError
from lockstep.inference.predictor import Predictions

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("cache")

KEY_BYTES = 20
PREFIX = b"lockstep:"
TIME_LIMIT_S = 0.05
REST_S = 5.0  # A Redis that failed is left alone for this long.
LIFETIME_S = 24 * 60 * 60
MOST_ROWS = 500  # Larger batches are not looked up: they seldom repeat, and would push out what does.
Answer = tuple[Any, list[float] | None]  # A label with the share of each label, or a value alone.
Count = Callable[[str, int], None]


class CachingPredictor:
    """Answers rows from a cache, and by the model what is not there."""

    def __init__(self, cache: "LocalCache | RedisCache", count: Count) -> None:
        self.cache, self._count = cache, count

    def predict(self, serving: Serving, rows: Sequence[Row]) -> Predictions:
        """Return the answers to checked rows. Raises RowsRefused: the model gives no number for a row."""
        if len(rows) > MOST_ROWS:
            return serving.predictor.predict(rows)
        cached = self.cache.get_many(serving, rows)
        missing = [row_index for row_index, answer in enumerate(cached) if answer is None]
        self._count("hit", len(rows) - len(missing))
        if missing:
            self._count("miss", len(missing))
            self._fill(cached, missing, serving, rows)
        return joined([answer for answer in cached if answer is not None])

    def _fill(self, cached: list[Answer | None], missing: list[int], serving: Serving, rows: Sequence[Row]) -> None:
        missing_rows = [rows[row_index] for row_index in missing]
        try:
            answers = apart(serving.predictor.predict(missing_rows))
        except RowsRefused:
            serving.predictor.predict(rows)  # refuses as well, and numbers the rows as they were sent
            raise
        for row_index, answer in zip(missing, answers, strict=True):
            cached[row_index] = answer
        self.cache.put_many(serving, missing_rows, answers)


class LocalCache:
    """The answers used last, in this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def get_many(self, serving: Serving, rows: Sequence[Row]) -> list[Answer | None]:
        """Return the answers that are here."""
        keys = keys_of(serving, rows)
        with self._lock:
            return [self._get(key) for key in keys]

    def put_many(self, serving: Serving, rows: Sequence[Row], answers: Sequence[Answer]) -> None:
        """Keep answers, and forget those that were not asked for the longest."""
        keys = keys_of(serving, rows)
        with self._lock:
            for key, answer in zip(keys, answers, strict=True):
                if key:
                    self._answers[key] = answer
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)

    def _get(self, key: bytes) -> Answer | None:
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer


class RedisCache:
    """Answers in Redis: what it does not give at once is missing, and after a fault it is left alone for a while."""

    def __init__(self, redis: "Redis", count: Count) -> None:
        self._redis, self._count = redis, count
        self._decoder = msgspec.msgpack.Decoder(tuple[Any, list[float] | None])
        self._rests_until: float | None = None
        self._lock = threading.Lock()

    def get_many(self, serving: Serving, rows: Sequence[Row]) -> list[Answer | None]:
        """Return the answers that Redis has."""
        keys = keys_of(serving, rows)
        values = self._try(lambda: self._redis.mget([PREFIX + key for key in keys]))
        return [self._read(serving, value) for value in values] if values else [None] * len(rows)

    def put_many(self, serving: Serving, rows: Sequence[Row], answers: Sequence[Answer]) -> None:
        """Send answers to Redis."""
        batch = self._redis.pipeline(transaction=False)
        for key, answer in zip(keys_of(serving, rows), answers, strict=True):
            if key:
                batch.set(PREFIX + key, msgspec.msgpack.encode(answer), ex=LIFETIME_S)
        self._try(batch.execute)

    def _read(self, serving: Serving, value: bytes | None) -> Answer | None:
        """Return an answer that the model may have given; whatever else stands there is none."""
        if value is None:
            return None
        try:
            answer = self._decoder.decode(value)
        except msgspec.MsgspecError:
            return None
        return answer if fits(answer, serving) else None

    def _try(self, ask: Callable[[], Any]) -> Any:
        """Ask Redis, unless it rests; after a rest the first to come tries it for all."""
        from redis.exceptions import RedisError

        if not self._awake():
            return None
        try:
            answer = ask()
        except (RedisError, OSError, ValueError) as error:
            self._rest(error)
            return None
        if self._rests_until is not None:
            self._rests_until = None
            log.info("the cache answers again")
        return answer

    def _awake(self) -> bool:
        if self._rests_until is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._rests_until is None or now < self._rests_until:
                return self._rests_until is None
            self._rests_until = now + REST_S
            return True

    def _rest(self, error: Exception) -> None:
        self._count("fault", 1)
        if self._rests_until is None:
            log.warning("the cache fails (%s): left alone, tried again every %g s", type(error).__name__, REST_S)
        self._rests_until = time.monotonic() + REST_S


def keys_of(serving: Serving, rows: Sequence[Row]) -> list[bytes]:
    """Return the key of each row; that of one which cannot be encoded is empty, and finds nothing."""
    return [_key(_hasher(serving.identity.sha256), row) for row in rows]


@lru_cache(maxsize=32)
def _hasher(sha256: str) -> hashlib.blake2b:
    return hashlib.blake2b(sha256.encode(), digest_size=KEY_BYTES)


def _key(hasher: hashlib.blake2b, row: Row) -> bytes:
    try:
        content = msgspec.msgpack.encode(row)
    except UnicodeEncodeError:  # a lone surrogate
        return b""
    digest = hasher.copy()
    digest.update(content)
    return digest.digest()


def fits(answer: Answer, serving: Serving) -> bool:
    """Tell whether a model like this one may have given an answer."""
    value, shares = answer
    labels = serving.predictor.schema.labels
    if not labels:
        return shares is None and isinstance(value, float)
    is_label = any(value == label and type(value) is type(label) for label in labels)
    return is_label and shares is not None and len(shares) == len(labels) and all(0 <= share <= 1 for share in shares)


def apart(predictions: Predictions) -> list[Answer]:
    """Return one answer for each row."""
    if predictions.shares is None:
        return [(value, None) for value in predictions.values]
    return list(zip(predictions.values, predictions.shares, strict=True))


def joined(answers: Sequence[Answer]) -> Predictions:
    """Put the answers to several rows together."""
    shares = [row_shares for _, row_shares in answers if row_shares is not None]
    return Predictions([value for value, _ in answers], shares or None)


def from_settings(settings: Settings, count: Count) -> CachingPredictor | None:
    """Return what the settings say, or None where nothing is kept.

    Raises ConfigError: REDIS_URL is no address of a Redis, or its client is not installed.
    """
    if settings.redis_url:
        return CachingPredictor(RedisCache(connect(settings.redis_url), count), count)
    return CachingPredictor(LocalCache(settings.cache_rows), count) if settings.cache_rows else None


def connect(url: str) -> "Redis":
    """Return a client that never waits long; it connects with the first question."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise ConfigError("REDIS_URL is set, but the Redis client is not installed", "pip install redis") from None
    limits = {"socket_timeout": TIME_LIMIT_S, "socket_connect_timeout": TIME_LIMIT_S}
    try:
        return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **limits)
    except ValueError:
        raise ConfigError("REDIS_URL is no address of a Redis", "write it as redis://host:6379/0") from None
