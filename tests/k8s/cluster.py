"""The objects of a stand-in cluster, and the one controller it has: that of Deployments.

It knows what `kubectl apply --server-side`, `rollout status` and `rollout undo` look at: resource versions that change
with the object alone, generations, ReplicaSets with revisions, conditions, pods and events. Images named bad never
become ready.
"""

import copy
import json
import threading
import zlib
from dataclasses import dataclass, field

KINDS = {  # (group and version, plural): kind, namespaced
    ("v1", "namespaces"): ("Namespace", False),
    ("v1", "pods"): ("Pod", True),
    ("v1", "services"): ("Service", True),
    ("v1", "configmaps"): ("ConfigMap", True),
    ("v1", "secrets"): ("Secret", True),
    ("v1", "serviceaccounts"): ("ServiceAccount", True),
    ("v1", "events"): ("Event", True),
    ("apps/v1", "deployments"): ("Deployment", True),
    ("apps/v1", "replicasets"): ("ReplicaSet", True),
    ("apps/v1", "statefulsets"): ("StatefulSet", True),
    ("apps/v1", "controllerrevisions"): ("ControllerRevision", True),
    ("batch/v1", "cronjobs"): ("CronJob", True),
    ("batch/v1", "jobs"): ("Job", True),
    ("policy/v1", "poddisruptionbudgets"): ("PodDisruptionBudget", True),
    ("autoscaling/v2", "horizontalpodautoscalers"): ("HorizontalPodAutoscaler", True),
    ("networking.k8s.io/v1", "networkpolicies"): ("NetworkPolicy", True),
    ("networking.k8s.io/v1", "ingresses"): ("Ingress", True),
    ("argoproj.io/v1alpha1", "applications"): ("Application", True),
    ("rbac.authorization.k8s.io/v1", "roles"): ("Role", True),
    ("rbac.authorization.k8s.io/v1", "rolebindings"): ("RoleBinding", True),
    ("authorization.k8s.io/v1", "selfsubjectaccessreviews"): ("SelfSubjectAccessReview", False),
}
DEPLOYMENTS, REPLICA_SETS = ("apps/v1", "deployments"), ("apps/v1", "replicasets")
STATEFUL_SETS, CONTROLLER_REVISIONS = ("apps/v1", "statefulsets"), ("apps/v1", "controllerrevisions")
JOBS = ("batch/v1", "jobs")
REVISION = "deployment.kubernetes.io/revision"
NOW = "2026-01-01T00:00:00Z"


def merged(current, applied, before):
    """Return an object with what is applied in it, and without what was applied before and is not any more."""
    result = {key: value for key, value in current.items() if key in applied or key not in before}
    for key, value in applied.items():
        old = result.get(key)
        if isinstance(value, dict) and value.get("$patch") == "replace":  # of a strategic merge
            value, old = {name: own for name, own in value.items() if name != "$patch"}, None
        nested = isinstance(value, dict) and isinstance(old, dict)
        result[key] = merged(old, value, before.get(key) or {}) if nested else copy.deepcopy(value)
    return result


def patched(current, operations):
    """Return an object after the operations of a JSON patch."""
    result = copy.deepcopy(current)
    for operation in operations:
        *way, last = operation["path"].strip("/").replace("~1", "/").split("/")
        place = result
        for step in way:
            place = place[step]
        if operation["op"] == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    return result


def controlled(each, uid):
    """Tell whether an object belongs to another one."""
    return any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))


def said(content):
    """Return a content without what it says by null, which a server forgets."""
    if isinstance(content, dict):
        return {key: said(value) for key, value in content.items() if value is not None}
    return [said(each) for each in content] if isinstance(content, list) else content


