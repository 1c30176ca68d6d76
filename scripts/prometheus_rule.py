"""Write the PrometheusRule of k8s/components/monitoring from the rules in monitoring/rules.

    python scripts/prometheus_rule.py [--check]

With --check nothing is written, and exit code 1 says that the manifest is not up to date.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
RULES = ("recording", "alerts")
MANIFEST = ROOT / "k8s/components/monitoring/prometheus-rule.yaml"
HEAD = "# Made by scripts/prometheus_rule.py from monitoring/rules; change those, and run it.\n"


def main(words: Sequence[str]) -> int:
    """Write the manifest, or tell whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the manifest is not up to date")
    check = parser.parse_args(words).check
    rendered = manifest([(ROOT / f"monitoring/rules/{name}.yml").read_text(encoding="utf-8") for name in RULES])
    if not check:
        MANIFEST.write_text(rendered, encoding="utf-8")
    elif not MANIFEST.is_file() or MANIFEST.read_text(encoding="utf-8") != rendered:
        print(f"{MANIFEST.name} is not up to date; run `python scripts/prometheus_rule.py`", file=sys.stderr)
        return 1
    return 0


def manifest(rules: Sequence[str]) -> str:
    """Return the text of the PrometheusRule that holds all groups of these rule files."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "lockstep", "namespace": "lockstep", "labels": {"release": "prometheus"}},
        "spec": {"groups": [group for text in rules for group in yaml.safe_load(text)["groups"]]},
    }
    return HEAD + yaml.safe_dump(rule, sort_keys=False, width=120)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
