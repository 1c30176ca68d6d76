"""scripts/teardown against a stand-in cluster, and its buckets against moto's S3."""

import boto3
import pytest

from tests import ops
from tests.k8s.conftest import GOOD

pytestmark = pytest.mark.server


@pytest.fixture
def teardown(api, script, cluster_with_good, tmp_path):
    """Return a function that takes the app out of a cluster in which it serves."""
    api.kubeconfig(tmp_path / "kubeconfig")
    api.cluster.restore(cluster_with_good)
    return lambda *words: script("teardown", "--timeout", "60s", *words)


def test_the_load_balancers_go_first_and_the_rest_with_the_namespace(teardown, api):
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
    api.cluster.put(
        ("networking.k8s.io/v1", "ingresses"), ingress | {"metadata": {"name": "own", "namespace": "lockstep"}}
    )
    done = teardown("--yes")
    assert done.returncode == 0, done.stderr
    deleted = [each for each in api.writes if each.startswith("-")]
    assert deleted == ["-ingresses/own", "-services/flask-app-service", "-namespaces/lockstep"]
    assert not [key for key in api.cluster.objects if "lockstep" in key[1:]]
    costs = [
        done.stdout.index(each) for each in ("--empty-buckets", "scripts/infra destroy", "scripts/eks delete --yes")
    ]
    assert costs == sorted(costs)


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
def s3(tmp_path_factory):
    """The variables that lead to an AWS of moto's."""
    own = ("AWS_", "NO_PROXY", "PATH")
    with ops.moto(tmp_path_factory.mktemp("moto")) as address:
        yield {key: value for key, value in ops.environment(address).items() if key.startswith(own)}


def client(s3, service):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": ops.REGION}
    return boto3.client(service, endpoint_url=s3["AWS_ENDPOINT_URL"], **keys)


@pytest.mark.long("fills a bucket with many versions")
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
    ops.tool("aws")
    away = {key: value for key, value in ops.environment("http://127.0.0.1:9").items() if key.startswith("AWS_")}
    done = script("teardown", *words, **away, AWS_MAX_ATTEMPTS="1", PATH=f"{ops.BIN}:/usr/local/bin:/usr/bin:/bin")
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
