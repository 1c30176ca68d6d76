"""How files of the world spell missing values, dates, money and letters: the lists of `spellings.toml`."""

import tomllib
from pathlib import Path
from typing import Any

SPELLINGS: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
