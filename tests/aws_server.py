"""moto's server, whose EKS clusters have the address of a stand-in; the Python of .venv-ops runs it."""

import os

from moto.eks import models
from moto.server import main

created = models.Cluster.__init__


def create(cluster, *words, **more):
    """Make a cluster that a client of this machine reaches."""
    created(cluster, *words, **more)
    cluster.endpoint = os.environ["EKS_ENDPOINT"]
    cluster.certificate_authority = {"data": os.environ["EKS_AUTHORITY"]}


models.Cluster.__init__ = create
main()
