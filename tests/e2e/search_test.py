#!/usr/bin/env python3
"""search: its results are those of comparing every vector, in JSON and as a table."""
import base64
import fcntl
import json
import math
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import termios

from harness import MNEME, environment, floats64, has, main, npy, record, run, same

METRICS = ("cosine", "dot", "l2")


def _search(place, *options, name="n", code=0):
    return place.run("search", name, *options, code=code)


def _ids(place, *options, name="n"):
    return [line["id"] for line in _search(place, *options, name=name).lines()]


def _json(vector):
    return json.dumps(vector)


def _score(metric, q, x):
    dot = sum(a * b for a, b in zip(q, x))
    if metric == "dot":
        return dot
    if metric == "l2":
        return -sum((a - b) ** 2 for a, b in zip(q, x))
    lengths = math.sqrt(sum(a * a for a in q)) * math.sqrt(sum(b * b for b in x))
    return dot / lengths if lengths else 0.0


def _check(lines, metric, query, vectors, k):
    """`vectors` are those of the live records; elements are small integers, so that sums are exact
    in float, whatever their order."""
    expected = {i: _score(metric, query, x) for i, x in vectors.items()}
    same(len(lines), min(k, len(vectors)))
    same(lines, sorted(lines, key=lambda h: (-h["score"], h["id"].encode())), "order")
    for line in lines:
        want = expected[line["id"]]
        if metric == "cosine":
            same(abs(line["score"] - want) <= 1e-6, True, (line, want))
        else:
            same(line["score"], want, line)
    if metric != "cosine":
        best = sorted(expected, key=lambda i: (-expected[i], i.encode()))[:k]
        same([line["id"] for line in lines], best)
        return
    worst = lines[-1]["score"] if len(lines) == k else -2
    for i in expected.keys() - {line["id"] for line in lines}:
        same(expected[i] <= worst + 1e-6, True, (i, expected[i], worst))


