#!/usr/bin/env python3
"""The command line of arangosync: files it makes, and what it says to those
who use it wrong.  Part of make check."""
import datetime
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/e2e"))
from cli_lib import PROGRAM, Place
from sandbox import Tap

OPENSSL = shutil.which("openssl")
os.umask(0o022)


def openssl(p, *args):
    r = subprocess.run([OPENSSL, *args], cwd=p.dir, text=True,
                       capture_output=True)
    assert r.returncode == 0, (args, r.stdout, r.stderr)
    return r.stdout


def days_valid(p, file):
    out = openssl(p, "x509", "-in", file, "-noout", "-dates")
    a, b = (datetime.datetime.strptime(x.split("=")[1], "%b %d %H:%M:%S %Y %Z")
            for x in out.splitlines())
    return (b - a).total_seconds() / 86400


def version(p):
    for args in (["--version"], ["version"]):
        out = p.good(*args).out
        assert re.fullmatch(r"Version \d+\.\d+\.\d+\S*, build \S+\n", out), out
        # As test benches read it.
        pairs = dict(x.split(" ") for x in out.strip().split(", "))
        assert pairs["Version"].count(".") == 2, pairs
    p.fails(2, "unexpected argument", "version", "x")


DEFAULTS = [
    (["create", "tls", "ca"], {"tls-ca.crt": 0o644, "tls-ca.key": 0o600},
     "Created CA certificate & key in tls-ca.crt, tls-ca.key"),
    (["create", "tls", "keyfile"], {"tls.keyfile": 0o600},
     "Created keyfile in tls.keyfile"),
    (["create", "tls", "certificate"], {"tls.crt": 0o644, "tls.key": 0o600},
     "Created certificate & key in tls.crt, tls.key"),
    (["create", "client-auth", "ca"],
     {"client-auth-ca.crt": 0o644, "client-auth-ca.key": 0o600},
     "Created CA certificate & key in client-auth-ca.crt, client-auth-ca.key"),
    (["create", "client-auth", "keyfile"], {"client-auth.keyfile": 0o600},
     "Created keyfile in client-auth.keyfile"),
    (["create", "jwt-secret"], {"secret.jwt": 0o600},
     "Created JWT secret in secret.jwt"),
]


def defaults(p):
    expected = set()
    for words, files, sentence in DEFAULTS:
        r = p.good(*words)
        lines = r.out.splitlines()
        assert lines[0] == sentence, r
        assert len(lines) == 2 and "secure location" in lines[1], r
        expected |= set(files)
        for name, mode in files.items():
            assert p.mode(name) == mode, (name, oct(p.mode(name)))
    assert set(p.files()) == expected, p.files()
    assert re.fullmatch(rb"[0-9a-f]{64}", p.read("secret.jwt"))
    for name in ("tls.keyfile", "client-auth.keyfile"):
        text = p.read(name)
        assert text.count(b"BEGIN CERTIFICATE") == 2
        assert text.endswith(b"-----END EC PRIVATE KEY-----")
    # And again: what is there is replaced.
    old = p.read("tls-ca.crt")
    p.good("create", "tls", "ca")
    assert p.read("tls-ca.crt") != old


def cross_check(p):
    """What openssl(1) says of the defaults."""
    p.good("create", "tls", "ca")
    p.good("create", "tls", "keyfile", "--host=a.example,127.0.0.1",
           "--host", "b.example", "--email", "x@y.example")
    text = openssl(p, "x509", "-in", "tls-ca.crt", "-noout", "-text")
    for words in ("O = ArangoDB, CN = ArangoDB", "prime256v1", "CA:TRUE",
                  "Digital Signature, Key Encipherment, Certificate Sign",
                  "Any Extended Key Usage, TLS Web Server Authentication"):
        assert words in text, (words, text)
    text = openssl(p, "x509", "-in", "tls.keyfile", "-noout", "-text")
    for words in ("Subject: O = ArangoDB, CN = x@y.example",
                  "DNS:a.example, DNS:b.example, email:x@y.example, "
                  "IP Address:127.0.0.1"):
        assert words in text, (words, text)
    openssl(p, "verify", "-CAfile", "tls-ca.crt", "tls.keyfile")
    openssl(p, "ec", "-in", "tls-ca.key", "-check", "-noout")
    p.good("create", "client-auth", "ca")
    p.good("create", "client-auth", "keyfile")
    openssl(p, "verify", "-CAfile", "client-auth-ca.crt", "client-auth.keyfile")
    text = openssl(p, "x509", "-in", "client-auth.keyfile", "-noout", "-text")
    assert "secp521r1" in text and "TLS Web Client" in text, text
    assert days_valid(p, "tls-ca.crt") == 15 * 365
    assert days_valid(p, "tls.keyfile") == 2 * 365
    assert days_valid(p, "client-auth-ca.crt") == 15 * 365
    assert days_valid(p, "client-auth.keyfile") == 365
    p.good("create", "tls", "certificate", "--validfor", "36h", "--curve=P384")
    assert days_valid(p, "tls.crt") == 1.5
    assert "secp384r1" in openssl(p, "x509", "-in", "tls.crt", "-noout", "-text")


