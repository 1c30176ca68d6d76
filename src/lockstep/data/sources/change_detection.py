"""Has a source changed? Cheap questions to places that DVC does not watch, and the file in which the answer stands.

DVC watches `data/external/`. For a source elsewhere, `data/probe/dvc.yaml` holds a stage that `dvc repro` always runs
first: it asks the place for what changes with the content, and writes the answer into `data/external/`.
"""

import os
from pathlib import Path
from typing import Any

from lockstep import files, paths
from lockstep.config.params import DataIngestion
from lockstep.data.sources import http, read, s3, sql

PIPELINE = """\
# Written by data_ingestion, since the source lies where DVC does not look. Commit it beside params.yaml.
stages:
  source:
    wdir: ../..
    cmd: python -m lockstep probe
    always_changed: true
    outs:
      - data/external/probe.json: {cache: false, persist: true}
"""


def look(params: DataIngestion, password: str = "") -> dict[str, Any]:
    """Return what tells a change of each place that DVC does not watch. Raises DataError: one is out of reach."""
    named = [each for source in params.sources for each in read.expand(source)]
    return {source: _ask(source, params, password) for source in named if unwatched(source)}


def unwatched(source: str) -> bool:
    """Tell whether a source lies where `dvc repro` does not look by itself."""
    kind = read.scheme(source)
    if kind:
        return kind != "sklearn"
    path = Path(os.path.normpath(Path(source).expanduser().absolute()))
    return not path.is_relative_to(paths.EXTERNAL.absolute())


def keep(states: dict[str, Any]) -> None:
    """Write the answer, and the stage that asks again; remove both where nothing is to be asked."""
    if states:
        files.write_json(states, paths.PROBE)
        if not paths.PROBE_PIPELINE.exists():
            files.write_bytes(PIPELINE.encode(), paths.PROBE_PIPELINE)
        return
    for path in (paths.PROBE, paths.PROBE_PIPELINE, paths.PROBE_PIPELINE.with_suffix(".lock")):
        path.unlink(missing_ok=True)


def _ask(source: str, params: DataIngestion, password: str) -> dict[str, Any]:
    kind = read.scheme(source)
    if kind in ("https", "http"):
        return http.probe(http.Page(source, params))
    if kind == "s3":
        return s3.find(source, params).identity
    if kind:
        return sql.probe(source, params, password)
    path = Path(source).expanduser()
    return {"sha256": files.sha256(path)} if path.is_file() else {}
