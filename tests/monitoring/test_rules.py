import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "monitoring"
TESTS = sorted((FOLDER / "rules/tests").glob("*.yml"))
ALERTS = [
    rule["alert"]
    for group in yaml.safe_load((FOLDER / "rules/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


def run(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not here: `apt-get install prometheus prometheus-alertmanager`")
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "config", "prometheus.yml"),
        ("promtool", "check", "rules", "rules/alerts.yml", "rules/recording.yml"),
        ("promtool", "test", "rules", *(str(path) for path in TESTS)),
        ("amtool", "check-config", "alertmanager.yml"),
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_the_tools_find_nothing_wrong(command):
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def cases():
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            yield from test.get("alert_rule_test", [])


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_seen_to_fire_and_its_absence_breaks_the_tests(alert, tmp_path):
    """A rule that never fires, and one that always does, must both be found out."""
    assert any(case["alertname"] == alert and case["exp_alerts"] for case in cases())
    for change in ("{} and vector(0) > 1", "{} or vector(1)"):
        rules = yaml.safe_load((FOLDER / "rules/alerts.yml").read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                if rule["alert"] == alert:
                    rule["expr"] = change.format(f"({rule['expr']})")
                    rule.pop("for", None) if "or" in change else None
        shutil.copytree(FOLDER / "rules", tmp_path / "rules", dirs_exist_ok=True)
        (tmp_path / "rules/alerts.yml").write_text(yaml.safe_dump(rules))
        about = [path.name for path in TESTS if alert in path.read_text()]
        done = run("promtool", "test", "rules", *(str(tmp_path / "rules/tests" / name) for name in about))
        assert done.returncode != 0, change


def test_each_alert_leads_to_a_paragraph_that_says_what_to_do():
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    headings = {re.sub(r"[^a-z]", "", line.lower()) for line in page.splitlines() if line.startswith("#")}
    for group in yaml.safe_load((FOLDER / "rules/alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
            assert rule["alert"].lower() in headings


def test_the_dashboard_is_written_in_one_way():
    file = FOLDER / "grafana/dashboards/lockstep.json"
    text = file.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