def served(p):
    """A server with such a keyfile, asked by a client that verifies it."""
    p.good("create", "tls", "ca")
    p.good("create", "tls", "keyfile", "--host", "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(p.path("tls.keyfile"))
    client = ssl.create_default_context(cafile=p.path("tls-ca.crt"))
    with socket.create_server(("127.0.0.1", 0)) as s:
        def answer():
            c, _ = s.accept()
            with server.wrap_socket(c, server_side=True) as t:
                t.sendall(b"hello")
        thread = threading.Thread(target=answer)
        thread.start()
        with socket.create_connection(s.getsockname()) as c:
            with client.wrap_socket(c, server_hostname="localhost") as t:
                assert t.recv(5) == b"hello"
        thread.join()


def starter_flags(p):
    """As the Starter's tests call it: flags with '=', before and after."""
    p.good("create", "tls", "ca", "--cert=x/tls-ca.crt", "--key=x/y/tls-ca.key")
    p.good("create", "tls", "keyfile", "--cacert=x/tls-ca.crt",
           "--cakey=x/y/tls-ca.key", "--keyfile=z/tls.keyfile",
           "--host=127.0.0.1")
    p.good("create", "client-auth", "ca", "--cert=ca.crt", "--key=ca.key")
    p.good("create", "client-auth", "keyfile", "--cacert=ca.crt",
           "--cakey=ca.key", "--keyfile=k")
    assert p.files() == ["ca.crt", "ca.key", "k", "x/tls-ca.crt",
                         "x/y/tls-ca.key", "z/tls.keyfile"], p.files()
    assert p.mode("x") == 0o755 and p.mode("x/y") == 0o755
    # The last of several scalar flags wins.
    p.good("create", "jwt-secret", "--secret=no", "--secret", "yes")
    assert "yes" in p.files() and "no" not in p.files()


WRONG = [
    (["create", "tls", "ca"], [
        (["--cert="], "Missing filename for option --cert"),
        (["--cert", ""], "Missing filename for option --cert"),
        (["--key="], "Missing filename for option --key"),
        (["--cert=a", "--key=a"], "name the same file"),
        (["--curve", "P265"], "must be P224, P256, P384 or P521"),
        (["--curve="], "must be P224"),
        (["--validfor", "15 years"], "must be a duration"),
        (["--validfor=-1h"], "must not be negative"),
        (["--validfor=0"], "must be"),
        (["--validfor=99999999h"], "long"),
        (["--validfor"], "needs a value"),
        (["--host", "x"], "unknown flag --host"),
        (["--crt", "x"], "did you mean --cert?"),
        (["x"], "unexpected argument"),
        (["-x"], "unknown flag -x"),
    ]),
    (["create", "tls", "keyfile"], [
        (["--cacert="], "Missing filename for option --cacert"),
        (["--cakey="], "Missing filename for option --cakey"),
        (["--keyfile="], "Missing filename for option --keyfile"),
        (["--keyfile=tls-ca.key"], "name the same file"),
        (["--host=https://x:1"], "must be a name or an address"),
        (["--host=x:8629"], "must be a name or an address"),
        (["--host=[::1]"], "must be a name or an address"),
        (["--host=a b"], "must be a name or an address"),
        (["--host=a,,b"], "has an empty element"),
        (["--host=" + "x" * 256], "too long"),
        (["--email=ä@x"], "must be an e-mail address"),
        (["--curve=p256"], "must be P224"),
        (["--validfor=x"], "must be a duration"),
        (["--cert=x"], "unknown flag --cert"),
    ]),
    (["create", "tls", "certificate"], [
        (["--cert="], "Missing filename for option --cert"),
        (["--key="], "Missing filename for option --key"),
        (["--cacert="], "Missing filename for option --cacert"),
        (["--cakey="], "Missing filename for option --cakey"),
        (["--key=tls-ca.key"], "name the same file"),
        (["--cert=x", "--key=x"], "name the same file"),
        (["--host=a/b"], "must be a name or an address"),
        (["--email=a b"], "must be an e-mail address"),
        (["--curve=RSA"], "must be P224"),
        (["--validfor=1"], "must be a duration"),
        (["--keyfile=x"], "unknown flag --keyfile"),
    ]),
    (["create", "client-auth", "ca"], [
        (["--cert="], "Missing filename for option --cert"),
        (["--key="], "Missing filename for option --key"),
        (["--curve=P512"], "must be P224"),
        (["--validfor=1y"], "must be a duration"),
    ]),
    (["create", "client-auth", "keyfile"], [
        (["--cacert="], "Missing filename for option --cacert"),
        (["--cakey="], "Missing filename for option --cakey"),
        (["--keyfile="], "Missing filename for option --keyfile"),
        (["--host=a:b"], "must be a name or an address"),
        (["--email=\x07"], "must be an e-mail address"),
        (["--curve=P521,P256"], "must be P224"),
        (["--validfor=-8760h"], "must not be negative"),
    ]),
    (["create", "jwt-secret"], [
        (["--secret="], "Missing filename for option --secret"),
        (["--length=0"], "must be between 16 and 32"),
        (["--length=33"], "must be between 16 and 32"),
        (["--length=-1"], "must be between 16 and 32"),
        (["--length=ten"], "must be a whole number"),
        (["--length", "99999999999999999999"], "must be between 16 and 32"),
    ]),
    (["create", "tls"], [([], "did you mean \"create tls ca\"?")]),
    (["create"], [([], "incomplete command"),
                  (["nothing"], "incomplete command")]),
    ([], [([], "no command given"), (["crate"], "unknown command"),
          (["--nothing"], "no command given"),
          (["get", "stats"], "did you mean \"get status\"?")]),
]


def usage(p):
    for words, cases in WRONG:
        for args, sentence in cases:
            r = p.fails(2, sentence, *words, *args)
            assert '--help".' in r.err.splitlines()[-1], r
    assert p.files() == []


def files(p):
    """What cannot be read or written: exit code 1, and nothing else is left."""
    p.fails(1, "Failed to read tls-ca.crt: No such file", "create", "tls",
            "keyfile")
    p.write("tls-ca.crt", "nonsense")
    p.write("tls-ca.key", "nonsense")
    before = p.files()
    p.fails(1, "No certificates found in tls-ca.crt", "create", "tls",
            "certificate")
    p.good("create", "tls", "ca", "--key=other.key")
    p.fails(1, "No private key found in tls-ca.key", "create", "tls",
            "keyfile")
    p.good("create", "tls", "ca", "--cert=other.crt")
    p.fails(1, "does not belong", "create", "tls", "keyfile")
    p.good("create", "tls", "ca")
    p.good("create", "tls", "certificate")
    p.fails(1, "is not one of an authority", "create", "tls", "keyfile",
            "--cacert=tls.crt", "--cakey=tls.key")
    p.fails(1, "it is there and not a file", "create", "tls", "keyfile",
            "--keyfile=/dev/null")
    p.fails(1, "it is there and not a file", "create", "jwt-secret",
            "--secret=.")
    p.fails(1, "Failed to make directory tls.crt", "create", "jwt-secret",
            "--secret=tls.crt/x")
    key = p.read("tls.key")
    p.fails(1, "Failed to make directory tls.key", "create", "tls",
            "certificate", "--cert=tls.key/x")
    assert p.read("tls.key") == key
    p.write("big", b"x" * (2 << 20))
    p.fails(1, "Failed to read big", "create", "tls", "keyfile",
            "--cacert=big")
    assert p.files() == sorted(before + ["other.key", "other.crt", "tls.crt",
                                         "tls.key", "big"]), p.files()


def short_lived(p):
    p.good("create", "tls", "ca", "--validfor", "1s")

    def expired():
        return p.run("create", "tls", "keyfile").code == 1
    from sandbox import wait_for
    wait_for(expired, "the authority expires", 10)
    p.fails(1, "the certificate in tls-ca.crt has expired", "create", "tls",
            "keyfile")


def keystore(p):
    r = p.fails(1, "Java keystores were for Kafka", "create", "tls",
                "keystore", "--keystore-password=x", "--alias=y")
    assert "create tls certificate" in r.err
    assert p.files() == []


def help_texts(p):
    out = p.good("--help").out
    assert "keystore" not in out
    assert all(len(x) <= 80 for x in out.splitlines())
    commands = re.findall(r"^  ([a-z][a-z -]*[a-z])(?: [A-Z]|  |$)", out, re.M)
    assert len(commands) > 15, commands
    for c in commands:
        a = p.good(*c.split(), "--help").out
        assert a.startswith(f"Usage: arangosync {c}"), a
        assert all(len(x) <= 80 for x in a.splitlines()), a
        assert p.good("help", *c.split()).out == a
    assert p.files() == []


def closed_output(p):
    """Whoever cannot be told must not be told that all is well."""
    with open("/dev/full", "w") as full:
        for args in (["version"], ["--version"], ["--help"],
                     ["create", "jwt-secret"]):
            r = subprocess.run([PROGRAM, *args], cwd=p.dir, stdout=full,
                               stderr=subprocess.PIPE)
            assert r.returncode == 1, (args, r)


TESTS = [
    ("cli: --version as test benches read it", version),
    ("cli: defaults, modes and sentences of the create commands", defaults),
    ("cli: openssl(1) agrees with the certificates", cross_check),
    ("cli: a server with a keyfile is verified", served),
    ("cli: the flags that the Starter gives", starter_flags),
    ("cli: every wrong flag is one sentence, exit code 2 and no file", usage),
    ("cli: files that cannot be used are exit code 1", files),
    ("cli: an expired authority signs nothing", short_lived),
    ("cli: keystores are explained", keystore),
    ("cli: every command has help in 80 columns", help_texts),
    ("cli: output that cannot be written is a failure", closed_output),
]

t = Tap(len(TESTS))
for name, fn in TESTS:
    if fn is cross_check and OPENSSL is None:
        t.skip(name, "openssl is not installed")
        continue
    with Place() as place:
        t.run(name, fn, place)
t.finish()
