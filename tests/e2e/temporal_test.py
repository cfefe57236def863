#!/usr/bin/env python3
"""temporal: spaces, entities and points over time, and how they moved."""
import base64
import json
import math
import signal
import struct
import time

from harness import floats64, has, main, run, same

I64_MIN = -2**63
I64_MAX = 2**63 - 1
U64_MAX = 2**64 - 1


def _point(entity, time_us, vector=(1, 0), **more):
    return json.dumps({"entity": entity, "time_us": time_us, "vector": vector, **more},
                      separators=(",", ":"))


def _put(place, lines, *options, space="moods", code=0):
    return place.run("temporal", "put", space, *options, given=lines, code=code)


def _run(place, command, *args, space="moods", code=0):
    return place.run("temporal", command, space, *args, code=code)


def _times(place, *options, entity="1", space="moods"):
    lines = _run(place, "range", entity, *options, space=space).lines()
    return [line["time_us"] for line in lines]


def _spaces(place, *options):
    return place.run("temporal", "spaces", *options)


def a_space_is_made_by_number_or_by_name(place):
    same(place.run("temporal", "create", "7", "--dimension", "3", "--name", "moods").out,
         b'{"created":true,"space":7}\n')
    same(place.run("temporal", "create", "0", "--dimension", "2").out,
         b'{"created":true,"space":0}\n')
    same(place.run("temporal", "create", "né w", "--dimension", "4").out,
         b'{"created":true,"space":1}\n')
    same(place.run("temporal", "create", str(2**32 - 1), "--dimension", "1").out,
         b'{"created":true,"space":4294967295}\n')
    same(_spaces(place).lines(), [
        {"space": 0, "name": None, "dimension": 2, "count": 0},
        {"space": 1, "name": "né w", "dimension": 4, "count": 0},
        {"space": 7, "name": "moods", "dimension": 3, "count": 0},
        {"space": 4294967295, "name": None, "dimension": 1, "count": 0}])
    table = _spaces(place, "--table").out.decode().splitlines()
    same(table[0].split(), ["SPACE", "DIMENSION", "POINTS", "KEEP", "KEEP-POINTS", "HISTORY",
                            "KEYFRAME", "NAME"])
    same(table[2].split(), ["1", "4", "0", "-", "-", "-", "-", '"né', 'w"'])
    same([line.split()[0] for line in table[1:]], ["0", "1", "7", "4294967295"])


def making_a_space_again_is_fine_where_it_agrees(place):
    for words in (("7", "--name", "moods"), ("7",), ("moods",)):
        result = place.run("temporal", "create", *words, "--dimension", "3")
        same(result.lines(), [{"created": len(words) == 3, "space": 7}])
    for words in (("7", "--dimension", "2"), ("moods", "--dimension", "2"),
                  ("7", "--dimension", "3", "--name", "other"),
                  ("8", "--dimension", "3", "--name", "moods")):
        place.run("temporal", "create", *words, code=1)
    same(len(_spaces(place).lines()), 1)


def a_space_is_dropped_with_its_points(place):
    _put(place, [_point(1, 1), _point(2, 1)])
    same(_run(place, "drop").out, b'{"dropped":true}\n')
    result = _run(place, "drop", code=3)
    same(result.out, b'{"dropped":false}\n')
    has(result.err, 'no space "moods"')
    has(place.run("temporal", "drop", "0", code=3).err, "no space 0")
    same(_spaces(place).out, b"")
    _put(place, [_point(1, 5, [1, 2, 3])])
    same(_times(place), [5])


def the_first_vector_makes_a_space(place):
    same(_put(place, [_point(1, 1, [1, 2, 3])], space="9").lines()[0]["count"], 1)
    same(_put(place, [_point(1, 1)]).lines()[0]["count"], 1)
    same([(s["space"], s["name"], s["dimension"]) for s in _spaces(place).lines()],
         [(0, "moods", 2), (9, None, 3)])
    has(_put(place, [_point(1, 1)], space="9", code=1).err,
        "mneme: -:1: the space has 3 dimensions, the vector has 2")


