"""Read an image from a container registry by its HTTP API: the digest that a tag names, and the labels."""

import base64
import hashlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outside import Problem

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
TIMEOUT_S = 30
OPENER = urllib.request.build_opener()
RIGHTS = "log in again; the role needs ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository"


@dataclass(frozen=True)
class RegistryImage:
    """What a registry has under a tag: digest of the manifest, digest of the configuration, and labels."""

    digest: str
    config: str
    labels: Mapping[str, str] = field(default_factory=dict)


class RegistryClient:
    """One repository of a registry, with a user and a password."""

    def __init__(self, host: str, name: str, user: str, password: str) -> None:
        self.host, self.name = host, name
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def image(self, tag: str, platform: str) -> RegistryImage | None:
        """Return what the tag names, None if there is no such tag."""
        response = self._get(f"manifests/{tag}", ", ".join(MANIFESTS + INDEXES))
        if response is None:
            return None
        manifest, digest = json.loads(response), f"sha256:{hashlib.sha256(response).hexdigest()}"
        if "manifests" in manifest:
            manifest = json.loads(self._blob("manifests", self._of_platform(manifest, platform)))
        config = manifest["config"]["digest"]
        details = json.loads(self._blob("blobs", config)).get("config") or {}
        return RegistryImage(digest, config, details.get("Labels") or {})

    def _of_platform(self, index: Mapping[str, Any], platform: str) -> str:
        for entry in index["manifests"]:
            target = entry.get("platform", {})
            if f"{target.get('os')}/{target.get('architecture')}" == platform:
                return str(entry["digest"])
        raise Problem(f"{self.host}/{self.name}: the image under the tag is not for {platform}", "choose another tag")

    def _blob(self, kind: str, digest: str) -> bytes:
        content = self._get(f"{kind}/{digest}", ", ".join(MANIFESTS))
        if content is None or f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise Problem(f"{self.host}/{self.name} does not have {digest}, which the tag names", "choose another tag")
        return content

    def _get(self, path: str, accept: str) -> bytes | None:
        """Return a document, None where the registry has none of that name."""
        address = f"https://{self.host}/v2/{self.name}/{path}"
        request = urllib.request.Request(address, headers={"Accept": accept})
        request.add_unredirected_header("Authorization", self._authorization)  # not for the bucket that has the blobs
        try:
            with OPENER.open(request, timeout=TIMEOUT_S) as response:
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                return None
            reason = f"{self.host} answers {error.code} {error.reason}"
            refused = error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN)
            raise Problem(reason, RIGHTS if refused else "run the job again; nothing was changed") from None
        except (OSError, http.client.HTTPException) as error:
            raise Problem(
                f"the registry {self.host} does not answer: {error}",
                "check AWS_REGION and ECR_REPOSITORY, and the network; then run the job again",
            ) from None
