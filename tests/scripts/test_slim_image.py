import subprocess
import sys

import pytest

from scripts import slim_image

KEPT = (
    *("numpy/core.py", "numpy/testing/own.py", "botocore/data/s3/2006/service-2.json", "botocore/data/endpoints.json"),
    *("certifi/cacert.pem", "mako/template.py.mako", "databricks/__init__.py"),
)
TAKEN = (
    *("numpy/tests/test_core.py", "numpy/core.pyx", "numpy/core.pyi", "numpy/include/own.h", "numpy/lib/own.a"),
    *("sklearn/datasets/data/iris.csv", "databricks/sdk/service.py", "botocore/data/ec2/2016/service-2.json"),
    *("a/tests/deep/tests/more.py", "numpy/conftest.py", "scipy/test/one.py"),
)


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "lib/python3.11/site-packages"
    for name in KEPT + TAKEN:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("ANSWER = 42\n")
    return site


def there(site):
    return {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}


def test_what_no_server_reads_is_taken_out_and_nothing_else(site):
    saved = slim_image.slim(site)
    assert there(site) == set(KEPT)
    assert sum(saved.values()) == 12 * len(TAKEN)
    assert min(saved.values()) > 0


def test_modules_are_left_as_bytecode_that_runs(site, capsys):
    slim_image.main([str(site.parents[2])])
    left = there(site)
    assert {"numpy/core.pyc", "databricks/__init__.pyc", "mako/template.py.mako"} <= left
    assert [name for name in left if name.endswith(".py")] == []
    code = "import numpy.core; print(numpy.core.ANSWER)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "42", done.stderr
    assert "MB  left" in capsys.readouterr().out


def test_a_source_that_does_not_compile_stays(site):
    (site / "numpy/template.py").write_text("{{ name }} = \n")
    slim_image.leave_bytecode(site)
    assert "numpy/template.py" in there(site)
