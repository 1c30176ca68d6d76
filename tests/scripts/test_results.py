"""scripts/results against an S3 on this machine."""

import json
import shutil

import boto3

from tests import ops


def test_reports_are_appended_by_model_and_version_and_stay(aws_address, tmp_path):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3 = boto3.client("s3", endpoint_url=aws_address, region_name=ops.REGION, **keys)
    s3.create_bucket(Bucket="results")
    env = ops.environment(aws_address, RESULTS_URL="s3://results/all/")
    (tmp_path / "scripts").mkdir()
    for name in ("results", "outside.py"):
        shutil.copy(ops.ROOT / "scripts" / name, tmp_path / "scripts")
    env["PATH"] = f"{ops.ROOT / '.venv/bin'}:{env['PATH']}"

    def call(*words, **changes):
        return ops.run(tmp_path / "scripts/results", *words, env=env | changes)

    assert "no version is registered here" in call().stderr

    def ran(folder, model, version, accuracy):
        (tmp_path / folder / "reports").mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "params.yaml").touch()
        info = {"model_name": model, "version": version}
        (tmp_path / folder / "reports/experiment_info.json").write_text(json.dumps(info))
        (tmp_path / folder / "reports/metrics.json").write_text(json.dumps({"accuracy": accuracy}))

    def stored():
        listed = s3.list_objects_v2(Bucket="results").get("Contents", [])
        return {each["Key"]: s3.get_object(Bucket="results", Key=each["Key"])["Body"].read() for each in listed}

    ran(".", "first", "1", 0.9)
    ran("usecases/churn", "churn", "4", 0.8)
    assert call().returncode == 0
    once = stored()
    assert set(once) == {"all/first/1/metrics.json", "all/churn/4/metrics.json"}
    ran(".", "first", "2", 0.95)
    ran("usecases/churn", "churn", "4", 0.1)
    assert "s3://results/all/churn/4: nothing new" in call().stdout
    assert stored() == once | {"all/first/2/metrics.json": b'{"accuracy": 0.95}'}
    done = call("s3://none/all")
    assert (done.returncode, "NoSuchBucket" in done.stderr, "hint: " in done.stderr) == (1, True, True)
    assert "is no place in S3" in call("results").stderr
