"""As much of a Kubernetes API server as kubectl needs to deploy: discovery, reading, watching, server-side apply."""

import json
import re
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.k8s import executing
from tests.k8s.cluster import KINDS, merged, patched
from tests.k8s.forwarding import Forwarding

PLACE = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<space>[^/]+)(?=/))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?$"
)
STREAMS = ("X-Stream-Protocol-Version", "portforward.k8s.io")
TERM = re.compile(r"\s*([^\s!=,]+)\s*(?:(=|==|!=)\s*([^,]*)|(in|notin)\s*\(([^)]*)\))?\s*(?:,|$)")


def selects(selector, values):
    """Tell whether labels, or fields, are what a selector wants."""
    for name, equal, value, among, listed in TERM.findall(selector):
        own, wanted = values.get(name), {value} if equal else {each.strip() for each in listed.split(",")}
        negative = "!=" in equal or among == "notin"
        if (equal or among) and (own in wanted) == negative:
            return False
    return True


def fields(each):
    """Return what field selectors ask about."""
    meta = each["metadata"]
    return {"metadata.name": meta["name"], "metadata.namespace": meta.get("namespace"), "type": each.get("type")}


def groups():
    return sorted({version for version, _ in KINDS})


def resources(version):
    """Return the discovery document of a group and version."""
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    listed = [
        {"name": plural, "singularName": kind.lower(), "namespaced": spaced, "kind": kind, "verbs": verbs}
        for (own, plural), (kind, spaced) in KINDS.items()
        if own == version
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}


