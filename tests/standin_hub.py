"""A stand-in of the hub: the part of its HTTP API that its library speaks to push and pull."""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

TOKEN = "hf_right"
LARGE = (".safetensors", ".parquet")
LICENCES = ("apache-2.0", "mit", "cc-by-sa-3.0", "other", "unknown", None)
NAME = r"(?:(datasets)/)?([\w.-]+/[\w.-]+)"


class Hub(ThreadingHTTPServer):
    """The part of the hub's HTTP API that its library speaks to push and pull."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repos, self.objects, self.asked = {}, {}, Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, value=b"", status=200, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, one in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), one)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass

    def repo(self, kind, name):
        return self.server.repos.get(("dataset" if kind == "datasets" else "model", name))

    def handle_any(self):
        length = int(self.headers.get("content-length") or 0)
        body, hub = self.rfile.read(length), self.server
        path = self.path.partition("?")[0]
        for methods, pattern, act in ROUTES:
            if self.command in methods and (found := re.fullmatch(pattern, path)):
                hub.asked[act.__name__] += 1
                if self.headers.get("authorization") not in (None, f"Bearer {TOKEN}"):
                    return self.reply({"error": "Invalid username or password."}, 401)
                return act(self, body, *found.groups())
        return self.reply({"error": f"no {path}"}, 404)

    do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815 - names of the base class

    def validate(self, body):
        content = json.loads(body)["content"]
        said = yaml.safe_load(content.split("---\n")[1]) if content.startswith("---\n") else {}
        wrong = [] if said.get("license") in LICENCES else ['"license" must be one of the list']
        self.reply({"errors": wrong}, 400 if wrong else 200)

    def create(self, body):
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        key = asked.get("type") or "model", name
        there = key in self.server.repos
        self.server.repos.setdefault(key, {"files": {}, "seen": asked.get("visibility")})
        where = f"{self.server.url}/{'datasets/' * (key[0] == 'dataset')}{name}"
        self.reply({"url": where, "error": "exists"}, 409 if there else 200)

    def preupload(self, body, kind, name):
        files = json.loads(body)["files"]
        ways = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for one in files
        ]
        self.reply({"files": ways})

    def batch(self, body, kind, name):
        objects = [
            {
                "oid": one["oid"],
                "size": one["size"],
                "actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}"}},
            }
            for one in json.loads(body)["objects"]
        ]
        self.reply({"transfer": "basic", "objects": objects})

    def store(self, body, oid):
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.objects[oid] = body
        self.reply()

    def commit(self, body, kind, name):
        files = self.repo(kind, name)["files"]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
        where = f"{self.server.url}/{name}/commit/{'1' * 40}"
        self.reply({"success": True, "commitOid": "1" * 40, "commitUrl": where})

    def info(self, body, kind, name):
        if (repo := self.repo(kind, name)) is None:
            return self.reply(b"", 404, x_error_code="RepoNotFound")
        names = [{"rfilename": one} for one in repo["files"]]
        return self.reply({"id": name, "sha": "1" * 40, "siblings": names, "private": False})

    def tree(self, body, kind, name):
        files = self.repo(kind, name)["files"].items()
        self.reply(
            [
                {"type": "file", "path": path, "size": len(data), "oid": etag(data)}
                for path, data in files
            ]
        )

    def resolve(self, body, kind, name, path):
        data = self.repo(kind, name)["files"][path]
        self.reply(data, etag=f'"{etag(data)}"', x_repo_commit="1" * 40)


def etag(data):
    return hashlib.sha1(data).hexdigest()


ROUTES = [
    (("POST",), "/api/validate-yaml", Answer.validate),
    (("POST",), "/api/repos/create", Answer.create),
    (("POST",), f"/api/(?:models/)?{NAME}/preupload/main", Answer.preupload),
    (("POST",), rf"/{NAME}\.git/info/lfs/objects/batch", Answer.batch),
    (("PUT",), "/lfs/([0-9a-f]+)", Answer.store),
    (("POST",), f"/api/(?:models/)?{NAME}/commit/main", Answer.commit),
    (("GET",), f"/api/(?:models/)?{NAME}(?:/revision/[^/]+)?", Answer.info),
    (("GET",), f"/api/(?:models/)?{NAME}/tree/[^/]+", Answer.tree),
    (("GET", "HEAD"), f"/{NAME}/resolve/[^/]+/(.+)", Answer.resolve),
]