def a_refused_batch_makes_no_space(place):
    for bad in (_point(1, 2, [1, 2, 3]), _point(1, 2, metadata={"a": "x" * (1 << 20)})):
        result = _put(place, [_point(1, 1), "", bad, _point(1, 3)], code=1)
        same(result.out, b"")
        has(result.err, "mneme: -:3: ")
        same(_spaces(place).out, b"")
    same(_put(place, "").lines(), [{"count": 0, "lsn": 0}])
    same(_spaces(place).out, b"")


def batches_are_acknowledged_as_those_of_put(place):
    result = _put(place, [_point(1, i) for i in range(5)], "--batch", "2", "--ack", "os")
    same([line["count"] for line in result.lines()], [2, 2, 1])
    lsns = [line["lsn"] for line in result.lines()]
    same(lsns, sorted(set(lsns)))
    same([line["lsn"] for line in _run(place, "range", "1").lines()],
         [lsns[0], lsns[0], lsns[1], lsns[1], lsns[2]])
    same(_put(place, [_point(1, 9), _point(1, 9, [7, 7])]).lines()[0]["count"], 1)
    same(_run(place, "latest", "1").lines()[0]["vector"], [7, 7])
    result = _put(place, [_point(3, 1), _point(3, 2), "nonsense"], "--batch", "2", code=1)
    same(len(result.lines()), 1)
    has(result.err, "mneme: -:3: ")
    same(_times(place, entity="3"), [1, 2])


def a_batch_is_committed_as_soon_as_its_last_line_arrives(place):
    put = place.start("temporal", "put", "moods", "--batch", "1")
    for i in range(3):
        put.stdin.write(f"{_point(1, i)}\n".encode())
        put.stdin.flush()
        same(json.loads(put.stdout.readline())["count"], 1)
    put.send_signal(signal.SIGINT)
    out, err = put.communicate()
    same((out, put.returncode), (b"", 130))
    has(err.decode(), "what was acknowledged is stored")
    same(_times(place), [0, 1, 2])


def bad_lines_are_named(place):
    vector = '"vector":[1,0]'
    for line, part in [
        (f'{{"time_us":1,{vector}}}', "entity is missing"),
        (f'{{"entity":null,"time_us":1,{vector}}}', "entity is null"),
        (f'{{"entity":-1,"time_us":1,{vector}}}', "entity is no integer from 0 to 1844674407"),
        (f'{{"entity":1.0,"time_us":1,{vector}}}', "entity is no integer"),
        (f'{{"entity":"x","time_us":1,{vector}}}', "entity is no integer"),
        (f'{{"entity":"","time_us":1,{vector}}}', "entity is no integer"),
        (f'{{"entity":{U64_MAX + 1},"time_us":1,{vector}}}', "entity is no integer"),
        (f'{{"entity":1,{vector}}}', "time_us is missing"),
        (f'{{"entity":1,"time_us":null,{vector}}}', "time_us is missing"),
        (f'{{"entity":1,"time_us":"1",{vector}}}', "time_us is a string"),
        (f'{{"entity":1,"time_us":1.5,{vector}}}', "time_us: "),
        (f'{{"entity":1,"time_us":{I64_MAX + 1},{vector}}}', "time_us: "),
        ('{"entity":1,"time_us":1}', "vector is missing"),
        ('{"entity":1,"time_us":1,"vector":[]}', "vector is empty"),
        ('{"entity":1,"time_us":1,"vector":["x"]}', "vector: "),
        (f'{{"entity":1,"time_us":1,{vector},"vector_row":0}}', 'unknown key "vector_row"'),
        (f'{{"id":"a","entity":1,"time_us":1,{vector}}}', 'unknown key "id"'),
        (f'{{"entity":1,"time_us":1,{vector},"event_time_us":1}}', 'unknown key "event_time_us"'),
        (f'{{"entity":1,"entity":1,"time_us":1,{vector}}}', "twice"),
        (f'{{"entity":1,"time_us":1,{vector},"metadata":[]}}', "metadata is an array"),
        (f'{{"entity":1,"time_us":1,{vector},"ttl_seconds":-1}}', "ttl_seconds is negative"),
        ("[]", "line is an array"), ("nonsense", "-:2: "),
    ]:
        result = _put(place, [_point(1, 1), line], code=1)
        same(result.out, b"", line)
        has(result.err, "mneme: -:2: ")
        has(result.err, part)
    same(_spaces(place).out, b"")