def group_list():
    made = [{"groupVersion": each, "version": each.split("/")[1]} for each in groups() if "/" in each]
    listed = [
        {"name": each["groupVersion"].split("/")[0], "versions": [each], "preferredVersion": each} for each in made
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def openapi(version):
    """Return a document that says no more than that the server checks fields itself, so that kubectl need not."""
    group, _, number = version.rpartition("/")
    checked = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {
        f"/{plural}": {
            "patch": {
                "parameters": checked,
                "x-kubernetes-group-version-kind": {"group": group, "version": number, "kind": kind},
            }
        }
        for (own, plural), (kind, _) in KINDS.items()
        if own == version
    }
    return {"openapi": "3.0.0", "info": {"title": "stand-in", "version": "v1"}, "paths": paths}


def path_of(version):
    return f"apis/{version}" if "/" in version else f"api/{version}"


class Handler(BaseHTTPRequestHandler):
    """Answers for the cluster of its server."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *given):
        self.server.asked.append(f"{self.command} {self.path}")

    def answer(self, content, status=200):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def refuse(self, status, reason, message):
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason}
        self.answer(said | {"message": message}, status)

    def read(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return yaml.safe_load(text) if text else None

    def place(self):
        """Return kind, namespace, name and query of the address, or nothing for one that is none of an object."""
        parts = urlsplit(self.path)
        found = PLACE.match(parts.path)
        kind = found and (found["core"] or found["group"], found["plural"])
        if kind not in KINDS:
            return None
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        return kind, found["space"], found["name"], query

    def execute(self):
        """Become one end of `kubectl exec`, which runs a command in what the server takes for a pod."""
        query = parse_qs(urlsplit(self.path).query)
        self.send_response(101)
        answer = executing.accept(self.headers["Sec-WebSocket-Key"])
        for name, value in (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", answer)):
            self.send_header(name, value)
        self.send_header("Sec-WebSocket-Protocol", executing.PROTOCOL)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        stdin = query.get("stdin", ["false"])[0] == "true"
        self.server.executed.append(query["command"])
        executing.run(self.rfile, self.wfile, stdin, lambda given: self.server.pod(query["command"], given))

    def do_GET(self):
        if self.path.split("?")[0].endswith("/exec"):
            self.execute()
            return
        path = urlsplit(self.path).path.strip("/")
        known = {"api": {"kind": "APIVersions", "versions": ["v1"]}, "apis": group_list()}
        known |= {"version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}}
        known |= {path_of(version): resources(version) for version in groups()}
        known |= {f"openapi/v3/{path_of(version)}": openapi(version) for version in groups()}
        known["openapi/v3"] = {
            "paths": {path_of(each): {"serverRelativeURL": f"/openapi/v3/{path_of(each)}"} for each in groups()}
        }
        if path in known:
            self.answer(known[path])
        elif place := self.place():
            self.look(*place)
        else:
            self.refuse(404, "NotFound", f"no {path}")

    def look(self, kind, space, name, query):
        def wanted(each):
            labels, chosen = query.get("labelSelector", ""), query.get("fieldSelector", "")
            return selects(labels, each["metadata"].get("labels", {})) and selects(chosen, fields(each))

        cluster = self.server.cluster
        if query.get("watch") in ("1", "true"):
            with suppress(OSError):  # who watches, hangs up
                self.watch(kind, space, wanted, int(query.get("resourceVersion") or 0))
        elif name is None:
            items = cluster.find(kind, space, wanted)
            meta = {"resourceVersion": str(len(cluster.changes))}
            self.answer({"kind": f"{KINDS[kind][0]}List", "apiVersion": kind[0], "metadata": meta, "items": items})
        elif each := cluster.get(kind, space, name):
            self.answer(each)
        else:
            self.refuse(404, "NotFound", f'{kind[1]} "{name}" not found')

    def watch(self, kind, space, wanted, since):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cluster = self.server.cluster
        while not self.server.closing:
            with cluster.changed:
                if len(cluster.changes) <= since:
                    cluster.changed.wait(0.2)
                news, since = cluster.changes[since:], len(cluster.changes)
            for what, own, each in news:
                if own == kind and space in (None, each["metadata"].get("namespace")) and wanted(each):
                    text = json.dumps({"type": what, "object": each}).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                    self.wfile.flush()

    def forward(self):
        """Become one end of `kubectl port-forward`, which leads to the app."""
        self.send_response(101)
        for name, value in (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), STREAMS):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        with suppress(OSError):
            Forwarding(self.rfile, self.connection, self.server.app_port).run()

    def do_POST(self):
        if self.path.split("?")[0].endswith("/portforward"):
            return self.forward()
        kind, space, _, _ = self.place()
        if kind[1] == "selfsubjectaccessreviews":  # asked in protobuf, and answered without a look
            self.rfile.read(int(self.headers["Content-Length"]))
            said = {"kind": "SelfSubjectAccessReview", "apiVersion": kind[0]}
            return self.answer(said | {"status": {"allowed": self.server.allowed}}, 201)
        given = self.read()
        given["metadata"].setdefault("namespace", space)
        return self.answer(
            self.write(kind, space, given["metadata"]["name"], lambda: self.server.cluster.put(kind, given))
        )

    def do_PATCH(self):
        kind, space, name, _ = self.place()
        given, media, cluster = self.read(), self.headers["Content-Type"], self.server.cluster
        if kind[1] in self.server.refused:
            return self.refuse(422, "Invalid", f"{kind[1]} {name} is refused by a policy")
        if "apply-patch" in media:
            if KINDS[kind][1] and space and not cluster.get(("v1", "namespaces"), None, space):
                return self.refuse(404, "NotFound", f'namespaces "{space}" not found')
            return self.answer(self.write(kind, space, name, lambda: cluster.apply(kind, space, name, given)))
        current = cluster.get(kind, space, name)
        new = patched(current, given) if "json-patch" in media else merged(current, given, {})
        return self.answer(self.write(kind, space, name, lambda: cluster.put(kind, new)))

    def write(self, kind, space, name, change):
        """Do a change, and note it if the object is another one after it."""
        before = self.server.cluster.get(kind, space, name)
        after = change()
        if before is None or before["metadata"]["resourceVersion"] != after["metadata"]["resourceVersion"]:
            self.server.writes.append(f"{kind[1]}/{name}")
        return after

    def do_DELETE(self):
        kind, space, name, _ = self.place()
        self.read()
        self.server.writes.append(f"-{kind[1]}/{name or '*'}")
        names = [name] if name else [each["metadata"]["name"] for each in self.server.cluster.find(kind, space)]
        gone = [self.server.cluster.delete(kind, space, each) for each in names]
        if name and gone == [None]:
            return self.refuse(404, "NotFound", f'{kind[1]} "{name}" not found')
        return self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})


class ApiServer(ThreadingHTTPServer):
    """A cluster behind an address of this machine, with a controller beside it."""

    daemon_threads = True

    def __init__(self, cluster):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cluster, self.allowed, self.refused, self.app_port = cluster, True, set(), None
        self.writes, self.asked, self.executed, self.closing = [], [], [], False
        self.pod = lambda command, given: (127, b"", f"no pod that could run {command[0]}".encode())
        self.url = f"http://127.0.0.1:{self.server_port}"

    def kubeconfig(self, file):
        """Write what kubectl needs to come here."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stand-in",
            "clusters": [{"name": "stand-in", "cluster": {"server": self.url}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "nobody"}}],
        }
        file.write_text(yaml.safe_dump(content))
        return file


def _control(server):
    """Roll out whenever something changes."""
    seen = 0
    while not server.closing:
        with server.cluster.changed:
            if len(server.cluster.changes) == seen:
                server.cluster.changed.wait(0.2)
            server.cluster.control()
            seen = len(server.cluster.changes)


@contextmanager
def serving(cluster):
    """Give an API server that runs, with its controller."""
    server = ApiServer(cluster)
    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=_control, args=(server,))]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        server.closing = True
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()
