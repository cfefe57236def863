#!/usr/bin/env python3
"""Turns the results of `make bench` into the tables of docs/benchmarks.md.

usage: table.py RESULTS [--into FILE | --among FILE]

RESULTS is what bench/run wrote. Without a FILE the tables go to standard output. With --into they
replace what stands between the two marks in FILE; with --among only the rows of the cases that
RESULTS has are replaced there, or added at the ends.
"""
import json
import pathlib
import sys

BEGIN = "<!-- figures: written by bench/table.py -->\n"
END = "<!-- end of figures -->\n"

CASES = {
    "commit-1": "durable commits, 1 writer",
    "commit-16": "durable commits, 16 writers",
    "batch-100": "durable batches of 100",
    "get-hot": "point reads of a hot set",
    "replay": "opening after a kill",
    "memory-128": "memory, 400,000 records, 128 dimensions",
    "memory-128-grown": "memory, 270,000 records, 128 dimensions",
    "memory-768": "memory, 100,000 records, 768 dimensions",
    "ingest-128": "sustained batches, 1,000,000 x 128",
    "ingest-768": "sustained batches, 300,000 x 768",
    "written-128": "bytes written per byte stored, 1,000,000 x 128",
    "written-768": "bytes written per byte stored, 300,000 x 768",
    "ingest-memory-128": "most memory meanwhile, 1,000,000 x 128",
    "ingest-memory-768": "most memory meanwhile, 300,000 x 768",
    "get-128": "point reads anywhere, 1,000,000 x 128",
    "get-768": "point reads anywhere, 300,000 x 768",
    "scan-128": "scan, 1,000,000 x 128",
    "scan-768": "scan, 300,000 x 768",
    "open-128": "opening, 1,000,000 x 128",
    "commit-p99": "99th percentile of a commit",
    "drop-128": "drop of 1,000,000 records",
    "snapshot-stall": "longest commit while a snapshot is made",
    "export-stall": "longest commit while an export is made",
    "snapshot": "snapshot in the pool",
    "snapshot-bytes": "files of a snapshot",
    "snapshot-own": "own bytes of an incremental snapshot, 1 % changed",
    "export": "export by copy",
    "export-bytes": "files of an export",
    "export-again": "incremental export, 1 % changed",
    "export-again-bytes": "what an incremental export adds",
    "restore-link": "restore by link",
    "restore-copy": "restore by copy",
    "diskcache-fill": "disk cache, puts",
    "diskcache-get": "disk cache, gets",
    "diskcache-median": "disk cache, median of a get",
    "diskcache-zipf": "disk cache, hits, zipf 0.9",
    "diskcache-scan": "disk cache, hits, zipf 0.9 and a scan",
    "diskcache-loop": "disk cache, hits, loop over 730 MiB",
    "diskcache-short-loop": "disk cache, hits, loop over 200 MiB",
    "s3-get-1": "objects of 8 MiB from S3, one at a time",
    "s3-get-4": "objects of 8 MiB from S3, 4 at a time",
    "s3-put-1": "objects of 8 MiB to S3, one at a time",
    "s3-put-4": "objects of 8 MiB to S3, 4 at a time",
    "ramcache-get-1": "gets of the cache in memory, 1 thread",
    "ramcache-get-2": "gets of the cache in memory, 2 threads",
    "ramcache-zipf": "hits in memory, zipf 0.9",
    "ramcache-scan": "hits in memory, zipf 0.9 and scans",
    "ramcache-loop": "hits in memory, a loop larger than the cache",
    "ramcache-shift": "hits in memory, zipf 0.9 whose keys change",
    "ramcache-recent": "hits in memory, what was asked for lately",
    "ramcache-zipf-sizes": "hits in memory, zipf 0.9, sizes differ",
    "ramcache-scan-sizes": "hits in memory, zipf 0.9 and scans, sizes differ",
    "search-full-glove-1": "full scan, 341,479 words x 100, 1 thread",
    "search-glove-1": "search, 341,479 words x 100, 1 thread",
    "search-full-glove-2": "full scan, 341,479 words x 100, 2 threads",
    "search-glove-2": "search, 341,479 words x 100, 2 threads",
    "search-full-128-1": "full scan, 1,000,000 x 128, 1 thread",
    "search-128-1": "search, 1,000,000 x 128, 1 thread",
    "search-full-128-2": "full scan, 1,000,000 x 128, 2 threads",
    "search-128-2": "search, 1,000,000 x 128, 2 threads",
    "search-full-768-1": "full scan, 300,000 x 768, 1 thread",
    "search-768-1": "search, 300,000 x 768, 1 thread",
    "search-full-768-2": "full scan, 300,000 x 768, 2 threads",
    "search-768-2": "search, 300,000 x 768, 2 threads",
    "search-small": "search in 1,000 x 128",
    "changes": "change points, 100,000 x 128",
    **{f"temporal-{name}-{shape}": f"{what}, {title}"
       for shape, title in {
           "128": "1,000,000 x 128 in order",
           "128-shuffled": "1,000,000 x 128 shuffled",
           "768": "100,000 x 768 in order",
           "768-shuffled": "100,000 x 768 shuffled",
       }.items()
       for name, what in {
           "put": "points in durable batches of 100",
           "range": "range of 100 points",
           "as-of": "latest point until a time",
           "next-from": "first point from a time on",
           "timeline": "timelines",
           "get": "reads of points",
       }.items()},
    "temporal-cost-range": "range of 100 of so many points",
    "temporal-cost-as-of": "latest of so many points until a time",
    "temporal-cost-next-from": "first of so many points from a time on",
    "temporal-cost-get": "read of one of so many points",
    "temporal-cost-timeline": "timeline of so many points",
    "temporal-cost-latest": "latest of so many points",
    "temporal-delta-saved": "segments of slow entities, saved by differences",
    "temporal-delta-range": "range of 100 points of slow entities",
    "semcache-store": "durable stores of answers, 16 writers",
    "semcache-load-id": "loads of answers by id, all of 4 KiB",
    "semcache-load-key": "loads of answers by exact key, all of 4 KiB",
    "semcache-first-id": "loads of answers by id, the first byte",
    "semcache-first-key": "loads of answers by exact key, the first byte",
    "semcache-pins-maps": "maps, 100,000 answers held at once",
    "semcache-pins-fds": "descriptors, 100,000 answers held at once",
    "semcache-open": "opening 100,000 answers",
    "semcache-memory": "memory of an answer's place in the index",
    "semcache-lookup": "look-up of an answer by meaning, median",
    "semcache-lookup-p99": "look-up of an answer by meaning, 99th percentile",
    "semcache-recall": "nearest answers that are found",
    "semcache-lookup-dense": "look-up by meaning, 1,000 near each, median",
    "semcache-lookup-p99-dense": "look-up by meaning, 1,000 near each, 99th percentile",
    "semcache-recall-dense": "nearest answers that are found, 1,000 near each",
}


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def row(*cells):
    return "| " + " | ".join(cells) + " |\n"


