"""What `eksctl create cluster` leaves in an account, made on moto: VPC, private subnets and cluster."""

import json
import os
import sys

import boto3
import yaml


def make(config, address):
    """Make the network and the cluster of a configuration."""
    region, name = config["metadata"]["region"], config["metadata"]["name"]
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": region}
    ec2, eks = (boto3.client(service, endpoint_url=address, **keys) for service in ("ec2", "eks"))
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.60.{number}.0/24", AvailabilityZone=region + zone)["Subnet"]
        for number, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(GroupName="pods", Description="pods", VpcId=vpc)["GroupId"]
    known = {"vpcId": vpc, "clusterSecurityGroupId": group}

    def add(params, **_):
        body = json.loads(params["body"])
        body["resourcesVpcConfig"] |= known
        params["body"] = json.dumps(body).encode()

    eks.meta.events.register("before-call.eks.CreateCluster", add)
    network = {"subnetIds": [subnet["SubnetId"] for subnet in subnets]}
    eks.create_cluster(name=name, roleArn="arn:aws:iam::123456789012:role/cluster", resourcesVpcConfig=network)


if __name__ == "__main__":
    make(yaml.safe_load(sys.stdin.read()), os.environ["AWS_ENDPOINT_URL"])
