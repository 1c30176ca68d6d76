"""Take screenshots of evaluation report, dashboard and form for the docs.

The latter two come from a real server with two days of replayed traffic.

    dvc repro && python scripts/screenshots.py [--to docs/images]

The rows are sampled from those of the model in `models/`; at the end one feature is scaled. They are written to the
prediction log with past timestamps, and the server evaluates them like its own. Needs Chromium and the test
dependencies.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from lockstep import files, paths  # noqa: E402
from lockstep.config.settings import Settings  # noqa: E402
from lockstep.data import frames, parquet  # noqa: E402
from lockstep.inference.predictor import Predictor  # noqa: E402
from lockstep.prediction_log.database import Store  # noqa: E402
from lockstep.prediction_log.records import Answer, Label, Record, Variant  # noqa: E402
from lockstep.registry.history import Event  # noqa: E402
from tests.browser.chromium import Chromium  # noqa: E402
from tests.serving import real  # noqa: E402

HOURS, ROWS, BATCH = 44, 6_000, 10
LABELLED, WRONG = 0.5, 0.03
"""Share of the answers that get a label, and of the labels that are wrong."""

SCALED, FACTOR, LAST = 0, 1.5, 600
"""Which feature is scaled, by how much, in how many of the last rows."""

HOUR_US = 3_600_000_000
NAME = "breast-cancer"
MEASURED = "!!document.querySelector('.features')"
ASK = """
document.querySelector('[name="mean radius"]').value = '17.4';
document.getElementById('one').requestSubmit();
"""
SAY = "document.querySelector('.feedback form').requestSubmit()"
PICTURES: dict[str, tuple[str, int, str, int, tuple[tuple[str, str], ...]]] = {
    "dashboard.png": ("/dashboard?span=3600", 1280, "light", 2_250, (("0", MEASURED),)),
    "dashboard-phone.png": ("/dashboard?span=3600", 390, "dark", 1_500, (("0", MEASURED),)),
    "model-card.png": ("/model", 1280, "light", 1_500, ()),
    "form.png": (
        *("/", 1280, "light", 900),
        ((ASK, "!!document.querySelector('.feedback')"), (SAY, "!!document.querySelector('.thanks').textContent")),
    ),
}
"""Each file: address, width and colours of the browser, pixels from the top, scripts and what they bring about."""


REPORT_PICTURES = {"evaluation.png": (1280, "light", 2_150), "evaluation-phone.png": (390, "dark", 1_600)}
"""Each file of the evaluation report: width and colours of the browser, pixels from the top."""


def main(words: Sequence[str]) -> None:
    """Replay, serve, look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images", metavar="DIR", help="folder for them")
    parser.add_argument("--report", action="store_true", help="only those of the evaluation report")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="lockstep-pictures-") as folder:
        take_report(Path(folder), arguments.to)
    if arguments.report:
        return
    with tempfile.TemporaryDirectory(prefix="lockstep-pictures-") as folder:
        server = real.Server(Path(folder), name=NAME, workers=1, LOCKSTEP_MONITOR_S="1", LOCKSTEP_CHALLENGER_SHARE="20")
        prepare(server)
        try:
            server.start(within_s=60)
            wait_until_measured(Path(folder) / "state" / "monitoring.json")
            take(f"http://127.0.0.1:{server.port}", Path(folder) / "browser", arguments.to)
        finally:
            server.stop()


def prepare(server: real.Server) -> None:
    """Register the model of this project as versions 1 to 3, and fill the log with what they would have answered."""
    settings = Settings.read(server.environment)
    versions = real.Store(settings, NAME)
    for actor, reason in (("ana", "first model"), ("ben", "more rows"), ("", "")):
        number = versions.register(variation(server.folder / f"bundle {len(versions.bundles)}", len(versions.bundles)))
        if actor:
            versions.registry.promote(number, Event(actor=actor, reason=reason))
        else:
            versions.registry.set_alias("challenger", number)
    log = Store.from_settings(settings)
    records = list(replayed())
    for start in range(0, len(records), 500):
        log.add(records[start : start + 500])
    log.close()


