"""The sections of params.yaml, one a stage: frozen, typed, and closed to keys that are not known."""

import csv
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from lockstep.errors import ConfigError

Task = Literal["binary", "multiclass", "regression"]
Kind = Literal["numeric", "categorical", "text", "date"]
Role = Literal["numeric", "categorical", "text", "date", "id", "ignore"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ROLES: tuple[Role, ...] = get_args(Role)

T = TypeVar("T")
Many = Annotated[tuple[T, ...], BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)]
Scalar = str | int | float | bool | None


def _by_name(entries: Any) -> Any:
    """Return a list of `{name: ..., key: value}` as a mapping by name: DVC cannot store mappings with long keys."""
    if isinstance(entries, list) and all(isinstance(each, dict) and "name" in each for each in entries):
        return {each["name"]: {key: value for key, value in each.items() if key != "name"} for each in entries}
    return entries


def _of_pairs(pairs: Any) -> Any:
    """Return a list of pairs as a mapping, for the same reason."""
    return dict(pairs) if isinstance(pairs, list) and all(isinstance(pair, list) for pair in pairs) else pairs


class Section(BaseModel):
    """A part of params.yaml: frozen, strict about types, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# Marks of a limit or of an approximation, which stand before a number as a unit does; they are not shown as one.
QUALIFIERS = frozenset(("<", ">", "<=", ">=", "\u2264", "\u2265", "~", "\u2248", "ca.", "approx."))


class CellFormat(Section):
    """How the cells of one column of a file are spelled, and what becomes of a cell that is spelled otherwise."""

    kind: Literal["number", "boolean", "date", "epoch", "time", "duration", "text"] = "text"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    units: dict[str, float] = {}
    ranges: Literal["middle", "missing"] = "middle"
    dates: Many[str] = ()
    ticks: Literal["s", "ms"] = "s"
    true: Many[str] = ()
    false: Many[str] = ()
    spellings: Annotated[dict[str, str], BeforeValidator(_of_pairs)] = {}
    strip: bool = False
    missing: Many[str] = ()
    odd: Literal["refuse", "missing"] = "refuse"

    @property
    def unit(self) -> str:
        """Return the unit of the numbers, as it is shown to people."""
        named = next((unit for unit, factor in self.units.items() if factor == 1 and unit not in QUALIFIERS), "")
        return {"time": "h", "duration": "s"}.get(self.kind, named)


class Reader(Section):
    """How the bytes of a CSV become a table."""

    separator: str = Field(",", min_length=1)
    header: bool = True
    names: Many[str] = ()
    encoding: str = "utf-8"
    missing: Many[str] = ("", "NA", "N/A", "NaN", "nan", "null")
    quote: Literal['"', "'", ""] = '"'
    escape: Literal["", "\\"] = ""
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    trim: bool = False
    dates: dict[str, str] = {}
    skip: int = Field(0, ge=0)
    footer: int = Field(0, ge=0)
    comment: str = ""
    sheet: str | int = 0
    columns: Annotated[dict[str, CellFormat], BeforeValidator(_by_name)] = {}

    @property
    def marks(self) -> dict[str, Any]:
        """Return the marks around values and before quotes, in the words of `csv.reader`."""
        quoting = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        return {"quotechar": self.quote or '"', "quoting": quoting, "escapechar": self.escape or None}


# File formats and the endings of their names; `data/sources/formats.py` has a function for each.
FORMATS: dict[str, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".tab", ".txt", ".data"),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "parquet": (".parquet", ".pq"),
    "sheet": (".xlsx", ".xls", ".xlsm", ".ods"),
}

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal["auto", *FORMATS]


class FeedbackReview(Section):
    """Which labels of feedback become training rows without a review; the others wait for `lockstep labels`.

    `contradiction` is the share of the labels of an author in a day that may differ from the answers given.
    """

    contradiction: float = Field(0.3, ge=0, le=1)
    per_author_day: int = Field(1000, ge=1)


class DataIngestion(Section):
    """Where the rows come from."""

    source: str | Many[str] = Field(min_length=1)
    format: Format = "auto"
    reader: Reader = Reader()
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    query: str = ""
    newest: str = ""
    max_mb: int = Field(4096, ge=1)
    timeout_s: float = Field(30.0, gt=0)
    allow_private: bool = False
    feedback: bool = True
    feedback_review: FeedbackReview = FeedbackReview()
    test_source: str | None = Field(None, min_length=1)
    test_reader: dict[str, Scalar | Many[str]] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the source, or the list of them, as a list."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def named(self) -> str:
        """Return the source as it is called in messages and records."""
        return ", ".join(self.sources)


class Columns(Section):
    """The role of each column; whatever is not named gets the role of `other`."""

    numeric: Many[str] = ()
    categorical: Many[str] = ()
    text: Many[str] = ()
    date: Many[str] = ()
    id: Many[str] = ()
    ignore: Many[str] = ()
    other: Literal["auto", "ignore", "refuse"] = "auto"

    def roles(self) -> dict[str, Role]:
        """Map each named column to its role; a column with two roles is an error."""
        named: dict[str, Role] = {}
        for role in ROLES:
            for column in getattr(self, role):
                if column in named:
                    raise ConfigError(
                        f"data_preprocessing.columns: {column!r} stands under {named[column]!r} and under {role!r}",
                        "give each column one role",
                    )
                named[column] = role
        return named


class Split(Section):
    """How the test rows are chosen."""

    method: Literal["auto", "random", "stratified", "group", "time", "column", "file"] = "auto"
    column: str | None = None
    test: Many[str | int | float | bool] = ()
    path: str | None = None
    reader: dict[str, Scalar | Many[str]] = {}
    test_size: float = Field(0.2, gt=0, lt=1)
    seed: int = Field(42, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> "Split":
        """Refuse a method without what it needs, and what no method asks for."""
        needs = {"group": {"column"}, "time": {"column"}, "column": {"column", "test"}}
        present = {name for name in ("column", "test", "path") if getattr(self, name)}
        needed = needs.get(self.method, present & {"path"} if self.method == "file" else set())
        for name, problem in (
            *((name, "is missing") for name in sorted(needed - present)),
            *((name, "has no meaning") for name in sorted(present - needed)),
        ):
            raise ConfigError(
                f"data_preprocessing.split.{name} {problem} with method: {self.method}",
                "group and time need a column, column needs a column and test: [values], file takes a path",
            )
        return self

    def test_ingestion(self) -> DataIngestion:
        """Return how the file under `path` is read. Raises ConfigError: a key is not one of `data_ingestion.reader`."""
        return DataIngestion(source=self.path or "", reader=_reader(self.reader, "data_preprocessing.split.reader"))


def _reader(keys: Mapping[str, Any], path: str) -> Reader:
    try:
        return Reader.model_validate(keys)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigError(
            f"{path}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}", "it takes the keys of data_ingestion.reader"
        ) from None


class Rule(Section):
    """What the values of one column must be; a rule that is not stated holds for all."""

    kind: Kind | None = None
    minimum: float | None = None
    maximum: float | None = None
    categories: Many[str] = ()
    pattern: str | None = None
    required: bool = False
    most_missing: float = Field(1.0, ge=0, le=1)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern


class Contract(Section):
    """What new rows must keep to, and what becomes of those that do not."""

    on_violation: Literal["refuse", "quarantine", "ignore"] = "refuse"
    most_quarantined: float = Field(0.1, ge=0, le=1)
    columns: dict[str, Rule] = {}


class DataPreprocessing(Section):
    """What acts on the set of rows: target, roles, contract, duplicates, split."""

    target: str
    task: Literal["auto", Task] = "auto"
    columns: Columns = Columns()
    dates: dict[str, str] = {}
    contract: Contract = Contract()
    positive: str | int | bool | None = None
    rare_classes: Literal["keep", "drop", "join"] = "keep"
    least_in_class: int = Field(5, ge=2)
    order: Literal["source", "content"] = "source"
    drop_duplicates: bool = True
    split: Split = Split()


class Numeric(Section):
    """What happens to numeric columns."""

    impute: Literal["median", "mean", "zero"] = "median"
    indicator: bool = False
    transform: Literal["none", "log", "power", "quantile"] = "none"
    scale: Literal["standard", "robust", "none"] = "standard"


class Categorical(Section):
    """What happens to categorical columns."""

    encode: Literal["onehot", "target"] = "onehot"
    most_levels: int = Field(500, ge=2)
    smoothing: float = Field(10.0, ge=0)
    min_frequency: int = Field(1, ge=1)
    max_categories: int | None = Field(None, ge=2)
    unknown: Literal["refuse", "ignore"] = "refuse"


class Text(Section):
    """What happens to text columns."""

    clean: Many[str] = ("unescape_html", "strip_tags", "lowercase")
    ngrams: Many[int] = (1, 2)
    characters: Many[int] = ()
    min_documents: int = Field(2, ge=1)
    max_terms: int | None = Field(50_000, ge=1)
    sublinear: bool = True
    weighting: Literal["auto", "tfidf", "naive_bayes"] = "auto"
    stack: bool = False
    sets: Annotated[dict[str, str], BeforeValidator(_of_pairs)] = {}


class Date(Section):
    """Which parts of a date become features."""

    parts: Many[str] = ("year", "month", "day", "weekday", "hour")


class FeatureEngineering(Section):
    """How each kind of column becomes numbers, and what becomes of a null in a column that had none in training."""

    missing: Literal["refuse", "fill"] = "refuse"
    functions: dict[str, str] = {}
    numeric: Numeric = Numeric()
    categorical: Categorical = Categorical()
    text: Text = Text()
    date: Date = Date()


class Between(Section):
    """The numbers between two bounds, evenly spread or by their logarithm."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    kind: Literal["float", "int"] = "float"

    @model_validator(mode="after")
    def _ordered(self) -> "Between":
        """Refuse bounds that hold no number."""
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low:g} to {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0, not {self.low:g}")
        return self


SPACE = "write `default`, or for each parameter a list of values or {low: 0.01, high: 100, scale: log}"


def _range(name: str, values: Any) -> Any:
    path = f"model_building.candidates.space.{name}"
    if isinstance(values, Between) or (isinstance(values, list | tuple) and values):
        return values
    if not isinstance(values, dict):
        raise ConfigError(f"{path} = {values!r} is no range", SPACE)
    try:
        return Between.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join([path, *map(str, fault["loc"])])
        raise ConfigError(f"{key} = {fault['input']!r}: {fault['msg'].removeprefix('Value error, ')}", SPACE) from None


class Candidate(Section):
    """One estimator of the catalog, its fixed parameters, and the points to try: a grid, or a space to draw from."""

    estimator: str
    params: dict[str, Scalar] = {}
    grid: dict[str, Many[Scalar]] = {}
    space: Literal["default"] | dict[str, Many[Scalar] | Between] = {}

    @field_validator("space", mode="before")
    @classmethod
    def _drawn(cls, value: Any) -> Any:
        """Refuse what neither names the ready space nor lists values or bounds, by the name of the parameter."""
        if value == "default" or not isinstance(value, dict):
            if value != "default":
                raise ConfigError(f"model_building.candidates.space = {value!r} is no space", SPACE)
            return value
        return {name: _range(name, values) for name, values in value.items()}

    @model_validator(mode="after")
    def _once(self) -> "Candidate":
        """Refuse points given in two ways."""
        if self.grid and self.space:
            raise ConfigError(
                f"model_building.candidates: {self.estimator} has a grid and a space", "a grid is a space too: keep one"
            )
        return self


class Search(Section):
    """Which points are tried, on how many rows, and when to stop."""

    method: Literal["grid", "random", "halving"] = "grid"
    trials: int = Field(30, ge=1)
    minutes: float | None = Field(None, gt=0)
    rows: int | None = Field(None, ge=20)
    patience: int | None = Field(None, ge=1)
    factor: int = Field(3, ge=2)


class Compute(Section):
    """Where the trials of the search run."""

    engine: Literal["local", "dask"] = "local"
    address: str = ""


class ModelBuilding(Section):
    """Which estimators compete, and by what measure."""

    candidates: Many[Candidate] = Field(min_length=1)
    search: Search = Search()
    references: bool = False
    metric: str = "auto"
    folds: int = Field(5, ge=2)
    seed: int = Field(42, ge=0)
    jobs: int = Field(1, ge=1)
    compute: Compute = Compute()


class Monitoring(Section):
    """What of live traffic is an alarm; it travels with the version."""

    window_rows: int = Field(500, ge=50)
    min_rows: int = Field(50, ge=20)
    ignore: Many[str] = ()
    alpha: float = Field(0.01, gt=0, lt=1)
    score_p: float = Field(0.005, gt=0, lt=1)
    check_p: float = Field(0.001, gt=0, lt=1)
    min_ks: float = Field(0.1, ge=0, le=1)
    min_cramers_v: float = Field(0.1, ge=0, le=1)
    min_cohens_h: float = Field(0.2, ge=0)
    min_share: float = Field(0.01, ge=0, le=1)
    windows_in_a_row: int = Field(2, ge=1)
    min_labels: int = Field(50, ge=20)
    quality_margin: float = Field(0.02, ge=0)
    error_margin: float = Field(0.1, ge=0)
    difference: float = Field(0.02, gt=0)
    difference_p: float = Field(0.05, gt=0, lt=1)


class Report(Section):
    """What the evaluation report looks into beside the metrics, and how far."""

    learning_curve: bool = True
    learning_rows: int = Field(5_000, ge=100)
    references: bool = True
    reference_rows: int = Field(100_000, ge=100)
    importance_rows: int = Field(1_000, ge=0)
    worst_rows: int = Field(20, ge=0)


class Gate(Section):
    """What a version must be, beside the floors, before it goes live; null: not asked."""

    require: Literal["not_worse", "better"] = "not_worse"
    slice_margin: float = Field(0.02, ge=0, le=1)
    slice_p: float = Field(0.05, gt=0, lt=1)
    calibration: float | None = Field(0.15, ge=0, le=1)
    latency_ms: float | None = Field(None, gt=0)
    size_mb: float | None = Field(None, gt=0)


class ModelEvaluation(Section):
    """How sure the figures are, what they must reach, and what is watched once the model serves."""

    resamples: int = Field(1000, ge=100)
    seed: int = Field(42, ge=0)
    floors: dict[str, float] = {}
    trusted: Many[str] = ()
    report: Report = Report()
    gate: Gate = Gate()
    monitoring: Monitoring = Monitoring()


class RegisterModel(Section):
    """The name under which versions stand in the registry."""

    model_name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    experiment: str = Field("lockstep", min_length=1)


class Params(Section):
    """The whole of params.yaml, one section a stage."""

    data_ingestion: DataIngestion
    data_preprocessing: DataPreprocessing
    feature_engineering: FeatureEngineering
    model_building: ModelBuilding
    model_evaluation: ModelEvaluation
    register_model: RegisterModel

    @model_validator(mode="after")
    def _one_test_source(self) -> "Params":
        """Refuse a split by file without a file, or with two, and a test source that no split takes."""
        split, source = self.data_preprocessing.split, self.data_ingestion.test_source
        if split.method == "file" and bool(source) == bool(split.path):
            raise ConfigError(
                f"data_ingestion.test_source {'and split.path both name' if source else 'is missing: it names'} the "
                "file of the test rows with data_preprocessing.split.method: file",
                "name it under data_ingestion.test_source alone",
            )
        if source and split.method != "file":
            raise ConfigError(
                f"data_ingestion.test_source has no meaning with data_preprocessing.split.method: {split.method}",
                "set split: {method: file}, or remove it",
            )
        return self

    def test_ingestion(self) -> DataIngestion | None:
        """Return how the test rows of a source of their own are read, None if they come from the rows of the source.

        Raises ConfigError: a key of the reader is not one of `data_ingestion.reader`.
        """
        ingestion, split = self.data_ingestion, self.data_preprocessing.split
        if split.method != "file" or split.path:
            return split.test_ingestion() if split.path else None
        reader = _reader(ingestion.reader.model_dump() | ingestion.test_reader, "data_ingestion.test_reader")
        return ingestion.model_copy(
            update={"source": ingestion.test_source, "reader": reader, "sha256": None, "query": "", "feedback": False}
        )
