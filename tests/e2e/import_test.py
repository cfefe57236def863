#!/usr/bin/env python3
"""import: rows and vectors from files."""
import json
import os
import pty
import struct
import subprocess

from harness import MNEME, bits_of, environment, floats64, has, main, npy, record, run, same


def _rows(place, lines, name="rows.jsonl"):
    return place.file(name, "".join(line + "\n" for line in lines))


def all_fields_but_the_id_become_metadata_byte_for_byte(place):
    rows = _rows(place, ['{"z": 1.0, "id":"a" ,"text":"\\u00e9 \u00e9" , "n":{"id": [1e5]}}',
                         '{"id":"b"}', '{"vector":[1],"id":"c","ttl_seconds":0}'])
    same(place.run("import", "n", "--rows", rows).out, b'{"count":3,"lsn":1}\n')
    out = place.run("get", "n", "a", "b", "c").out.decode().splitlines()
    has(out[0], '"metadata":{"z":1.0,"text":"\\u00e9 \u00e9","n":{"id": [1e5]}},')
    has(out[1], '"metadata":{},')
    has(out[2], '"metadata":{"vector":[1],"ttl_seconds":0},')


def vectors_come_from_the_row_of_the_same_position(place):
    vectors = [[i + 0.25, -i, 1e-40] for i in range(5)]
    for version in ((1, 0), (2, 0)):
        name = f"v{version[0]}"
        rows = _rows(place, [record(f"r{i}", i=i) for i in range(5)])
        file = place.file("v.npy", npy(vectors, version))
        result = place.run("import", name, "--rows", rows, "--vectors", file, "--batch", "2")
        same([line["count"] for line in result.lines()], [2, 2, 1])
        for i, vector in enumerate(vectors):
            line = place.get(f"r{i}", name=name)[0]
            same([bits_of(v) for v in line["vector"]], [bits_of(v) for v in vector])
            same(line["metadata"], {"i": i})


def nan_in_a_npy_file_keeps_its_bits(place):
    bits = [0x7FC00001, 0xFFFFFFFF, 0x80000000]
    rows = _rows(place, [record("a")])
    file = place.file("v.npy", npy([[0, 0, 0]], data=struct.pack("<3I", *bits)))
    place.run("import", "n", "--rows", rows, "--vectors", file)
    same(place.get("a")[0]["vector_base64"], floats64(*bits))


def batches_of_256_are_the_default(place):
    rows = _rows(place, [record(f"r{i}") for i in range(600)])
    result = place.run("import", "n", "--rows", rows)
    same([line["count"] for line in result.lines()], [256, 256, 88])


def the_id_field_can_be_named(place):
    rows = _rows(place, ['{"key":"a","id":"not it"}'])
    place.run("import", "n", "--rows", rows, "--id-field", "key")
    same(place.get("a")[0]["metadata"], {"id": "not it"})


def lines_of_the_put_format_are_taken(place):
    rows = _rows(place, [record("a", vector=[1, 2], metadata={"k": 1}, event_time_us=5)])
    place.run("import", "n", "--rows", rows, "--format", "put")
    same(place.get("a"),
         [{"id": "a", "vector": [1, 2], "metadata": {"k": 1}, "event_time_us": 5, "lsn": 1}])
    rows = _rows(place, [record("b", metadata={"k": 2})])
    file = place.file("v.npy", npy([[3, 4]]))
    place.run("import", "n", "--rows", rows, "--vectors", file, "--format", "put")
    same(place.get("b")[0]["vector"], [3, 4])


def a_second_vector_for_a_line_is_refused(place):
    rows = _rows(place, [record("a", vector=[1, 2])])
    file = place.file("v.npy", npy([[3, 4]]))
    result = place.run("import", "n", "--rows", rows, "--vectors", file, "--format", "put", code=1)
    has(result.err, f"mneme: {rows}:1: ")


