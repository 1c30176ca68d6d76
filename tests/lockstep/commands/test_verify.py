import argparse
import hashlib
import subprocess
from pathlib import Path

import pytest

from lockstep.commands import verify
from lockstep.commands.verify import Output

RECORDED = '{"auc": 0.5}'
CLOSE, FAR = '{"auc": 0.50000001}', '{"auc": 0.6}'


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("workspace", "cached", "rerun", "verdict"),
    [
        pytest.param(RECORDED, None, CLOSE, "close", id="recorded-in-workspace"),
        pytest.param(RECORDED, None, FAR, "different", id="far-from-workspace"),
        pytest.param(CLOSE, RECORDED, CLOSE, "close", id="recorded-in-cache"),
        pytest.param(FAR, RECORDED, FAR, "different", id="workspace-rerun-agree-and-cache-does-not"),
        pytest.param(CLOSE, None, CLOSE, "unknown", id="two-local-reruns"),
        pytest.param(None, None, CLOSE, "unknown", id="nothing-at-hand"),
        pytest.param(FAR, CLOSE, FAR, "unknown", id="cache-corrupted"),
        pytest.param(RECORDED, None, None, "different", id="not-written"),
    ],
)
def test_a_rerun_is_compared_with_recorded_bytes_alone(tmp_path, monkeypatch, workspace, cached, rerun, verdict):
    monkeypatch.chdir(tmp_path)
    output, digest = Path("reports/metrics.json"), md5(RECORDED)
    cache, copy = tmp_path / "cache", tmp_path / "copy"
    places = ((output, workspace), (cache / digest[:2] / digest[2:], cached), (copy / output, rerun))
    for path, text in places:
        if text is not None:
            write(path, text)
    assert verify.compare(Output("evaluation", str(output), digest), cache, copy, 1e-6) == verdict


@pytest.mark.parametrize(
    ("model", "record", "verdict"),
    [("close", "different", "close"), ("unknown", "different", "unknown"), ("same", "different", "different")],
)
def test_the_record_of_the_digest_is_as_good_as_the_model(model, record, verdict):
    verdicts = {"models/model.skops": model, "models/schema.json": "same", "models/registered.json": record}
    verify.weigh_digest(verdicts)
    assert verdicts["models/registered.json"] == verdict


@pytest.mark.long("runs the pipeline in two copies")
def test_the_exit_code_says_that_recorded_bytes_are_missing(tmp_path, monkeypatch, capsys, local_settings):
    """A project of one stage, whose code changed after its cache was emptied."""
    (tmp_path / "small").mkdir()
    monkeypatch.chdir(tmp_path / "small")
    write(Path("stage.py"), f"open('out.json', 'w').write('{RECORDED}')\n")
    write(Path("dvc.yaml"), "stages:\n  only:\n    cmd: python stage.py\n    outs: [out.json]\n")
    Path("data/external").mkdir(parents=True)
    for command in ("git init -q", "dvc init -q", "dvc repro -q", "git add -A"):
        subprocess.run(command.split(), check=True)

    def verified():
        code = verify.run(argparse.Namespace(tolerance=1e-6, json=False), local_settings)
        return code, capsys.readouterr().out

    assert verified() == (0, "same      only                 out.json\n")
    write(Path("stage.py"), f"open('out.json', 'w').write('{CLOSE}')\n")
    write(Path("out.json"), CLOSE)
    assert verified() == (0, "close     only                 out.json\n")
    (verify.cache_folder() / md5(RECORDED)[:2] / md5(RECORDED)[2:]).unlink()
    code, printed = verified()
    assert (code, printed.split()[:3]) == (3, ["unknown", "only", "out.json"])
    assert "dvc pull first" in printed


def test_the_copy_of_a_use_case_has_the_code_and_its_own_data(tmp_path, monkeypatch):
    root = tmp_path / "project"
    for name in ("dvc.yaml", "src/stage.py", "usecases/churn/dvc.yaml", "usecases/churn/data/external/README.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    (root / "usecases/churn/data/external/rows.csv").write_text("a,b")  # as DVC has it: not in git
    monkeypatch.chdir(root / "usecases/churn")
    with verify.clean_copy() as copy:
        assert copy.parts[-2:] == ("usecases", "churn") and not copy.is_relative_to(root)
        assert (copy / "../../src/stage.py").read_text() == "src/stage.py"
        assert (copy / "data/external/rows.csv").read_text() == "a,b"
