#!/usr/bin/env python3
"""The official JavaScript driver at work: arangojs from npm, unchanged,
against two coordinators with credentials.  What it does is in arangojs.mjs.

The driver is installed once below the build directory.  Without node, npm or
a registry the test says so and is skipped.
"""
import json
import os
import shutil
import subprocess
import sys
import time

TOP = os.environ.get("top_srcdir", ".")
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
from sandbox import BUILD, SLOW, Cluster, jwt

DRIVER = "arangojs@9.3.0"
DBSERVERS = 3


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def install():
    """The directory that has node_modules with the driver."""
    where = os.path.join(os.path.abspath(BUILD), "tests", "e2e",
                         "node-" + DRIVER.replace("@", "-"))
    done = os.path.join(where, "node_modules", "arangojs", "esm", "index.js")
    if os.path.exists(done):
        return where
    part = f"{where}.{os.getpid()}"
    os.makedirs(part)
    try:
        r = subprocess.run(["npm", "install", "--no-save", "--no-audit",
                            "--no-fund", "--fetch-retries", "1",
                            "--prefix", part, DRIVER],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=120)
        if r.returncode != 0:
            said = [line for line in r.stdout.decode(errors="replace").split("\n")
                    if line.lower().startswith("npm err")] + [""]
            skip(f"npm cannot fetch {DRIVER}: {said[0]}")
        shutil.rmtree(where, ignore_errors=True)
        os.rename(part, where)
    except subprocess.TimeoutExpired:
        skip(f"npm did not fetch {DRIVER} in time")
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return where


for tool in ("node", "npm"):
    if shutil.which(tool) is None:
        skip(f"{tool} is not installed")
driver = install()
sys.stdout.flush()
with Cluster(coordinators=2, dbservers=DBSERVERS, auth=True) as c:
    config = {"driver": driver, "dbservers": DBSERVERS,
              "urls": [c.server(f"coordinator{i}")["endpoint"] for i in (1, 2)],
              "user": "root", "password": "geheim",
              "shortToken": jwt({"iss": "arangodb",
                                 "preferred_username": "root",
                                 "exp": int(time.time()) + 100})}
    r = subprocess.run(["node", os.path.join(TOP, "tests/e2e/arangojs.mjs"),
                        json.dumps(config)], stdin=subprocess.DEVNULL,
                       timeout=600 * SLOW)
sys.exit(r.returncode)
