import pytest
import yaml

from scripts import prometheus_rule


def test_the_manifest_is_up_to_date(capsys):
    assert prometheus_rule.main(["--check"]) == 0, capsys.readouterr().err


def test_a_manifest_that_is_not_up_to_date_is_found(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(prometheus_rule, "MANIFEST", tmp_path / "rule.yaml")
    assert prometheus_rule.main(["--check"]) == 1
    assert "run `python scripts/prometheus_rule.py`" in capsys.readouterr().err
    assert prometheus_rule.main([]) == 0
    assert prometheus_rule.main(["--check"]) == 0
    prometheus_rule.MANIFEST.write_text("kind: PrometheusRule\n")
    assert prometheus_rule.main(["--check"]) == 1


@pytest.mark.parametrize("files", [1, 2])
def test_all_groups_of_all_files_are_in_it(files):
    texts = [yaml.safe_dump({"groups": [{"name": f"group {number}", "rules": []}]}) for number in range(files)]
    groups = yaml.safe_load(prometheus_rule.manifest(texts))["spec"]["groups"]
    assert [group["name"] for group in groups] == [f"group {number}" for number in range(files)]
