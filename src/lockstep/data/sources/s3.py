"""Objects of S3 and of stores that speak like it: `s3://bucket/key`, or the newest below `s3://bucket/prefix/`."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockstep.config.params import DataIngestion
from lockstep.data.sources.content import MIB
from lockstep.errors import DataError
from lockstep.runtime.progress import Progress, Style

ATTEMPTS, PIECE = 5, 1 << 18
HINTS = {
    "NoSuchBucket": "check the bucket, and the endpoint in AWS_ENDPOINT_URL",
    "NoSuchKey": "check the key; a prefix ends with /",
    "404": "check bucket and key; a prefix ends with /",
    "AccessDenied": "the credentials may not read it: they need s3:GetObject, and s3:ListBucket for a prefix",
    "403": "the credentials may not read it: they need s3:GetObject, and s3:ListBucket for a prefix",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID, and the endpoint in AWS_ENDPOINT_URL",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "log in again: the session has ended",
    "SlowDown": "the store is busy: run it again later",
    "503": "the store is busy: run it again later",
    "PermanentRedirect": "the bucket is in another region: set AWS_DEFAULT_REGION",
    "301": "the bucket is in another region: set AWS_DEFAULT_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_DEFAULT_REGION",
    "IllegalLocationConstraintException": "the bucket is in another region: set AWS_DEFAULT_REGION",
}


@dataclass(frozen=True)
class Object:
    """One version of an object."""

    bucket: str
    key: str
    etag: str
    size: int
    version: str

    @property
    def identity(self) -> dict[str, Any]:
        """Return what changes with the content."""
        parts = {"key": self.key, "etag": self.etag, "size": self.size, "version": self.version}
        return {name: value for name, value in parts.items() if value != ""}


def find(source: str, params: DataIngestion) -> Object:
    """Return the object that a source names now. Raises DataError: there is none, or the store refuses."""
    bucket, key = _named(source)
    if not bucket:
        raise DataError(f"{source} names no bucket", "write s3://BUCKET/KEY or s3://BUCKET/PREFIX/")
    with _asking(source, params) as client:
        return _headed(client, bucket, key if key and not key.endswith("/") else _newest(client, bucket, key, source))


def find_if_there(source: str, params: DataIngestion) -> Object | None:
    """Return the object of a key, None if there is none. Raises DataError: the store refuses."""
    from botocore.exceptions import ClientError

    bucket, key = _named(source)
    with _asking(source, params) as client:
        try:
            return _headed(client, bucket, key)
        except ClientError as error:
            if error.response["Error"].get("Code") in ("404", "NoSuchKey"):
                return None
            raise


def below(bucket: str, prefix: str, params: DataIngestion) -> list[str]:
    """Return the keys of a bucket that begin with a prefix. Raises DataError: the store refuses."""
    with _asking(f"s3://{bucket}/{prefix}", params) as client:
        return [key for _, key in _listed(client, bucket, prefix)]


def upload(path: Path, to: str, params: DataIngestion) -> None:
    """Send a file; the object is there whole, or not at all. Raises DataError: the store refuses."""
    from boto3.exceptions import S3UploadFailedError

    bucket, key = _named(to)
    with _asking(to, params) as client:
        try:
            client.upload_file(str(path), bucket, key)
        except S3UploadFailedError as error:
            said = str(error).removeprefix(f"Failed to upload {path} to ")
            raise DataError(f"{to} cannot be written: {said}", "the credentials need s3:PutObject there") from None


def download(item: Object, params: DataIngestion, to: Path, hidden: bool = False) -> None:
    """Bring one version of an object here, with a bar unless `hidden`; what breaks off goes on where it ended.

    Raises DataError: it is too large, it changes meanwhile, or the store refuses.
    """
    name = f"s3://{item.bucket}/{item.key}"
    if item.size > params.max_mb * MIB:
        raise DataError(f"{name} is larger than {params.max_mb} MiB", "raise data_ingestion.max_mb if it is meant")
    to.parent.mkdir(parents=True, exist_ok=True)
    style: Style = "hidden" if hidden else "bytes"
    with _asking(name, params) as client, to.open("wb") as stream, Progress(style, name, item.size) as progress:
        for _ in range(ATTEMPTS):
            _receive(client, item, stream, progress)
            if stream.tell() >= item.size:
                return
    raise DataError(f"{name} broke off {ATTEMPTS} times", "run it again when the network is better")


def _receive(client: Any, item: Object, stream: Any, progress: Progress) -> None:
    from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

    start = stream.tell()
    part = {"Range": f"bytes={start}-"} if start else {}
    answer = client.get_object(Bucket=item.bucket, Key=item.key, IfMatch=f'"{item.etag}"', **part)
    try:
        for piece in answer["Body"].iter_chunks(PIECE):
            stream.write(piece)
            progress.update(stream.tell())
    except (IncompleteReadError, ResponseStreamingError, HTTPClientError):
        return  # the caller sees that bytes are missing, and goes on from there


def _newest(client: Any, bucket: str, prefix: str, source: str) -> str:
    """Return the key below a prefix that was written last; of several at one moment, the last by name."""
    keys = list(_listed(client, bucket, prefix))
    if not keys:
        raise DataError(f"{source} holds no object", "check the prefix")
    return str(max(keys)[1])


def _listed(client: Any, bucket: str, prefix: str) -> Iterator[tuple[Any, str]]:
    """Yield when each key below a prefix was written, and the key."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Contents", []):
            if not each["Key"].endswith("/"):
                yield each["LastModified"], each["Key"]


def _named(address: str) -> tuple[str, str]:
    """Return bucket and key of an address."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def _headed(client: Any, bucket: str, key: str) -> Object:
    head = client.head_object(Bucket=bucket, Key=key)
    version = head.get("VersionId") or ""
    return Object(bucket, key, head["ETag"].strip('"'), head["ContentLength"], "" if version == "null" else version)


@contextmanager
def _asking(name: str, params: DataIngestion) -> Iterator[Any]:
    """Yield a client, and turn what the store refuses into a cause and a hint; `name` is the address in question."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

    try:
        yield _client(params.timeout_s)
    except ClientError as error:
        code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        if code in ("PreconditionFailed", "412"):
            raise DataError(f"{name} changed while it was read", "run it again") from None
        hint = HINTS.get(code, "check the address and the credentials")
        raise DataError(f"{name}: the store answers {code}: {said}", hint) from None
    except NoCredentialsError:
        raise DataError(
            f"{name}: there are no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from None
    except NoRegionError:
        raise DataError(f"{name}: no region is set", "set AWS_DEFAULT_REGION") from None
    except BotoCoreError as error:
        raise DataError(
            f"{name}: {error}", "check the network, and AWS_ENDPOINT_URL if the store is your own"
        ) from None


@functools.lru_cache(4)
def _client(timeout_s: float) -> Any:
    """Return a client, the same one each time: to make one takes longer than to ask it."""
    import boto3
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    return boto3.session.Session().client(
        "s3", config=Config(connect_timeout=timeout_s, read_timeout=timeout_s, retries=retries)
    )