def lines_of_range_are_lines_that_put_takes(place):
    _put(place, [
        _point(U64_MAX, I64_MIN, [0.1, -2.5], metadata={"a": [1, {}]}, payload_base64="AP8=",
               expires_at=4102444800.25),
        json.dumps({"entity": str(U64_MAX), "time_us": I64_MAX,
                    "vector_base64": floats64(0x7FC00001, 0xFF800000), "ttl_seconds": 1e9}),
        json.dumps({"entity": U64_MAX, "time_us": 0, "vector": [3e38, 1e-45], "lsn": 99})])
    first = _run(place, "range", str(U64_MAX)).out
    same(first.decode().splitlines()[0],
         '{"entity":"18446744073709551615","time_us":-9223372036854775808,"vector":[0.1,-2.5],'
         '"metadata":{"a":[1,{}]},"payload_base64":"AP8=","expires_at":4102444800.25,"lsn":2}')
    same(json.loads(first.splitlines()[2])["vector_base64"], floats64(0x7FC00001, 0xFF800000))
    _put(place, first, space="copy")
    copy = _run(place, "range", str(U64_MAX), space="copy").lines()
    for line in copy:
        line["lsn"] = 2
    same(copy, _run(place, "range", str(U64_MAX)).lines())
    same([line["vector_base64"] for line in
          _run(place, "range", str(U64_MAX), "--vectors", "base64").lines()][:1],
         [base64.b64encode(struct.pack("<2f", 0.1, -2.5)).decode()])
    for line in _run(place, "range", str(U64_MAX), "--vectors", "none").lines():
        same("vector" in line or "vector_base64" in line, False)


def expired_points_are_not_there(place):
    _put(place, [_point(1, 1, ttl_seconds=0), _point(1, 2, expires_at=5),
                 _point(1, 3, ttl_seconds=1000)])
    same(_times(place), [3])
    same(_run(place, "timeline", "1").lines()[0]["count"], 1)


def points_are_found_by_time(place):
    times = [I64_MIN, -20, 0, 30, I64_MAX]
    _put(place, [_point(1, t) for t in reversed(times)] + [_point(2, 5)])

    def at(command, *words, code=0):
        return [line["time_us"] for line in _run(place, command, "1", *words, code=code).lines()]
    for checkpoint in (False, True):
        if checkpoint:
            place.run("checkpoint")
        same(at("get", "30", "-20", str(I64_MIN)), [30, -20, I64_MIN])
        same(at("asof", "-21"), [I64_MIN])
        same(at("asof", "-20"), [-20])
        same(at("asof", str(I64_MAX - 1)), [30])
        same(at("asof", str(I64_MIN)), [I64_MIN])
        same(at("next", "-19"), [0])
        same(at("next", "31"), [I64_MAX])
        same(at("latest"), [I64_MAX])
        same(_run(place, "timeline", "1").out,
             b'{"entity":"1","count":5,"first_us":-9223372036854775808,'
             b'"last_us":9223372036854775807}\n')


def what_is_missing_is_named_and_exits_3(place):
    _put(place, [_point(1, 10), _point(1, 20)])
    result = _run(place, "get", "1", "20", "-5", "10", code=3)
    same([line["time_us"] for line in result.lines()], [20, 10])
    has(result.err, "entity 1 has no point at -5 us")
    has(_run(place, "asof", "1", "9", code=3).err, "no point at or before 9 us")
    has(_run(place, "next", "1", "21", code=3).err, "no point at or after 21 us")
    has(_run(place, "latest", "2", code=3).err, "entity 2 has no points")
    has(_run(place, "timeline", "2", code=3).err, "entity 2 has no points")
    has(_run(place, "drift", "1", "9", "20", code=3).err, "no point at or before 9 us")
    same(_run(place, "range", "2").out, b"")
    for command in ("entities", "get 1 1", "asof 1 1", "next 1 1", "latest 1", "range 1",
                    "timeline 1", "delete 1 1", "delete 1 --all", "drift 1 1 2", "changes 1"):
        first, *words = command.split()
        for space, text in (("nowhere", '"nowhere"'), ("3", "3")):
            result = _run(place, first, *words, space=space, code=3)
            same(result.out, b"")
            has(result.err, f"mneme: no space {text}\n")
    for command in ("spaces", "range m 1", "get m 1 1", "drop m"):
        same(run("-d", str(place.folder / "none"), "temporal", *command.split()).code, 3)