def machine(results):
    for result in results:
        if "machine" in result:
            m = result["machine"]
            return (f"{m['cpu']}, {m['cores']} cores, {m['memory_mib']:,} MiB of memory, "
                    f"Linux {m['kernel']}, {m['disk']}.\n")
    return ""


def targets(results):
    units = {r["case"]: r["unit"] for r in results if "contender" in r}
    text = row("figure", "target", "measured", "") + row("---", "---", "---", "---")
    for r in results:
        if "target" not in r:
            continue
        unit = "x" if "/" in r["target"] else " " + units[r["case"]]
        what = r["target"].replace("/", " / ")
        text += row(f"{CASES[r['case']]}: {what}", f"{r['wanted']} {number(r['bound'])}{unit}",
                    f"{number(r['measured'])}{unit}", "reached" if r["reached"] else "**MISSED**")
    return text


def contenders(results):
    medians = {(r["case"], r["contender"]): r["median"] for r in results if "contender" in r}
    text = row("case", "contender", "median", "lowest to highest", "Mneme / this")
    text += row("---", "---", "--:", "--:", "--:")
    for r in results:
        if "contender" not in r:
            continue
        own = medians.get((r["case"], "mneme"))
        has_ratio = own is not None and r["contender"] != "mneme" and r["median"] > 0
        ratio = f"{own / r['median']:.2f}" if has_ratio else ""
        spread = f"{number(min(r['rounds']))} to {number(max(r['rounds']))}"
        text += row(CASES[r["case"]], r["contender"], f"{number(r['median'])} {r['unit']}", spread,
                    ratio)
    return text


def settings(results):
    seen = {}
    for r in results:
        if "contender" in r:
            seen.setdefault((r["contender"], r["settings"]), None)
    return "".join(f"- **{name}**: {text}\n" for name, text in seen)


def title_of(line):
    return line[2:].split(" | ")[0] if line.startswith("| ") else None


def among(old, new, titles):
    """The lines of a table or list, with the new rows instead of the old ones of these cases."""
    def is_of(line):
        title = title_of(line)
        return title is not None and any(title == t or title.startswith(t + ": ") for t in titles)

    rows = [line for line in new if is_of(line) or line.startswith("- ")]
    places = [i for i, line in enumerate(old) if is_of(line)]
    at = places[0] if places else len(old)
    kept = [line for line in old[at:] if not is_of(line)]
    return old[:at] + [line for line in rows if line not in old[:at] + kept] + kept


def blocks(text):
    return [block.splitlines(keepends=True) for block in text.strip("\n").split("\n\n")]


def merged(old, results, parts):
    """The tables as they stand in the page, with the cases of the results among them."""
    titles = {CASES[r["case"]] for r in results if "contender" in r}
    olds = blocks(old)
    if len(olds) != len(parts):
        sys.exit("the tables on the page are not as this program writes them")
    texts = ["".join(olds[0]) + "\n"]
    for lines, part in zip(olds[1:], parts[1:]):
        lines[-1] = lines[-1].rstrip("\n") + "\n"
        texts.append("".join(among(lines, part.splitlines(keepends=True), titles)))
    return texts


def main():
    ways = ("--into", "--among")
    if len(sys.argv) not in (2, 4) or (len(sys.argv) == 4 and sys.argv[2] not in ways):
        sys.exit(__doc__)
    lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
    results = [json.loads(line) for line in lines]
    parts = [machine(results), targets(results), contenders(results), settings(results)]
    if len(sys.argv) == 2:
        sys.stdout.write("\n" + "\n".join(parts) + "\n")
        return
    path = pathlib.Path(sys.argv[3])
    page = path.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"{path}: the marks of the figures are missing")
    before, rest = page.split(BEGIN)
    old, after = rest.split(END)
    if sys.argv[2] == "--among":
        parts = merged(old, results, parts)
    path.write_text(before + BEGIN + "\n" + "\n".join(parts) + "\n" + END + after)


if __name__ == "__main__":
    main()
