#!/usr/bin/env python3
"""All C code is laid out as .clang-format says. `make format` lays it out.

usage: layout.py ROOT | --apply ROOT | --self-test ROOT
"""
import pathlib
import shutil
import subprocess
import sys

import sources

VERSION = "14."  # others lay code out differently


def clang_format():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path is None:
            continue
        said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        if f"version {VERSION}" in said:
            return path
    sys.exit("clang-format 14 is missing: packaging/install-packages check")


def run(root, arguments, **more):
    return subprocess.run([clang_format(), "--style=file", *arguments], cwd=root, **more)


def self_test(root):
    """The checker finds code that is laid out otherwise, and only that."""
    for text, is_good in (("int f(void)\n{\n    return 0;\n}\n", True),
                          ("int f(void) {\n  return 0;\n}\n", False)):
        done = run(root, ["--dry-run", "-Werror", "--assume-filename=x.c"], input=text, text=True,
                   capture_output=True)
        if (done.returncode == 0) != is_good:
            sys.exit(f"self-test: wrong about\n{text}\n{done.stderr}")
    print("self-test: 2 cases, 0 wrong")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[-1])
    if sys.argv[1] == "--self-test":
        self_test(root)
        return
    files = [str(p) for p in sources.c_files(root)]
    if not files:
        sys.exit("no files to look at")
    if sys.argv[1] == "--apply":
        sys.exit(run(root, ["-i", *files]).returncode)
    done = run(root, ["--dry-run", "-Werror", "--ferror-limit=5", *files],
               stdin=subprocess.DEVNULL)
    print(f"{len(files)} files")
    if done.returncode != 0:
        print("`make format` lays them out")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