def the_best_are_those_of_comparing_every_vector(place):
    seed = int(os.environ.get("MNEME_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}")
    rng = random.Random(seed)
    for n_dims, high in ((1, 3), (3, 1), (40, 9), (130, 2)):
        name = f"d{n_dims}"
        vectors = {}

        def put(ids):
            for i in ids:
                vectors[i] = [rng.randint(-high, high) for _ in range(n_dims)]
            place.put([record(i, vector=vectors[i]) for i in ids], name=name)
        put([f"a{i:03}" for i in range(300)])
        for step in ("in the log", "in a segment", "in both", "in two segments", "merged"):
            if step in ("in a segment", "in two segments", "merged"):
                place.run("checkpoint")
            if step in ("in both", "merged"):  # some are new, some are overwritten, some go
                put([f"a{i:03}" for i in rng.sample(range(300), 20)])
                put([f"b{i:03}" for i in rng.sample(range(300), 80)])
                gone = rng.sample(sorted(vectors), 30)
                place.run("delete", name, *gone)
                for i in gone:
                    del vectors[i]
            for metric in METRICS:
                query = [rng.randint(-high, high) for _ in range(n_dims)]
                k = rng.choice((1, 7, 100, 1000))
                options = ("--vector", _json(query), "-k", str(k), "--metric", metric)
                found = _search(place, *options, name=name)
                _check(found.lines(), metric, query, vectors, k)
                for more in (("--full-scan",), ("--threads", "1"), ("--threads", "2")):
                    same(_search(place, *options, *more, name=name).out, found.out, (step, more))


def lines_have_the_score_behind_the_id_and_all_that_get_prints(place):
    place.put([record("a", vector=[3, 4], metadata={"t": 1}, payload_base64="AP8=",
                      expires_at=4102444800.25, event_time_us=-7),
               record("b", vector=[0.1, -0.5])])
    query = ("--vector", "[3,4]")
    out = _search(place, *query).out.decode().splitlines()
    same(out[0], '{"id":"a","score":1,"metadata":{"t":1},"payload_base64":"AP8=",'
                 '"expires_at":4102444800.25,"event_time_us":-7,"lsn":1}')
    for form in ("none", "json", "base64"):
        got = place.get("a", "b", "--vectors", form)
        hits = _search(place, *query, "--vectors", form).lines()
        for hit in hits:
            del hit["score"]
        same(hits, got)
    same(_search(place, "--vector", "[1,0]", "--metric", "l2", "-k", "1").lines()[0]["score"],
         -1.06)


def equal_scores_are_in_the_order_of_the_ids_bytes(place):
    ids = ["b", "a", "B", "é", "z", "aa", "\U0001F600", "\uffff", "0"]
    expected = sorted(ids, key=lambda i: i.encode())
    place.put([record(i, vector=[1, 1]) for i in ids[:5]])
    place.run("checkpoint")
    place.put([record(i, vector=[1, 1]) for i in ids[5:]])
    for metric in METRICS:
        same(_ids(place, "--vector", "[1,2]", "--metric", metric), expected)
        same(_ids(place, "--vector", "[1,2]", "--metric", metric, "-k", "4"), expected[:4])
        same(_ids(place, "--vector", "[1,2]", "--metric", metric, "-k", "3", "--offset", "4"),
             expected[4:7])
        same(_ids(place, "--vector", "[1,2]", "--metric", metric, "--offset", "9"), [])


def a_vector_comes_from_a_file_or_from_a_record(place):
    rows = [[1, 0], [0, 1], [1, 1]]
    place.put([record(f"r{i}", vector=row) for i, row in enumerate(rows)])
    path = place.file("q:1.npy", npy(rows))  # a colon in the name
    for i, row in enumerate(rows):
        by_vector = _search(place, "--vector", _json(row), "--metric", "dot").out
        same(_search(place, "--vector-file", f"{path}:{i}", "--metric", "dot").out, by_vector)
        by_id = _search(place, "--id", f"r{i}", "--metric", "dot")
        same(by_id.out, by_vector)
        same(f"r{i}" in [line["id"] for line in by_id.lines()], True)
    same(_search(place, "--id", "r0", "--metric", "l2").lines()[0]["id"], "r0")


def options_bound_what_is_found(place):
    place.put([record(f"r{i:02}", vector=[i, 0]) for i in range(30)])
    query = ("--vector", "[1,0]", "--metric", "dot")
    best = [f"r{i:02}" for i in range(29, -1, -1)]
    same(_ids(place, *query), best[:10])
    same(_ids(place, *query, "-k5"), best[:5])
    same(_ids(place, *query, "-k", "65536"), best)
    same(_ids(place, *query, "--min-score", "25"), best[:5])
    same(_ids(place, *query, "--min-score=25.0000001", "--offset", "1"), best[1:5])
    same(_ids(place, *query, "--min-score", "29.5"), [])
    same(_ids(place, "--vector", "[1,0]", "--metric", "l2", "--min-score", "-4", "-k", "9"),
         ["r01", "r00", "r02", "r03"])
    score = _search(place, "--vector", "[7,3]", "-k1").lines()[0]["score"]
    same(_ids(place, "--vector", "[7,3]", "--min-score", repr(score), "-k", "1"), ["r01"])


def every_set_of_kernels_finds_the_same_bytes(place):
    rng = random.Random(3)
    for half in range(2):
        place.put([record(f"r{half}{i:03}", vector=[rng.gauss(0, 1) for _ in range(99)])
                   for i in range(200)])
        if half == 0:
            place.run("checkpoint")
    for metric in METRICS:
        options = ("search", "n", "--id", "r0007", "--metric", metric, "-k", "50")
        expected = place.run(*options).out
        same(expected.count(b"\n"), 50)
        for kernels in ("scalar", "avx2", "avx512", "neon", "none of these"):
            result = run("-d", place.store, *options, env=environment(MNEME_KERNELS=kernels))
            same((result.code, result.out), (0, expected), (metric, kernels))


def what_is_expired_deleted_or_has_no_vector_is_not_found(place):
    place.put([record("live", vector=[1, 0]), record("gone", vector=[2, 0]),
               record("old", vector=[3, 0]), record("bare"),
               record("past", vector=[4, 0], expires_at=1),
               record("later", vector=[0, 1], ttl_seconds=3600)])
    for _ in range(2):
        place.run("delete", "n", "gone", code=None)
        place.put([record("old", vector=[-1, 0])])
        same(_ids(place, "--vector", "[1,0]", "--metric", "dot"), ["live", "later", "old"])
        result = _search(place, "--id", "past", code=3)
        same((result.out, result.err), (b"", 'mneme: no record "past" in "n"\n'))
        place.run("checkpoint")


def without_vectors_nothing_is_found(place):
    place.run("create", "n")
    same(_search(place, "--vector", "[1,2,3]").out, b"")
    place.put([record("bare")])
    same(_search(place, "--vector", "[1,2,3]").out, b"")
    result = _search(place, "--id", "bare", code=1)
    same((result.out, result.err), (b"", 'mneme: record "bare" has no vector\n'))
    place.run("create", "d", "--dimension", "2")
    same(_search(place, "--vector", "[1,2]", "--stats", name="d").lines()[0]["stats"]["results"], 0)
    has(_search(place, "--vector", "[1,2]", "--table", name="d").out.decode(), "RANK")


def a_score_that_is_nan_is_no_result_and_an_infinite_one_reads_back(place):
    place.put([record("nan", vector_base64=floats64(0x7FC00000, 0)),
               record("inf", vector_base64=floats64(0x7F800000, 0)),
               record("huge", vector=[3e38, 3e38]), record("one", vector=[1, 0]),
               record("zero", vector=[0, 0])])
    for _ in range(2):
        for metric in METRICS:
            ids = _ids(place, "--vector", "[1,1]", "--metric", metric)
            same("nan" in ids, False)
            same({"one", "zero"} <= set(ids), True)
        lines = _search(place, "--vector", "[-3e38,-3e38]", "--metric", "dot").lines()
        same({line["id"]: line["score"] for line in lines if line["id"] != "inf"},
             {"zero": 0, "one": -3e38, "huge": -math.inf})
        # What is printed as a score is a least score, too.
        query = ("--vector", "[-3e38,-3e38]", "--metric", "dot")
        has(_search(place, *query).out, b'"score":-1e999')
        same(_search(place, *query, "--min-score", "-1e999").out, _search(place, *query).out)
        query = ("--vector", "[3e38,3e38]", "--metric", "dot")
        has(_search(place, *query).out, b'"score":1e999')
        same(_ids(place, *query, "--min-score", "1e999"), ["huge", "inf"])
        lines = _search(place, "--vector", "[1,0]").lines()
        same({line["id"]: line["score"] for line in lines}["zero"], 0)
        place.run("checkpoint")
    for record_id, what in (("nan", "NaN"), ("inf", "infinite")):
        result = _search(place, "--id", record_id, code=1)
        same((result.out, result.err),
             (b"", f'mneme: record "{record_id}": element 0, counted from 0, is {what}; a search '
                   'takes finite numbers\n'))


def stats_are_a_last_line_that_scripts_read(place):
    rng = random.Random(1)
    place.put([record(f"r{i:03}", vector=[rng.randint(-9, 9) for _ in range(64)])
               for i in range(500)])
    query = ("--id", "r007", "-k", "3", "--stats")
    for is_in_segment in (False, True):
        result = _search(place, *query)
        same(result.err, "")
        lines = result.lines()
        same(["id" in line for line in lines], [True] * 3 + [False])
        same(list(lines[3]), ["stats"])
        stats = lines[3]["stats"]
        same(list(stats), ["results", "scanned", "refined", "fallback", "damaged", "bytes_read",
                           "threads", "duration_us"])
        same((stats["results"], stats["scanned"], stats["damaged"], stats["threads"]),
             (3, 500, 0, 1))
        same(3 <= stats["refined"] <= 500 if is_in_segment else stats["refined"] == 0, True, stats)
        same(stats["bytes_read"] > 0 and stats["duration_us"] >= 0, True, stats)
        full = _search(place, *query, "--full-scan").lines()
        same((full[:3], full[3]["stats"]["refined"]), (lines[:3], 0))
        place.run("checkpoint")


def usage_errors_exit_2_and_say_what(place):
    place.put([record("a", vector=[1, 0])])
    query = ("--vector", "[1,0]")
    for options, part in [
        ((), "which vector"), (("--id", "a", *query), "exclude each other"),
        ((*query, "--vector-file", "x:1"), "exclude each other"),
        ((*query, "--filter", '{"a":1}'), "there are no filters yet"),
        (("--filter", "{}"), "there are no filters yet"),
        ((*query, "-k", "0"), '-k takes a number from 1 to 65536, not "0"'),
        ((*query, "-k", "65537"), "-k takes"), ((*query, "-k-1"), "-k takes"),
        ((*query, "-k", "x"), "-k takes"), ((*query, "-k"), "-k needs a value"),
        ((*query, "--offset", "65536"), "--offset takes"),
        ((*query, "--offset", "65530"), "together more than 65536"),
        ((*query, "--metric", "l1"), "cosine, dot, l2"),
        ((*query, "--vectors", "xml"), "json, base64, none"),
        ((*query, "--vectors", "json", "--table"), "a table has no vectors"),
        ((*query, "--threads", "0"), "--threads"), ((*query, "--threads", "3"), "--threads"),
        ((*query, "--min-score", "x"), "--min-score takes a number"),
        ((*query, "--min-score", "nan"), "--min-score takes a number"),
        ((*query, "--min-score", "1e39"), "--min-score takes a number"),
        ((*query, "--timeout", "0"), "more than 0"), ((*query, "--timeout", "-1"), "more than 0"),
        ((*query, "--timeout", "1s"), "more than 0"), ((*query, "--timeout", "1e99"), "--timeout"),
        (("--vector", "[1,x]"), "--vector: expected"), (("--vector", "[1,x]"), "at byte 3"),
        (("--vector", "[1,2"), "at byte 4"), (("--vector", "[1,2]]"), "at byte 5"),
        (("--vector", "[1,NaN]"), "at byte 3"), (("--vector", "[1,1e99]"), "at byte 3"),
        (("--vector", '[1,"2"]'), "at byte 3"), (("--vector", "[1,[2]]"), "at byte 3"),
        (("--vector", ""), "--vector: "), (("--vector", "[]"), "--vector is empty"),
        (("--vector", "{}"), "takes an array"), (("--vector", "1,0"), "takes an array"),
        (("--vector-file", "f.npy"), "takes F.npy:ROW"), (("--vector-file", "f.npy:"), "F.npy:ROW"),
        (("--vector-file", ":1"), "F.npy:ROW"), (("--vector-file", "f.npy:-1"), "F.npy:ROW"),
        (("--vector-file", "f:1.0"), "F.npy:ROW"),
    ]:
        result = _search(place, *options, code=2)
        same(result.out, b"", options)
        has(result.err, part)
        has(result.err, "mneme: search: ")
        has(result.err, "usage: mneme search ")
    place.run("search", code=2)
    many = "[" + "0," * 65536 + "0"  # the argument of a command is at most 128 KiB long
    if len(many) < 131072:
        has(_search(place, "--vector", many + "]", code=2).err, "more than 65536 dimensions")


def other_errors_name_what_is_wrong(place):
    place.put([record("a", vector=[1, 0])])
    result = _search(place, "--vector", "[1,0,0]", code=1)
    same((result.out, result.err),
         (b"", 'mneme: query has 3 dimensions, namespace "n" has 2\n'))
    path = place.file("q.npy", npy([[1, 0], [math.nan, 0], [0, -math.inf]]))
    for row, what in (("3", "there is no row 3; it has 3, counted from 0"),
                      ("18446744073709551615", "there is no row 18446744073709551615"),
                      ("1", "row 1: element 0, counted from 0, is NaN"),
                      ("2", "row 2: element 1, counted from 0, is infinite")):
        result = _search(place, "--vector-file", f"{path}:{row}", code=1)
        same(result.out, b"")
        has(result.err, f"mneme: {path}: {what}")
    has(_search(place, "--vector-file", f"{place.file('x', 'no')}:0", code=1).err,
        "not a .npy file")
    has(_search(place, "--vector-file", "/nowhere/f.npy:0", code=1).err,
        "mneme: /nowhere/f.npy: cannot open")
    has(_search(place, "--vector-file", f"{place.file('none', npy([]))}:0", code=1).err,
        "there is no row 0; it has 0")
    for record_id, what in (("", "id is empty"), ("x" * 1025, "id has 1025 bytes"),
                            (b"a\xff", "id is not UTF-8 at byte 1")):
        has(_search(place, "--id", record_id, code=1).err, f"mneme: {what}")


def what_is_not_there_exits_3(place):
    for options in (("--vector", "[1,0]"), ("--id", "a")):
        same(_search(place, *options, code=3).out, b"")  # no store
    place.put([record("a", vector=[1, 0])])
    for options in (("--vector", "[1,0]"), ("--id", "a"), ("--vector", "[1,0,0]")):
        result = _search(place, *options, name="x", code=3)
        same((result.out, result.err), (b"", 'mneme: no namespace "x"\n'))
    result = _search(place, "--id", "b\x1b", code=3)
    same((result.out, result.err), (b"", 'mneme: no record "b\\x1B" in "n"\n'))


def damage_exits_4(place):
    rng = random.Random(2)
    place.put([record(f"r{i:03}", vector=[rng.random() for _ in range(48)],
                      metadata={"t": f"text {i} " + "x" * 300}) for i in range(400)])
    place.run("checkpoint")
    segment, = pathlib.Path(place.store, "seg").glob("*.seg")
    whole = segment.read_bytes()
    vector = base64.b64decode(
        place.get("r200", "--vectors", "base64")[0]["vector_base64"])

    def flip(marker):
        at = whole.index(marker)
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1:])
    query = ("--vector", _json([1] * 48), "-k", "400")
    ranked = _ids(place, *query)
    flip(vector)
    result = _search(place, *query, code=4)
    has(result.err, segment.name)
    same(result.out, b"")
    same(_search(place, "--id", "r200", code=4).out, b"")
    # Where only what is printed is damaged, the other results are printed.
    flip(b"text 200 x")
    result = _search(place, *query, code=4)
    has(result.err, segment.name)
    ids = {line["id"] for line in result.lines()}
    same((0 < len(ids) < 400, "r200" in ids), (True, False))
    table = _search(place, *query, "--table", code=4).out.decode().splitlines()[1:]
    same([int(line.split()[0]) for line in table],
         [i + 1 for i, record_id in enumerate(ranked) if record_id in ids])
    segment.write_bytes(whole)
    same(len(_search(place, *query).lines()), 400)