def rows_can_come_from_stdin(place):
    place.run("import", "n", "--rows", "-", given=[record("a"), record("b")])
    result = place.run("import", "n", "--rows", "-", given=["", "{"], code=1)
    has(result.err, "mneme: -:2: ")
    same(place.ids(), ["a", "b"])


def a_bad_line_ends_it_and_batches_before_it_stand(place):
    lines = [record(f"r{i}") for i in range(5)] + ['{"id":7}']
    rows = _rows(place, lines)
    result = place.run("import", "n", "--rows", rows, "--batch", "4", code=1)
    same(result.lines(), [{"count": 4, "lsn": 1}])
    has(result.err, f'mneme: {rows}:6: "id" is a number, not a string')
    same(place.run("count", "n").lines(), [{"count": 4}])


def bad_flat_lines_are_refused(place):
    for line, part in [("[]", "line is an array"), ("{}", 'key "id" is missing'),
                       ('{"id":null}', '"id" is null'), ('{"id":""}', '"id" is empty'),
                       ('{"id":"a","id":"b"}', 'key "id" comes twice'),
                       ('{"id":"a","x":[1,]}', ""), ('{"id":"a"} {}', "")]:
        rows = _rows(place, [record("good"), line])
        result = place.run("import", "n", "--rows", rows, code=1)
        has(result.err, f"mneme: {rows}:2: ")
        has(result.err, part)
        place.run("exists", "n", code=3)


def a_wrong_dimension_names_the_line(place):
    place.put([record("a", vector=[1, 2])])
    rows = _rows(place, ["", record("b")])
    file = place.file("v.npy", npy([[1, 2, 3]]))
    result = place.run("import", "n", "--rows", rows, "--vectors", file, code=1)
    has(result.err, f"mneme: {rows}:2: ")
    same(place.ids(), ["a"])


def different_numbers_of_rows_and_vectors_are_refused_before_anything_is_stored(place):
    rows = _rows(place, [record(f"r{i}") for i in range(10)])
    for n in (9, 11, 0):
        file = place.file("v.npy", npy([[1, 2]] * n))
        result = place.run("import", "n", "--rows", rows, "--vectors", file, "--batch", "1", code=1)
        same(result.out, b"")
        has(result.err, f"{rows} has 10 rows, but {file} has {n}")
    same(os.path.exists(place.store), False)
    # from a pipe it shows at the end only; the batch that would complete it is not stored
    for n in (9, 11):
        file = place.file("v.npy", npy([[1, 2]] * n))
        lines = [record(f"r{i}") for i in range(10)]
        result = place.run("import", f"p{n}", "--rows", "-", "--vectors", file, "--batch", "7",
                           given=lines, code=1)
        same([line["count"] for line in result.lines()], [7])


