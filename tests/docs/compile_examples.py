#!/usr/bin/env python3
"""Every example in the documentation is compiled, and those marked to run are run.

Looked at: README.md, ARCHITECTURE.md, docs/**/*.md, examples/*.c and the man pages in man/*.scd.

    ```c     A block with `int main` is compiled as a program, and linked when a library is given.
             Another block is compiled as part of a function in which the usual names (store, err,
             st, ...) are declared, or else as a file of its own. A literal block of a man page is
             C when it has a semicolon at the end of a line.
    ```sh    Checked for syntax only.

`<!-- run -->` on the line before a block has it run in an empty directory, with the command `mneme`
of the build on PATH: a program must exit with 0, every line of a script must succeed. The programs
in examples/ are run in the same way.

usage: compile_examples.py [--library FILE] [--command FILE] ROOT | --self-test
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

INCLUDES = "#include <inttypes.h>\n#include <stdio.h>\n#include <stdlib.h>\n" \
           "#include <string.h>\n#include <mneme/mneme.h>\n"
# What a reader of a fragment takes for granted.
NAMES = "mn_store *store, mn_txn *txn, mn_wal *wal, mn_iter *iter, struct mn_view *view, " \
        "struct mn_record record, struct mn_slice name, struct mn_slice id, " \
        "struct mn_error err, mn_status st, uint64_t lsn"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-unused-variable",
            "-Wno-unused-but-set-variable", "-Wno-unused-but-set-parameter",
            "-Wno-unused-function", "-Wno-missing-field-initializers"]
# Some warnings, that of an ignored status among them, come only with real compilation.
OBJECT = ["-c", "-o", "/dev/null"]
FENCE = re.compile(r"^```(\w*)\s*$")


class Block:
    def __init__(self, path, line, language, text, is_run):
        self.where = f"{path}:{line}"
        self.language = language
        self.text = text
        self.is_run = is_run


def blocks_of(path, text):
    """Fenced blocks of Markdown or scdoc."""
    blocks, begin, language, is_run, previous = [], None, "", False, ""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence and begin is None:
            begin, language, is_run = number, fence[1], previous.strip() == "<!-- run -->"
        elif line.startswith("```") and begin is not None:
            body = "\n".join(lines[begin:number - 1]) + "\n"
            if path.suffix == ".scd":
                body = body.replace("\t", "    ").replace("\\\\", "\\")
                language = "c" if re.search(r";\n", body) else ""
            blocks.append(Block(path, begin, language, body, is_run))
            begin = None
        if line.strip():
            previous = line
    return blocks


class Examples:
    def __init__(self, root, scratch, library=None, command=None):
        self.root = root
        self.scratch = scratch
        self.library = library
        self.command = command
        self.complaints = []
        self.n_failed = 0
        self.n_done = 0

    def call(self, arguments, **more):
        return subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, **more)

    def compile(self, text, *arguments):
        source = self.scratch / "example.c"
        source.write_text(text)
        return self.call([os.environ.get("CC", "cc"), "-std=c17",
                          *WARNINGS, f"-I{self.root / 'include'}", str(source), *arguments])

    def note(self, where, done):
        self.n_done += 1
        if done.returncode != 0:
            self.n_failed += 1
            self.complaints.append(f"{where}: failed\n{done.stdout}")

    def run(self, where, arguments):
        path = os.environ["PATH"]
        if self.command is not None:
            path = f"{self.command.resolve().parent}:{path}"
        environment = {**os.environ, "PATH": path}
        with tempfile.TemporaryDirectory() as empty:
            self.note(where + " (run)", self.call(arguments, cwd=empty, env=environment))

    def program(self, block):
        if self.library is None:
            self.note(block.where, self.compile(block.text, *OBJECT))
            return
        program = self.scratch / "example"
        folder = self.library.resolve().parent
        built = self.compile(block.text, "-o", str(program), str(self.library.resolve()),
                             f"-Wl,-rpath,{folder}")
        self.note(block.where, built)
        if block.is_run and built.returncode == 0:
            self.run(block.where, [str(program)])

    def fragment(self, block):
        inside = f"{INCLUDES}void example({NAMES});\nvoid example({NAMES})\n{{\n{{\n" \
                 f"{block.text}\n}}\n}}\n"
        done = self.compile(inside, *OBJECT)
        if done.returncode != 0:
            alone = self.compile(INCLUDES + block.text, *OBJECT)
            done = alone if alone.returncode == 0 else done
        self.note(block.where, done)

    def script(self, block):
        self.note(block.where, self.call(["bash", "-n", "-c", block.text]))
        if not block.is_run:
            return
        if self.command is None and re.search(r"\bmneme\b", block.text):
            print(f"{block.where}: not run, there is no command in this build")
            return
        self.run(block.where, ["bash", "-eu", "-o", "pipefail", "-c", block.text])

    def check(self, block):
        if block.language == "c" and "int main" in block.text:
            self.program(block)
        elif block.language == "c":
            self.fragment(block)
        elif block.language == "sh":
            self.script(block)


def self_test():
    page = "```c\nint main(void)\n{\n    return %s;\n}\n```\n\n<!-- run -->\n\n```sh\n%s\n```\n" \
           "```c\n%s\n```\n```text\nanything\n```\n"
    fine = ("0", "true", "st = mn_put(store, name, &record, NULL, &lsn, &err);")
    for values, n_failed in (
            (fine, 0), (("x", *fine[1:]), 1), ((fine[0], "false", fine[2]), 1),
            ((fine[0], "if", fine[2]), 2), ((*fine[:2], "mn_put(store);"), 1),
            ((*fine[:2], "mn_put(store, name, &record, NULL, &lsn, &err);"), 1),
            ((*fine[:2], "#include <mneme/no_such.h>"), 1)):
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(__file__).resolve().parents[2]
            examples = Examples(root, pathlib.Path(scratch))
            for block in blocks_of(pathlib.Path("page.md"), page % values):
                examples.check(block)
            if examples.n_failed != n_failed:
                sys.exit(f"self-test: {values}: {examples.n_failed} failed, expected {n_failed}")
    print("self-test: 7 cases, 0 wrong")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--library", type=pathlib.Path)
    parser.add_argument("--command", type=pathlib.Path)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("root", nargs="?", type=pathlib.Path)
    options = parser.parse_args()
    if options.self_test:
        self_test()
        return
    root = options.root.resolve()
    pages = [root / "README.md", root / "ARCHITECTURE.md", *sorted(root.glob("docs/**/*.md")),
             *sorted(root.glob("man/*.scd"))]
    blocks = [b for p in pages for b in blocks_of(p.relative_to(root), p.read_text())]
    for source in sorted(root.glob("examples/*.c")):
        blocks.append(Block(source.relative_to(root), 1, "c", source.read_text(), True))
    with tempfile.TemporaryDirectory() as scratch:
        examples = Examples(root, pathlib.Path(scratch), options.library, options.command)
        for block in blocks:
            examples.check(block)
    for complaint in examples.complaints:
        print(complaint)
    print(f"{len(pages)} pages, {examples.n_done} checks, {examples.n_failed} failed")
    sys.exit(1 if examples.n_failed or not examples.n_done else 0)


if __name__ == "__main__":
    main()
