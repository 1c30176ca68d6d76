"""Save and load fitted objects: canonical skops files, an allow-list of our own, and digests.

A plain skops file never repeats: its members are named after memory addresses and carry the clock. Here members and
ids are numbered in order of appearance and the date is fixed, so equal objects give equal bytes.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockstep import compat, files
from lockstep.errors import ArtifactError

EPOCH = (1980, 1, 1, 0, 0, 0)
ZIP64_BYTES = 1 << 30  # An array this large gets the header of a large entry, whose size must be known beforehand.
PROTOCOL = 2
# What the catalog and the transformers are made of, and nothing else; a test saves and loads every one of them.
ALLOWED_TYPES = frozenset(
    f"{module}.{name}"
    for module, names in {
        "builtins": "dict list slice str tuple",
        "lockstep.features.derived": "DerivedColumns",
        "lockstep.features.sets": "MultiHot",
        "lockstep.features.tabular": "Absent StackedRidge TargetMeans Unskew",
        "lockstep.features.transformers": "DateParts TextTfidf",
        "lockstep.modeling.boosting": "LightGBMClassifier LightGBMRegressor XGBoostClassifier XGBoostRegressor",
        "lockstep.modeling.kernel_svm": "KernelSVMClassifier KernelSVMRegressor",
        "lockstep.modeling.linear_svm": "LinearSVMClassifier LinearSVMRegressor",
        **compat.SAVED_TYPES,
    }.items()
    for name in names.split()
)


def save(fitted: Any, path: Path) -> None:
    """Write a fitted object as a canonical skops file.

    Raises ArtifactError: the object holds a type that is not on the allow-list, so it could never be loaded.
    """
    content = dumps(fitted)
    check(content, str(path))
    files.write_bytes(content, path)


def dumps(fitted: Any) -> bytes:
    """Return the canonical skops bytes of a fitted object."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(fitted))) as archive:
        tree = json.loads(archive.read("schema.json"))
        renamed = _renumber(tree)
        members = {new: archive.read(old) for old, new in renamed.items()}
    members["schema.json"] = json.dumps(tree, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


def load(path: Path, sha256: str | None = None) -> Any:
    """Load a skops file whose bytes have the digest and whose types are all on the allow-list.

    Raises ArtifactError: the file is missing, damaged, of another digest, or holds what is not allowed. Nothing of it
    was run.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path} not found", "run `dvc repro`, or `dvc pull` where a remote holds it") from None
    if sha256 is not None and (digest := files.sha256_bytes(content)) != sha256:
        raise ArtifactError(
            f"{path} has the digest {digest[:12]}, not {sha256[:12]}", "it was changed or cut off: fetch it again"
        )
    types = check(content, str(path))
    import skops.io

    # the loader imports these by name; here the import is seen
    import lockstep.features.derived
    import lockstep.features.sets
    import lockstep.features.tabular
    import lockstep.features.transformers
    import lockstep.modeling.boosting
    import lockstep.modeling.kernel_svm
    import lockstep.modeling.linear_svm  # noqa: F401

    try:
        return skops.io.loads(content, trusted=sorted(types))
    except Exception as error:
        raise ArtifactError(
            f"{path} cannot be loaded: {type(error).__name__}: {error}", "rebuild it with `dvc repro`"
        ) from error


def check(content: bytes, name: str) -> set[str]:
    """Return the types that a skops file names, all of them allowed; nothing of the file is run.

    Raises ArtifactError: it is no skops file, is compressed (a bomb could hide there), or names a type that is not
    allowed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ArtifactError(
                    f"{name} is compressed, which Lockstep never writes", "use a model saved by Lockstep"
                )
            tree = json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError):
        raise ArtifactError(
            f"{name} is not a skops file", "pickle, joblib and other formats are never loaded"
        ) from None
    if not isinstance(tree, dict) or tree.get("protocol") != PROTOCOL:
        raise ArtifactError(f"{name} is of another skops protocol than {PROTOCOL}", "rebuild it with `dvc repro`")
    types = set()
    for node in _nodes(tree):
        loader, kind = str(node.get("__loader__")), f"{node.get('__module__')}.{node.get('__class__')}"
        if loader not in compat.SKOPS_LOADERS or kind not in ALLOWED_TYPES:
            raise ArtifactError(
                f"{name} holds {kind} ({loader}), which is not on the allow-list", "never load it elsewhere"
            )
        types.add(kind)
    return types


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a skops tree, in order of appearance."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__loader__" in part or "__class__" in part or "__module__" in part:
                yield part
            waiting += reversed(part.values())
        elif isinstance(part, list):
            waiting += reversed(part)


def _renumber(tree: Any) -> dict[str, str]:
    """Number ids and member files in order of appearance, in place; return each member's old name and its new one."""
    ids: dict[Any, int] = {}
    members: dict[str, str] = {}
    for index, node in enumerate(_nodes(tree)):
        if "__id__" in node:
            shared = index if node.get("__loader__") == "JsonNode" else node["__id__"]
            node["__id__"] = ids.setdefault((node.get("__loader__") == "JsonNode", shared), len(ids) + 1)
        if "file" in node:
            node["file"] = members.setdefault(node["file"], f"{len(members):05}{Path(node['file']).suffix}")
    return members


def save_matrix(
    matrix: Any, target: NDArray[Any], path: Path, constraints: Mapping[str, NDArray[np.int64]] | None = None
) -> None:
    """Write a float64 array or CSR matrix (rows x features) with its target (rows), uncompressed.

    `constraints` are what the cross-validation must respect: the `groups` or `times` (rows), the blocks of `terms`, and
    the code of the `positive` class.
    """
    from scipy import sparse

    names = ("data", "indices", "indptr", "shape")
    arrays = (
        {name: np.asarray(getattr(matrix, name)) for name in names} if sparse.issparse(matrix) else {"dense": matrix}
    )
    with files.atomic(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in {"target": target, **arrays, **(constraints or {})}.items():
            # numpy's own savez leaves it to the patch version of Python what the header of an entry says
            large = array.nbytes >= ZIP64_BYTES
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=large) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def load_fold_constraints(path: Path) -> dict[str, NDArray[np.int64]]:
    """Read the groups, times, terms and the positive class that `save_matrix` wrote beside a matrix, if it did."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in ("groups", "times", "terms", "positive") if name in stored}


def load_matrix(path: Path) -> tuple[Any, NDArray[Any]]:
    """Read what `save_matrix` wrote."""
    from scipy import sparse

    with np.load(path, allow_pickle=False) as stored:
        if "dense" in stored:
            return stored["dense"], stored["target"]
        parts = (stored["data"], stored["indices"], stored["indptr"])
        return sparse.csr_matrix(parts, shape=tuple(stored["shape"])), stored["target"]
