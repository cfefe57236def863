"""What the end-to-end tests share: they run the built command, $MNEME, as a user would.

A test is a function whose name is a behaviour and whose only parameter is a Place: a new directory
with a store path in it. Call main() at the end of a file; an argument picks tests by a part of
their name.
"""
import base64
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

MNEME = os.environ.get("MNEME", "mneme")


class Result:
    def __init__(self, code, out, err):
        self.code = code
        self.out = out  # bytes
        self.err = err.decode("utf-8", "backslashreplace")

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"exit code {self.code}\nstdout: {self.out[:2000]!r}\nstderr: {self.err[:2000]}"


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("MNEME_DIR", "NO_COLOR")}
    env["TERM"] = "xterm"
    env.update(more)
    return env


def run(*args, given=b"", env=None, cwd=None):
    """Runs the command with `given` (bytes, text or a list of lines) on stdin."""
    if isinstance(given, list):
        given = "".join(line + "\n" for line in given)
    if isinstance(given, str):
        given = given.encode()
    done = subprocess.run([MNEME, *args], input=given, capture_output=True,
                          env=env or environment(), cwd=cwd)
    return Result(done.returncode, done.stdout, done.stderr)


class Place:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.store = str(self.folder / "store")

    def run(self, *args, given=b"", code=0):
        """Runs a command on the store and checks its exit code (None: any)."""
        result = run("-d", self.store, *args, given=given)
        if code is not None and result.code != code:
            raise AssertionError(f"{args}: expected exit code {code}, got {result}")
        return result

    def put(self, lines, *options, name="n", code=0):
        return self.run("put", name, *options, given=lines, code=code)

    def get(self, *args, name="n", code=0):
        return self.run("get", name, *args, code=code).lines()

    def ids(self, *options, name="n"):
        return [line["id"] for line in self.run("list", name, *options).lines()]

    def start(self, *args, **more):
        """A running command with pipes."""
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([MNEME, "-d", self.store, *args], env=environment(),
                                **{**streams, **more})

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)


def same(actual, expected, what=""):
    if actual != expected:
        raise AssertionError(f"{what}\n  expected {expected!r}\n  got      {actual!r}")


def has(text, part):
    if part not in text:
        raise AssertionError(f"expected {part!r} in {text!r}")


def record(record_id, **more):
    return json.dumps({"id": record_id, **more}, ensure_ascii=False, separators=(",", ":"))


def floats64(*bits):
    """Base64 of little-endian float32 with these bits."""
    return base64.b64encode(struct.pack(f"<{len(bits)}I", *bits)).decode()


def bits_of(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def npy(rows, version=(1, 0), header=None, data=None):
    """A NumPy file of float32 rows."""
    shape = (len(rows), len(rows[0]) if rows else 1)
    if header is None:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    text = header.encode()
    length = struct.Struct("<H" if version == (1, 0) else "<I")
    text += b" " * (-(8 + length.size + len(text) + 1) % 64) + b"\n"
    if data is None:
        data = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
    return b"\x93NUMPY" + bytes(version) + length.pack(len(text)) + text + data


def main():
    module = sys.modules["__main__"]
    tests = [(name, function) for name, function in vars(module).items()
             if callable(function) and getattr(function, "__module__", "") == "__main__"
             and not name.startswith("_") and function.__code__.co_varnames[:1] == ("place",)]
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    n_failed = 0
    n_run = 0
    for name, function in tests:
        if wanted not in name:
            continue
        n_run += 1
        folder = tempfile.mkdtemp(prefix="mneme-e2e-")
        try:
            function(Place(folder))
            print(f"[       OK ] {name}", flush=True)
        except Exception:  # a test may fail in any way
            n_failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"[  FAILED  ] {name}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{n_run - n_failed} passed, {n_failed} failed")
    sys.exit(1 if n_failed > 0 or n_run == 0 else 0)