def times_may_be_written_as_dates(place):
    gettysburg = -3348734400000000
    _put(place, [_point(1, gettysburg), _point(1, 0), _point(1, 1795249800250000)])
    same(_run(place, "get", "1", "1863-11-19T12:00:00Z", "2026-11-21T09:30:00.25+01:00")
         .lines()[1]["time_us"], 1795249800250000)
    same(_run(place, "asof", "1", "1969-12-31T23:59:59.999999Z").lines()[0]["time_us"], gettysburg)
    same(_times(place, "--from", "1970-01-01T00:00:00Z"), [0, 1795249800250000])


def ranges_have_both_ends(place):
    times = list(range(-50, 50, 10))
    _put(place, [_point(1, t) for t in times] + [_point(0, 0), _point(2, 0)])
    same(_times(place), times)
    same(_times(place, "--descending"), times[::-1])
    same(_times(place, "--from", "-20", "--to", "10"), [-20, -10, 0, 10])
    same(_times(place, "--from=-19", "--to=9", "--descending"), [0, -10])
    same(_times(place, "--to", "-40"), [-50, -40])
    same(_times(place, "--limit", "2"), times[:2])
    same(_times(place, "--limit", "2", "--descending"), [40, 30])
    same(_times(place, "--limit", "0"), [])
    same(_times(place, "--after", "20"), [30, 40])
    same(_times(place, "--after=-40", "--descending"), [-50])
    same(_times(place, "--after", "15", "--from", "-20", "--to", "30", "--limit", "1"), [20])
    same(_times(place, "--after", str(I64_MAX)), [])
    same(_times(place, "--after", str(I64_MIN)), times)
    same(_times(place, "--from", str(I64_MIN), "--to", str(I64_MAX)), times)


def entities_are_listed_in_pages(place):
    entities = [0, 1, 5, 2**32, 2**63, U64_MAX]
    _put(place, [_point(e, 0) for e in reversed(entities)])

    def listed(*options):
        return [line["entity"] for line in _run(place, "entities", *options).lines()]
    same(listed(), [str(e) for e in entities])
    same(listed("--limit", "2"), ["0", "1"])
    same(listed("--after", "1", "--limit", "2"), ["5", str(2**32)])
    same(listed("--after", str(2**63)), [str(U64_MAX)])
    same(listed("--after", str(U64_MAX)), [])
    same(listed("--limit", "0"), [])
    _put(place, [_point(e, 0) for e in range(2500)], space="many")
    same([int(line["entity"]) for line in _run(place, "entities", space="many").lines()],
         list(range(2500)))
    table = _run(place, "entities", "--table").out.decode().split()
    same(table, ["ENTITY"] + [str(e) for e in entities])