@dataclass
class Cluster:
    """Objects by kind, namespace and name; `changes` in their order, for those who watch."""

    bad: set = field(default_factory=set)
    pods_wanted: int = 2
    objects: dict = field(default_factory=dict)
    applied: dict = field(default_factory=dict)
    changes: list = field(default_factory=list)
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    def restore(self, other):
        """Become what another cluster is."""
        with self.changed:
            self.objects, self.applied, self.changes = copy.deepcopy((other.objects, other.applied, other.changes))
            self.changed.notify_all()

    def find(self, kind, namespace, wanted=lambda each: True):
        """Return the objects of a kind in a namespace, or in all."""
        with self.changed:
            return [
                copy.deepcopy(each)
                for (own, space, _), each in sorted(self.objects.items(), key=lambda item: item[0])
                if own == kind and namespace in (None, space) and wanted(each)
            ]

    def get(self, kind, namespace, name):
        with self.changed:
            return copy.deepcopy(self.objects.get((kind, namespace, name)))

    def put(self, kind, given):
        """Store an object, under a new resource version if it differs from the one that is there."""
        with self.changed:
            new = said(given)
            meta = new.setdefault("metadata", {})
            key = (kind, meta.get("namespace"), meta["name"])
            before = self.objects.get(key)
            if new == before:
                return copy.deepcopy(before)
            if before is None:
                meta |= {"uid": f"uid-{len(self.changes)}", "creationTimestamp": NOW, "generation": 1}
            elif before.get("spec") != new.get("spec"):
                meta["generation"] = before["metadata"]["generation"] + 1
            if kind in (DEPLOYMENTS, STATEFUL_SETS):
                new["spec"].setdefault("replicas", self.pods_wanted)
            meta["resourceVersion"] = str(len(self.changes) + 1)
            self.objects[key] = new
            self._tell("ADDED" if before is None else "MODIFIED", kind, new)
            return copy.deepcopy(new)

    def apply(self, kind, namespace, name, config):
        """Take in what a manager says of an object, as server-side apply does, and leave the rest of it alone."""
        with self.changed:
            key = (kind, namespace, name)
            fresh = {"metadata": {"name": name} | ({"namespace": namespace} if namespace else {})}
            current = self.objects.get(key, fresh)
            before, self.applied[key] = self.applied.get(key, {}), config
            return self.put(kind, merged(current, config, before))

    def delete(self, kind, namespace, name):
        """Remove an object, and with a namespace all that is in it; return it, if it was there."""
        with self.changed:
            gone = self.objects.pop((kind, namespace, name), None)
            self.applied.pop((kind, namespace, name), None)
            if gone:
                self._tell("DELETED", kind, gone)
                if kind == ("v1", "namespaces"):
                    for other, space, own in [key for key in self.objects if key[1] == name]:
                        self.delete(other, space, own)
            return gone

    def _tell(self, what, kind, each):
        self.changes.append((what, kind, copy.deepcopy(each)))
        self.changed.notify_all()

    def control(self):
        """Do what the controllers of a cluster would have done by now."""
        with self.changed:
            for deployment in self.find(DEPLOYMENTS, None):
                self._roll(deployment)
            for stateful in self.find(STATEFUL_SETS, None):
                self._roll_stateful(stateful)
            for job in self.find(JOBS, None, lambda each: "status" not in each):
                failed = job["spec"]["template"]["spec"]["containers"][0]["image"] in self.bad
                condition = {"type": "Failed" if failed else "Complete", "status": "True"}
                self.put(JOBS, job | {"status": {"conditions": [condition]}})

    def _roll(self, deployment):
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        revision = self._revision(deployment)
        wanted, well = deployment["spec"]["replicas"], image not in self.bad
        served = deployment.get("status", {}).get("availableReplicas", 0)
        reason = "NewReplicaSetAvailable" if well else "ProgressDeadlineExceeded"
        deployment["metadata"].setdefault("annotations", {})[REVISION] = revision
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": wanted if well else served + 1,
            "updatedReplicas": wanted if well else 1,
            "readyReplicas": wanted if well else served,
            "availableReplicas": wanted if well else served,
            "conditions": [
                {"type": "Available", "status": str(well or served > 0), "reason": "MinimumReplicas", "message": ""},
                {"type": "Progressing", "status": str(well), "reason": reason, "message": f"revision {revision}"},
            ],
        }
        self.put(DEPLOYMENTS, deployment)
        self._pods(deployment, image, well)

    def _revision(self, deployment):
        """Return the revision of the Deployment's template, whose ReplicaSet is made or becomes the newest."""
        meta, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
        text = format(zlib.crc32(json.dumps(template, sort_keys=True).encode()), "08x")
        sets = self.find(
            REPLICA_SETS, meta["namespace"], lambda each: each["metadata"]["name"].startswith(meta["name"])
        )
        revisions = {each["metadata"]["name"]: int(each["metadata"]["annotations"][REVISION]) for each in sets}
        name, newest = f"{meta['name']}-{text}", max(revisions.values(), default=0)
        if revisions.get(name) == newest != 0:
            return str(newest)
        template["metadata"]["labels"] = template["metadata"]["labels"] | {"pod-template-hash": text}
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        own = {"name": name, "namespace": meta["namespace"], "labels": template["metadata"]["labels"]}
        own |= {"annotations": {REVISION: str(newest + 1)}, "ownerReferences": [owner]}
        spec = {"selector": deployment["spec"]["selector"], "template": template, "replicas": self.pods_wanted}
        head = {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
        self.put(
            REPLICA_SETS, (self.get(REPLICA_SETS, meta["namespace"], name) or head) | {"metadata": own, "spec": spec}
        )
        return str(newest + 1)

    def _roll_stateful(self, each):
        """Keep the revisions of a StatefulSet, and let all its pods but one be ready where the image is bad."""
        meta, template, space = each["metadata"], each["spec"]["template"], each["metadata"]["namespace"]
        text = format(zlib.crc32(json.dumps(template, sort_keys=True).encode()), "08x")
        name, wanted = f"{meta['name']}-{text}", each["spec"]["replicas"]
        known = self.find(CONTROLLER_REVISIONS, space, lambda own: controlled(own, meta["uid"]))
        numbers = {own["metadata"]["name"]: own["revision"] for own in known}
        newest = max(numbers.values(), default=0)
        if numbers.get(name) != newest or not newest:
            owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": meta["name"], "uid": meta["uid"]}
            own = {"name": name, "namespace": space, "labels": each["spec"]["selector"]["matchLabels"]}
            own["ownerReferences"] = [owner | {"controller": True}]
            revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": own, "revision": newest + 1}
            revision["data"] = {"spec": {"template": template | {"$patch": "replace"}}}
            self.put(CONTROLLER_REVISIONS, (self.get(CONTROLLER_REVISIONS, space, name) or {}) | revision)
        image = template["spec"]["containers"][0]["image"]
        well = image not in self.bad
        before = each.get("status", {}).get("currentRevision", "")
        status = {"observedGeneration": meta["generation"], "replicas": wanted, "updatedReplicas": wanted}
        status |= {"readyReplicas": wanted - (not well), "updateRevision": name}
        each["status"] = status | {"currentRevision": name if well else before}
        self.put(STATEFUL_SETS, each)
        self._pods(each, image, well)

    def _pods(self, deployment, image, well):
        """Show one pod of the newest ReplicaSet, and why it is not ready."""
        space, labels = deployment["metadata"]["namespace"], deployment["spec"]["template"]["metadata"]["labels"]
        name = f"{deployment['metadata']['name']}-1"
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": f"Back-off pulling image {image}"}}
        state = {"running": {"startedAt": NOW}} if well else waiting
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": space, "labels": labels},
        }
        pod["spec"] = deployment["spec"]["template"]["spec"]
        pod["status"] = {"phase": "Running" if well else "Pending", "containerStatuses": [{"state": state}]}
        self._show("pods", pod)
        if not well:
            event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.1", "namespace": space}}
            about = {"kind": "Pod", "name": name, "namespace": space}
            event |= {"type": "Warning", "reason": "Failed", "message": f"Failed to pull image {image}"}
            self._show("events", event | {"involvedObject": about})

    def _show(self, plural, given):
        before = self.get(("v1", plural), given["metadata"]["namespace"], given["metadata"]["name"]) or {}
        self.put(("v1", plural), merged(before, given, {}))
