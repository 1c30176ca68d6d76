import json
import os
import shutil
from pathlib import Path

import pytest

from tests import ops

SOURCE = ops.ROOT / "infra/terraform"
PROVIDER = "registry.terraform.io/hashicorp/aws"
PLACES = ("~/.terraform.d/plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins")
OVERRIDE = 'provider "aws" {\n  s3_use_path_style = true\n}\n'
GIVEN = {
    "region": ops.REGION,
    "deploy_subjects": ["repo:own@1/er@2:environment:production"],
    "train_subjects": ["repo:own/er:ref:refs/heads/main"],
}


@pytest.fixture(scope="session")
def aws(aws_address):
    """An AWS on this machine, as the environment of a command."""
    ops.tool("aws")
    return ops.environment(aws_address)


@pytest.fixture(scope="session")
def terraform():
    return ops.program("terraform", "https://developer.hashicorp.com/terraform/install")


class Infra:
    """A copy of infra/terraform with its state beside it, made against an AWS on this machine."""

    def __init__(self, folder, terraform, aws):
        self.folder, self.terraform, self.aws = folder, terraform, aws

    def __call__(self, *words, ok=True):
        own = {"TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
        done = ops.run(self.terraform, *words, "-no-color", env=self.aws | own, cwd=self.folder)
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done

    def set(self, **variables):
        (self.folder / "own.auto.tfvars.json").write_text(json.dumps(GIVEN | variables))

    def resources(self):
        """Return the values of all resources by their address."""
        shown = json.loads(self("show", "-json").stdout)
        return {one["address"]: one["values"] for one in shown["values"]["root_module"]["resources"]}


@pytest.fixture(scope="session")
def infra(tmp_path_factory, request):
    """The configuration, initialised; skipped where the provider is not to be had, and unless the run may take long."""
    if not request.config.getoption("long"):
        pytest.skip("--long makes it in a stand-in for AWS: `make check-infra ARGS=--long`, four minutes")
    terraform, aws = request.getfixturevalue("terraform"), request.getfixturevalue("aws")
    folder = tmp_path_factory.mktemp("made") / "infra"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("backend.tf", ".terraform*"))
    (folder / "test_override.tf").write_text(OVERRIDE)
    made = Infra(folder, terraform, aws)
    plugins = local_plugins()
    done = made("init", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else []), ok=False)
    if done.returncode:
        said = " ".join(done.stderr.split())[:300]
        pytest.skip(f"no AWS provider for Terraform here (TF_PLUGIN_DIR may name a folder that holds one): {said}")
    return made


def local_plugins():
    """Return a folder that holds the provider, so that no network is needed; None if there is none."""
    given = os.environ.get("TF_PLUGIN_DIR")
    places = [Path(given)] if given else [*(Path(place).expanduser() for place in PLACES), *Path("/opt").glob("*")]
    return next((place for place in places if (place / PROVIDER).is_dir()), None)
