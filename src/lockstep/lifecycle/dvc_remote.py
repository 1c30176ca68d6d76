"""Checks of a DVC remote on S3: reachable, credentials accepted, bucket there, writable."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lockstep.registry import tracking_server

TIMEOUT_S = 10
DAGSHUB = "dagshub.com"


@dataclass(frozen=True)
class RemoteBucket:
    """Where a remote keeps its files, and with which credentials; what is empty is left to AWS's own settings."""

    name: str
    prefix: str
    endpoint: str = ""
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    profile: str = ""
    region: str = ""

    @classmethod
    def of(cls, remote: Mapping[str, str]) -> "RemoteBucket | None":
        """Read a section of .dvc/config; None if it is no remote on S3."""
        address = urlsplit(remote.get("url", ""))
        if address.scheme not in ("s3", "s3a") or not address.netloc:
            return None
        names = ("endpointurl", "access_key_id", "secret_access_key", "profile", "region")
        return cls(address.netloc, address.path.strip("/"), *(remote.get(name, "") for name in names))

    @property
    def where(self) -> str:
        """Return the server, without a password that its address may hold."""
        return tracking_server.redacted(self.endpoint) if self.endpoint else "AWS"


@dataclass(frozen=True)
class RemoteCheck:
    """One check of a remote: passed if there is no hint."""

    name: str
    what: str
    todo: str = ""


def look(bucket: RemoteBucket) -> Iterator[RemoteCheck]:
    """Look at credentials, server, bucket and the right to write, until one of them is missing."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

    keys = {"aws_access_key_id": bucket.key or None, "aws_secret_access_key": bucket.secret or None}
    try:
        session = boto3.Session(**keys, profile_name=bucket.profile or None, region_name=bucket.region or None)
    except ProfileNotFound as error:
        yield RemoteCheck("remote credentials", str(error), "dvc remote modify --local storage profile NAME")
        return
    if session.get_credentials() is None:
        yield RemoteCheck("remote credentials", "none found", _credentials(bucket))
        return
    config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 2})
    client = session.client("s3", endpoint_url=bucket.endpoint or None, config=config)
    try:
        yield from _asked(bucket, client)
    except ClientError as error:
        yield _refused(bucket, error.response)
    except BotoCoreError as error:
        cause = " ".join(str(error).split())[:200]
        yield RemoteCheck(
            "remote reachable", tracking_server.redacted(cause), "check the network and the remote's endpointurl"
        )


def _asked(bucket: RemoteBucket, client: Any) -> Iterator[RemoteCheck]:
    client.head_bucket(Bucket=bucket.name)
    yield RemoteCheck("remote reachable", bucket.where)
    yield RemoteCheck("remote credentials", "taken")
    yield RemoteCheck("remote bucket", bucket.name)
    key = "/".join(part for part in (bucket.prefix, f".lockstep-doctor-{secrets.token_hex(4)}") if part)
    begun = client.create_multipart_upload(Bucket=bucket.name, Key=key)  # writes nothing until it is completed
    client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=begun["UploadId"])
    yield RemoteCheck("remote writable", f"s3://{bucket.name}/{bucket.prefix}")


def _refused(bucket: RemoteBucket, response: Mapping[str, Any]) -> RemoteCheck:
    """Return the meaning of the server's refusal."""
    status = int(response["ResponseMetadata"]["HTTPStatusCode"])
    code = response["Error"].get("Code", "")
    if status in (301, 400, 307):
        todo = "dvc remote modify storage region REGION: the bucket may be in another one"
        return RemoteCheck("remote bucket", f"{bucket.name}: the server answers {status} {code}", todo)
    if status == 404:
        todo = "make it (infra/terraform), or mend the remote's url"
        if DAGSHUB in bucket.endpoint:
            todo = "the bucket is the repository's name, and endpointurl ends with its owner"
        return RemoteCheck("remote bucket", f"there is no bucket {bucket.name} at {bucket.where}", todo)
    if status in (401, 403):
        return RemoteCheck("remote credentials", f"refused ({status} {code})", _credentials(bucket))
    return RemoteCheck("remote reachable", f"{bucket.where} answers {status} {code}", "try again later")


def _credentials(bucket: RemoteBucket) -> str:
    if DAGSHUB in bucket.endpoint:
        return "dvc remote modify --local storage access_key_id TOKEN, and secret_access_key TOKEN, the same"
    return "aws sso login, AWS_PROFILE or AWS_ACCESS_KEY_ID; the role needs s3:ListBucket, GetObject and PutObject"
