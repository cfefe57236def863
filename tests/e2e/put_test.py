#!/usr/bin/env python3
"""put: acknowledgements, batches, refusals, and that what was put comes back."""
import base64
import json
import signal
import struct
import time

from harness import bits_of, floats64, has, main, record, same


def a_batch_is_acknowledged_with_count_and_lsn(place):
    same(place.put([record("a"), record("b")]).out, b'{"count":2,"lsn":1}\n')
    same(place.put([record("c")]).out, b'{"count":1,"lsn":2}\n')
    same(place.run("count", "n").out, b'{"count":3}\n')


def batches_have_the_size_asked_for(place):
    result = place.put([record(f"r{i}") for i in range(5)], "--batch", "2")
    same([line["count"] for line in result.lines()], [2, 2, 1])
    same([line["lsn"] for line in result.lines()], [1, 2, 3])


def no_further_acknowledgement_follows_a_full_last_batch(place):
    result = place.put([record(f"r{i}") for i in range(4)], "--batch", "2")
    same([line["count"] for line in result.lines()], [2, 2])


def a_batch_is_committed_as_soon_as_its_last_line_arrives(place):
    put = place.start("put", "n", "--batch", "2")
    for i in range(3):
        put.stdin.write(f'{record(f"a{i}")}\n{record(f"b{i}")}\n'.encode())
        put.stdin.flush()
        same(json.loads(put.stdout.readline())["count"], 2)
    put.kill()
    put.communicate()
    same(place.run("count", "n").lines(), [{"count": 6}])


def a_line_that_arrives_in_pieces_is_one_line(place):
    put = place.start("put", "n", "--batch", "1")
    for piece in (b'{"id"', b':"a', b'b"', b"}", b"\n"):
        put.stdin.write(piece)
        put.stdin.flush()
        time.sleep(0.01)
    same(json.loads(put.stdout.readline())["count"], 1)
    out, err = put.communicate()
    same((out, err, put.returncode), (b"", b"", 0))
    same(place.ids(), ["ab"])


def empty_input_prints_count_0(place):
    for options in ((), ("--batch", "7")):
        for given in ("", "\n", " \t\r\n\n"):
            same([line["count"] for line in place.put(given, *options).lines()], [0])


def blank_lines_are_skipped_and_counted_for_line_numbers(place):
    same(place.put(f'\n{record("a")}\n  \r\n{record("b")}').lines()[0]["count"], 2)
    result = place.put(f'\n{record("c")}\n\nnonsense\n', code=1)
    has(result.err, "mneme: -:4: ")


def a_byte_order_mark_before_the_first_line_is_skipped(place):
    mark = b"\xef\xbb\xbf"
    same(place.put(mark + f'{record("a")}\n{record("b")}\n'.encode()).lines()[0]["count"], 2)
    same(place.put(mark + f'\n{record("c")}'.encode()).lines()[0]["count"], 1)
    same(place.put(mark).lines()[0]["count"], 0)
    same(place.ids(), ["a", "b", "c"])
    has(place.put(mark + mark + b"{}\n", code=1).err, "mneme: -:1: ")
    has(place.put(mark + b"\nx\n", code=1).err, "mneme: -:2: ")


def the_last_line_needs_no_line_break(place):
    place.put(f'{record("a")}\r\n{record("b")}')
    same(place.ids(), ["a", "b"])


def the_count_is_that_of_distinct_ids_and_the_last_one_wins(place):
    lines = [record("a", metadata={"v": 1}), record("b"), record("a", metadata={"v": 2})]
    same(place.put(lines).lines()[0]["count"], 2)
    same(place.get("a")[0]["metadata"], {"v": 2})


def nothing_of_a_bad_batch_is_stored_and_batches_before_it_stand(place):
    lines = [record(f"r{i}") for i in range(5)] + ['{"id":'] + [record("late")]
    result = place.put(lines, "--batch", "2", code=1)
    same([line["count"] for line in result.lines()], [2, 2])
    has(result.err, "mneme: -:6: ")
    same(result.err.count("\n"), 1)
    same(place.ids(), ["r0", "r1", "r2", "r3"])


def a_wrong_dimension_refuses_the_batch_and_names_the_line(place):
    place.put([record("a", vector=[1, 2])])
    lines = [record("b", vector=[1, 2]), "", record("c", vector=[1, 2, 3])]
    result = place.put(lines, code=1)
    same(result.out, b"")
    has(result.err, "mneme: -:3: ")
    has(result.err, "3 dimensions")
    has(result.err, '"n" has 2')
    same(place.ids(), ["a"])


