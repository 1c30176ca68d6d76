"""scripts/teardown against a stand-in cluster, and its buckets against moto's S3."""

import subprocess
import urllib.request

import boto3
import pytest

from tests.k8s.conftest import GOOD, ROOT
from tests.serving.real import free_port, wait_for

pytestmark = pytest.mark.server
OPS = ROOT / ".venv-ops/bin"


@pytest.fixture
def teardown(api, script, cluster_with_good, tmp_path):
    """Return a function that takes the app out of a cluster in which it serves."""
    api.kubeconfig(tmp_path / "kubeconfig")
    api.cluster.restore(cluster_with_good)
    return lambda *words: script("teardown", "--timeout", "60s", *words)


def test_the_load_balancer_goes_first_and_the_rest_with_the_namespace(teardown, api):
    done = teardown("--yes")
    assert done.returncode == 0, done.stderr
    deleted = [each for each in api.writes if each.startswith("-")]
    assert deleted == ["-services/flask-app-service", "-namespaces/lockstep"]
    assert not [key for key in api.cluster.objects if "lockstep" in key[1:]]
    for cost in ("eksctl delete cluster", "terraform -chdir=infra/terraform destroy", "--empty-buckets"):
        assert cost in done.stdout


def test_a_second_run_finds_nothing_to_do(teardown, api):
    teardown("--yes")
    before = dict(api.cluster.objects)
    done = teardown("--yes")
    assert done.returncode == 0, done.stderr
    assert api.cluster.objects == before


@pytest.mark.parametrize("words", [[], ["--yes", "--dry-run"]])
def test_nothing_happens_unless_it_is_meant(teardown, api, words):
    done = teardown(*words, "--empty-buckets", "lockstep-dvc")
    assert (done.returncode, api.asked) == (0, [])
    for part in ("delete service flask-app-service", "delete namespace lockstep", "--bucket lockstep-dvc"):
        assert part in done.stderr


@pytest.fixture(scope="module")
def s3():
    """An S3 of moto's, and a function that runs the aws command line against it."""
    if not (OPS / "moto_server").exists():
        pytest.skip("moto and aws are not here: make setup-ops")
    url = f"http://127.0.0.1:{free_port()}"
    command = [OPS / "moto_server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    variables = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
    try:
        wait_for(lambda: opener.open(f"{url}/moto-api/", timeout=5), within_s=60)
        yield variables | {"AWS_ENDPOINT_URL": url, "PATH": f"{OPS}:/usr/local/bin:/usr/bin:/bin"}
    finally:
        process.terminate()
        process.wait()


def client(s3, service):
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=s3["AWS_ENDPOINT_URL"], **keys)


def test_a_bucket_is_emptied_of_every_version(s3, script):
    store, bucket = client(s3, "s3"), {"Bucket": "lockstep-dvc"}
    store.create_bucket(**bucket)
    store.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "a", "b c"):
        store.put_object(**bucket, Key=key, Body=b"some")
    store.delete_object(**bucket, Key="a")
    done = script("teardown", "--yes", "--only-buckets", "--empty-buckets", "lockstep-dvc,lockstep-gone", **s3)
    assert done.returncode == 0, done.stderr
    assert "bucket lockstep-dvc: every object and version deleted" in done.stdout
    assert "bucket lockstep-gone is gone already" in done.stdout
    left = store.list_object_versions(**bucket)
    assert (left.get("Versions"), left.get("DeleteMarkers")) == (None, None)


@pytest.mark.usefixtures("time_at_hand")
def test_a_bucket_that_cannot_be_looked_at_is_an_error(script):
    words = ("--yes", "--only-buckets", "--empty-buckets", "lockstep-dvc")
    if not (OPS / "aws").exists():
        pytest.skip("aws is not here: make setup-ops")
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    done = script("teardown", *words, **away, **keys, PATH=f"{OPS}:/usr/local/bin:/usr/bin:/bin")
    assert done.returncode == 1
    assert "bucket lockstep-dvc cannot be looked at" in done.stderr


def test_a_cluster_of_eks_is_logged_in_to(s3, script, kubectl):
    words = ("--image", GOOD, "--cluster", "lockstep")
    done = script("deploy", *words, **s3)
    assert done.returncode == 1
    assert "there is no cluster lockstep in us-east-1" in done.stderr
    network = {"subnetIds": ["subnet-1", "subnet-2"]}
    role = "arn:aws:iam::123456789012:role/cluster"
    client(s3, "eks").create_cluster(name="lockstep", roleArn=role, resourcesVpcConfig=network)
    done = script("deploy", *words, **s3)
    assert "aws eks update-kubeconfig --region us-east-1 --name lockstep" in done.stderr
    assert "the cluster does not answer" in done.stderr  # moto's has no API behind it