def variation(folder: Path, number: int) -> Path:
    """Return a copy of the model that is another version: with fewer of the rows that are tried when it is loaded."""
    shutil.copytree(ROOT / paths.MODEL.parent, folder)
    smoke = files.read_json(folder / paths.SMOKE.name)
    files.write_json({name: own[number:] for name, own in smoke.items()}, folder / paths.SMOKE.name)
    return folder


def replayed() -> Iterator[Record]:
    """Yield answers of the last days, in order of time, and labels that came an hour or two later."""
    chance = random.Random(1)
    predictor = Predictor.load(ROOT / paths.MODEL.parent)
    frame = pd.concat([parquet.read(ROOT / path) for path in (paths.TRAIN, paths.TEST)])
    rows, truth = frames.rows_of(frame, predictor.schema), frames.target_array(frame, predictor.schema).tolist()
    now_us = time.time_ns() // 1000
    for number in range(0, ROWS, BATCH):
        places = chance.choices(range(len(rows)), k=BATCH)
        own = [scaled(rows[place]) if number >= ROWS - LAST else rows[place] for place in places]
        at_us = now_us - int(HOURS * HOUR_US * (1 - (number + BATCH) / ROWS) ** 0.8)
        version, variant = role(number / ROWS, chance)
        answer = answered(predictor, own, f"{number:06d}", at_us, version, variant, chance)
        yield answer
        yield from labelled(answer, [truth[place] for place in places], now_us, chance)


def role(share: float, chance: random.Random) -> tuple[str, Variant]:
    """Return which version answers after this share of all rows: the second takes over, a third is tried."""
    if share < 0.3:
        return "1", "production"
    return ("3", "challenger") if share > 0.5 and chance.random() < 0.2 else ("2", "production")


def answered(
    predictor: Predictor, rows: list[Any], name: str, at_us: int, version: str, variant: Variant, chance: random.Random
) -> Answer:
    """Return what a worker would have written down."""
    found = predictor.predict(rows)
    ids = [f"{zlib.crc32(f'{name}-{place}'.encode()):08x}{name}{place:02d}" for place in range(len(rows))]
    return Answer(
        at_us=at_us,
        model=NAME,
        version=version,
        variant=variant,
        key="",
        latency_us=int(chance.lognormvariate(5.6, 0.4)),
        ids=ids,
        rows=[list(row) for row in rows],
        values=found.values,
        shares=found.shares,
    )


def labelled(answer: Answer, truth: list[Any], now_us: int, chance: random.Random) -> Iterator[Label]:
    """Yield the truth about some of the answers, now and then a wrong one."""
    for own, true in zip(answer.ids, truth, strict=True):
        at_us = answer.at_us + int(chance.uniform(0.5, 2) * HOUR_US)
        if chance.random() < LABELLED and at_us < now_us:
            other = chance.choice([label for label in set(truth) if label != true] or [true])
            yield Label(at_us, f"label-{own}", own, other if chance.random() < WRONG else true, "file")


def scaled(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row with one feature scaled."""
    return tuple(value * FACTOR if place == SCALED else value for place, value in enumerate(row))


def wait_until_measured(file: Path, within_s: float = 60) -> None:
    """Return when the recorder has measured all windows."""
    end, before = time.monotonic() + within_s, -1
    while time.monotonic() < end:
        state = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        measured = len(state.get("models", {}).get(NAME, {}).get("drift", []))
        if measured and measured == before:
            return
        before = measured
        time.sleep(4)
    raise SystemExit(f"nothing was measured within {within_s:.0f} s")


def take_report(profile: Path, folder: Path) -> None:
    """Save the pictures of reports/report.html."""
    browser = Chromium(profile)
    try:
        for name, (width, scheme, height) in REPORT_PICTURES.items():
            browser.look_like(width, scheme)
            browser.open((ROOT / paths.REPORT).as_uri())
            browser.picture(folder / name, height)
            print(folder / name)
    finally:
        browser.close()


def take(address: str, profile: Path, folder: Path) -> None:
    """Save the pictures."""
    browser = Chromium(profile)
    try:
        for name, (path, width, scheme, height, steps) in PICTURES.items():
            browser.look_like(width, scheme)
            browser.open(address + path)
            for script, reached in steps:
                browser.run(script)
                browser.wait(reached)
            browser.run("document.activeElement.blur()")
            browser.picture(folder / name, height)
            print(folder / name)
    finally:
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