def npy_files_that_are_something_else_are_refused_by_name(place):
    rows = _rows(place, [record("a")])
    header = "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}"
    four = b"\0" * 8
    cases = [
        (b"", "not a .npy file"),
        (b"PK\3\4" + b"\0" * 100, "not a .npy file"),
        (npy([[1, 2]])[:20], "ends too early"),
        (npy([[1, 2]])[:-1], "does not fit its header"),
        (npy([[1, 2]]) + b"\0", "does not fit its header"),
        (npy([[1, 2]], version=(3, 0)), "3.0"),
        (npy([[1, 2]], header=header.format("'<f8'", "False", "(1, 2)")), '"<f8"'),
        (npy([[1, 2]], header=header.format("'<f2'", "False", "(1, 2)")), '"<f2"'),
        (npy([[1, 2]], header=header.format("'>f4'", "False", "(1, 2)")), '">f4"'),
        (npy([[1, 2]], header=header.format("'|O'", "False", "(1, 2)")), '"|O"'),
        (npy([[1, 2]], header=header.format("[('a', '<f4')]", "False", "(1, 2)")), "structures"),
        (npy([[1, 2]], header=header.format("'<f4'", "True", "(1, 2)")), "Fortran"),
        (npy([[1, 2]], header=header.format("'<f4'", "False", "(2,)")), "1 axes"),
        (npy([[1, 2]], header=header.format("'<f4'", "False", "()")), "0 axes"),
        (npy([[1, 2]], header=header.format("'<f4'", "False", "(1, 1, 2)")), "3 axes"),
        (npy([], header=header.format("'<f4'", "False", "(1, 0)")), "0 dimensions"),
        (npy([], header=header.format("'<f4'", "False", "(1, 65537)")), "65537 dimensions"),
        (npy([[1]], header=header.format("'<f4'", "False", f"({1 << 62}, 4)"), data=four), "fit"),
        (npy([[1]], header=header.format("'<f4'", "False", f"({1 << 65}, 4)"), data=four),
         "malformed"),
        (npy([[1, 2]], header="{'descr': '<f4'}"), "malformed"),
        (npy([[1, 2]], header="{'descr': '<f4"), "malformed"),
        (npy([[1, 2]], header="garbage"), "malformed"),
        (b"\x93NUMPY\2\0\xff\xff\xff\x7f" + four, "malformed"),
    ]
    for content, part in cases:
        file = place.file("v.npy", content)
        result = place.run("import", "n", "--rows", rows, "--vectors", file, code=1)
        has(result.err, f"mneme: {file}: ")
        has(result.err, part)
        same(result.err.count("\n"), 1)


def vectors_do_not_come_from_stdin(place):
    rows = _rows(place, [record("a")])
    result = place.run("import", "n", "--rows", rows, "--vectors", "-", code=2)
    has(result.err, "--vectors takes a file, not standard input")
    same(os.path.exists(place.store), False)


def a_byte_order_mark_is_no_row(place):
    rows = place.file("rows.jsonl", "\ufeff\n" + record("a") + "\n")
    file = place.file("v.npy", npy([[1, 2]]))
    place.run("import", "n", "--rows", rows, "--vectors", file)
    same(place.ids(), ["a"])


def missing_files_are_named(place):
    rows = _rows(place, [record("a")])
    has(place.run("import", "n", "--rows", "no.jsonl", code=1).err, "mneme: no.jsonl: ")
    result = place.run("import", "n", "--rows", rows, "--vectors", "no.npy", code=1)
    has(result.err, "mneme: no.npy: ")
    has(place.run("import", "n", "--rows", str(place.folder), code=1).err, str(place.folder))
    has(place.run("import", "n", code=2).err, "--rows")
    place.run("import", "n", "--rows", rows, "--format", "put", "--id-field", "x", code=2)
    place.run("import", "n", "--rows", rows, "--format", "xml", code=2)


def empty_files_import_nothing(place):
    rows = _rows(place, [])
    same([line["count"] for line in place.run("import", "n", "--rows", rows).lines()], [0])


def progress_shows_on_a_terminal_and_nowhere_else(place):
    rows = _rows(place, [record(f"r{i}") for i in range(300)])
    same(place.run("import", "n", "--rows", rows).err, "")
    seen, out = _on_terminal(["-d", place.store, "import", "n", "--rows", rows])
    has(seen, "import: ")
    same([json.loads(line)["count"] for line in out.splitlines()], [256, 44])


def _on_terminal(args):
    """Runs the command with stderr on a terminal; returns what showed there, and stdout."""
    master, slave = pty.openpty()
    process = subprocess.Popen([MNEME, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=slave, env=environment())
    os.close(slave)
    out = process.stdout.read()
    seen = b""
    try:
        while piece := os.read(master, 4096):
            seen += piece
    except OSError:  # how a terminal without users ends
        pass
    same(process.wait(), 0)
    os.close(master)
    return seen.decode(), out


def the_same_file_can_be_imported_by_two_commands_into_two_stores(place):
    rows = _rows(place, [record("a")])
    for store in ("one", "two"):
        same(run("-d", str(place.folder / store), "import", "n", "--rows", rows).code, 0)


if __name__ == "__main__":
    main()