def settings_of_spaces_are_given_shown_and_changed(place):
    place.run("temporal", "create", "m", "--dimension", "2", "--keep-points", "3",
              "--keyframe-every", "10", "--history", "7d")
    same(_spaces(place).lines(), [{
        "space": 0, "name": "m", "dimension": 2, "count": 0, "keep_points": 3,
        "history_us": 604800000000, "known_from_lsn": 1, "keyframe_every": 10}])
    same(place.run("temporal", "create", "m", "--dimension", "2").out,
         b'{"created":false,"space":0}\n')
    same(place.run("temporal", "create", "m", "--dimension", "2", "--keep-points", "3").out,
         b'{"created":false,"space":0}\n')
    has(place.run("temporal", "create", "m", "--dimension", "2", "--keep-points", "4", code=1).err,
        "other settings")
    altered = place.run("temporal", "alter", "m", "--keep-points", "2", "--keyframe-every",
                        "0").lines()[0]
    same(altered["altered"], True)
    same(place.run("temporal", "alter", "m", "--keep-points", "2").out,
         b'{"altered":false,"lsn":0}\n')
    place.run("temporal", "alter", "m", "--keep", "1.5h")
    space = _spaces(place).lines()[0]
    same((space["keep_us"], space["keep_points"]), (5400000000, 2))
    same("keyframe_every" in space, False)
    place.run("temporal", "alter", "m", "--keep-points", "12345", "--keyframe-every", "10")
    for option, points in (("--table", "12345"), ("--human", "12,345")):
        same(_spaces(place, option).out.decode().splitlines()[1].split(),
             ["0", "2", "0", "90m", points, "1w", "10", '"m"'])
    _put(place, [_point(1, time.time_ns() // 1000)], space="m")
    same(_run(place, "timeline", "1", space="m").lines()[0]["keyframe_every"], 10)
    place.run("temporal", "alter", "m", "--keyframe-every", "0")
    same("keyframe_every" in _run(place, "timeline", "1", space="m").lines()[0], False)
    for words in (("m",), ("m", "--keep", "x"), ("m", "--keep", "-1"),
                  ("m", "--keep", "9999999999w"),
                  ("m", "--history", "1y"), ("m", "--keep", ""), ("m", "--keep", "h"),
                  ("m", "--keyframe-every", "1"), ("m", "--keyframe-every", "1001"),
                  ("m", "--keep-points", "-1")):
        place.run("temporal", "alter", *words, code=2)
    has(place.run("temporal", "alter", "none", "--keep", "0", code=3).err, "no space")


def points_are_kept_by_number_and_by_age(place):
    now = time.time_ns() // 1000
    long_ago = now - 7200 * 10**6
    place.run("temporal", "create", "moods", "--dimension", "2", "--keep-points", "2")
    for t in (long_ago, now - 10**6, now):
        _put(place, [_point(1, t)])
    same(_times(place), [now - 10**6, now])
    place.run("temporal", "alter", "moods", "--keep-points", "0")
    _put(place, [_point(2, long_ago)])
    same(len(place.run("temporal", "entities", "moods").lines()), 2)
    place.run("temporal", "alter", "moods", "--keep", "1h")
    same(len(place.run("temporal", "entities", "moods").lines()), 1)
    same(_spaces(place).lines()[0]["count"], 2)


def what_was_known_is_asked_by_lsn(place):
    place.run("temporal", "create", "moods", "--dimension", "1", "--history", "30d")
    lsns = []
    for value in (1, 2, 3):
        _put(place, [_point(1, 5, [value])])
        lsns.append(_run(place, "latest", "1").lines()[0]["lsn"])
    for value, lsn in enumerate(lsns, 1):
        point = _run(place, "asof", "1", "9", "--known-at", str(lsn)).lines()[0]
        same((point["vector"], point["lsn"], point["time_us"]), ([value], lsn, 5))
        same(_run(place, "range", "1", "--known-at", str(lsn)).lines(), [point])
    same(_run(place, "asof", "1", "9").lines()[0]["vector"], [3])
    _run(place, "asof", "1", "4", "--known-at", str(lsns[0]), code=3)
    _run(place, "asof", "1", "9", "--known-at", "0", code=2)
    _run(place, "latest", "1", "--known-at", "1", code=2)
    place.run("temporal", "alter", "moods", "--history", "0")
    has(_run(place, "asof", "1", "9", "--known-at", str(lsns[0]), code=1).err, "has no history")


def many_spaces_are_listed(place):
    for i in range(3):
        place.run("temporal", "create", f"s{i}", "--dimension", "1")
    place.run("temporal", "drop", "1")
    same(place.run("temporal", "create", "again", "--dimension", "1").lines()[0]["space"], 1)
    same([s["name"] for s in _spaces(place).lines()], ["s0", "again", "s2"])


def points_are_deleted_by_time_interval_or_all(place):
    _put(place, [_point(1, t) for t in range(-5, 5)] + [_point(2, t) for t in range(3)])
    deleted = _run(place, "delete", "1", "-5", "4").lines()[0]
    same(deleted["deleted"], 2)
    same(_times(place), list(range(-4, 4)))
    result = _run(place, "delete", "1", "-4", "100", code=3)
    same(result.lines()[0]["deleted"], 1)
    has(result.err, "entity 1 has no point at 100 us")
    same(result.lines()[0]["lsn"], place.run("stats").lines()[0]["current_lsn"])
    result = _run(place, "delete", "1", "77", code=3)
    same(result.lines()[0]["deleted"], 0)
    same(result.lines()[0]["lsn"], place.run("stats").lines()[0]["current_lsn"])
    same(_run(place, "delete", "1", "--from", "-2", "--to", "0").lines()[0]["deleted"], 3)
    same(_times(place), [-3, 1, 2, 3])
    same(_run(place, "delete", "1", "--from", "3").lines()[0]["deleted"], 1)
    same(_run(place, "delete", "1", "--to", "-100").lines(), [{"deleted": 0, "lsn": 0}])
    same(_run(place, "delete", "1", "--all").lines()[0]["deleted"], 3)
    result = _run(place, "delete", "1", "--all", code=3)
    same(result.lines(), [{"deleted": 0, "lsn": 0}])
    same(_times(place, entity="2"), [0, 1, 2])
    same([line["entity"] for line in _run(place, "entities").lines()], ["2"])


def drift_tells_what_moved(place):
    _put(place, [_point(1, 10, [1, 0, 0.1]), _point(1, 20, [0, 3, 0.1]), _point(1, 30, [0, 0, 0])])
    line = _run(place, "drift", "1", "15", "29").lines()[0]
    same((line["entity"], line["from_us"], line["to_us"]), ("1", 10, 20))
    same(math.isclose(line["l2"], math.sqrt(10), rel_tol=1e-9), True)
    same(math.isclose(line["cosine"], 1 - 0.01 / math.sqrt(1.01 * 9.01), rel_tol=1e-6), True)
    same(line["moved"], [{"dimension": 1, "from": 0, "to": 3, "change": 3},
                         {"dimension": 0, "from": 1, "to": 0, "change": -1},
                         {"dimension": 2, "from": 0.1, "to": 0.1, "change": 0}])
    line = _run(place, "drift", "1", "20", "10", "--top", "1").lines()[0]
    same((line["from_us"], line["to_us"]), (20, 10))
    same([d["dimension"] for d in line["moved"]], [1])
    same(_run(place, "drift", "1", "10", "99", "--top", "0").lines()[0]["moved"], [])
    same(_run(place, "drift", "1", "10", "99").lines()[0]["cosine"], 1)
    _put(place, [json.dumps({"entity": 2, "time_us": t, "vector_base64": v}) for t, v in
                 ((1, floats64(0, 0)), (2, floats64(0x7FC00000, 0x7F800000)))], space="odd")
    line = _run(place, "drift", "2", "1", "2", space="odd").lines()[0]
    same(line["moved"], [{"dimension": 1, "from": 0, "to": math.inf, "change": math.inf},
                         {"dimension": 0, "from": 0, "to": None, "change": None}])


def changes_are_found(place):
    def level(i):
        return [1, 0] if i < 20 else [0, 4] if i < 45 else [-3, 0]
    # Neighbours differ a little, always the same way.
    points = [_point(1, 100 * i - 2000, [x + 0.1 * (i % 2) for x in level(i)]) for i in range(60)]
    _put(place, points)
    same(_run(place, "changes", "1").lines(),
         [{"time_us": 0, "point": 20}, {"time_us": 2500, "point": 45}])
    same(_run(place, "changes", "1", "--from", "0").lines(), [{"time_us": 2500, "point": 25}])
    same(_run(place, "changes", "1", "--to", "-1").lines(), [])
    *lines, last = _run(place, "changes", "1", "--penalty", "1e9", "--stats").lines()
    same((lines, last["stats"]["points"], last["stats"]["changes"], last["stats"]["penalty"]),
         ([], 60, 0, 1e9))
    last = _run(place, "changes", "1", "--stats").lines()[-1]["stats"]
    same(sorted(last), ["changes", "cost", "noise", "penalty", "points"])
    same(_run(place, "changes", "1", "--min-length", "31", "--penalty", "0").lines(), [])
    same(_run(place, "changes", "9", "--stats").lines()[0]["stats"]["points"], 0)
    last = _run(place, "changes", "9", "--penalty", "3.78", "--stats").lines()[-1]["stats"]
    same((last["points"], last["penalty"]), (0, 3.78))
    _put(place, [json.dumps({"entity": 2, "time_us": t, "vector_base64": floats64(0x7FC00000, 0)})
                 for t in range(3)])
    place.run("temporal", "changes", "moods", "2", code=1)


def usage_errors_exit_2_and_open_nothing(place):
    for words, part in [
        (("create", "m"), "--dimension is missing"), (("create",), "SPACE is missing"),
        (("create", "m", "--dimension", "0"), "--dimension"),
        (("create", "m", "--dimension", "2", "--name", "x"), "--name"),
        (("create", "7", "--dimension", "2", "--name", "42"), "--name"),
        (("create", "7", "--dimension", "2", "--name", ""), "--name"),
        (("create", "4294967296", "--dimension", "2"), "4294967295"),
        (("put", "99999999999999999999"), "SPACE"), (("put", "m", "--batch", "0"), "--batch"),
        (("put", "m", "--ack", "maybe"), "none, os, disk"),
        (("get", "m", "1"), "TIME is missing"), (("get", "m", "x", "1"), "ENTITY"),
        (("get", "m", "-1", "1"), "ENTITY"), (("get", "m", str(U64_MAX + 1), "1"), "ENTITY"),
        (("get", "m", "1", "1.5"), "microseconds"), (("get", "m", "1", "now"), "microseconds"),
        (("get", "m", "1", str(I64_MAX + 1)), "microseconds"), (("get", "m", "1", ""), "micro"),
        (("get", "m", "1", "1863-11-31T00:00:00Z"), "microseconds"),
        (("asof", "m", "1", "2", "3"), '"3"'), (("range", "m", "1", "--from", "x"), "micro"),
        (("range", "m", "1", "--from", "2", "--to", "1"), "--from is behind --to"),
        (("range", "m", "1", "--vectors", "hex"), "json, base64, none"),
        (("entities", "m", "--after", "-1"), "--after"), (("delete", "m", "1"), "which points"),
        (("delete", "m", "1", "5", "--all"), "exclude"),
        (("delete", "m", "1", "5", "--to", "9"), "exclude"),
        (("delete", "m", "1", "--from", "5", "--all"), "exclude"),
        (("drift", "m", "1", "2"), "T2 is missing"), (("drift", "m", "1", "2", "x"), "micro"),
        (("drift", "m", "1", "2", "3", "--top", "x"), "--top"),
        (("changes", "m", "1", "--penalty", "-1"), "--penalty"),
        (("changes", "m", "1", "--penalty", "x"), "--penalty"),
        (("changes", "m", "1", "--min-length", "0"), "--min-length"),
        (("plot", "m"), "ENTITY is missing"),
    ]:
        result = place.run("temporal", *words, code=2)
        same(result.out, b"", words)
        has(result.err, part)
        has(result.err, "usage: ")
    for name, part in (("", "empty"), ("x" * 1025, "1024")):
        has(place.run("temporal", "put", name, given=_point(1, 1), code=1).err, part)
    same((place.folder / "store").exists(), False)


def points_survive_snapshots_and_a_copy_is_read(place):
    _put(place, [_point(1, t) for t in range(3)])
    snapshot = place.run("snapshot", "create").lines()[0]["id"]
    _run(place, "delete", "1", "--all")
    same(_times(place), [])
    lines = place.run("--snapshot", snapshot, "temporal", "range", "moods", "1").lines()
    same([line["time_us"] for line in lines], [0, 1, 2])
    place.run("--snapshot", snapshot, "temporal", "drop", "moods", code=2)


def a_closed_pipe_ends_quietly(place):
    _put(place, [_point(1, t, [t] * 64) for t in range(5000)])
    reader = place.start("temporal", "range", "moods", "1")
    reader.stdout.readline()
    reader.stdout.close()
    err = reader.stderr.read()
    same((reader.wait(), err), (0, b""))


def reading_is_refused_beside_a_writer(place):
    _put(place, [_point(1, 1)])
    put = place.start("temporal", "put", "moods", "--batch", "1")
    put.stdin.write(f"{_point(1, 2)}\n".encode())
    put.stdin.flush()
    put.stdout.readline()
    for command in ("range", "timeline", "latest"):
        _run(place, command, "1", code=5)
    put.communicate()
    same(_times(place), [1, 2])


if __name__ == "__main__":
    main()
