"""Models on this machine's disk: bundles by digest, and a note of the version that served last."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from lockstep import files
from lockstep.errors import ArtifactError
from lockstep.inference import compiled_cache
from lockstep.inference.predictor import Bundle, Predictor

KEPT = 5  # Bundles that stay, the last used first: enough for a few rollbacks without a download.
PARTIAL = ".partial-"
STALE_S = 3600
REFUSED_S = 60.0  # What one worker found wrong with a download, the others believe for so long.


@dataclass(frozen=True)
class Identity:
    """Which version of which model, and the digest of its bundle."""

    name: str
    version: str
    sha256: str


class ModelCache:
    """A folder of bundles `<sha256>/`, shared by the workers; what is visible there has loaded once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, sha256: str) -> Predictor | None:
        """Load a bundle that is here; one that was damaged since is removed."""
        folder = self.folder / sha256
        if not folder.is_dir():
            return None
        try:
            predictor = compiled_cache.load(folder, sha256)
        except ArtifactError:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        os.utime(folder)
        return predictor

    def fetch(self, sha256: str, download: Callable[[Path], Path]) -> Predictor:
        """Download a bundle, load it, and only then let it be seen.

        Raises ArtifactError: the bundle is not what its digest says, is not allowed, or does not answer as recorded.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone(sha256), tempfile.TemporaryDirectory(prefix=PARTIAL, dir=self.folder) as partial:
            if predictor := self._found_by_another(sha256):
                return predictor
            bundle = download(Path(partial) / "bundle")
            try:
                predictor = _load_download(bundle, sha256)
            except ArtifactError as error:
                files.write_json([error.problem, error.hint], self._refusal(sha256))
                raise
            os.utime(bundle)
            self._publish(bundle, sha256)
            if not predictor.note:
                predictor.pipeline = Bundle(self.folder / sha256, sha256).pipeline
        self._prune()
        return predictor

    def _found_by_another(self, sha256: str) -> Predictor | None:
        """Return what another worker has fetched by now, or raise what it found wrong with it a moment ago."""
        refusal = self._refusal(sha256)
        if refusal.is_file() and time.time() - refusal.stat().st_mtime < REFUSED_S:
            raise ArtifactError(*files.read_json(refusal))
        return self.load(sha256)

    def _refusal(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.refused"

    @contextmanager
    def _alone(self, sha256: str) -> Iterator[None]:
        """Let one worker at a time fetch a bundle, however it ends."""
        path = self.folder / f".{sha256}.lock"
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def remember(self, identity: Identity) -> None:
        """Note which version serves, for a start while the registry is away."""
        with suppress(FileNotFoundError):  # another worker has put its note, of the same words, in place
            files.write_json(asdict(identity), self._note(identity.name))

    def remembered(self, name: str) -> Identity | None:
        """Return the version of a model that served last, if a note says so."""
        try:
            return Identity(**files.read_json(self._note(name)))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _note(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='')}.json"

    def _publish(self, bundle: Path, sha256: str) -> None:
        try:
            bundle.rename(self.folder / sha256)
        except OSError:
            if not (self.folder / sha256).is_dir():  # else another worker was first, with the same bytes
                raise

    def _prune(self) -> None:
        """Remove what a killed process left half-made, and all bundles but those used last and those that served last.

        What serves may have been loaded long ago, and is what a start needs while the registry is away.
        """
        folders = [(path.stat().st_mtime, path) for path in self.folder.iterdir() if path.is_dir()]
        noted = {self._noted(note) for note in self.folder.glob("*.json")}
        partial = [(used, path) for used, path in folders if path.name.startswith(PARTIAL)]
        bundles = sorted((used, path) for used, path in folders if not path.name.startswith(PARTIAL))
        old = [path for _, path in bundles[:-KEPT] if path.name not in noted]
        for refusal in self.folder.glob("*.refused"):
            if refusal.stat().st_mtime < time.time() - STALE_S:
                refusal.unlink(missing_ok=True)
        for path in old + [path for used, path in partial if used < time.time() - STALE_S]:
            shutil.rmtree(path, ignore_errors=True)

    def _noted(self, note: Path) -> str:
        identity = self.remembered(unquote(note.stem))
        return identity.sha256 if identity else ""


def _load_download(bundle: Path, sha256: str) -> Predictor:
    """Load a bundle whose folder is about to go, so that no message should name it."""
    try:
        return compiled_cache.load(bundle, sha256)
    except ArtifactError as error:
        raise ArtifactError(error.problem.replace(str(bundle), "the download"), error.hint) from error
