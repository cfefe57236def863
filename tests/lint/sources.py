"""What the lints share: which files there are, and how a lint runs and proves itself.

A lint is a function `problems(path, text)` that yields (line number, what is wrong). Its self-test
is a list of (path, text, part of the expected complaint, or None when the text is fine), so that a
lint that finds nothing any more fails.
"""
import pathlib
import subprocess
import sys

BUILT = ("build", ".git", "__pycache__", "subprojects")


def all_files(root):
    """Files that belong to the project, as paths relative to `root`."""
    root = pathlib.Path(root)
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdin=subprocess.DEVNULL, capture_output=True)
    if listed.returncode == 0 and listed.stdout:
        names = [pathlib.PurePosixPath(n.decode()) for n in listed.stdout.split(b"\0") if n]
    else:  # an unpacked archive, or a checkout of another user
        names = [pathlib.PurePosixPath(p.relative_to(root)) for p in root.rglob("*")
                 if not p.relative_to(root).parts[0].startswith(BUILT)]
    return sorted(n for n in names if (root / n).is_file() and not (root / n).is_symlink())


def c_files(root):
    return [p for p in all_files(root) if p.suffix in (".c", ".h")]


def read(root, path):
    return (pathlib.Path(root) / path).read_text(encoding="utf-8")


def report(found):
    """Prints complaints and returns the exit code."""
    for path, line, what in found:
        print(f"{path}:{line}: {what}")
    if found:
        print(f"{len(found)} complaints")
    return 1 if found else 0


def self_test(problems, cases):
    """Runs `problems` on prepared texts; returns the exit code."""
    n_wrong = 0
    for path, text, expected in cases:
        found = [what for _, what in problems(pathlib.PurePosixPath(path), text)]
        if expected is None:
            good = not found
        else:
            good = any(expected in what for what in found)
        if not good:
            n_wrong += 1
            print(f"self-test: {path}: expected {expected!r}, found {found}\n{text}")
    n_bad = sum(1 for case in cases if case[2] is not None)
    if n_bad == 0:
        print("self-test: no case that must fail")
        return 1
    print(f"self-test: {len(cases)} cases, {n_wrong} wrong")
    return 1 if n_wrong else 0


def main(problems, cases, choose):
    """Command line of a lint: `--self-test`, or the project's root."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ROOT | --self-test")
    if sys.argv[1] == "--self-test":
        sys.exit(self_test(problems, cases))
    root = sys.argv[1]
    files = choose(root)
    if not files:
        sys.exit("no files to look at")
    found = [(p, line, what) for p in files for line, what in problems(p, read(root, p))]
    print(f"{len(files)} files")
    sys.exit(report(found))