def a_dimension_that_differs_within_the_first_batch_refuses_it(place):
    result = place.put([record("a", vector=[1, 2]), record("b", vector=[1])], code=1)
    has(result.err, "mneme: -:2: ")
    same(place.run("exists", "n", code=3).lines(), [{"exists": False}])


REFUSED = [
    ("nonsense", ""),
    ("[]", "line is an array, not an object"),
    ("null", "line is null"),
    ("{}", "id is missing"),
    ('{"id":"a"} x', ""),
    ('{"id":"a",}', ""),
    ('{"id":"a"}{"id":"b"}', ""),
    ("{'id':'a'}", ""),
    ('\ufeff{"id":"a"}', ""),
    ('{"id":null}', "id is null, not a string"),
    ('{"id":7}', "id is a number, not a string"),
    ('{"id":""}', "id is empty"),
    ('{"id":"a","id":"a"}', "comes twice"),
    ('{"id":"a","\\u0069d":"a"}', "comes twice"),
    ('{"id":"a","vectr":[1]}', 'unknown key "vectr"'),
    ('{"id":"a","Vector":[1]}', 'unknown key "Vector"'),
    ('{"id":"a","\\u001b[31m":1}', 'unknown key "\\x1B[31m"'),
    ('{"id":"\\ud800"}', ""),
    ('{"id":"a","vector":"x"}', "vector is a string, not an array"),
    ('{"id":"a","vector":{}}', "vector is an object, not an array"),
    ('{"id":"a","vector":[]}', "vector is empty"),
    ('{"id":"a","vector":[1,"x"]}', "vector: "),
    ('{"id":"a","vector":[null]}', "vector: "),
    ('{"id":"a","vector":[[1]]}', "vector: "),
    ('{"id":"a","vector":[1e39]}', "vector: "),
    ('{"id":"a","vector":[NaN]}', "vector: "),
    ('{"id":"a","vector":[01]}', "vector"),
    ('{"id":"a","vector_base64":[1]}', "vector_base64 is an array, not a string"),
    ('{"id":"a","vector_base64":""}', "vector_base64 is empty"),
    ('{"id":"a","vector_base64":"AAAA"}', "not a multiple of 4"),
    ('{"id":"a","vector_base64":"AAAAAA="}', "vector_base64: "),
    ('{"id":"a","vector_base64":"AAAAA!=="}', "vector_base64: "),
    ('{"id":"a","vector":[1],"vector_base64":"AACAPw=="}', "both given"),
    ('{"id":"a","metadata":[]}', "metadata is an array, not an object"),
    ('{"id":"a","metadata":"{}"}', "metadata is a string, not an object"),
    ('{"id":"a","metadata":{"a":1,}}', ""),
    ('{"id":"a","payload_base64":"AA"}', "payload_base64: "),
    ('{"id":"a","payload_base64":"AB=="}', "payload_base64: "),
    ('{"id":"a","payload_base64":"-_-_"}', "payload_base64: "),
    ('{"id":"a","payload_base64":1}', "payload_base64 is a number, not a string"),
    ('{"id":"a","ttl_seconds":-1}', "ttl_seconds is negative"),
    ('{"id":"a","ttl_seconds":-0.000001}', "ttl_seconds is negative"),
    ('{"id":"a","ttl_seconds":-0.0000001}', "ttl_seconds is negative"),
    ('{"id":"a","ttl_seconds":-1e-400}', "ttl_seconds is negative"),
    ('{"id":"a","ttl_seconds":-1e400}', "ttl_seconds is negative"),
    ('{"id":"a","ttl_seconds":"1"}', "ttl_seconds is a string, not a number"),
    ('{"id":"a","ttl_seconds":1e30}', "ttl_seconds is out of range"),
    ('{"id":"a","expires_at":true}', "expires_at is true or false, not a number"),
    ('{"id":"a","expires_at":9223372036854.775808}', "expires_at is out of range"),
    ('{"id":"a","event_time_us":1.5}', "event_time_us: "),
    ('{"id":"a","event_time_us":1e3}', "event_time_us: "),
    ('{"id":"a","event_time_us":"1"}', "event_time_us is a string, not a number"),
    ('{"id":"a","event_time_us":9223372036854775808}', "event_time_us: "),
    (record("x" * 1025), "1024"),
    ('{"id":"a","metadata":' + '{"a":' * 65 + "1" + "}" * 65 + "}", ""),
    ('{"id":"a","metadata":' + '{"a":' * 1000 + "1" + "}" * 1000 + "}", ""),
    ('{"id":"a","metadata":{"a":"' + "x" * (1 << 20) + '"}}', ""),
    ('{"id":"a","vector":[' + "0," * 65536 + "0]}", "65536 dimensions"),
]


