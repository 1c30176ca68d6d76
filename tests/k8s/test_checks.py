"""Each check finds the fault it is for: one change to good manifests, and the words that say so."""

import pytest

from tests.k8s import checks
from tests.k8s.objects import template

ZERO = "0" * 64


def one(objects, kind, name="flask-app"):
    return next(each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))


def deployment(objects):
    return one(objects, "Deployment")["spec"]


def pod(objects):
    return template(one(objects, "Deployment"))["spec"]


def container(objects):
    return pod(objects)["containers"][0]


def key(objects, name):
    return next(each["valueFrom"]["secretKeyRef"] for each in container(objects)["env"] if each["name"] == name)


def job(objects):
    return template(one(objects, "CronJob", "lockstep-drift"))["spec"]


def service(objects):
    return one(objects, "Service", "flask-app-service")


def monitor(objects):
    return one(objects, "ServiceMonitor")["spec"]


def policy(objects, name):
    return one(objects, "NetworkPolicy", name)["spec"]


def config_map(objects):
    return next(each for each in objects if each["metadata"]["name"].startswith("flask-app-config"))


def without(kind, name="flask-app"):
    return lambda objects: objects.remove(one(objects, kind, name))


def variable(name, **source):
    return lambda objects: container(objects)["env"].append({"name": name, **source})