def a_reader_goes_beside_readers_and_not_beside_a_writer(place):
    place.put([record("a", vector=[1, 0])])
    query = ("search", "n", "--vector", "[1,0]")
    before = sorted(p.stat().st_mtime_ns for p in pathlib.Path(place.store).rglob("*"))
    export = place.start("export", "n")
    same(place.run(*query).lines()[0]["id"], "a")
    export.communicate()
    same(sorted(p.stat().st_mtime_ns for p in pathlib.Path(place.store).rglob("*")), before)
    put = place.start("put", "n", "--batch", "1")
    put.stdin.write((record("b", vector=[0, 1]) + "\n").encode())
    put.stdin.flush()
    put.stdout.readline()
    has(place.run(*query, code=5).err, "in use")
    put.communicate()
    same(len(place.run(*query).lines()), 2)


def a_snapshot_is_searched_as_it_was(place):
    place.put([record("a", vector=[1, 0])])
    snapshot = place.run("snapshot", "create").lines()[0]["id"]
    place.put([record("b", vector=[1, 0])])
    same(_ids(place, "--vector", "[1,0]"), ["a", "b"])
    same(_ids(place, "--vector", "[1,0]", "--snapshot", snapshot), ["a"])


def a_search_ends_at_its_timeout(place):
    place.put([record(f"r{i:04}", vector=[i] * 256) for i in range(2000)])
    result = _search(place, "--id", "r0001", "--timeout", "0.000001", code=1)
    same((result.out, result.err),
         (b"", "mneme: the search did not end within 0.000001 seconds\n"))
    same(len(_search(place, "--id", "r0001", "--timeout", "3600").lines()), 10)


