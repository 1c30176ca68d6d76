"""What the cases may speak of: a good row of a model in every spelling, the names of its columns, its address."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

Pairs = Sequence[tuple[str, str]]
PROTOCOLS = {
    "lockstep": {"predict": "/predict", "rows": "rows", "alive": "/livez"},
    "mlflow": {"predict": "/invocations", "rows": "dataframe_records", "alive": "/ping"},
}
TENSORS = {"numeric": "FP64"}


@dataclass(frozen=True)
class Model:
    """A schema, and a good row: each column with its value as a JSON text."""

    schema: dict[str, Any]
    row: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Model":
        """Read a model from the folder that holds its schema and smoke rows."""
        schema = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
        rows = json.loads((folder / "smoke.json").read_text(encoding="utf-8"))["rows"]
        full = next((row for row in rows if None not in row.values()), rows[0])
        return cls(schema, {column["name"]: json.dumps(full[column["name"]]) for column in schema["columns"]})

    @property
    def typed(self) -> dict[str, str]:
        """The row as a person types it."""
        return {name: _typed(json.loads(text)) for name, text in self.row.items()}

    def facts(self) -> dict[str, str]:
        """Name the first column of each kind, and the first that may and that may not be missing."""
        found = {"target": self.schema["target"], "first": self.schema["columns"][0]["name"]}
        for column in reversed(self.schema["columns"]):
            found |= {column["kind"]: column["name"], "nullable" if column["nullable"] else "required": column["name"]}
        numbers = [column["name"] for column in self.schema["columns"] if column["kind"] == "numeric"]
        return found | dict(zip(("numeric", "second"), numbers, strict=False))

    def spelled(self, pairs: Pairs) -> dict[str, str]:
        """Write a row in every form that a protocol takes."""
        values = ", ".join(text for _, text in pairs)
        names = [name for name, _ in pairs]
        return {
            "row": _object(pairs),
            "reversed": _object(pairs[::-1]),
            "pretty": "{\n  " + ",\n\t".join(f"{json.dumps(name)} :\r\n {text}" for name, text in pairs) + "\n}",
            "names": json.dumps(names),
            "values": f"[{values}]",
            "lists": _object([(name, f"[{text}]") for name, text in pairs]),
            "csv_names": _csv(names),
            "csv_values": _csv(_typed(_meant(text)) for _, text in pairs),
            "tensors": f"[{', '.join(self._tensor(name, text) for name, text in pairs)}]",
            "fields": "".join(_field(name, text) for name, text in pairs),
        }

    def _tensor(self, name: str, text: str) -> str:
        kinds = {column["name"]: column["kind"] for column in self.schema["columns"]}
        datatype = TENSORS.get(kinds.get(name, "numeric"), "BYTES")
        return f'{{"name": {json.dumps(name)}, "shape": [1], "datatype": "{datatype}", "data": [{text}]}}'


@dataclass(frozen=True)
class Facts:
    """What the placeholders stand for: as it is, quoted for a path, and escaped for the inside of a JSON text."""

    raw: dict[str, str]
    protocol: str = "lockstep"

    @property
    def quoted(self) -> dict[str, str]:
        """The facts for a path."""
        return {
            key: value if key in ("predict", "alive", "host") else quote(value, safe="")
            for key, value in self.raw.items()
        }

    @property
    def json(self) -> dict[str, str]:
        """The facts for the inside of a JSON text."""
        return {key: json.dumps(value)[1:-1] for key, value in self.raw.items()}

    @property
    def envelope(self) -> str:
        """The body around one good row."""
        return '{"$rows": [$row]}'


def _object(pairs: Pairs) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in pairs) + "}"


def _meant(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _typed(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _csv(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _field(name: str, value: str) -> str:
    """Write a part of a multipart form whose boundary is `limit`, as browsers do."""
    escaped = name.replace('"', "%22")
    return f'--limit\r\nContent-Disposition: form-data; name="{escaped}"\r\n\r\n{value}\r\n'
