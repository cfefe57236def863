#!/usr/bin/env python3
"""export, get, delete, list."""
import base64
import json

from harness import floats64, has, main, record, run, same


def _fill(place, n=10):
    place.put([record(f"r{i:03}", vector=[i, 0.5], metadata={"i": i}) for i in range(n)])


def get_prints_records_in_the_order_asked(place):
    _fill(place)
    got = place.get("r007", "r001", "r007")
    same([line["id"] for line in got], ["r007", "r001", "r007"])
    same(place.run("get", "n", "r001").out.decode(),
         '{"id":"r001","vector":[1,0.5],"metadata":{"i":1},"lsn":1}\n')


def get_prints_what_is_there_and_names_what_is_missing(place):
    _fill(place)
    result = place.run("get", "n", "r001", "nope", "r002", "r0001", code=3)
    same([line["id"] for line in result.lines()], ["r001", "r002"])
    same(result.err.splitlines()[0], 'mneme: no record "nope" in "n"')
    same(len(result.err.splitlines()), 2)


def reading_a_namespace_that_is_not_there_exits_3(place):
    _fill(place)
    for command in (("get", "x", "a"), ("export", "x"), ("list", "x"), ("count", "x"),
                    ("dimension", "x")):
        result = place.run(*command, code=3)
        same((result.out, result.err), (b"", 'mneme: no namespace "x"\n'))
    result = place.run("delete", "x", "a", "b", code=3)
    same((result.out, result.err),
         (b'{"deleted":0,"lsn":0}\n', 'mneme: no namespace "x"\n'))


def vectors_print_in_the_form_asked_for(place):
    place.put([record("a", vector=[1, -2])])
    same(place.get("a", "--vectors", "json")[0]["vector"], [1, -2])
    line = place.get("a", "--vectors", "base64")[0]
    same((line["vector_base64"], "vector" in line), (floats64(0x3F800000, 0xC0000000), False))
    same(place.get("a", "--vectors", "none"), [{"id": "a", "lsn": 1}])
    for form in ("json", "base64", "none"):
        same(place.run("export", "n", "--vectors", form).out,
             place.run("get", "n", "a", "--vectors", form).out)
    place.run("get", "n", "a", "--vectors", "xml", code=2)


def export_is_ordered_by_the_bytes_of_the_ids(place):
    ids = ["b", "a", "B", "é", "z", "aa", "\U0001F600", "\uffff"]
    place.put([record(i) for i in ids])
    expected = sorted(ids, key=lambda i: i.encode())
    same([line["id"] for line in place.run("export", "n").lines()], expected)
    same(place.ids(), expected)


def export_and_list_take_limit_and_after(place):
    _fill(place)
    for command in ("export", "list"):
        def ids(*options):
            return [line["id"] for line in place.run(command, "n", *options).lines()]
        same(ids("--limit", "2"), ["r000", "r001"])
        same(ids("--limit", "2", "--after", "r001"), ["r002", "r003"])
        same(ids("--after", "r0085"), ["r009"])
        same(ids("--after", "r009"), [])
        same(ids("--limit", "0"), [])
        same(len(ids("--limit", "1000000")), 10)
        place.run(command, "n", "--limit", "x", code=2)
        place.run(command, "n", "--limit", "-1", code=2)


def list_takes_a_prefix(place):
    place.put([record(i) for i in ("a", "a:1", "a:2", "ab", "b")])
    same(place.ids("--prefix", "a:"), ["a:1", "a:2"])
    same(place.ids("--prefix", "a", "--limit", "2"), ["a", "a:1"])
    same(place.ids("--prefix", "a:", "--after", "a:1"), ["a:2"])
    same(place.ids("--prefix", "x"), [])


def export_and_list_take_a_range_and_both_directions(place):
    _fill(place)
    place.run("checkpoint", code=None)  # some of them in a segment, where there are any
    place.put([record("r0055"), record("r0045")])
    for command in ("export", "list"):
        def ids(*options):
            return [line["id"] for line in place.run(command, "n", *options).lines()]
        same(ids("--until", "r002"), ["r000", "r001"])
        same(ids("--after", "r003", "--until", "r0055"), ["r004", "r0045", "r005"])
        same(ids("--reverse", "--limit", "2"), ["r009", "r008"])
        same(ids("--reverse", "--after", "r006", "--until", "r004"), ["r0055", "r005", "r0045"])
        same(ids("--after", "r005", "--until", "r005"), [])
    same(place.ids("--reverse", "--prefix", "r004"), ["r0045", "r004"])


