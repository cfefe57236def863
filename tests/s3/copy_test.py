#!/usr/bin/env python3
"""Copies a directory with the program in examples/: what is there unchanged is not sent again.

usage: copy_test.py PROGRAM

The environment names the bucket, as with_double.py and `ceph run` do. A directory is tried too.
"""
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile

PART_BYTES = 8 << 20
FILES = {"empty": 0, "small": 1000, "part": PART_BYTES, "in/parts": PART_BYTES + 1,
         "in/more parts": 2 * PART_BYTES + 77}


def content(n_bytes):
    return bytes(i * 31 % 251 for i in range(251)) * (n_bytes // 251) + b"x" * (n_bytes % 251)


def copy(program, folder, url, n_copied):
    """One run, which copies so many files and leaves out the others."""
    done = subprocess.run([program, str(folder), url], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    expected = f"{n_copied} files copied, {len(FILES) - n_copied} were there\n"
    if done.returncode != 0 or done.stdout != expected or done.stderr != "":
        sys.exit(f"{url}: exit code {done.returncode}: {done.stdout!r} {done.stderr!r}, "
                 f"expected {expected!r}")


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="mneme-copy-") as scratch:
        folder = pathlib.Path(scratch) / "files"
        for name, n_bytes in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content(n_bytes))
        bucket = f"s3://{os.environ['MNEME_S3_BUCKET']}/copy-{secrets.token_hex(8)}"
        for url in f"dir:{scratch}/store", bucket:
            copy(program, folder, url, len(FILES))
            copy(program, folder, url, 0)
            flip(folder / "in" / "more parts", PART_BYTES + 5)
            copy(program, folder, url, 1)
            flip(folder / "in" / "parts", PART_BYTES)
            flip(folder / "small", 3)
            copy(program, folder, url, 2)
            copy(program, folder, url, 0)


if __name__ == "__main__":
    main()
