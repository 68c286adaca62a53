"""A master that plays a part: HTTPS, answers from a table, notes of what was
asked."""
import http.server
import json
import socket
import ssl
import threading
import time

ZERO = "0001-01-01T00:00:00Z"


class Request:
    def __init__(self, method, path, headers, body, peer):
        self.method, self.path = method, path
        self.headers = {k.lower(): v for k, v in headers.items()}
        self.body, self.peer = body, peer

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.method} {self.path}"


class Answer:
    def __init__(self, status=200, body=b"", headers=(), delay=0, cut=0):
        self.status, self.headers, self.delay = status, dict(headers), delay
        self.body = body if isinstance(body, bytes) else \
            json.dumps(body).encode()
        self.cut = cut          # bytes of the body that never come


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        m = self.server.master
        n = int(self.headers.get("content-length") or 0)
        peer = self.connection.getpeercert()
        q = Request(self.command, self.path, self.headers,
                    self.rfile.read(n), peer)
        with m.lock:
            m.log.append(q)
            m.active += 1
            m.most_active = max(m.most_active, m.active)
        try:
            a = m.answer(q)
            time.sleep(a.delay)
            self.send_response(a.status)
            for k, v in a.headers.items():
                self.send_header(k, v)
            self.send_header("content-length", str(len(a.body)))
            self.end_headers()
            self.wfile.write(a.body[:len(a.body) - a.cut])
            if a.cut:
                self.close_connection = True
        except OSError:
            self.close_connection = True
        finally:
            with m.lock:
                m.active -= 1

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass                    # handshakes that are meant to fail


class Master:
    """routes: {"GET /path": what}; what is an Answer, JSON (status 200), a
    function of the request that gives one, or a list of them, the last of
    which stays."""

    def __init__(self, keyfile, routes=None, client_cert=None):
        self.routes = dict(routes or {})
        self.log, self.lock = [], threading.Lock()
        self.active = self.most_active = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keyfile)
        if client_cert:
            context.load_verify_locations(client_cert)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.master = self
        # The handshake is done by the thread of the connection.
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.url = "https://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, q):
        a = self.routes.get(f"{q.method} {q.path}")
        if a is None:
            a = self.routes.get(f"{q.method} {q.path.split('?')[0]}")
        if isinstance(a, list):
            a = a.pop(0) if len(a) > 1 else a[0]
        if callable(a):
            a = a(q)
        if a is None:
            a = Answer(404, {"Error": "not found"})
        return a if isinstance(a, Answer) else Answer(200, a)

    def asked(self, method=None):
        return [repr(q) for q in self.log
                if method is None or q.method == method]


def unused_port():
    """An endpoint where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return "https://127.0.0.1:%d" % s.getsockname()[1]


def shard(database, collection, index=0, status="running", **more):
    return {"database": database, "collection": collection,
            "shardIndex": index, "status": status, "last_message": ZERO,
            "last_data_change": ZERO, "last_shard_master_change": ZERO,
            "shard_master_known": True, **more}


def info(status, shards=(), outgoing=(), source=("https://s:8629",), **more):
    """SyncInfo as a master makes it: empty members are left out."""
    o = {"source": list(source), "status": status}
    if shards:
        o.update(shards=list(shards), shardsCount=len(shards),
                 totalShardsCount=len(shards))
    if outgoing:
        o["outgoing"] = list(outgoing)
    return {**o, **more}


INACTIVE = info("", source=())
