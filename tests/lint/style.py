#!/usr/bin/env python3
"""The house rules that a program can check: headers, sizes, names, words."""
import re

import sources

COLUMNS_MAX = 100
FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 70
CODE_SUFFIXES = (".c", ".h", ".py", ".build")
# Written in pieces, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + r"X)\b")
LEAKS = ("/wo" + "rk/", "../sha" + "red")
GUARD = re.compile(r"^#ifndef (\w+_H)\n#define \1$", re.M)


def header_problems(path, text):
    """Each .c file of library and command says in its first lines what a stranger must know."""
    comment = text.partition("*/")[0]
    if not re.match(r"/\*\n \* " + re.escape(path.name) + r" - \S", text):
        yield 1, f'the first lines are "/*" and " * {path.name} - purpose."'
        return
    if path.suffix == ".h":
        if not GUARD.search(text):
            yield 1, "no include guard"
        return
    if path.parts[0] not in ("src", "cli"):
        return
    at = [comment.find(f"\n * {word}: ") for word in ("Owns", "Threads", "Fails")]
    if min(at) < 0 or at != sorted(at):
        yield 1, "the header comment states Owns, Threads and Fails, in this order"


def function_problems(text):
    """In the layout of clang-format, a function's body stands between braces in column 0."""
    begin = None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            begin = number
        elif line.startswith("}") and begin is not None:
            n_lines = number - begin - 1
            if n_lines > FUNCTION_LINES_MAX:
                yield begin, f"function of {n_lines} lines; at most {FUNCTION_LINES_MAX}"
            begin = None


def text_problems(path, text):
    lines = text.splitlines()
    is_code = path.suffix in CODE_SUFFIXES
    if is_code and len(lines) > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"file of {len(lines)} lines; at most {FILE_LINES_MAX}"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end"
    for number, line in enumerate(lines, 1):
        if is_code and len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns; at most {COLUMNS_MAX}"
        if is_code and "\t" in line:
            yield number, "tab"
        if line != line.rstrip() and path.suffix != ".md":
            yield number, "space at the end of the line"
        if UNFINISHED.search(line):
            yield number, "unfinished: " + UNFINISHED.search(line)[1]
        for leak in LEAKS:
            if leak in line:
                yield number, f"names a place outside the project: {leak}"


def problems(path, text):
    if any(re.search(r"(^|[_-])utils?([_.-]|$)", part) for part in path.parts):
        yield 1, "a file named util is a missing idea"
    if path.suffix in (".c", ".h"):
        if path.parts[0] in ("src", "cli", "include"):
            yield from header_problems(path, text)
        yield from function_problems(text)
    yield from text_problems(path, text)


def is_text(root, path):
    if path.parts[:2] in (("examples", "data"), ("fuzz", "corpus"), ("tests", "golden")):
        return False
    return path.suffix in CODE_SUFFIXES + (".md", ".scd", ".txt", ".yml", ".sh", "")


GOOD = "/*\n * a.c - purpose.\n *\n * Owns:    x.\n * Threads: any.\n * Fails:   never.\n */\n"
BODY = "int f(void)\n{\n%s}\n"
CASES = [
    ("src/wal/a.c", GOOD + BODY % ("    x();\n" * 70), None),
    ("tests/unit/a.c", "int x;\n", None),
    ("src/wal/a.h", "/*\n * a.h - purpose.\n */\n#ifndef A_H\n#define A_H\n#endif\n", None),
    ("src/wal/futile.c", GOOD.replace("a.c", "futile.c"), None),
    ("README.md", "x" * 200 + "\n", None),
    ("src/wal/a.c", "int x;\n", "first lines"),
    ("src/wal/b.c", GOOD, "first lines"),
    ("src/wal/a.c", GOOD.replace("Threads", "Thread"), "Owns, Threads and Fails"),
    ("src/wal/a.h", "/*\n * a.h - purpose.\n */\n", "include guard"),
    ("src/wal/a.c", GOOD + BODY % ("    x();\n" * 71), "function of 71 lines"),
    ("src/wal/a.c", GOOD + "int x;\n" * 1000, "file of 1007 lines"),
    ("src/wal/a.c", GOOD + "/*" + "x" * 99 + "\n", "101 columns"),
    ("src/wal/a.c", GOOD + "\tint x;\n", "tab"),
    ("src/wal/a.c", GOOD + "int x; \n", "space at the end"),
    ("src/wal/a.c", GOOD + "int x;", "no newline"),
    ("src/wal/a.c", GOOD + "/* TO" + "DO: later */\n", "unfinished"),
    ("docs/a.md", "see /wo" + "rk/x\n", "outside the project"),
    ("src/wal/wal_util.c", GOOD.replace("a.c", "wal_util.c"), "missing idea"),
    ("src/utils/a.c", GOOD, "missing idea"),
]

if __name__ == "__main__":
    sources.main(problems, CASES, lambda root: [
        p for p in sources.all_files(root) if is_text(root, p)])