def ctrl_c_stops_it(place):
    place.put([record(f"r{i:05}", vector=[i] * 128) for i in range(20000)], "--batch", "5000")
    options = ("search", "n", "--id", "r00001", "-k", "20000", "--vectors", "json")
    search = place.start(*options)
    search.stdout.readline()  # all of it does not fit the pipe
    search.send_signal(signal.SIGINT)
    _, err = search.communicate()
    same((search.returncode, err), (130, b"mneme: stopped\n"))
    whole = place.run(*options).out
    for number in (signal.SIGINT, signal.SIGTERM):
        for delay_ms in range(0, 60, 4):  # before, within and after the comparing
            search = place.start(*options, stdout=subprocess.DEVNULL)
            try:
                search.wait(delay_ms / 1000)
            except subprocess.TimeoutExpired:
                search.send_signal(number)
            _, err = search.communicate()
            same((search.returncode, err) in ((130, b"mneme: stopped\n"), (0, b""),
                                              (-number, b"")), True, (search.returncode, err))
    same(place.run(*options).out, whole)


def a_closed_pipe_ends_it_quietly(place):
    place.put([record(f"r{i}", vector=[i] * 32, metadata={"text": "t" * 50}) for i in range(5000)])
    for options in (("--vectors", "json"), ("--stats",), ("--table",)):
        search = place.start("search", "n", "--id", "r1", "-k", "5000", *options)
        search.stdout.readline()
        search.stdout.close()
        err = search.stderr.read()
        search.stdin.close()
        same((search.wait(), err), (0, b""), options)


