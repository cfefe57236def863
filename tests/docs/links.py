#!/usr/bin/env python3
"""Every link between the project's pages leads somewhere, headings included.

usage: links.py ROOT | --self-test
"""
import pathlib
import re
import sys
import tempfile

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.M | re.S)


def anchors(text):
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub(lambda m: m[0].strip("`"), text), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def problems(root, page):
    text = (root / page).read_text()
    for target in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (root / page).parent / name if name else root / page
        if not path.exists():
            yield f"{page}: {target}: there is no such file"
        elif anchor and anchor not in anchors(path.read_text()):
            yield f"{page}: {target}: there is no such heading"


def pages(root):
    return [p.relative_to(root) for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
            for p in sorted(root.glob(pattern))]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "docs").mkdir()
        (root / "docs" / "a.md").write_text("# An `A`, b\n\n[up](../README.md)\n")
        for text, n_expected in (
                ("[a](docs/a.md) [folder](docs) [far](https://example.org)", 0),
                ("[a](docs/a.md#an-a-b) `[no](link)`\n\n```\n[no](link)\n```\n", 0),
                ("[a](docs/b.md)", 1), ("[a](docs/a.md#a)", 1), ("[here](#there)", 1)):
            (root / "README.md").write_text(text)
            found = [what for page in pages(root) for what in problems(root, page)]
            if len(found) != n_expected:
                sys.exit(f"self-test: {text!r}: expected {n_expected} complaints, found {found}")
    print("self-test: 5 cases, 0 wrong")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        self_test()
        return
    root = pathlib.Path(sys.argv[1]).resolve()
    found = [what for page in pages(root) for what in problems(root, page)]
    for what in found:
        print(what)
    print(f"{len(pages(root))} pages")
    sys.exit(1 if found or not pages(root) else 0)


if __name__ == "__main__":
    main()
