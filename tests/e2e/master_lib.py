"""Masters for tests: certificates, processes, requests."""
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time

from cli_lib import PROGRAM, Place
from sandbox import SLOW, Response, wait_for

MONITOR = "monitor-me"


def free_port():
    with socket.socket(socket.AF_INET6) as s:
        s.bind(("::", 0))
        return s.getsockname()[1]


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except (OSError, ValueError):
        return 0


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Kit(Place):
    """A directory with all that masters of one datacenter need."""

    def __init__(self):
        super().__init__()
        self.masters = []
        for args in (("tls", "ca", "--cert", "tls-ca.crt", "--key", "tls-ca.key"),
                     ("client-auth", "ca", "--cert", "ca.crt", "--key", "ca.key"),
                     ("client-auth", "ca", "--cert", "other.crt", "--key", "other.key"),
                     ("jwt-secret", "--secret", "secret")):
            self.good("create", *args)
        self.new_keyfile("tls.keyfile")
        self.client("client.keyfile")
        self.client("wrong.keyfile", ca="other")

    def __exit__(self, *a):
        for m in self.masters:
            m.kill()
        super().__exit__(*a)

    def new_keyfile(self, name, *more):
        self.good("create", "tls", "keyfile", "--cacert", "tls-ca.crt", "--cakey",
                  "tls-ca.key", "--host", "127.0.0.1", "--keyfile", name, *more)

    def client(self, name, *more, ca="ca"):
        self.good("create", "client-auth", "keyfile", "--cacert", ca + ".crt",
                  "--cakey", ca + ".key", "--keyfile", name, *more)

    @property
    def secret(self):
        return self.read("secret").decode()


class Master:
    """One daemon; form is how its arguments are written."""

    def __init__(self, kit, name, coordinators, secret, form="kube", **changed):
        self.kit, self.name, self.form = kit, name, form
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.top = kit.path(name)
        os.mkdir(self.top)
        self.data = os.path.join(self.top, "data")
        self.log = os.path.join(self.top, "arangosync.log")
        self.process = None
        self.flags = {
            "cluster.endpoint": coordinators,
            "cluster.jwt-secret": [secret] if secret else [],
            "master.jwt-secret": [kit.path("secret")],
            "monitoring.token": [MONITOR],
            "mq.type": ["direct"],
            "server.client-cafile": [kit.path("ca.crt")],
            "server.endpoint": [self.url],
            "server.keyfile": [kit.path("tls.keyfile")],
            "server.port": [str(self.port)],
            "data.dir": [self.data],
        }
        self.flags.update({k.replace("_", "."): v for k, v in changed.items()})
        kit.masters.append(self)

    def args(self):
        f = self.flags
        if self.form == "kube":         # product reference 8.2
            return [f"--{k}={v}" for k in sorted(f) for v in f[k]]
        a = ["--log.file", self.log]    # 8.1
        for k in ("server.endpoint", "server.port", "monitoring.token",
                  "master.jwt-secret"):
            a += ["--" + k, f[k][0]]
        a += ["--pid-file", os.path.join(self.data, "LOCK"), "--log.level",
              "debug"]
        for k in ("server.keyfile", "server.client-cafile", "mq.type",
                  "cluster.jwt-secret"):
            a += ["--" + k, f[k][0]]
        for e in f["cluster.endpoint"]:
            a += ["--cluster.endpoint", e]
        return a + ["--log.stderr=false"]

    def start(self, *more):
        err = subprocess.DEVNULL if self.form != "kube" else \
            open(self.log, "ab")
        self.process = subprocess.Popen(
            [PROGRAM, "run", "master", *self.args(), *more],
            stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        if self.form == "kube":
            err.close()
        return self

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        """Title -> pid; "unnamed 123" is one that was forked this moment and
        has the supervisor's arguments still."""
        found = {}
        for p in os.listdir("/proc"):
            if p.isdigit() and parent_of(p) == self.pid:
                try:
                    with open(f"/proc/{p}/cmdline", "rb") as f:
                        title = f.read().rstrip(b"\0").decode()
                except OSError:
                    continue
                name = title.removeprefix("arangosync: ")
                found[name if name != title else f"unnamed {p}"] = int(p)
        return found

    def kill(self):
        """All of its processes at once."""
        if self.process is None:
            return
        pids = [self.pid, *self.children().values()]
        for p in pids:
            try:
                os.kill(p, signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM; the exit code and the seconds that it took."""
        t = time.monotonic()
        self.process.terminate()
        code = self.process.wait(30 * SLOW)
        self.process = None
        return code, time.monotonic() - t

    def context(self, cert=None):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.load_verify_locations(self.kit.path("tls-ca.crt"))
        if cert:
            c.load_cert_chain(self.kit.path(cert))
        return c

    def call(self, method, path, body=None, auth=None, cert=None, forward=False):
        """An answer; raises OSError or ssl.SSLError."""
        h = {}
        if auth:
            h["authorization"] = auth
        if forward:
            h["x-allow-forward-to-leader"] = "true"
        conn = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20 * SLOW,
                                           context=self.context(cert))
        try:
            conn.request(method, path, None if body is None else json.dumps(body), h)
            r = conn.getresponse()
            return Response(r.status, r.getheaders(), r.read())
        finally:
            conn.close()

    def get(self, path, **kw):
        """With a client certificate."""
        kw.setdefault("cert", "client.keyfile")
        return self.call("GET", path, **kw)

    def try_status(self, path, **kw):
        """The status, 0 without an answer."""
        try:
            return self.get(path, **kw).status
        except (OSError, http.client.HTTPException):
            return 0

    def wait_version(self, seconds=10):
        wait_for(lambda: self.try_status("/_api/version", cert=None,
                                         auth="bearer " + MONITOR) == 200,
                 f"{self.name} answers", seconds)

    def leads(self):
        """It answers what only the leader answers, without passing it on."""
        return self.try_status("/_api/message-timeout") == 200

    def certificate(self):
        with socket.create_connection(("127.0.0.1", self.port), 10) as s, \
                self.context().wrap_socket(s, server_hostname="127.0.0.1") as t:
            return t.getpeercert(True)

    def logged(self, words):
        with open(self.log, errors="replace") as f:
            return words in f.read()
