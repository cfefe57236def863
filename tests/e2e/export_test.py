#!/usr/bin/env python3
"""export and import bring back exactly what was stored, with vectors in the lines or in a file."""
import ast
import base64
import json
import os
import pty
import random
import re
import resource
import signal
import stat
import struct
import subprocess
import time

from harness import MNEME, bits_of, environment, floats64, has, main, npy, record, run, same

try:
    import numpy
except ImportError:  # the format is also checked by _read_npy, which follows its description
    numpy = None

# Zeros, denormals, the largest and smallest, infinities, quiet and signalling NaN with payloads.
SPECIAL = [0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF,
           0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x3F800000,
           0x3DCCCCCD, 0x3F7FFFFF]


def _bits(data):
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def _read_npy(path):
    """Rows of bits and the number of elements per row, as the published format describes it."""
    with open(path, "rb") as file:
        content = file.read()
    same(content[:8], b"\x93NUMPY\1\0")
    length = struct.unpack("<H", content[8:10])[0]
    same((10 + length) % 64, 0)
    text = content[10:10 + length].decode("ascii")
    same(text[-1], "\n")
    header = ast.literal_eval(text)
    same(sorted(header), ["descr", "fortran_order", "shape"])
    same((header["descr"], header["fortran_order"]), ("<f4", False))
    n_rows, n_dims = header["shape"]
    data = content[10 + length:]
    same(len(data), n_rows * n_dims * 4)
    rows = [_bits(data[i * n_dims * 4:(i + 1) * n_dims * 4]) for i in range(n_rows)]
    if numpy is not None:
        array = numpy.load(path, allow_pickle=False)
        same((array.dtype.str, array.shape, array.flags["C_CONTIGUOUS"]),
             ("<f4", (n_rows, n_dims), True))
        same(array.tobytes(), data)
    return rows, n_dims


def _without_lsn(out):
    return re.sub(rb',"lsn":\d+\}\n', b"}\n", out)


def _path(place, name="v.npy"):
    return str(place.folder / name)


def _export(place, name="n", file="v.npy", options=(), code=0):
    """Exports with a file of vectors; returns the lines as bytes."""
    return place.run("export", name, "--vectors-file", _path(place, file), *options, code=code).out


def _import(place, lines, name, file="v.npy", options=(), code=0):
    rows = place.file("rows.jsonl", lines)
    return place.run("import", name, "--rows", rows, "--vectors-file", _path(place, file),
                     *options, code=code)


def _of_everything(n_dims=16):
    """Lines of records that have all there is."""
    rng = random.Random(7)
    vectors = [[SPECIAL[(i + j) % len(SPECIAL)] for j in range(n_dims)] for i in range(4)]
    vectors += [[rng.getrandbits(32) for _ in range(n_dims)] for _ in range(100)]
    lines = [record(f"v{i:03}", vector_base64=floats64(*bits)) for i, bits in enumerate(vectors)]
    lines += [
        '{"id":"meta","metadata":{"z":1.0,"a" : [1e5, -0,{"b":null}],"z2":"\\u00e9 é","z":2}}',
        '{"id":"line\\nbreaks","metadata_text":"\\n{\\r\\n \\"a\\": 1,\\n\\t\\"b\\":[ ]}\\n"}',
        '{"id":"empty","metadata":{}}',
        '{"id":"odd ids \\u0000 \\" \\\\ \\u2028 \U0001F600 -"}',
        record("payload", payload_base64=base64.b64encode(bytes(range(256))).decode()),
        record("payload1", payload_base64="AA=="),
        record("payload2", payload_base64="AAA="),
        record("first", event_time_us=-(1 << 63), expires_at=9223372036854.775807),
        '{"id":"last","event_time_us":9223372036854775807,"expires_at":9223372036854.775807}',
        '{"id":"soon","event_time_us":0,"expires_at":4102444800.000001}',
        record("all", vector_base64=floats64(*SPECIAL), metadata={"k": 1}, payload_base64="AQ==",
               expires_at=4102444800, event_time_us=1),
        record("bare"),
    ]
    return lines


