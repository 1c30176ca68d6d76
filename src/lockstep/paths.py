"""Paths of the pipeline's files, relative to the project's root."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")
PIN = Path("requirements-lockstep.txt")  # Version and digest of the library, in a project that depends on its wheel.
EXAMPLES = Path("examples")
# Folders of the models beside the first one, which is that of the root; each is laid out as the root is.
USE_CASES = Path("usecases")
FUNCTIONS = Path("features.py")  # Functions of columns that params.yaml names: the project's own code.
EXTERNAL = Path("data/external")
FEEDBACK = EXTERNAL / "feedback"
CONTRACT = EXTERNAL / "contract.json"
PROBE = EXTERNAL / "probe.json"
PROBE_PIPELINE = Path("data/probe/dvc.yaml")

RAW = Path("data/raw/data.parquet")
SOURCE = Path("data/raw/source.json")
# Rows of the test source; a table without rows and columns where there is none.
RAW_TEST = Path("data/raw/test.parquet")
# Rules of the data contract that were accepted for the source, as they stood when it was read.
RAW_CONTRACT = Path("data/raw/contract.json")
TRAIN = Path("data/interim/train.parquet")
TEST = Path("data/interim/test.parquet")
QUARANTINE = Path("data/interim/quarantine.parquet")
TRAIN_MATRIX = Path("data/processed/train.npz")

MODELS = Path("models")
SCHEMA = MODELS / "schema.json"
FEATURES = MODELS / "features.skops"
MODEL = MODELS / "model.skops"
SMOKE = MODELS / "smoke.json"
PROFILE = MODELS / "profile.json"
CARD = MODELS / "card.json"
TRAINED_ON = MODELS / "trained_on.npy"
REGISTERED = MODELS / "registered.json"

DATA_REPORT = Path("reports/data.json")
DATA_PAGE = Path("reports/data.html")
SEARCH = Path("reports/search.json")
METRICS = Path("reports/metrics.json")
PER_CLASS = Path("reports/per_class.csv")
PREDICTIONS = Path("reports/predictions.csv")
CURVES = Path("reports/curves.csv")
POINTS = Path("reports/points")
EVALUATION = Path("reports/evaluation.json")
REPORT = Path("reports/report.html")
GATE = Path("reports/gate.json")
DECISION = Path("reports/decision.json")
EXPERIMENT_INFO = Path("reports/experiment_info.json")

# State of this machine, never committed: local tracking database, model cache, metrics of the workers.
STATE = Path(".lockstep")
FUNCTIONS_HISTORY = STATE / "features"  # The features.py of each model that was trained here, by its digest.
SEARCHES = STATE / "search"  # Checkpoints of searches, from which a killed one resumes.


# Where DVC copies the project for an experiment that does not run in the workspace; it throws the copy away.
EXPERIMENT_FOLDERS = (".dvc", "tmp", "exps")


def find_root(start: Path) -> Path | None:
    """Return the nearest folder at or above `start` that holds params.yaml and dvc.yaml."""
    for folder in (start, *start.parents):
        if (folder / PARAMS).is_file() and (folder / PIPELINE).is_file():
            return folder
    return None


def root_of(folder: Path) -> Path:
    """Return the root of the project that a use case's folder belongs to; any other folder is its own root."""
    above = folder.parent.parent
    return above if folder.parent.name == USE_CASES.name and (above / PIPELINE).is_file() else folder


def current_root() -> Path:
    """Return the root of the project around the current folder, or that which DVC copied for an experiment."""
    here = Path.cwd()
    return root_of(home(find_root(here) or here))


def home(root: Path) -> Path:
    """Return the project that what a run leaves behind belongs to: `root`, or where DVC copied it from."""
    parts = root.parts
    for at in range(len(parts) - len(EXPERIMENT_FOLDERS)):
        if parts[at : at + len(EXPERIMENT_FOLDERS)] == EXPERIMENT_FOLDERS:
            below = parts[at + len(EXPERIMENT_FOLDERS) + 1 :]
            return find_root(Path(*parts[:at], *below)) or root
    return root
