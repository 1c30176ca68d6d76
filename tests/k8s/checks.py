"""What must hold between the objects of a rendered overlay: each check yields the faults it finds."""

import re

from lockstep.commands import serve
from lockstep.config.settings import SETTINGS, Settings
from lockstep.errors import ConfigError
from tests.k8s import traffic
from tests.k8s.objects import SERVERS, matches, name, of_kind, port_names, template, with_template, workloads
from tests.k8s.traffic import routes

NAMESPACE, USER, SECRET = "lockstep", 10001, "capstone-secret"
BY_DIGEST = re.compile(r"[a-z0-9./:_-]+@sha256:[0-9a-f]{64}")
VARIABLES = {own for setting in SETTINGS for own in setting.variables}
SECRETS = {own for setting in SETTINGS for own in setting.variables if setting.secret}
REQUIRED = ("LOCKSTEP_API_KEYS", "LOCKSTEP_SECRET_KEY")
"""Keys of the Secret without which pods on EKS do not start."""

SPACELESS = ("Namespace",)


def deployments(objects):
    """Selectors take their own pods and no other's, and a rollout never has fewer pods than before."""
    for each in of_kind(objects, "Deployment"):
        spec = each["spec"]
        if not matches(spec["selector"], template(each)["metadata"]["labels"]):
            yield f"{name(each)} does not select its own pods"
        for other in of_kind(objects, "Deployment"):
            if other is not each and matches(spec["selector"], template(other)["metadata"]["labels"]):
                yield f"{name(each)} selects the pods of {name(other)}"
        one_at_a_time = any("persistentVolumeClaim" in volume for volume in template(each)["spec"]["volumes"])
        if one_at_a_time != (spec["strategy"] == {"type": "Recreate"}):
            yield f"{name(each)} waits for a volume that its old pod holds, or stops pods for none"
        elif not one_at_a_time and spec.get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
            yield f"{name(each)} may take pods away before others are ready"
        for spread in template(each)["spec"].get("topologySpreadConstraints", [{}]):
            if not matches(
                spread.get("labelSelector", {"matchLabels": {"": ""}}), template(each)["metadata"]["labels"]
            ):
                yield f"{name(each)} does not spread its own pods"


def stateful_sets(objects):
    """Each volume of a StatefulSet's own is mounted and kept, and a pod that never is ready does not block the rest."""
    for each in of_kind(objects, "StatefulSet"):
        spec, inner = each["spec"], template(each)
        if not matches(spec["selector"], inner["metadata"]["labels"]):
            yield f"{name(each)} does not select its own pods"
        if spec.get("podManagementPolicy") != "Parallel":
            yield f"{name(each)} waits for a pod that is never ready, also on the way back"
        mounted = {mount["name"] for mount in inner["spec"]["containers"][0]["volumeMounts"]}
        for claim in spec.get("volumeClaimTemplates", []):
            if claim["metadata"]["name"] not in mounted - {own["name"] for own in inner["spec"]["volumes"]}:
                yield f"{name(each)} does not mount its volume {claim['metadata']['name']}"
        if {*spec.get("persistentVolumeClaimRetentionPolicy", {}).values()} - {"Retain"}:
            yield f"{name(each)} deletes its volumes"


def migrations(objects):
    """A Job that migrates runs before the pods: in a wave of Argo CD before theirs, anew in each synchronisation."""
    for each in of_kind(objects, "Job"):
        notes = each["metadata"].get("annotations", {})
        if notes.get("argocd.argoproj.io/hook-delete-policy") != "BeforeHookCreation":
            yield f"{name(each)} cannot be changed by Argo CD once it has run"
        for own in of_kind(objects, *SERVERS):
            waves = [meta.get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0")
                     for meta in (each["metadata"], own["metadata"])]  # fmt: skip
            if own["metadata"]["name"] == "flask-app" and int(waves[0]) >= int(waves[1]):
                yield f"{name(each)} does not run before {name(own)}"


def autoscaling(objects):
    """An autoscaler has a target that leaves the number of pods to it, and says what they ask for."""
    for each in of_kind(objects, "HorizontalPodAutoscaler"):
        target = each["spec"]["scaleTargetRef"]
        found = [own for own in of_kind(objects, target["kind"]) if own["metadata"]["name"] == target["name"]]
        if not found:
            yield f"{name(each)} has no target {target['kind']} {target['name']}"
        for own in found:
            if "replicas" in own["spec"]:
                yield f"{name(own)} says replicas, which {name(each)} decides"
            if "cpu" not in template(with_template(own, objects))["spec"]["containers"][0]["resources"].get(
                "requests", {}
            ):
                yield f"{name(own)} requests no cpu, of which {name(each)} takes a share"