def _table(place, *options, columns="100"):
    done = subprocess.run([MNEME, "-d", place.store, "search", "n", *options],
                          capture_output=True, env=environment(COLUMNS=columns))
    same((done.returncode, done.stderr), (0, b""))
    return done.stdout.decode().splitlines()


def a_table_has_rank_score_id_and_the_text_of_each(place):
    place.put([record("tea", vector=[1, 0], metadata={"a": [1], "text": "Tea\n is\t\u0000hot"}),
               record("coffee", vector=[4, 3], metadata={"topic": "drinks"}),
               record("bare", vector=[0, 1]),
               record("odd", vector=[-1, 0], metadata={"text": 7})])
    expected = ['RANK     SCORE  ID        TEXT',
                '   1   1.00000  "tea"     Tea is hot',
                '   2  0.800000  "coffee"  {"topic":"drinks"}',
                '   3   0.00000  "bare"',
                '   4  -1.00000  "odd"     {"text":7}']
    same(_table(place, "--vector", "[1,0]", "--table"), expected)
    same(_table(place, "--vector", "[1,0]", "--human"), expected)
    lines = _table(place, "--vector", "[1,0]", "--table", "--offset", "1", "-k", "1", "--stats")
    same(lines[:2], [expected[0], expected[2]])
    same(re.fullmatch(r"1 results; 4 vectors compared, 0 refined; \d+ bytes read in \d+\.\d+ ms",
                      lines[3]) is not None, True, lines)