def every_bad_line_is_refused_with_its_number_and_what_is_wrong(place):
    for line, part in REFUSED:
        result = place.put([record("good"), line], code=1)
        same(result.out, b"", line[:80])
        has(result.err, "mneme: -:2: ")
        has(result.err, part)
        same(result.err.count("\n"), 1, line[:80])
        same(place.run("exists", "n", code=3).lines(), [{"exists": False}], line[:80])


def bytes_that_are_no_utf8_are_refused(place):
    for line in (b'{"id":"\xff"}\n', b'{"id":"a","metadata":{"k":"\xc0\x80"}}\n', b"\0\n"):
        has(place.run("put", "n", given=line, code=1).err, "mneme: -:1: ")


def null_is_the_same_as_absent(place):
    keys = ("vector", "vector_base64", "metadata", "payload_base64", "ttl_seconds", "expires_at",
            "event_time_us", "lsn")
    place.put([record("a", **{key: None for key in keys})])
    same(place.get("a"), [{"id": "a", "lsn": 1}])


def the_largest_things_allowed_are_stored(place):
    metadata = '{"a":"' + "x" * ((1 << 20) - 8) + '"}'
    same(len(metadata), 1 << 20)
    place.put([record("x" * 1024, vector=[0.5] * 65536),
               f'{{"id":"m","metadata":{metadata}}}',
               '{"id":"d","metadata":' + '{"a":' * 64 + "1" + "}" * 64 + "}"])
    same(place.run("count", "n").lines(), [{"count": 3}])
    has(place.run("get", "n", "m").out.decode(), metadata)


def metadata_comes_back_byte_for_byte(place):
    metadata = ('{ "b" : 1.0e+2,\t"a":[ ],"\\u0041\\/":"\\ud83d\\ude00 \u00e9", '
                '"big":123456789012345678901234567890,"b":-0}')
    place.put(f'{{"id":"a" , "metadata" : {metadata} }}\n')
    same(place.run("get", "n", "a").out.decode(),
         f'{{"id":"a","metadata":{metadata},"lsn":1}}\n')
    place.put('{"id":"e","metadata":{}}\n')
    same(place.get("e"), [{"id": "e", "metadata": {}, "lsn": 2}])


def payloads_come_back(place):
    payloads = [b"\0", b"ab", b"abc", bytes(range(256)) * 1000]
    place.put([record(f"p{i}", payload_base64=base64.b64encode(p).decode())
               for i, p in enumerate(payloads)])
    for i, payload in enumerate(payloads):
        same(base64.b64decode(place.get(f"p{i}")[0]["payload_base64"]), payload)


def finite_floats_come_back_to_the_bit(place):
    bits = [0, 0x80000000, 1, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF,
            0x3F800001, 0x33D6BF95, 0x4B800001, 0x3EAAAAAB, bits_of(0.1), bits_of(16777217.0)]
    place.put([record("a", vector_base64=floats64(*bits))])
    line = place.get("a")[0]
    same([bits_of(value) for value in line["vector"]], bits)
    place.put(place.run("export", "n").out, name="copy")
    same(place.get("a", "--vectors", "base64", name="copy")[0]["vector_base64"], floats64(*bits))


def floats_are_rounded_once_from_their_digits(place):
    # half-way between two floats by its first digits; rounding to double first loses the rest
    text = "1.00000005960464477540"
    place.put(f'{{"id":"a","vector":[{text},0.1,1e-50,-1e-50,3.4028235677973364e38]}}\n')
    expected = [0x3F800001, 0x3DCCCCCD, 0, 0x80000000, 0x7F7FFFFF]
    same(place.get("a", "--vectors", "base64")[0]["vector_base64"], floats64(*expected))


def nan_and_infinity_print_as_base64_and_keep_their_bits(place):
    bits = [0x7FC00000, 0xFFC12345, 0x7F800001, 0x7F800000, 0xFF800000, 0x3F800000]
    place.put([record("a", vector_base64=floats64(*bits))])
    line = place.get("a")[0]
    same("vector" in line, False)
    same(line["vector_base64"], floats64(*bits))
    place.put(place.run("export", "n").out, name="copy")
    same(place.get("a", name="copy")[0]["vector_base64"], floats64(*bits))


WEIRD_IDS = ["\0", "a\0b", "a:b", "a/b", "../x", ".", "-x", " ", "\n", "\t\x1b[31m", "\x7f\x80",
             "é", "e\u0301", "日本", "\U0001F600", "\uffff", '"quoted\\"', "{}", "ab", "a"]