def walking_page_by_page_meets_every_record_once(place):
    _fill(place, 25)
    seen = []
    after = ""
    while page := place.ids("--limit", "7", "--after", after):
        seen += page
        after = page[-1]
    same(seen, [f"r{i:03}" for i in range(25)])


def what_export_prints_can_be_put(place):
    lines = [
        record("all", vector=[0.1, -0.0], metadata={"a": [1, {"b": None}]},
               payload_base64=base64.b64encode(b"\0\xff").decode(), expires_at=4102444800.25,
               event_time_us=-7),
        record("nan", vector_base64=floats64(0x7FC00001, 0xFF800000)),
        record("bare"), record("k\0", metadata={}),
    ]
    place.put(lines)
    for options in ((), ("--vectors", "base64")):
        exported = place.run("export", "n", *options).out
        name = "copy" + "".join(options)
        place.put(exported, name=name)

        def without_lsn(out):
            return [{k: v for k, v in json.loads(line).items() if k != "lsn"}
                    for line in out.splitlines()]
        copied = place.run("export", name, *options).out
        same(without_lsn(copied), without_lsn(exported))


def lsns_are_numbers_and_those_of_the_commits(place):
    place.put([record("a"), record("b")])
    place.put([record("c")])
    place.put([record("a")])
    same([(line["id"], line["lsn"]) for line in place.run("export", "n").lines()],
         [("a", 3), ("b", 1), ("c", 2)])


def delete_counts_and_names_what_is_missing(place):
    _fill(place)
    same(place.run("delete", "n", "r000", "r001").out, b'{"deleted":2,"lsn":2}\n')
    result = place.run("delete", "n", "r002", "nope", code=3)
    same(result.lines(), [{"deleted": 1, "lsn": 3}])
    same(result.err, 'mneme: no record "nope" in "n"\n')
    same(place.run("delete", "n", "r000", code=3).lines()[0]["deleted"], 0)
    same(place.run("count", "n").lines(), [{"count": 7}])
    place.run("exists", "n", "r002", code=3)


def an_id_named_twice_is_deleted_once(place):
    _fill(place)
    same(place.run("delete", "n", "r001", "r001", code=None).lines()[0]["deleted"], 1)


def ids_that_begin_with_a_dash_come_behind_two_dashes(place):
    place.put([record("-a"), record("--"), record("-d")])
    same(len(place.run("get", "n", "--", "-a", "--", "-d").lines()), 3)
    same(place.run("delete", "n", "--", "-d").lines()[0]["deleted"], 1)
    place.run("get", "n", "-a", code=2)


def a_bad_id_is_named_by_its_position(place):
    _fill(place)
    long = "x" * 1025
    for command in ("get", "delete"):
        for ids, text in [(("",), f"{command}: the argument ID is empty"),
                          ((long,), "id has 1025 bytes, the limit is 1024"),
                          (("r001", "", "r002"), "id 2 of 3 is empty"),
                          (("r001", b"a\xff"), "id 2 of 2 is not UTF-8 at byte 1")]:
            result = place.run(command, "n", *ids, code=1)
            same((result.out, result.err), (b"", f"mneme: {text}\n"))
    has(place.run("exists", "n", long, code=1).err, "mneme: id has 1025 bytes")
    same(place.run("count", "n").lines(), [{"count": 10}])


def list_for_people_escapes_what_would_command_a_terminal(place):
    place.put([record("a\x1b[31mb"), record("plain")])
    for option in ("--table", "--human"):
        same(place.run("list", "n", option).out.decode(),
             'ID\n"a\\x1B[31mb"\n"plain"\n')
    place.run("get", "n", "x\x1b[31m", code=3).err.index('"x\\x1B[31m"')


def metadata_with_line_breaks_still_prints_on_one_line(place):
    # put cannot make such metadata: a line break would end its line; a carriage return it can
    place.put('{"id":"a","metadata":{"x":1,\r"y":2}}\n')
    out = place.run("export", "n").out
    same(out.count(b"\n"), 1)
    same(json.loads(out)["metadata"], {"x": 1, "y": 2})


def large_exports_are_whole(place):
    lines = [record(f"r{i:05}", vector=[i] * 64) for i in range(5000)]
    place.put(lines, "--batch", "1000")
    exported = place.run("export", "n").lines()
    same([line["id"] for line in exported], [f"r{i:05}" for i in range(5000)])
    same(run("-d", place.store, "count", "n").lines(), [{"count": 5000}])


if __name__ == "__main__":
    main()
