#!/usr/bin/env python3
"""Every public header compiles alone, as C17 and as C++, and mneme.h includes them all.

usage: compile_headers.py INCLUDE_DIRECTORY | --self-test
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile


def compilers():
    """(name, command) of a C and a C++ compiler."""
    found = []
    for name, candidates, options in (
            ("C17", ("cc", "gcc", "clang"), ["-x", "c", "-std=c17"]),
            ("C++", ("c++", "g++", "clang++"), ["-x", "c++", "-std=c++11"])):
        path = next(filter(None, map(shutil.which, candidates)), None)
        if path is None:
            sys.exit(f"no compiler for {name}: packaging/install-packages check")
        found.append((name, [path, *options, "-Wall", "-Wextra", "-pedantic", "-Werror",
                             "-fsyntax-only"]))
    return found


def problems(folder):
    headers = sorted((folder / "mneme").glob("*.h"))
    if not headers:
        yield "no headers"
    all_of_them = (folder / "mneme" / "mneme.h").read_text()
    for header in headers:
        include = f'#include "mneme/{header.name}"\n'
        if header.name != "mneme.h" and include not in all_of_them:
            yield f"mneme.h does not include {header.name}"
        # twice: the guard works
        for name, command in compilers():
            done = subprocess.run([*command, f"-I{folder}", "-"], text=True,
                                  input=include * 2 + "int not_empty;\n",
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                yield f"{header.name} as {name}:\n{done.stdout}"


def self_test():
    guard = "#ifndef A_H\n#define A_H\n%s\n#endif\n"
    for text, includes, n_expected in (
            (guard % "int f(int x);", '#include "mneme/a.h"\n', 0),
            (guard % "int f(size_t x);", '#include "mneme/a.h"\n', 4),  # mneme.h suffers too
            (guard % "int f(int class);", '#include "mneme/a.h"\n', 2),  # no C++, in both
            ("enum { A };\n", '#include "mneme/a.h"\n', 2),  # no guard
            (guard % "int f(int x);", "", 1)):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "mneme").mkdir()
            (pathlib.Path(folder) / "mneme" / "a.h").write_text(text)
            (pathlib.Path(folder) / "mneme" / "mneme.h").write_text(
                "#ifndef M_H\n#define M_H\n" + includes + "#endif\n")
            found = list(problems(pathlib.Path(folder)))
            if len(found) != n_expected:
                sys.exit(f"self-test: {text!r}: expected {n_expected} complaints, found {found}")
    print("self-test: 5 cases, 0 wrong")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        self_test()
        return
    found = list(problems(pathlib.Path(sys.argv[1])))
    for what in found:
        print(what)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
