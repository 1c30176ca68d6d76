import pytest

from tests.root import EXAMPLE, ROOT


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project that starts as every project does."""
    root = tmp_path / "project"
    (root / "data" / "external").mkdir(parents=True)
    (root / "examples").mkdir()
    (root / "dvc.yaml").touch()
    for path in (ROOT / "examples").glob("*.yaml"):
        (root / "examples" / path.name).write_bytes(path.read_bytes())
    (root / "params.yaml").write_bytes(EXAMPLE.read_bytes())
    monkeypatch.chdir(root)
    return root