def disruptions(objects):
    """What is scaled has a disruption budget, and each budget is about some pods and lets a node be drained."""
    budgets = of_kind(objects, "PodDisruptionBudget")
    for each in of_kind(objects, *SERVERS):
        labels = template(each)["metadata"]["labels"]
        if "replicas" not in each["spec"] and not any(matches(own["spec"]["selector"], labels) for own in budgets):
            yield f"{name(each)} has no disruption budget"
    for own in budgets:
        if not any(matches(own["spec"]["selector"], labels) for _, labels, _, _ in workloads(objects)):
            yield f"{name(own)} selects nothing"
        if own["spec"].get("maxUnavailable") in (0, "0%") or own["spec"].get("minAvailable") == "100%":
            yield f"{name(own)} never lets a node be drained"


def images(objects):
    """Every image is given by digest."""
    for own, _, spec, _ in workloads(objects):
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            if not BY_DIGEST.fullmatch(container["image"]):
                yield f"{own}: {container['image']} is not by digest"


def apps(objects):
    """Return the workloads that run the app; an MLflow server has settings and probes of its own."""
    return [each for each in workloads(objects) if each[1]["app"] != "mlflow"]


def environment(objects):
    """Each variable is a setting, each value one that it takes, and each source of values is there."""
    config_maps = {each["metadata"]["name"]: each.get("data", {}) for each in of_kind(objects, "ConfigMap")}
    for own, _, _, container in apps(objects):
        given = {}
        for source in container.get("envFrom", []):
            wanted = source.get("configMapRef", {}).get("name")
            if wanted not in config_maps:
                yield f"{own} reads {wanted or source}, which is no ConfigMap here"
            given |= config_maps.get(wanted, {})
        yield from (f"{own}: {key} holds a secret in a ConfigMap" for key in given if key in SECRETS)
        for variable in container.get("env", []):
            key = variable.get("valueFrom", {}).get("secretKeyRef", {})
            optional = key.get("optional") or variable["name"] in REQUIRED
            if (key.get("name"), key.get("key"), optional) != (SECRET, variable["name"], True):
                yield f"{own}: {variable['name']} is no optional key of {SECRET} with that name"
            given[variable["name"]] = ""
        yield from (f"{own}: {key} is no setting" for key in given if key not in VARIABLES)
        try:
            settings = Settings.read(given)
        except ConfigError as error:
            yield f"{own}: {error}"
            continue
        writable = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
        yield from (f"{own} cannot write to {place}" for place in {"/tmp", settings.state} - writable)
        if container.get("ports") and (settings.host, settings.port) != ("0.0.0.0", *port_names(container).values()):
            yield f"{own} listens on {settings.host}:{settings.port}, and not where its port is"


def probes(objects):
    """The three probes ask routes that the app has, at a port that the container has, and leaving takes its time."""
    for own, _, spec, container in apps(objects):
        if not container.get("ports"):
            continue
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            asked = container.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path or path not in routes():
                yield f"{own}: {probe} asks {asked.get('path')} and not {path}"
            if asked.get("port") not in {**port_names(container), **{n: n for n in port_names(container).values()}}:
                yield f"{own}: {probe} asks port {asked.get('port')}"
        given = {key: value for each in of_kind(objects, "ConfigMap") for key, value in each.get("data", {}).items()}
        drain = Settings.read({key: given[key] for key in given if key == "LOCKSTEP_DRAIN_S"}).drain_s
        stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if not stop:
            yield f"{own} gets SIGTERM before the nodes know that it leaves"
        if spec.get("terminationGracePeriodSeconds", 30) < stop + drain + serve.STOP_S + serve.LAST_S:
            yield f"{own} is killed before it has drained"


