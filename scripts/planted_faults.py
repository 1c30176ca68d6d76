"""Plant one fault at a time in a copy of the project, and expect a test named with it to turn red, and green without.

Example: python scripts/planted_faults.py --only "gate: floors"
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LIBRARY, APP, TESTS = "src/lockstep/", "flask_app/", "tests/lockstep/"
FAILED = 1
"""What pytest returns when tests ran and some failed; other codes are of collection or usage."""


class Fault(NamedTuple):
    """A text that stands once in a file, what takes its place, and the tests that turn red."""

    file: str
    old: str
    new: str
    tests: str


FAULTS = {
    "sources: a private address": Fault(
        LIBRARY + "data/sources/network_policy.py",
        "return allow_private or address.is_global",
        "return True",
        TESTS + "data/sources/test_http.py",
    ),
    "sources: the size limit": Fault(
        LIBRARY + "data/sources/http.py",
        "if here > limit:",
        "if here > 9 * limit:",
        TESTS + "data/sources/test_http.py",
    ),
    "contract: refused rows": Fault(
        LIBRARY + "data/contract.py",
        'contract.on_violation == "refuse"',
        'contract.on_violation == "never"',
        TESTS + "data/test_contract.py",
    ),
    "cleaning: duplicates": Fault(
        LIBRARY + "data/cleaning.py",
        "if params.drop_duplicates:",
        "if not params.drop_duplicates:",
        TESTS + "data/test_cleaning.py",
    ),
    "split: the seed": Fault(
        LIBRARY + "data/split.py",
        "default_rng(params.seed)\n    chosen",
        "default_rng()\n    chosen",
        TESTS + "data/test_split.py",
    ),
    "row hashes: fair rows": Fault(
        LIBRARY + "data/row_hashes.py",
        "decidable & (np.isin",
        "decidable | (np.isin",
        TESTS + "data/test_row_hashes.py",
    ),
    "features: logarithm of negative numbers": Fault(
        LIBRARY + "features/numeric.py",
        "np.sign(numbers) * np.log1p(np.abs(numbers))",
        "np.log1p(np.abs(numbers))",
        TESTS + "features/test_numeric.py " + TESTS + "features/test_tabular.py",
    ),
    "features: rare terms": Fault(
        LIBRARY + "features/transformers.py",
        "totals >= self.min_documents",
        "totals > self.min_documents",
        TESTS + "features/test_transformers.py",
    ),
    "search: stratified folds": Fault(
        LIBRARY + "modeling/search/folds.py",
        'KFold if task == "regression" else StratifiedKFold',
        "KFold",
        TESTS + "modeling/search/test_folds.py",
    ),
    "serialization: the allow-list": Fault(
        LIBRARY + "modeling/serialization.py",
        "kind not in ALLOWED_TYPES",
        "False",
        TESTS + "modeling/test_serialization.py tests/security/test_artifacts.py",
    ),
    "metrics: ties of ROC AUC": Fault(
        LIBRARY + "metrics/scores.py", "below + negatives / 2", "below + negatives", TESTS + "metrics/test_scores.py"
    ),
    "metrics: noise of the calibration": Fault(
        LIBRARY + "metrics/calibration.py",
        "max(0.0, self.error - self.noise)",
        "self.error",
        TESTS + "metrics/test_calibration.py",
    ),
    "metrics: a difference within noise": Fault(
        LIBRARY + "metrics/comparison.py",
        '"better" if self.low > 0',
        '"better" if self.value > 0',
        TESTS + "metrics/test_comparison.py",
    ),
    "leakage: a copy of the target": Fault(
        LIBRARY + "metrics/leakage.py", "score >= PERFECT", "score > 1", TESTS + "metrics/test_leakage.py"
    ),
    "gate: floors": Fault(
        LIBRARY + "gate/checks.py",
        "value >= bound if higher else value <= bound",
        "value >= bound",
        TESTS + "gate/test_checks.py",
    ),
    "gate: train/serve skew": Fault(
        LIBRARY + "gate/checks.py", "differing == 0", "True", TESTS + "gate/test_checks.py"
    ),
    "gate: rows that do not fit the schema": Fault(
        LIBRARY + "gate/checks.py", "refused * 100 <= rows", "True", TESTS + "gate/test_checks.py"
    ),
    "scoring: a compiled form that differs": Fault(
        LIBRARY + "scoring/compiler.py",
        "if not (near.all() and same.all()):",
        "if False:",
        TESTS + "scoring/test_compiler.py",
    ),
    "scoring: text within JSON": Fault(
        LIBRARY + "scoring/json_decoder.py",
        "if not rows or body.count",
        "if not rows or False and body.count",
        TESTS + "scoring/test_json_decoder.py",
    ),
    "inference: the digest of a bundle": Fault(
        LIBRARY + "inference/predictor.py",
        "if sha256 is not None and actual != sha256:",
        "if False:",
        TESTS + "inference/test_predictor.py tests/flask_app/models",
    ),
    "registry: the same digest twice": Fault(
        LIBRARY + "registry/model_registry.py",
        "if version.sha256 == sha256), None)",
        "if False), None)",
        TESTS + "registry/test_model_registry.py",
    ),
    "promotion: a refused model": Fault(
        LIBRARY + "lifecycle/promotion.py",
        "if decision.refusals and not forced:",
        "if False:",
        TESTS + "lifecycle/test_promotion.py",
    ),
    "retraining: the cooldown": Fault(
        LIBRARY + "lifecycle/retraining/policy.py",
        "if last is not None and now - last < cooldown_s:",
        "if False:",
        TESTS + "lifecycle/retraining/test_policy.py",
    ),
    "retraining: an alert starts one": Fault(
        LIBRARY + "lifecycle/retraining/policy.py",
        "alert.opened <= job.asked",
        "alert.opened > now",
        TESTS + "lifecycle/retraining/test_policy.py",
    ),
    "labels: contradiction": Fault(
        LIBRARY + "prediction_log/label_review.py",
        "batch.share > limits.contradiction",
        "batch.share > 1",
        TESTS + "prediction_log/test_label_review.py",
    ),
    "gate: origins": Fault(
        LIBRARY + "gate/champion.py",
        'measured.verdict != "worse", reason)\n\n\ndef slices_hold',
        "True, reason)\n\n\ndef slices_hold",
        TESTS + "gate/test_checks.py",
    ),
    "spool: its size": Fault(
        LIBRARY + "prediction_log/spool.py",
        "if folder_bytes(self.folder) >= self.most_bytes:",
        "if False:",
        TESTS + "prediction_log/test_spool.py",
    ),
    "drift: the false alarm rate": Fault(
        LIBRARY + "drift/detect.py", "q <= limits.alpha and", "q <= 1 and", TESTS + "drift/test_detect.py"
    ),
    "drift: the rows behind a test": Fault(
        LIBRARY + "drift/hypothesis_tests.py",
        "kstwo.sf(distance, round(effective))",
        "kstwo.sf(distance, 1)",
        TESTS + "drift/test_hypothesis_tests.py",
    ),
    "drift: a term that became rarer": Fault(
        LIBRARY + "drift/hypothesis_tests.py",
        "2 * norm.sf(np.abs(z))",
        "2 * norm.sf(z)",
        TESTS + "drift/test_hypothesis_tests.py",
    ),
    "drift: one tail of Fisher's test": Fault(
        LIBRARY + "drift/hypothesis_tests.py",
        "2 * np.minimum(*tails)",
        "2 * tails[0]",
        TESTS + "drift/test_hypothesis_tests.py",
    ),
    "drift: fewer missing values": Fault(
        LIBRARY + "drift/hypothesis_tests.py",
        "fisher_exact(table).pvalue",
        'fisher_exact(table, alternative="less").pvalue',
        TESTS + "drift/test_hypothesis_tests.py",
    ),
    "alerts: lost predictions": Fault(
        LIBRARY + "monitoring/alerts.py",
        "if state.lost > before.lost:",
        "if False:",
        TESTS + "monitoring/test_alerts.py " + TESTS + "monitoring/test_monitor.py",
    ),
    "server: the pause before another worker": Fault(
        LIBRARY + "server/supervisor.py",
        "min(LONGEST_PAUSE_S, 0.25 * 2.0**self.early_deaths)",
        "0.0",
        TESTS + "server/test_supervisor.py",
    ),
    "files: a partial file": Fault(
        LIBRARY + "files.py",
        'path.with_name(f".{path.name}.partial{path.suffix}")',
        "path",
        TESTS + "test_files.py",
    ),
    "app: a token of CSRF": Fault(
        APP + "admission/csrf.py",
        "raise InvalidToken(EXPIRED",
        "return\n        raise InvalidToken(EXPIRED",
        "tests/flask_app/admission/test_csrf.py",
    ),
    "app: the rate limit": Fault(
        APP + "admission/limits.py",
        "wait_s = self.allow(client)",
        "wait_s = 0.0",
        "tests/flask_app/admission/test_limits.py",
    ),
    "app: the admin token": Fault(
        APP + "admission/authentication.py",
        "not fits or ",
        "",
        "tests/flask_app/admission/test_authentication.py tests/flask_app/views/test_admin.py",
    ),
    "app: the Host header": Fault(
        APP + "admission/guard.py",
        "if self._hosts and host(environ) not in self._hosts:",
        "if False:",
        "tests/flask_app/admission/test_guard.py tests/security/test_doors.py",
    ),
    "app: rows of one request": Fault(
        APP + "fast_path.py",
        ".rows) > self._most_rows",
        ".rows) < 0",
        "tests/flask_app/test_fast_path.py",
    ),
    "app: a version without a digest": Fault(
        APP + "models/loading.py",
        "if not SHA256.fullmatch(sha256):",
        "if False:",
        "tests/flask_app/models",
    ),
}


def copy_of_project(folder: Path) -> Path:
    """Copy the tracked files as they stand."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def planted(text: str, name: str) -> str:
    """Return the text of a file with a fault in it.

    Raises
    ------
    ValueError
        What the fault replaces does not stand there exactly once.
    """
    fault = FAULTS[name]
    if (count := text.count(fault.old)) != 1:
        raise ValueError(
            f"{name}: {fault.old!r} stands {count} times in {fault.file}, and must stand once: mend FAULTS"
        )
    return text.replace(fault.old, fault.new)