FAULTS = {
    "the service leads to another port": (
        lambda o: service(o)["spec"]["ports"][0].update(targetPort=8000),
        "services: Service flask-app-service leads to port 8000, which flask-app has not",
    ),
    "the service leads to a port by another name": (
        lambda o: service(o)["spec"]["ports"][0].update(targetPort="web"),
        "services: Service flask-app-service leads to port web",
    ),
    "the service selects nothing": (
        lambda o: service(o)["spec"].update(selector={"app": "flask"}),
        "services: Service flask-app-service selects nothing",
    ),
    "the monitor selects nothing": (
        lambda o: monitor(o)["selector"].update(matchLabels={"app": "flask"}),
        "monitors: ServiceMonitor flask-app selects nothing",
    ),
    "the monitor looks into another namespace": (
        lambda o: monitor(o).update(namespaceSelector={"matchNames": ["default"]}),
        "monitors: ServiceMonitor flask-app selects nothing",
    ),
    "the monitor scrapes a port that is not named": (
        lambda o: service(o)["spec"]["ports"][0].pop("name"),
        "monitors: ServiceMonitor flask-app scrapes port http, which Service flask-app-service has not",
    ),
    "the monitor scrapes another route": (
        lambda o: monitor(o)["endpoints"][0].update(path="/prometheus"),
        "monitors: ServiceMonitor flask-app scrapes /prometheus",
    ),
    "the rules know the job by another name": (
        lambda o: monitor(o).pop("jobLabel"),
        "monitors: ServiceMonitor flask-app calls the job otherwise",
    ),
    "an image by tag": (
        lambda o: container(o).update(image="flask-app:latest"),
        "images: Deployment flask-app: flask-app:latest is not by digest",
    ),
    "an image without a tag, in a job": (
        lambda o: job(o)["containers"][0].update(image="flask-app"),
        "images: CronJob lockstep-drift: flask-app is not by digest",
    ),
    "replicas beside the autoscaler": (
        lambda o: deployment(o).update(replicas=2),
        "autoscaling: Deployment flask-app says replicas",
    ),
    "the autoscaler has no target": (
        lambda o: one(o, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(name="app"),
        "autoscaling: HorizontalPodAutoscaler flask-app has no target Deployment app",
    ),
    "a share of no cpu": (
        lambda o: container(o)["resources"]["requests"].pop("cpu"),
        "autoscaling: Deployment flask-app requests no cpu",
    ),
    "no disruption budget": (
        without("PodDisruptionBudget"),
        "disruptions: Deployment flask-app has no disruption budget",
    ),
    "a disruption budget of nothing": (
        lambda o: one(o, "PodDisruptionBudget")["spec"]["selector"].update(matchLabels={"app": "flask"}),
        "disruptions: PodDisruptionBudget flask-app selects nothing",
    ),
    "a disruption budget that never lets go": (
        lambda o: one(o, "PodDisruptionBudget")["spec"].update(maxUnavailable=0),
        "disruptions: PodDisruptionBudget flask-app never lets a node be drained",
    ),
    "the deployment selects other pods": (
        lambda o: deployment(o)["selector"]["matchLabels"].update(app="flask"),
        "deployments: Deployment flask-app does not select its own pods",
    ),
    "the deployment selects the canary too": (
        lambda o: deployment(o)["selector"]["matchLabels"].pop("track"),
        "deployments: Deployment flask-app selects the pods of Deployment flask-app-canary",
    ),
    "pods are taken away first": (
        lambda o: deployment(o)["strategy"]["rollingUpdate"].update(maxUnavailable=1),
        "deployments: Deployment flask-app may take pods away",
    ),
    "no spread": (
        lambda o: pod(o).update(topologySpreadConstraints=[{}]),
        "deployments: Deployment flask-app does not spread",
    ),
    "a variable that is no setting": (
        variable("LOCKSTEP_WORKER", value="2"),
        "environment: Deployment flask-app: LOCKSTEP_WORKER is no setting",
    ),
    "a key of the config map that is no setting": (
        lambda o: config_map(o)["data"].update(FLASK_ENV="production"),
        "environment: Deployment flask-app: FLASK_ENV is no setting",
    ),
    "a value that a setting does not take": (
        lambda o: config_map(o)["data"].update(LOCKSTEP_WORKERS="two"),
        "environment: Deployment flask-app: LOCKSTEP_WORKERS = 'two' is not a whole number",
    ),
    "a secret in the config map": (
        lambda o: config_map(o)["data"].update(DATABASE_URL="postgresql://a:b@c/d"),
        "environment: Deployment flask-app: DATABASE_URL holds a secret",
    ),
    "a config map that is not there": (
        lambda o: config_map(o)["metadata"].update(name="flask-app-config"),
        "environment: Deployment flask-app reads flask-app-config-",
    ),
    "another secret": (
        lambda o: key(o, "CAPSTONE_TEST").update(name="app-secret"),
        "environment: Deployment flask-app: CAPSTONE_TEST is no optional key of capstone-secret",
    ),
    "a key that has to be there": (
        lambda o: key(o, "CAPSTONE_TEST").pop("optional"),
        "environment: Deployment flask-app: CAPSTONE_TEST is no optional key",
    ),
    "a secret as a value": (
        variable("REDIS_URL", value="redis://:secret@cache"),
        "environment: Deployment flask-app: REDIS_URL is no optional key",
    ),
    "the app listens at another port": (
        lambda o: config_map(o)["data"].update(PORT="8000"),
        "environment: Deployment flask-app listens on 0.0.0.0:8000",
    ),
    "the app listens to itself alone": (
        lambda o: config_map(o)["data"].pop("HOST"),
        "environment: Deployment flask-app listens on 127.0.0.1:5000",
    ),
    "a state folder that cannot be written": (
        lambda o: config_map(o)["data"].update(LOCKSTEP_STATE="/data"),
        "environment: Deployment flask-app cannot write to /data",
    ),
    "a probe of a route that is not there": (
        lambda o: container(o)["livenessProbe"]["httpGet"].update(path="/healthz"),
        "probes: Deployment flask-app: livenessProbe asks /healthz",
    ),
    "liveness depends on the model": (
        lambda o: container(o)["livenessProbe"]["httpGet"].update(path="/readyz"),
        "probes: Deployment flask-app: livenessProbe asks /readyz and not /livez",
    ),
    "a probe at another port": (
        lambda o: container(o)["readinessProbe"]["httpGet"].update(port=8080),
        "probes: Deployment flask-app: readinessProbe asks port 8080",
    ),
    "no readiness probe": (
        lambda o: container(o).pop("readinessProbe"),
        "probes: Deployment flask-app: readinessProbe asks None",
    ),
    "killed before it has drained": (
        lambda o: config_map(o)["data"].update(LOCKSTEP_DRAIN_S="30"),
        "probes: Deployment flask-app is killed before it has drained",
    ),
    "no preStop": (
        lambda o: container(o).pop("lifecycle"),
        "probes: Deployment flask-app gets SIGTERM before",
    ),
    "s32 root": (
        lambda o: pod(o)["securityContext"].update(runAsUser=0),
        "privileges: Deployment flask-app runs as root",
    ),
    "s32 a writable root": (
        lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem"),
        "privileges: Deployment flask-app has a writable root",
    ),
    "s32 a capability": (
        lambda o: container(o)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
        "privileges: Deployment flask-app keeps capabilities",
    ),
    "s32 escalation in a job": (
        lambda o: job(o)["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
        "privileges: CronJob lockstep-drift may escalate",
    ),
    "s32 no seccomp": (
        lambda o: pod(o)["securityContext"].pop("seccompProfile"),
        "privileges: Deployment flask-app has no seccomp",
    ),
    "s32 the node's network": (
        lambda o: pod(o).update(hostNetwork=True),
        "privileges: Deployment flask-app shares the node",
    ),
    "s32 the node's files": (
        lambda o: pod(o)["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
        "privileges: Deployment flask-app mounts the node's files",
    ),
    "s32 a namespace that allows all": (
        lambda o: one(o, "Namespace", "lockstep")["metadata"].pop("labels"),
        "privileges: Namespace lockstep does not enforce restricted pods",
    ),
    "s33 a token in the pod": (
        lambda o: pod(o).pop("automountServiceAccountToken"),
        "tokens: Deployment flask-app mounts a token",
    ),
    "s33 a token of the account": (
        lambda o: one(o, "ServiceAccount").pop("automountServiceAccountToken"),
        "tokens: ServiceAccount flask-app has its token mounted",
    ),
    "s33 an account that is not there": (
        lambda o: job(o).update(serviceAccountName="default"),
        "tokens: CronJob lockstep-drift runs as default, which is not here",
    ),
    "s34 no default": (
        without("NetworkPolicy", "default-deny"),
        "denied: nothing is denied by default",
    ),
    "s34 a default for one direction": (
        lambda o: policy(o, "default-deny").update(policyTypes=["Ingress"]),
        "denied: nothing is denied by default",
    ),
    "s34 the metadata address": (
        lambda o: policy(o, "to-registry-and-database")["egress"][0]["to"][0]["ipBlock"].pop("except"),
        "denied: NetworkPolicy to-registry-and-database lets pods reach the metadata address",
    ),
    "s34 all that is link-local": (
        lambda o: policy(o, "to-pod-identity")["egress"][0]["to"][0]["ipBlock"].update(cidr="169.254.0.0/16"),
        "denied: NetworkPolicy to-pod-identity lets pods reach the metadata address",
    ),
    "s34 everywhere": (
        lambda o: policy(o, "to-registry-and-database")["egress"][0].pop("to"),
        "denied: NetworkPolicy to-registry-and-database lets pods reach the metadata address",
    ),
    "s34 everybody": (
        lambda o: policy(o, "from-this-namespace")["ingress"][0].pop("from"),
        "opened: NetworkPolicy from-this-namespace lets everybody in",
    ),
    "s34 another port": (
        lambda o: policy(o, "from-prometheus")["ingress"][0]["ports"][0].update(port="metrics"),
        "opened: NetworkPolicy from-prometheus opens port metrics, which no pod has",
    ),
    "s34 nobody's policy": (
        lambda o: policy(o, "from-prometheus").update(podSelector={"matchLabels": {"app": "flask"}}),
        "opened: NetworkPolicy from-prometheus selects nothing",
    ),
    "s34 no DNS": (without("NetworkPolicy", "to-dns"), "needed: no pod may ask DNS"),
    "s34 no Prometheus": (without("NetworkPolicy", "from-prometheus"), "needed: Prometheus may not scrape"),
    "s34 no load balancer": (
        lambda o: without("NetworkPolicy", "from-ingress")(o),
        "needed: the load balancer may not come in",
    ),
    "s35 no limit": (
        lambda o: container(o)["resources"]["limits"].pop("memory"),
        "resources: Deployment flask-app has no limits of memory",
    ),
    "s35 a volume without a limit": (
        lambda o: pod(o)["volumes"][0].update(emptyDir={}),
        "resources: Deployment flask-app: the volume tmp has no limit",
    ),
    "volumes above the limit": (
        lambda o: container(o)["resources"]["limits"].update({"ephemeral-storage": "1Gi"}),
        "disk: Deployment flask-app is evicted before its volumes are full",
    ),
    "a spool that fills the state folder": (
        lambda o: config_map(o)["data"].update(LOCKSTEP_SPOOL_MB="2000"),
        "disk: Deployment flask-app: a full spool leaves too little",
    ),
    "the ingress leads nowhere": (
        lambda o: one(o, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="app"),
        "ingresses: Ingress flask-app leads to app",
    ),
    "the app refuses the host": (
        lambda o: one(o, "Ingress")["spec"]["rules"][0].update(host="example.org"),
        "ingresses: Ingress flask-app: the app refuses the host example.org",
    ),
    "a migration after the pods": (
        lambda o: one(o, "Job", "lockstep-migrate")["metadata"]["annotations"].update(
            {"argocd.argoproj.io/sync-wave": "2"}
        ),
        "migrations: Job lockstep-migrate does not run before Deployment flask-app",
    ),
    "a migration that stays": (
        lambda o: one(o, "Job", "lockstep-migrate")["metadata"]["annotations"].pop(
            "argocd.argoproj.io/hook-delete-policy"
        ),
        "migrations: Job lockstep-migrate cannot be changed",
    ),
    "another namespace": (
        lambda o: monitor(o) and one(o, "ServiceMonitor")["metadata"].pop("namespace"),
        "names: ServiceMonitor flask-app is not in the namespace lockstep",
    ),
    "a service by another name": (
        lambda o: service(o)["metadata"].update(name="app"),
        "names: there is no Service flask-app-service",
    ),
    "a secret that no pod reads": (
        lambda o: one(o, "ExternalSecret", "capstone-secret")["spec"]["target"].update(name="app"),
        "names: ExternalSecret capstone-secret makes app, which no pod reads",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(read, fault):
    change, said = FAULTS[fault]
    objects = read("all")
    change(objects)
    found = checks.faults(objects)
    assert [each for each in found if each.startswith(said)], found


def test_every_check_finds_something():
    assert {said.partition(":")[0] for _, said in FAULTS.values()} | {"claims", "stateful_sets"} == {*checks.CHECKS}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("PersistentVolumeClaim", "flask-app-state"), "mounts flask-app-state, which no claim is for"),
        (lambda o: one(o, "HorizontalPodAutoscaler")["spec"].update(maxReplicas=2), "may have two pods"),
        (lambda o: deployment(o).update(strategy={"rollingUpdate": {"maxUnavailable": 0}}), "that its old pod holds"),
    ],
)
def test_faults_of_a_volume_are_found(read, change, said):
    objects = read("volume")
    assert checks.faults(objects) == []
    change(objects)
    assert any(said in fault for fault in checks.faults(objects))


def stateful(objects):
    return one(objects, "StatefulSet")["spec"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda o: stateful(o).pop("podManagementPolicy"), "waits for a pod that is never ready"),
        (lambda o: stateful(o)["selector"]["matchLabels"].update(app="flask"), "does not select its own pods"),
        (lambda o: stateful(o)["volumeClaimTemplates"][0]["metadata"].update(name="data"), "does not mount its volume"),
        (
            lambda o: stateful(o)["template"]["spec"]["volumes"].append({"name": "state", "emptyDir": {}}),
            "does not mount its volume state",
        ),
        (
            lambda o: stateful(o)["persistentVolumeClaimRetentionPolicy"].update(whenScaled="Delete"),
            "deletes its volumes",
        ),
        (without("StatefulSet"), "there is no Deployment or StatefulSet flask-app"),
        (without("PodDisruptionBudget"), "StatefulSet flask-app has no disruption budget"),
    ],
)
def test_faults_of_a_stateful_set_are_found(read, change, said):
    objects = read("statefulset")
    assert checks.faults(objects) == []
    change(objects)
    assert any(said in fault for fault in checks.faults(objects))