def privileges(objects):
    """S32: no root, no writable root, no capability, no escalation, a seccomp profile, a restricted namespace."""
    for own, _, spec, container in workloads(objects):
        pod, inner = spec.get("securityContext", {}), container.get("securityContext", {})
        wanted = {
            "runs as root": (pod.get("runAsNonRoot"), pod.get("runAsUser"), pod.get("runAsGroup"))
            == (True, USER, USER),
            "has a writable root": inner.get("readOnlyRootFilesystem") is True,
            "keeps capabilities": inner.get("capabilities") == {"drop": ["ALL"]},
            "may escalate": inner.get("allowPrivilegeEscalation") is False and not inner.get("privileged"),
            "has no seccomp profile": pod.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "shares the node": not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
            "mounts the node's files": not any("hostPath" in volume for volume in spec.get("volumes", [])),
        }
        yield from (f"{own} {fault}" for fault, holds in wanted.items() if not holds)
    for each in of_kind(objects, "Namespace"):
        if each["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name(each)} does not enforce restricted pods"


def tokens(objects):
    """S33: no pod gets a token of the Kubernetes API."""
    accounts = {each["metadata"]["name"]: each for each in of_kind(objects, "ServiceAccount")}
    for own, _, spec, _ in workloads(objects):
        account = accounts.get(spec.get("serviceAccountName"))
        if account is None:
            yield f"{own} runs as {spec.get('serviceAccountName')}, which is not here"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{own} mounts a token"
        if account and account.get("automountServiceAccountToken") is not False:
            yield f"{name(account)} has its token mounted"


def resources(objects):
    """S35: every container requests and is limited, and so is what it writes."""
    for own, _, spec, container in workloads(objects):
        for part in ("requests", "limits"):
            missing = {"cpu", "memory", "ephemeral-storage"} - container.get("resources", {}).get(part, {}).keys()
            yield from (f"{own} has no {part} of {one}" for one in sorted(missing))
        for volume in spec.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{own}: the volume {volume['name']} has no limit"


def claims(objects):
    """A volume claim that one pod may hold is there, and its Deployment never has two pods."""
    known = {each["metadata"]["name"] for each in of_kind(objects, "PersistentVolumeClaim")}
    most = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in of_kind(objects, "HorizontalPodAutoscaler")
    }
    for each in of_kind(objects, "Deployment"):
        for volume in template(each)["spec"]["volumes"]:
            wanted = volume.get("persistentVolumeClaim", {}).get("claimName")
            if wanted and wanted not in known:
                yield f"{name(each)} mounts {wanted}, which no claim is for"
            if wanted and most.get(each["metadata"]["name"], {}).get("maxReplicas") != 1:
                yield f"{name(each)} may have two pods, and {wanted} is for one"


def disk(objects):
    """A pod is not evicted for what it may write: the volumes fit into its limit, the spool and models into theirs."""
    given = {key: value for each in of_kind(objects, "ConfigMap") for key, value in each.get("data", {}).items()}
    spool = Settings.read({key: given[key] for key in given if key == "LOCKSTEP_SPOOL_MB"}).spool_mb
    for own, _, spec, container in workloads(objects):
        volumes = {each["name"]: mebibytes(each.get("emptyDir", {}).get("sizeLimit")) for each in spec["volumes"]}
        limited = {each["name"] for each in spec["volumes"] if "persistentVolumeClaim" not in each}
        if sum(volumes.values()) > mebibytes(container.get("resources", {}).get("limits", {}).get("ephemeral-storage")):
            yield f"{own} is evicted before its volumes are full"
        if container.get("ports") and "state" in limited and 2 * spool > volumes.get("state", 0):
            yield f"{own}: a full spool leaves too little of the state folder to the models"


def mebibytes(size):
    """Return a size in MiB; none is none at all."""
    return int(size[:-2]) * {"Mi": 1, "Gi": 1024}[size[-2:]] if size else 0


def names(objects):
    """The names that others know are there, and everything stands in the one namespace."""
    known = {(each["kind"], each["metadata"]["name"]) for each in objects}
    for wanted in (("Service", "flask-app-service"), ("Namespace", NAMESPACE)):
        if wanted not in known:
            yield f"there is no {' '.join(wanted)}"
    if not known & {(kind, "flask-app") for kind in SERVERS}:
        yield "there is no Deployment or StatefulSet flask-app"
    for each in objects:
        if each["kind"] not in SPACELESS and each["metadata"].get("namespace") != NAMESPACE:
            yield f"{name(each)} is not in the namespace {NAMESPACE}"
    for each in of_kind(objects, "ExternalSecret"):
        if each["spec"]["target"]["name"] != SECRET:
            yield f"{name(each)} makes {each['spec']['target']['name']}, which no pod reads"


CHECKS = {
    check.__name__: check
    for check in (
        deployments, autoscaling, disruptions, images, environment, probes, privileges, tokens, resources, disk, names,
        claims, stateful_sets, migrations,
        traffic.services, traffic.denied, traffic.opened, traffic.needed, traffic.monitors, traffic.ingresses,
    )
}  # fmt: skip


def faults(objects):
    """Return what all checks find, with the name of the check."""
    return [f"{own}: {fault}" for own, check in CHECKS.items() for fault in check(objects)]