def a_table_fits_the_terminal_and_commands_it_nothing(place):
    evil = "\x1b[31m\u009b\u202e\u061cevil\u2028 " + "end " * 200
    place.put([record("a\x1b[31m" + "b" * 200, vector=[1, 0], metadata={"text": evil}),
               record("wide", vector=[1, 1], metadata={"text": "日本語" * 100}),
               record("\u0301" * 40, vector=[1, 2], metadata={"x": "y" * 900})])

    def width(line):
        return sum(0 if c == "\u0301" else 2 if c in "日本語" else 1 for c in line)
    for columns in ("40", "60", "100", "171", "400"):
        lines = _table(place, "--vector", "[1,0]", "--table", columns=columns)
        same(len(lines), 4)
        for line in lines:
            same(width(line) <= int(columns), True, (columns, line))
            same(any(ord(c) < 32 or c in "\x7f\u009b\u202e\u061c\u2028" for c in line), False, line)
        for line in lines[1:]:
            same((width(line) >= int(columns) - 2, line[-1]), (True, "…"), (columns, line))
    for columns in ("1", "x", "", "1000000", "-3"):
        same(len(_table(place, "--vector", "[1,0]", "--table", columns=columns)), 4)
    # On a terminal its own width counts.
    main_end, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 52, 0, 0))
    process = subprocess.Popen([MNEME, "-d", place.store, "search", "n", "--vector", "[1,0]",
                                "--table"], stdin=subprocess.DEVNULL, stdout=side,
                               env=environment(COLUMNS="400", NO_COLOR="1"))
    os.close(side)
    out = b""
    while True:
        try:
            piece = os.read(main_end, 4096)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            break
        out += piece
    os.close(main_end)
    same(process.wait(), 0)
    for line in out.decode().splitlines()[1:]:
        same(50 <= width(line) <= 52, True, line)


def ids_alone_take_the_whole_line(place):
    place.put([record("i" * 70, vector=[1, 0]), record("j", vector=[0, 1])])
    lines = _table(place, "--vector", "[1,0]", "--table")
    same(lines[1], f'   1  1.00000  "{"i" * 70}"')


if __name__ == "__main__":
    main()