def run_tests(folder: Path, tests: set[str]) -> tuple[int, list[str]]:
    """Run tests in the copy up to the first failure; return what pytest returns, and which test failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *sorted(tests)]
    environment = os.environ | {"PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]


def main(words: Sequence[str] | None = None) -> int:
    """Plant the faults, print which tests noticed, and return 1 if one went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME", choices=FAULTS, action="append", help="this fault; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the faults and end")
    arguments = parser.parse_args(words)
    names = arguments.only or list(FAULTS)
    if arguments.list:
        print("\n".join(f"{name:45} {FAULTS[name].file}" for name in names))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return _plant_each(copy_of_project(Path(folder)), names)


def _plant_each(copy: Path, names: list[str]) -> int:
    unnoticed = 0
    for name in names:
        path, tests = copy / FAULTS[name].file, set(FAULTS[name].tests.split())
        whole = path.read_text(encoding="utf-8")
        path.write_text(planted(whole, name), encoding="utf-8")
        code, failed = run_tests(copy, tests)
        path.write_text(whole, encoding="utf-8")
        noticed = code == FAILED and run_tests(copy, {failed[0].partition(" ")[2].partition(" - ")[0]})[0] == 0
        unnoticed += not noticed
        print(f"{'red' if noticed else f'UNNOTICED ({code})':15} {name:45} {(failed or [''])[0][:100]}", flush=True)
    print(f"{len(names) - unnoticed} of {len(names)} faults turned tests red that are green without")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
