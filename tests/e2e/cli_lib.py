"""Running arangosync in a directory of its own."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import BUILD, SLOW

PROGRAM = os.path.abspath(os.path.join(BUILD, "src", "arangosync"))


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Place:
    """A directory that is removed at the end; commands run in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cli-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, *args, timeout=60, **kw):
        p = subprocess.run([PROGRAM, *args], cwd=self.dir, text=True,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=timeout * SLOW, **kw)
        return Result(p.returncode, p.stdout, p.stderr)

    def good(self, *args, **kw):
        r = self.run(*args, **kw)
        assert r.code == 0, (args, r)
        return r

    def fails(self, code, words, *args, **kw):
        """Ends with this code and one sentence that holds these words."""
        r = self.run(*args, **kw)
        assert r.code == code, (args, r)
        lines = [x for x in r.err.splitlines()
                 if not x.startswith(("Try ", "arangosync: warning:"))]
        assert len(lines) == 1, (args, r)
        assert lines[0].startswith("arangosync: "), (args, r)
        assert words in lines[0], (words, r)
        assert r.out == "", (args, r)
        return r

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return name

    def files(self):
        found = []
        for top, _, names in os.walk(self.dir):
            found += [os.path.relpath(os.path.join(top, n), self.dir)
                      for n in names]
        return sorted(found)

    def mode(self, name):
        return os.stat(self.path(name)).st_mode & 0o7777
