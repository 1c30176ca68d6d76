"""The project's own dvc.lock: a rerun in a clean copy writes the recorded bytes, whatever the machine's kernels."""

import contextlib

import pytest
import yaml

from lockstep import numeric_pins
from lockstep.commands.verify import clean_copy
from tests.pipeline.kernels import MACHINES, digests
from tests.pipeline.project import Project
from tests.root import ROOT

pytestmark = pytest.mark.skipif(bool(numeric_pins.lacking()), reason=f"NOT TESTED: {numeric_pins.lacking()}")


@pytest.mark.parametrize("machine", MACHINES)
def test_a_rerun_writes_what_dvc_lock_records(machine, request):
    if not request.config.getoption("long"):
        pytest.skip("--long runs the pipeline again, in each of these environments")
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    recorded = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    with contextlib.chdir(ROOT), clean_copy() as copy:
        rerun = digests(Project(copy), MACHINES[machine])
    assert rerun == {path: recorded[path] for path in rerun}