def weird_ids_and_names_are_kept(place):
    for name in ("n", "a:b", "../n", "-n", "\u65e5 \n"):
        place.run("put", "--", name, given=[record(i) for i in WEIRD_IDS])
        listed = [line["id"] for line in place.run("list", "--", name).lines()]
        same(listed, sorted(WEIRD_IDS, key=lambda i: i.encode()))
    for weird in WEIRD_IDS:
        if "\0" not in weird:
            same(place.run("get", "n", "--", weird).lines()[0]["id"], weird)


def a_namespace_and_a_prefix_of_it_are_apart(place):
    place.put([record("b:c")], name="a")
    place.put([record("c")], name="a:b")
    same((place.ids(name="a"), place.ids(name="a:b")), (["b:c"], ["c"]))
    place.run("drop", "a")
    same(place.ids(name="a:b"), ["c"])


def expired_records_are_never_seen(place):
    now = time.time()
    place.put([record("zero", expires_at=0), record("past", expires_at=now - 1),
               record("negative", expires_at=-5), record("ttl", ttl_seconds=0),
               record("wins", expires_at=1, ttl_seconds=1000), record("stays"),
               record("later", ttl_seconds=1000)])
    same(place.ids(), ["later", "stays"])
    same(place.run("count", "n").lines(), [{"count": 2}])
    place.run("exists", "n", "past", code=3)
    left = place.get("later")[0]["expires_at"] - now
    if not 990 < left < 1300:
        raise AssertionError(f"ttl of 1000 s expires after {left} s")


def expires_at_wins_over_ttl_and_reads_back_to_the_microsecond(place):
    for text in ("4102444800", "4102444800.5", "4102444800.000001", "4102444799.999999",
                 "9223372036854.775807"):
        place.put(f'{{"id":"a","expires_at":{text},"ttl_seconds":0}}\n')
        has(place.run("get", "n", "a").out.decode(), f'"expires_at":{text},')
    place.put('{"id":"a","expires_at":4.1024448005e9}\n')
    has(place.run("get", "n", "a").out.decode(), '"expires_at":4102444800.5,')


def event_times_are_exact_64_bit_integers(place):
    times = [0, -1, 9223372036854775807, -9223372036854775808, 9007199254740993]
    place.put([record(f"t{i}", event_time_us=t) for i, t in enumerate(times)])
    same([place.get(f"t{i}")[0]["event_time_us"] for i in range(len(times))], times)


def every_ack_level_is_accepted_and_survives_a_clean_end(place):
    for level in ("none", "os", "disk"):
        place.put([record(level)], "--ack", level)
    same(place.ids(), ["disk", "none", "os"])
    has(place.put([record("x")], "--ack", "remote", code=2).err, "none, os, disk")


def an_acknowledged_batch_survives_sigkill(place):
    put = place.start("put", "n", "--batch", "1")
    put.stdin.write(record("a").encode() + b"\n" + record("b").encode() + b"\n{")
    put.stdin.flush()
    for _ in range(2):
        put.stdout.readline()
    put.send_signal(signal.SIGKILL)
    put.communicate()
    same(place.ids(), ["a", "b"])


def a_batch_over_the_limit_is_refused_and_says_so(place):
    payload = base64.b64encode(bytes(60 << 20)).decode()
    lines = [record("first")] + [record(f"p{i}", payload_base64=payload) for i in range(5)]
    result = place.put(lines, code=1)
    has(result.err, "mneme: -:6: ")
    has(result.err, "batch")
    same(result.out, b"")
    place.run("exists", "n", code=3)


def a_payload_over_the_limit_is_refused(place):
    payload = base64.b64encode(bytes((64 << 20) + 1)).decode()
    result = place.put([record("a", payload_base64=payload)], code=1)
    has(result.err, "mneme: -:1: ")
    has(result.err, "payload")


def a_line_without_end_is_refused_before_it_is_read(place):
    put = place.start("put", "n")
    piece = b"x" * (1 << 20)
    try:
        for _ in range(300):
            put.stdin.write(piece)
    except BrokenPipeError:
        pass
    else:
        raise AssertionError("300 MiB without a line break were taken")
    try:
        put.stdin.close()
    except BrokenPipeError:
        pass
    put.wait()
    has(put.stderr.read().decode(), "mneme: -:1: line is longer than")
    same(put.returncode, 1)


def vectors_of_every_length_come_back(place):
    for n_dims in (1, 2, 3, 17, 768):
        values = [struct.unpack("<f", struct.pack("<f", i * 0.37 - 5))[0] for i in range(n_dims)]
        place.put([record("a", vector=values)], name=f"d{n_dims}")
        got = place.get("a", name=f"d{n_dims}")[0]["vector"]
        same([bits_of(v) for v in got], [bits_of(v) for v in values])


if __name__ == "__main__":
    main()