def text_brings_back_every_bit(place):
    place.put(_of_everything())
    stored = place.run("export", "n", "--vectors", "base64").out
    for options in ((), ("--vectors", "base64")):
        exported = place.run("export", "n", *options).out
        copies = ["put" + "".join(options), "import" + "".join(options)]
        place.put(exported, name=copies[0])
        rows = place.file("rows.jsonl", exported)
        place.run("import", copies[1], "--rows", rows, "--format", "put")
        for copy in copies:
            out = place.run("export", copy, "--vectors", "base64").out
            same(_without_lsn(out), _without_lsn(stored), copy)
            same(place.run("dimension", copy).lines(), [{"dimension": 16}])


def json_numbers_read_back_to_the_same_bits(place):
    rng = random.Random(11)
    finite = [b for b in SPECIAL + [rng.getrandbits(32) for _ in range(20000)]
              if b & 0x7F800000 != 0x7F800000]
    finite = finite[:len(finite) // 100 * 100]
    rows = [finite[i:i + 100] for i in range(0, len(finite), 100)]
    place.put([record(f"r{i:04}", vector_base64=floats64(*row)) for i, row in enumerate(rows)])
    exported = place.run("export", "n")
    same([[bits_of(v) for v in line["vector"]] for line in exported.lines()], rows)
    place.put(exported.out, name="copy")
    copied = place.run("export", "copy", "--vectors", "base64").lines()
    same([_bits(base64.b64decode(line["vector_base64"])) for line in copied], rows)


def a_vectors_file_brings_back_every_bit(place):
    place.put(_of_everything())
    stored = place.run("export", "n", "--vectors", "base64")
    lines = _export(place)
    rows, n_dims = _read_npy(_path(place))
    same(n_dims, 16)
    with_vector = [line for line in stored.lines() if "vector_base64" in line]
    same(rows, [_bits(base64.b64decode(line["vector_base64"])) for line in with_vector])
    at = 0
    for line, exported in zip(stored.lines(), map(json.loads, lines.splitlines()), strict=True):
        vector = line.pop("vector_base64", None)
        row = exported.pop("vector_row")
        same((row, exported), (None if vector is None else at, line))
        at += vector is not None
    _import(place, lines, "copy")
    same(_without_lsn(place.run("export", "copy", "--vectors", "base64").out),
         _without_lsn(stored.out))
    same(_without_lsn(_export(place, "copy", "w.npy")), _without_lsn(lines))
    same((place.folder / "v.npy").read_bytes(), (place.folder / "w.npy").read_bytes())
    # --vectors is the same, with the format said
    file = place.file("rows.jsonl", lines)
    place.run("import", "copy2", "--rows", file, "--vectors", _path(place), "--format", "put")
    place.run("import", "copy3", "--rows", "-", "--vectors-file", _path(place), given=lines)
    for copy in ("copy2", "copy3"):
        same(_without_lsn(place.run("export", copy).out),
             _without_lsn(place.run("export", "n").out))


def segments_and_memory_export_alike(place):
    place.put([record(f"r{i:03}", vector=[i, 1]) for i in range(0, 100, 2)])
    place.run("checkpoint")
    place.put([record(f"r{i:03}", vector=[i, 1]) for i in range(1, 100, 2)])
    place.run("delete", "n", "r000", "r001")
    lines = _export(place)
    rows, _ = _read_npy(_path(place))
    same(rows, [[bits_of(i), bits_of(1)] for i in range(2, 100)])
    same([json.loads(line)["vector_row"] for line in lines.splitlines()], list(range(98)))


def metadata_keeps_its_text(place):
    texts = ['{"b":1,"a":2}', '{ "a" :\t1.50,\r"a":1e0 }', '\n{\n  "a": 1\n}\n', " {}", "{}\t",
             '{"x":"\\u000a"}']
    place.put([record(f"m{i}", metadata_text=text) for i, text in enumerate(texts)])
    out = place.run("export", "n").out
    same(out.count(b"\n"), len(texts))
    lines = [json.loads(line) for line in out.splitlines()]
    same([line.get("metadata_text") for line in lines], [None, *texts[1:5], None])
    for line, text in zip(lines, texts):
        same(line["metadata"], json.loads(text))
    place.put(out, name="copy")
    same(_without_lsn(place.run("export", "copy").out), _without_lsn(out))
    # the text wins, wherever it stands
    place.put(['{"id":"a","metadata":{"x":1},"metadata_text":"{\\n}"}',
               '{"id":"b","metadata_text":"{\\n}","metadata":{"x":1}}'], name="two")
    same([line["metadata_text"] for line in place.run("export", "two").lines()], ["{\n}"] * 2)
    for text in ("", "[]", "{", "{} {}", "1"):
        has(place.put([record("a", metadata_text=text)], code=1).err, "mneme: -:1: metadata")
    place.put(['{"id":"a","metadata_text":{}}'], code=1)


def namespaces_without_vectors_come_back(place):
    place.run("create", "declared", "--dimension", "7")
    place.run("create", "empty")
    place.put([record("a", metadata={"x": 1}), record("b")], name="none")
    place.put([record("a")], name="declared and none")
    place.run("create", "declared and none", "--dimension", "3")
    for name, n_dims, count in (("declared", 7, 0), ("empty", 0, 0), ("none", 0, 2),
                                ("declared and none", 3, 1)):
        lines = _export(place, name)
        same(_read_npy(_path(place)), ([], n_dims))
        same([json.loads(line)["vector_row"] for line in lines.splitlines()], [None] * count)
        copy = f"copy of {name}"
        same(_import(place, lines, copy).lines()[0]["count"], count)
        same(place.run("count", copy).lines(), [{"count": count}])
        same(place.run("dimension", copy).lines(), place.run("dimension", name).lines())
        same(_without_lsn(place.run("export", copy).out),
             _without_lsn(place.run("export", name).out))
    result = _import(place, lines, "declared", code=1)
    same((result.out, result.err), (b"", f"mneme: {_path(place)}: vectors have 3 dimensions, "
                                         'namespace "declared" has 7\n'))
    same(place.run("count", "declared").lines(), [{"count": 0}])


def a_part_exports_with_rows_of_its_own(place):
    place.put([record(f"r{i}", vector=[i]) for i in range(9)])
    lines = _export(place, options=("--reverse", "--after", "r7", "--limit", "3"))
    same([(line["id"], line["vector_row"]) for line in map(json.loads, lines.splitlines())],
         [("r6", 0), ("r5", 1), ("r4", 2)])
    same(_read_npy(_path(place)), ([[bits_of(i)] for i in (6, 5, 4)], 1))
    same(_export(place, options=("--limit", "0")), b"")
    same(_read_npy(_path(place)), ([], 1))


def large_files_are_whole(place):
    rng = random.Random(3)
    vectors = [rng.randbytes(2500 * 4) for _ in range(200)]
    place.put([record(f"r{i:04}", vector_base64=base64.b64encode(v).decode())
               for i, v in enumerate(vectors)], "--batch", "50")
    lines = _export(place)
    rows, n_dims = _read_npy(_path(place))
    same((n_dims, rows), (2500, [_bits(v) for v in vectors]))
    _import(place, lines, "copy")
    _export(place, "copy", "w.npy")
    same((place.folder / "v.npy").read_bytes(), (place.folder / "w.npy").read_bytes())


def large_records_make_smaller_batches_unless_a_number_is_given(place):
    payload = base64.b64encode(b"x" * (6 << 20)).decode()
    rows = place.file("rows.jsonl", "".join(record(f"r{i}", payload_base64=payload) + "\n"
                                            for i in range(5)))
    for options, counts in (((), [3, 2]), (("--batch", "5"), [5])):
        result = place.run("import", "n", "--rows", rows, "--format", "put", *options)
        same([line["count"] for line in result.lines()], counts)


def lines_and_rows_that_do_not_belong_together_are_refused(place):
    place.put([record(f"r{i}", vector=[i]) for i in range(4)] + [record("r9")])
    lines = _export(place).decode().splitlines(keepends=True)
    longer = npy([[i] for i in range(5)])
    order = "lines are missing, doubled or in another order"
    cases = [
        (lines[1:], ":1: vector_row is 1, but 0 comes next: " + order),
        (lines[:1] + lines[2:], ":2: vector_row is 2, but 1 comes next: " + order),
        (lines[:2] + lines[1:], ":3: vector_row is 1, but 2 comes next: " + order),
        ([lines[1], lines[0], *lines[2:]], ":1: vector_row is 1, but 0 comes next: " + order),
        (lines[:3], " has 3 rows, but "),
        ([*lines[:3], lines[4]], " has 3 rows with a vector, but "),
        ([*lines[:4], record("x") + "\n"], " has 5 rows, but "),
        ([], " has 0 rows, but "),
        (['{"id":"x","vector_row":"0"}\n', *lines[1:]], ':1: vector_row is a string, not a number'),
        (['{"id":"x","vector_row":-1}\n', *lines[1:]], ":1: vector_row"),
        (['{"id":"x","vector_row":0.5}\n', *lines[1:]], ":1: vector_row"),
        (['{"id":"x","vector_row":99999999999999999999}\n', *lines[1:]], ":1: vector_row"),
        (['{"id":"x"', *lines[1:]], ":1: "),
        (["7\n", *lines[1:]], ":1: line is a number, not an object"),
    ]
    for given, part in cases:
        result = _import(place, "".join(given), "copy", options=("--batch", "1"), code=1)
        same(result.out, b"", part)
        has(result.err, f"mneme: {place.folder / 'rows.jsonl'}{part}")
        same(result.err.count("\n"), 1)
        place.run("exists", "copy", code=3)
        # a pipe is read once, so that batches before the wrong line are stored
        place.run("import", "piped", "--rows", "-", "--vectors-file", _path(place), code=1,
                  given="".join(given))
    place.file("v.npy", longer)
    has(_import(place, "".join(lines), "copy", code=1).err,
        f"rows.jsonl has 4 rows with a vector, but {_path(place)} has 5")
    place.run("exists", "copy", code=3)


def a_line_whose_vector_is_elsewhere_is_not_stored_without_it(place):
    place.put([record("a", vector=[1])])
    lines = _export(place)
    part = "-:1: vector is row 0 of a .npy file, which only import --vectors takes"
    has(place.put(lines, name="copy", code=1).err, part)
    place.run("import", "copy", "--rows", "-", "--format", "put", given=lines, code=1)
    place.run("exists", "copy", code=3)
    # a line that says that it has none needs no file, and may bring its own
    place.put(['{"id":"b","vector_row":null}'], name="copy")
    both = lines.decode() + '{"id":"b","vector_row":null,"vector":[2]}\n'
    _import(place, both, "copy2")
    same([line["vector"] for line in place.run("export", "copy2").lines()], [[1], [2]])
    both = '{"id":"a","vector_row":0,"vector":[2]}\n'
    has(_import(place, both, "copy3", code=1).err, ":1: line has a vector, and ")


def damaged_vectors_files_change_nothing(place):
    place.put([record("a", vector=[1, 2]), record("b", vector=[3, 4])])
    lines = _export(place)
    whole = (place.folder / "v.npy").read_bytes()
    header = whole[10:128].decode()
    cases = [(whole[:n], ": ") for n in (0, 1, 9, 10, 60, 127, 128, 130, len(whole) - 1)]
    cases += [(whole + b"\0", "does not fit its header")]
    for old, new, part in (("<f4", ">f4", '">f4"'), ("<f4", "<f8", '"<f8"'),
                           ("<f4", "<f2", '"<f2"'), ("<f4", "|O4", '"|O4"'),
                           ("False", "True ", "Fortran order"), ("(2, 2)", "(4,)  ", "1 axes"),
                           ("(2, 2)", "(3, 2)", "fit its header"), ("(2, 2)", "(4, 1)", "2 rows"),
                           ("(2, 2)", "(2, 0)", "0 dimensions"), ("(2, 2)", "(0, 0)", "fit"),
                           ("(2, 2)", "(-2,2)", "malformed"), ("'shape'", "'shade'", "malformed"),
                           ("{", "[", "malformed"), ("}", " ", "malformed")):
        same(header.count(old), 1)
        cases.append((whole[:10] + header.replace(old, new).encode() + whole[128:], part))
    for content, part in cases:
        place.file("v.npy", content)
        result = _import(place, lines, "copy", code=1)
        same(result.out, b"")
        has(result.err, "v.npy")
        has(result.err, part)
        same(result.err.count("\n"), 1)
        place.run("exists", "copy", code=3)
    place.run("import", "copy", "--rows", _path(place, "rows.jsonl"), "--vectors-file",
              str(place.folder), code=1)


def an_old_file_is_replaced_whole(place):
    place.put([record("a", vector=[1, 2])])
    place.file("v.npy", b"old" * 1000)
    os.chmod(_path(place), 0o640)
    os.symlink("v.npy", _path(place, "link.npy"))
    _export(place, file="link.npy")
    same(os.path.islink(_path(place, "link.npy")), True)
    same(_read_npy(_path(place)), ([[bits_of(1), bits_of(2)]], 2))
    same(stat.S_IMODE(os.stat(_path(place)).st_mode), 0o640)
    # beside the file, wherever the command is run
    same(run("-d", place.store, "export", "n", "--vectors-file", "w.npy", cwd=place.folder).code, 0)
    same(_read_npy(_path(place, "w.npy")), ([[bits_of(1), bits_of(2)]], 2))
    same(sorted(os.listdir(place.folder)), ["link.npy", "store", "v.npy", "w.npy"])


def places_where_no_file_can_be_are_refused(place):
    place.put([record("a", vector=[1, 2])])
    inside = sorted(os.listdir(place.store))
    for path, part in ((str(place.folder), "no regular file"), ("/dev/full", "no regular file"),
                       (_path(place, "none/v.npy"), "cannot create"),
                       (_path(place, "x" * 250), "cannot create"),
                       (place.store + "/v.npy", "in the directory of the store"),
                       (place.store + "/../store/STORE", "in the directory of the store")):
        result = place.run("export", "n", "--vectors-file", path, code=1)
        same(result.out, b"")
        has(result.err, f"mneme: {path}: ")
        has(result.err, part)
        same(result.err.count("\n"), 1)
    os.symlink(place.store + "/STORE", _path(place, "link"))
    has(place.run("export", "n", "--vectors-file", _path(place, "link"), code=1).err, "the store")
    same(sorted(os.listdir(place.store)), inside)
    same(sorted(os.listdir(place.folder)), ["link", "store"])
    result = place.run("export", "nope", "--vectors-file", _path(place), code=3)
    same((result.out, result.err), (b"", 'mneme: no namespace "nope"\n'))
    same(os.path.exists(_path(place)), False)


def wrong_usage_is_told(place):
    place.put([record("a", vector=[1, 2])])
    rows = place.file("rows.jsonl", "")
    for args, part in (
            (("export", "n", "--vectors-file", "-"), "--vectors-file takes a file"),
            (("export", "n", "--vectors-file", ""), "--vectors-file takes a file"),
            (("export", "n", "--vectors-file", "v", "--vectors", "json"), "exclude each other"),
            (("get", "n", "a", "--vectors-file", "v"), "--vectors-file"),
            (("import", "n", "--rows", rows, "--vectors-file", "-"), "--vectors-file takes a file"),
            (("import", "n", "--rows", rows, "--vectors-file", "v", "--vectors", "v"), "the same"),
            (("import", "n", "--rows", rows, "--vectors-file", "v", "--id-field", "k"), "flat")):
        has(place.run(*args, code=2).err, part)
    # flat lines can have their vectors there too
    rows = place.file("rows.jsonl", '{"id":"x","vector_row":3}\n')
    place.file("v.npy", npy([[1, 2]]))
    place.run("import", "n", "--rows", rows, "--vectors-file", _path(place), "--format", "flat")
    same(place.get("x")[0]["metadata"], {"vector_row": 3})


def _much(place):
    place.put([record(f"r{i:05}", vector=[i] * 64) for i in range(20000)], "--batch", "5000")
    place.file("v.npy", b"old")


def _old_file_stands(place):
    same((place.folder / "v.npy").read_bytes(), b"old")
    same(sorted(os.listdir(place.folder)), ["store", "v.npy"])


def ctrl_c_leaves_the_old_file_and_nothing_else(place):
    _much(place)
    for number in (signal.SIGINT, signal.SIGTERM):
        export = place.start("export", "n", "--vectors-file", _path(place))
        export.stdout.readline()
        same(len(os.listdir(place.folder)), 3)
        export.send_signal(number)
        _, err = export.communicate()
        same((export.returncode, err.decode()),
             (130, f"mneme: stopped; {_path(place)} is not written\n"))
        _old_file_stands(place)


def ctrl_c_at_any_moment_leaves_an_old_or_a_whole_file(place):
    place.put([record(f"r{i:05}", vector=[i] * 64) for i in range(2000)])
    _export(place, file="whole.npy")
    whole = (place.folder / "whole.npy").read_bytes()
    for i in range(30):
        place.file("v.npy", b"old")
        export = place.start("export", "n", "--vectors-file", _path(place),
                             stdout=subprocess.DEVNULL)
        time.sleep(0.001 * i)
        export.send_signal(signal.SIGINT)
        _, err = export.communicate()
        content = (place.folder / "v.npy").read_bytes()
        if export.returncode == 130:
            same(content, b"old")
            has(err.decode(), "stopped")
        elif export.returncode == 0:
            same((content, err), (whole, b""))
        else:  # before the command caught signals
            same((export.returncode, content), (-signal.SIGINT, b"old"))
        same(sorted(os.listdir(place.folder)), ["store", "v.npy", "whole.npy"])


def lines_that_nobody_takes_leave_the_old_file(place):
    _much(place)
    export = place.start("export", "n", "--vectors-file", _path(place))
    export.stdout.readline()
    export.stdout.close()
    err = export.stderr.read()
    export.stdin.close()
    same((export.wait(), err), (1, b""))
    _old_file_stands(place)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([MNEME, "-d", place.store, "export", "n", "--vectors-file",
                               _path(place)], stdout=full, stderr=subprocess.PIPE,
                              env=environment())
    same(done.returncode, 1)
    has(done.stderr.decode(), "cannot write to standard output")
    _old_file_stands(place)


def a_file_that_cannot_grow_leaves_the_old_one(place):
    _much(place)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    done = subprocess.run([MNEME, "-d", place.store, "export", "n", "--vectors-file",
                           _path(place)], capture_output=True, env=environment(),
                          preexec_fn=limit)
    same((done.returncode, done.stderr.decode()),
         (1, f"mneme: {_path(place)}: cannot write: File too large\n"))
    _old_file_stands(place)


def behind_damage_lines_and_rows_still_belong_together(place):
    place.put([record(f"r{i:04}", vector=[i] * 256) for i in range(2000)])
    place.run("checkpoint")
    segment = max((p for p in (place.folder / "store").rglob("*.seg")),
                  key=lambda p: p.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 0xFF
    segment.write_bytes(content)
    lines = _export(place, code=4)
    rows, _ = _read_npy(_path(place))
    kept = [json.loads(line) for line in lines.splitlines()]
    same(0 < len(kept) < 2000, True)
    same([line["vector_row"] for line in kept], list(range(len(kept))))
    same(rows, [[bits_of(int(line["id"][1:]))] * 256 for line in kept])


def progress_shows_on_a_terminal(place):
    place.put([record(f"r{i}", vector=[i]) for i in range(300)])
    master, slave = pty.openpty()
    process = subprocess.Popen([MNEME, "-d", place.store, "export", "n", "--vectors-file",
                                _path(place)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=slave, env=environment())
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 4096):
            seen += piece
    except OSError:  # how a terminal without users ends
        pass
    same(process.wait(), 0)
    os.close(master)
    has(seen.decode(), "export: 1 of 300")


if __name__ == "__main__":
    main()
