"""A snapshot as a busy service would leave it, made up but with every field filled."""

import itertools
import math
import random

from lockstep.decision import Check, Decision
from lockstep.drift.results import (
    Alert,
    Challenge,
    Distribution,
    DriftWindow,
    FeatureDrift,
    Interval,
    Job,
    Latency,
    LogState,
    ModelState,
    Move,
    Quality,
    QualityWindow,
    Snapshot,
    Traffic,
    VersionInfo,
)

AT = 1_795_269_600.0
HOUR, DAY = 3_600.0, 86_400.0
MEASURES = ("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "points", "symmetry")
NAMES = [f"{kind} {name}" for kind in ("mean", "error", "worst") for name in MEASURES] + ["age", "weight"]
ODD = '<img src=x onerror="alert(1)"> & co'
"""A name that must not become markup."""


def snapshot(at=AT):
    """Return the state of two models: one of a hundred figures, one that has just begun."""
    return Snapshot(
        at=at,
        log=LogState(stored=1_204_331, labels=48_210, spool_files=2, spool_bytes=81_920, lag_s=0.4),
        models={"tumours": model(at), "fresh": ModelState(name="fresh", task="regression")},
        alerts=alerts(at),
        jobs=jobs(at),
    )


def model(at):
    return ModelState(
        name="tumours",
        task="binary",
        labels=["benign", "malignant"],
        production=VersionInfo(
            "11", at - 6 * DAY, "ana", "better recall on small tumours", False, "4f1c9e2a", "9b" * 32, gate=gated()
        ),
        challenger=VersionInfo("12", at - DAY, "loop", "drift of worst radius", False, "77aa01bc", "c3" * 32),
        history=history(),
        traffic=[traffic(at, bucket) for bucket in (60, 3_600, 86_400)],
        latency={"11": Latency(0.61, 1.4, 3.2, 31_406), "12": Latency(0.7, 1.6, 4.9, 3_212)},
        mix={
            "11": Distribution([0.58, 0.42], labels=["benign", "malignant"]),
            "12": Distribution([0.61, 0.39], labels=["benign", "malignant"]),
        },
        mix_baseline=Distribution([0.63, 0.37], labels=["benign", "malignant"]),
        quality=quality(at),
        drift=[drift(at, place) for place in range(30)],
        challenge=challenge(),
    )


def gated():
    reason = "roc_auc is +0.004 against the champion on the same 2,000 rows, 95 % between +0.001 and +0.007: better"
    checks = [Check("no skew", True, "0 of 200 rows"), Check("not worse than the champion", True, reason)]
    return Decision((*checks, Check("clients of the champion", False, f"column {ODD!r} is new")), "better", "10")


def traffic(at, bucket_s, buckets=48):
    chance = random.Random(bucket_s)
    starts = [at // bucket_s * bucket_s - bucket_s * (buckets - place) for place in range(buckets)]
    waves = [1.2 + math.sin(place / 6) + chance.random() / 3 for place in range(buckets)]
    scale = 9 * bucket_s
    old = [int(scale * wave) if place < 20 else 0 for place, wave in enumerate(waves)]
    new = [0 if place < 20 else int(scale * wave * 0.9) for place, wave in enumerate(waves)]
    challenger = [0 if place < 32 else int(scale * wave * 0.1) for place, wave in enumerate(waves)]
    return Traffic(bucket_s, starts, {"10": old, "11": new, "12": challenger})


def bell(middle, edges):
    heights = [math.exp(-(((low + high) / 2 - middle) ** 2) / 2) for low, high in itertools.pairwise(edges)]
    return [height / sum(heights) for height in heights]


def drift(at, place):
    end, version = at - place * 0.4 * HOUR, "12" if place == 1 else "11" if place < 22 else "10"
    verdict = "not enough data" if place == 25 else "alarm" if place in (0, 2, 14) else "quiet"
    features = [feature(name, 1.3 if verdict == "alarm" and name == "worst radius" else 0.05) for name in NAMES]
    score = feature("score", 0.8 if verdict == "alarm" else 0.0)
    if place == 0:
        features.append(categories())
    return DriftWindow(
        version, end - 0.4 * HOUR, end, 500 if verdict != "not enough data" else 31, verdict, score, features
    )


def feature(name, shift):
    edges = [place / 2 - 3 for place in range(13)]
    alarm = shift > 0.5
    return FeatureDrift(
        name=name,
        kind="numeric",
        test="Kolmogorov-Smirnov",
        alarm=alarm,
        statistic=0.05 + shift / 3,
        p=2e-9 if alarm else 0.41,
        q=6e-8 if alarm else 0.62,
        effect=0.05 + shift / 3,
        missing=0.012,
        baseline_missing=0.0,
        out_of_range=0.08 if alarm else 0.0,
        notes=["8 % of the rows are larger than anything in training"] if alarm else [],
        baseline=Distribution(bell(0, edges), edges=edges),
        window=Distribution(bell(shift, edges), edges=edges),
    )


def categories():
    labels = [ODD, "north", "south", "east", "west", "inland", "coast", "island", "hill", "valley", "lake"]
    shares = [0.3, 0.2, 0.15, 0.1, 0.05, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01]
    return FeatureDrift(
        name=ODD,
        kind="categorical",
        test="chi-square",
        alarm=True,
        statistic=64.2,
        p=1e-12,
        q=3e-11,
        effect=0.31,
        new_categories=[ODD, "moon"],
        baseline=Distribution(shares[::-1], labels=labels),
        window=Distribution(shares, labels=labels),
    )


def quality(at):
    windows = []
    for place in range(16):
        value = 0.951 - 0.004 * (16 - place) / 4 + (0.01 if place % 3 else 0.0)
        windows.append(
            QualityWindow(
                "11" if place < 10 else "10",
                at - (place + 1) * 9 * HOUR,
                at - place * 9 * HOUR,
                400,
                "quiet",
                Interval(value, value - 0.021, value + 0.017),
                2.6 * HOUR,
            )
        )
    windows.append(QualityWindow("10", at - 6 * DAY, at - 5.9 * DAY, 12, "not enough data"))
    return Quality("accuracy", True, Interval(0.956, 0.93, 0.974), windows)


def challenge():
    return Challenge(
        production="11",
        challenger="12",
        share=10,
        metric="accuracy",
        labels_production=3_600,
        labels_challenger=402,
        production_value=Interval(0.948, 0.941, 0.955),
        challenger_value=Interval(0.962, 0.939, 0.977),
        difference=Interval(0.014, -0.006, 0.034),
        p=0.19,
        verdict="undecided",
        labels_needed=1_900,
        agreement=0.972,
    )


def history():
    return [
        Move(
            "2026-11-20T10:00:00.000+00:00", "refused", "13", "11", "loop", "accuracy 0.91 is below 0.948 of version 11"
        ),
        Move("2026-11-15T09:30:00.000+00:00", "promote", "11", "10", "ana", "better recall on small tumours"),
        Move("2026-11-02T17:12:00.000+00:00", "rollback", "10", "9", "ben", "version 9 was slow"),
        Move("2026-11-02T16:40:00.000+00:00", "promote", "9", "10", "ben", "a trial", True),
    ]


def alerts(at):
    return [
        Alert(
            7, "drift", "tumours", "11", "worst radius", "page", "KS 0.48, q 6e-08, two windows in a row", at - 2 * HOUR
        ),
        Alert(8, "drift", "tumours", "11", ODD, "warning", "2 categories were not seen in training", at - 0.4 * HOUR),
        Alert(5, "log", "", "", "database", "page", "it did not answer for 4 minutes", at - DAY, at - DAY + 240),
        Alert(4, "quality", "tumours", "10", "accuracy", "page", "0.902, evaluation 0.956", at - 8 * DAY, at - 6 * DAY),
    ]


def jobs(at):
    return [
        Job("j3", "running", "drift", "worst radius of version 11", at - HOUR, at - HOUR + 3, None, "", "", 4_002),
        Job(
            "j2",
            "kept",
            "schedule",
            "every 24 h",
            at - DAY,
            at - DAY,
            at - DAY + 70,
            "0.91 is below 0.948",
            "13",
            3_600,
        ),
        Job("j1", "promoted", "ana", "new labels", at - 6 * DAY, at - 6 * DAY, at - 6 * DAY + 64, "0.956", "11", 2_800),
    ]
