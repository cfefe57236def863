#!/usr/bin/env python3
"""cache: answers by id, exact key and meaning, of one tenant and never of another."""
import base64
import hashlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import time

from harness import environment, has, main, npy, run, same

U64_MAX = 2**64 - 1
KEY = "00112233445566778899aabbccddeeff" * 2
OTHER_KEY = "ff" * 32


def _line(**keys):
    return json.dumps({"payload": "", **keys}, ensure_ascii=False, separators=(",", ":"))


def _cache(place, command, *words, given=b"", code=0):
    return place.run("cache", command, *map(str, words), given=given, code=code)


def _put(place, lines, *options, tenant=7, code=0):
    return _cache(place, "put", tenant, *options, given=lines, code=code)


def _get(place, *words, tenant=7, code=0):
    return _cache(place, "get", tenant, *words, code=code).lines()


def _list(place, *options, tenant=7):
    return _cache(place, "list", tenant, *options).lines()


def _ids(place, *options, tenant=7):
    return [int(line["id"]) for line in _list(place, *options, tenant=tenant)]


def _tenants(place):
    return [int(line["tenant"]) for line in _cache(place, "tenants").lines()]


def _floats(values):
    """The nearest float32 of each, to be compared with what was printed as such."""
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))


def _now_us():
    return time.time_ns() // 1000


def an_answer_comes_back_as_it_was_put(place):
    before = _now_us()
    ack = _put(place, [_line(id=1, payload="Zwei\nMinuten\0 \u00e9\u2028\"")]).lines()
    same((len(ack), ack[0]["id"], sorted(ack[0])), (1, "1", ["id", "lsn"]))
    line = _get(place, 1)[0]
    same(list(line), ["id", "context", "model", "payload", "event_time_us", "hits", "last_hit_us",
                      "lsn"])
    same((line["id"], line["context"], line["model"]), ("1", "0", ""))
    same(line["payload"], "Zwei\nMinuten\0 \u00e9\u2028\"")
    same(line["lsn"], ack[0]["lsn"])
    same(before <= line["event_time_us"] <= _now_us(), True)


def all_keys_of_a_line_are_kept(place):
    embedding = [1, -0.5, 0.0999755859375, 65504, 5.960464477539063e-08, 0]
    _put(place, [
        _line(id=str(U64_MAX), key=KEY.upper(), context=str(U64_MAX), model="m\u00f6del",
              embedding=embedding, payload_base64="AP8=", payload=None, expires_at=4102444800.25,
              event_time_us=-5),
        _line(id=0, embedding_base64=base64.b64encode(struct.pack("<6f", *embedding)).decode(),
              context=3, ttl_seconds=1000)])
    line = _get(place, U64_MAX, "--embedding")[0]
    same(line["id"], str(U64_MAX))
    same((line["key"], line["context"], line["model"]), (KEY, str(U64_MAX), "m\u00f6del"))
    same(_floats(line["embedding"]), embedding)
    same((line["payload_base64"], "payload" in line), ("AP8=", False))
    same((line["event_time_us"], line["expires_at_us"]), (-5, 4102444800250000))
    line = _get(place, 0, "--embedding")[0]
    same((line["id"], line["context"], line["payload"]), ("0", "3", ""))
    same((_floats(line["embedding"]), "key" in line), (embedding, False))
    same(_now_us() < line["expires_at_us"] <= _now_us() + 1000 * 10**6, True)
    same("embedding" in _get(place, 0)[0], False)


def what_get_prints_put_takes(place):
    _put(place, [_line(id=5, key=KEY, context=9, model="m", embedding=[1, 2], payload="a",
                       expires_at=4102444800),
                 _line(id=6, payload_base64="/w==", payload=None)])
    _get(place, 5)
    lines = _cache(place, "get", 7, 5, 6, "--embedding", "--peek").out
    _put(place, lines, tenant=8)
    copy = _get(place, 5, 6, "--embedding", "--peek", tenant=8)
    same([line["hits"] for line in copy], [0, 0])
    for line, original in zip(copy, map(json.loads, lines.splitlines())):
        for key in ("hits", "last_hit_us", "lsn"):
            del line[key], original[key]
        same(line, original)


def raw_writes_the_bytes_of_one_payload(place):
    payload = bytes(range(256)) * 300
    _put(place, [_line(id=1, payload_base64=base64.b64encode(payload).decode(), payload=None),
                 _line(id=2)])
    same(_cache(place, "get", 7, 1, "--raw").out, payload)
    same(_cache(place, "get", 7, 2, "--raw").out, b"")
    same(_cache(place, "get", 7, 3, "--raw", code=3).out, b"")


def ids_are_assigned_and_kept(place):
    lines = _put(place, [_line(payload=str(i)) for i in range(3)] + [_line(key=KEY, payload="k")])
    ids = [int(line["id"]) for line in lines.lines()]
    same(len(set(ids)), 4)
    again = _put(place, [_line(key=KEY, payload="l")]).lines()[0]["id"]
    same(int(again), ids[3])
    same([line["payload"] for line in _get(place, *ids)], ["0", "1", "2", "l"])
    _put(place, [_line(id=99, key=KEY, payload="m")])
    same(_get(place, "--key", KEY)[0]["id"], "99")
    same(ids[3] in _ids(place), False)


def keys_are_made_of_requests(place):
    _put(place, [_line(id=1, request="2+2?", model="m1", payload="4"),
                 _line(id=2, request="2+2?", model="m2", payload="vier"),
                 _line(id=3, request="", payload="nothing")])
    same(_get(place, "--request", "2+2?", "--model", "m1")[0]["payload"], "4")
    same(_get(place, "--request=2+2?", "--model=m2")[0]["payload"], "vier")
    same(_get(place, "--request", "")[0]["payload"], "nothing")
    has(_cache(place, "get", 7, "--request", "2+2?", code=3).err, "no entry of tenant 7")
    _cache(place, "get", 8, "--request", "2+2?", "--model", "m1", code=3)
    key = _get(place, 1)[0]["key"]
    same(_get(place, "--key", key.upper())[0]["id"], "1")
    same(len({line["key"] for line in _list(place)}), 3)


def missing_ids_are_named(place):
    _put(place, [_line(id=1, payload="a"), _line(id=3, payload="c")])
    result = _cache(place, "get", 7, 3, 2, 1, code=3)
    same([line["id"] for line in result.lines()], ["3", "1"])
    has(result.err, "mneme: no entry 2 of tenant 7")
    same(result.err.count("\n"), 1)
    has(_cache(place, "get", 8, 1, code=3).err, "no entry 1 of tenant 8")


def expired_answers_are_not_there(place):
    _put(place, [_line(id=1, ttl_seconds=0), _line(id=2, expires_at=5),
                 _line(id=3, expires_at_us=-1), _line(id=4, ttl_seconds=1000)])
    for entry in (1, 2, 3):
        _get(place, entry, code=3)
        same(_cache(place, "exists", 7, entry, code=3).out, b'{"exists":false}\n')
    same(_ids(place), [4])


def hits_are_counted_and_kept(place):
    _put(place, [_line(id=1, key=KEY, embedding=[1, 0])])
    before = time.time_ns() // 10**9 * 10**6
    same((_get(place, 1)[0]["hits"], _get(place, 1)[0]["hits"]), (0, 1))
    same(_get(place, "--key", KEY)[0]["hits"], 2)
    same(_lookup(place, "--embedding", "[1,0.1]", "--min-similarity", "0.9").lines()[0]["hits"], 3)
    line = _get(place, 1, "--peek")[0]
    same((line["hits"], _list(place)[0]["hits"]), (4, 4))
    same(before <= line["last_hit_us"] <= _now_us(), True)
    place.run("checkpoint")
    same(_get(place, 1, "--peek")[0]["hits"], 4)


def boundary_ids_and_tenants_are_ordinary(place):
    for tenant in (0, U64_MAX):
        _put(place, [_line(id=i, payload=f"{tenant} {i}", context=i, embedding=[1, 2])
                     for i in (0, U64_MAX)], tenant=tenant)
    for tenant in (0, U64_MAX):
        same(_ids(place, tenant=tenant), [0, U64_MAX])
        for i in (0, U64_MAX):
            same(_get(place, i, tenant=tenant)[0]["payload"], f"{tenant} {i}")
            same(_lookup(place, "--embedding", "[1,2]", "--min-similarity", 1e-3, "--context", i,
                         tenant=tenant).lines()[0]["id"], str(i))
        same(_ids(place, "--after", 0, tenant=tenant), [U64_MAX])
        same(_ids(place, "--after", U64_MAX, tenant=tenant), [])
    same(_tenants(place), [0, U64_MAX])
    _cache(place, "delete", U64_MAX, U64_MAX, 0)
    same(_ids(place, tenant=U64_MAX), [])
    same(_ids(place, tenant=0), [0, U64_MAX])


def tenants_with_the_same_ids_and_keys_never_mix(place):
    for tenant in (1, 2):
        _put(place, [_line(id=i, key=f"{i:064x}", context=4, model="m", embedding=[i, 1],
                           payload=f"{tenant}") for i in range(5)], tenant=tenant)
    for restart in range(2):
        for tenant in (1, 2):
            for line in (_get(place, *range(5), tenant=tenant) +
                         _get(place, "--key", f"{3:064x}", tenant=tenant) +
                         _lookup(place, "--embedding", "[2,1]", "--min-similarity", 0.5,
                                 "--model", "m", "--context", 4, tenant=tenant).lines() +
                         _lookup(place, "--key", f"{2:064x}", "--model", "m", "--context", 4,
                                 tenant=tenant).lines()):
                same(line["payload"], str(tenant))
        place.run("checkpoint")
    _cache(place, "delete", 1, 3)
    same(_cache(place, "invalidate", 1, "--key", f"{2:064x}").out, b'{"count":1}\n')
    same((_ids(place, tenant=1), _ids(place, tenant=2)), ([0, 1, 4], [0, 1, 2, 3, 4]))
    same(_cache(place, "drop", 1).out, b'{"dropped":true}\n')
    same(_tenants(place), [2])
    same(len(_get(place, *range(5), tenant=2)), 5)


def _lookup(place, *options, tenant=7, code=0):
    return _cache(place, "lookup", tenant, *options, code=code)


def an_answer_is_looked_up_exactly_and_by_meaning(place):
    _put(place, [_line(id=1, key=KEY, embedding=[1, 0, 0], payload="a"),
                 _line(id=2, embedding=[1, 1, 0], payload="b"),
                 _line(id=3, payload="c")])
    line = _lookup(place, "--key", KEY).lines()[0]
    same(list(line)[:3], ["kind", "score", "id"])
    same((line["kind"], line["score"], line["payload"]), ("exact", 1, "a"))
    line = _lookup(place, "--embedding", "[3,2,0]", "--min-similarity", "0.9").lines()[0]
    same((line["kind"], line["id"], abs(line["score"] - 5 / 26**0.5) < 1e-3),
         ("semantic", "2", True))
    # The key comes first.
    line = _lookup(place, "--key", KEY, "--embedding", "[3,2,0]", "--min-similarity",
                   "0.9").lines()[0]
    same((line["kind"], line["id"]), ("exact", "1"))
    line = _lookup(place, "--key", OTHER_KEY, "--embedding", "[1,0.1,0]", "--min-similarity",
                   "0.9").lines()[0]
    same((line["kind"], line["id"]), ("semantic", "1"))
    vectors = place.file("q.npy", npy([[0, 0, 1], [2, 2, 0]]))
    line = _lookup(place, "--embedding-file", f"{vectors}:1", "--min-similarity", "1").lines()[0]
    same((line["id"], abs(line["score"] - 1) < 1e-6), ("2", True))


def a_miss_says_why_and_exits_3(place):
    _put(place, [_line(id=1, key=KEY, model="m", embedding=[1, 0]), _line(id=2, model="plain")])

    def miss(*options, tenant=7):
        result = _lookup(place, *options, tenant=tenant, code=3)
        same(result.lines()[0]["kind"], "miss")
        same(result.err, "")
        return result.lines()[0]
    near = ("--embedding", "[1,0]", "--min-similarity", "0.5")
    same(miss(*near), {"kind": "miss", "reason": "no_scope"})
    same(miss(*near, tenant=9), {"kind": "miss", "reason": "no_scope"})
    same(miss(*near, "--model", "m", "--context", "1")["reason"], "no_scope")
    same(miss(*near, "--model", "plain")["reason"], "no_embedding")
    same(miss("--key", OTHER_KEY, "--model", "m")["reason"], "no_embedding")
    same(miss("--key", KEY)["reason"], "no_embedding")  # it has another model
    line = miss("--embedding", "[1,1]", "--min-similarity", "0.9", "--model", "m")
    same((line["reason"], abs(line["score"] - 0.5**0.5) < 1e-3), ("below", True))


def scopes_are_left_only_when_asked(place):
    _put(place, [_line(id=1, model="a", context=1, embedding=[1, 0], request="x", payload="1"),
                 _line(id=2, model="b", context=2, embedding=[1, 0.1], request="x", payload="2")])

    def found(*options, code=0):
        lines = _lookup(place, "--embedding", "[1,0.1]", "--min-similarity", "0.9", *options,
                        code=code).lines()
        return lines[0].get("id")
    same(found("--model", "a", "--context", "1"), "1")
    same(found("--model", "b", "--context", "2"), "2")
    same(found("--model", "a", "--any-context"), "1")
    same(found("--any-model", "--context", "1"), "1")
    same(found("--any-model", "--any-context"), "2")
    same(found("--model", "a", "--context", "2", code=3), None)
    same(_lookup(place, "--request", "x", "--model", "a", "--any-model",
                 "--any-context").lines()[0]["id"], "1")


def lookups_tell_what_they_did(place):
    _put(place, [_line(id=i, embedding=[1, i / 100]) for i in range(100)])
    hit, stats = _lookup(place, "--embedding", "[1,0]", "--min-similarity", "0.1", "--candidates",
                         "20", "--refined", "3", "--stats").lines()
    same(hit["kind"], "semantic")
    same(sorted(stats["stats"]), ["candidates", "damaged", "rejected", "scanned", "similar"])
    same((stats["stats"]["scanned"], stats["stats"]["candidates"]), (100, 20))
    miss, stats = _lookup(place, "--embedding", "[0,-1]", "--min-similarity", "0.1", "--stats",
                          code=3).lines()
    same((miss["reason"], stats["stats"]["similar"]), ("below", 0))
    same(_lookup(place, "--embedding", "[1,0]", "--min-similarity", "1", "--candidates",
                 "3").lines()[0]["kind"] in ("semantic", "miss"), True)


def entries_are_listed_in_pages(place):
    ids = sorted([0, 5, 2**32, 2**63, U64_MAX] + list(range(1000, 3500)))
    _put(place, [_line(id=i, payload="x" * 10) for i in reversed(ids)], "--ack", "none")
    same(_ids(place), ids)
    same(_ids(place, "--limit", 3), ids[:3])
    same(_ids(place, "--limit", 0), [])
    same(_ids(place, "--after", 3498, "--limit", 2), [3499, 2**32])
    line = _list(place, "--limit", 1)[0]
    same(sorted(line), ["context", "event_time_us", "hits", "id", "last_hit_us", "lsn", "model",
                        "n_dims", "payload_bytes"])
    same((line["n_dims"], line["payload_bytes"]), (0, 10))
    has(_cache(place, "list", 8, code=3).err, "no tenant 8")


def tenants_and_numbers_are_told(place):
    _put(place, [_line(id=i, payload="x" * 1000) for i in range(3)])
    _put(place, [_line(id=1)], tenant=3)
    lines = _cache(place, "tenants").lines()
    same([(line["tenant"], line["entries"]) for line in lines], [("3", 1), ("7", 3)])
    same(lines[1]["logical_bytes"] >= 3000, True)
    same(lines[1]["allocated_bytes"] > lines[1]["logical_bytes"], True)
    stats = _cache(place, "stats").lines()[0]
    same((stats["tenants"], stats["entries"]), (2, 4))
    same(stats["logical_bytes"], sum(line["logical_bytes"] for line in lines))
    one = _cache(place, "stats", 7).lines()[0]
    same((one["tenant"], one["entries"], one["allocated_bytes"]),
         ("7", 3, lines[1]["allocated_bytes"]))
    for key in ("hits_id", "hits_exact", "hits_semantic", "hits_verified", "misses", "evictions",
                "errors"):
        same((stats[key], one[key]), (0, 0))
    has(_cache(place, "stats", 8, code=3).err, "no tenant 8")


def entries_are_deleted_by_id(place):
    _put(place, [_line(id=i) for i in range(4)])
    line = _cache(place, "delete", 7, 0, 2).lines()[0]
    same((line["deleted"], line["lsn"] > 0), (2, True))
    result = _cache(place, "delete", 7, 2, 3, code=3)
    same(result.lines()[0]["deleted"], 1)
    has(result.err, "no entry 2 of tenant 7")
    same(_cache(place, "delete", 7, 9, code=3).lines(), [{"deleted": 0, "lsn": 0}])
    _cache(place, "delete", 8, 1, code=3)
    same(_ids(place), [1])


def a_tenant_is_dropped_and_comes_again_empty(place):
    _put(place, [_line(id=1)])
    same(_cache(place, "drop", 7).out, b'{"dropped":true}\n')
    result = _cache(place, "drop", 7, code=3)
    same(result.out, b'{"dropped":false}\n')
    has(result.err, "no tenant 7")
    _cache(place, "list", 7, code=3)
    _put(place, [_line(id=2, embedding=[1, 2, 3])])
    same(_ids(place), [2])


def entries_are_invalidated_by_what_holds(place):
    now = _now_us()

    def fill():
        _put(place, [_line(id=1, key=KEY, model="a", context=1, event_time_us=now - 10**10),
                     _line(id=2, model="a", context=2, event_time_us=5),
                     _line(id=3, model="b", context=2, event_time_us=now + 10**10),
                     _line(id=4)])
    for options, left in (
            (("--key", KEY), [2, 3, 4]), (("--key", OTHER_KEY), [1, 2, 3, 4]),
            (("--context", 2), [1, 4]), (("--context", 0), [1, 2, 3]), (("--model", "a"), [3, 4]),
            (("--model", ""), [1, 2, 3]), (("--model", "a", "--context", 2), [1, 3, 4]),
            (("--older-than", "1h"), [3, 4]), (("--older-than", "0", "--model", "b"), [1, 2, 3, 4]),
            (("--older-than", "1d"), [1, 3, 4]), (("--before", 6), [1, 3, 4]),
            (("--before", 5), [1, 2, 3, 4]), (("--before", "1970-01-01T00:00:01Z"), [1, 3, 4]),
            (("--before", U64_MAX // 2), []), (("--all",), [])):
        fill()
        same(_cache(place, "invalidate", 7, *options).lines(), [{"count": 4 - len(left)}], options)
        same(_ids(place), left, options)
    same(_cache(place, "invalidate", 8, "--all").lines(), [{"count": 0}])
    # What is left has neither entries nor a budget.
    same(_tenants(place), [7])
    same(_cache(place, "cleanup").out, b'{"count":1}\n')
    same((_tenants(place), _cache(place, "cleanup").out), ([], b'{"count":0}\n'))


def budgets_are_set_shown_and_kept(place):
    _put(place, [_line(id=i, event_time_us=_now_us()) for i in range(10)])
    same(_cache(place, "budget", 7).lines(),
         [{"tenant": "7", "bytes_max": 0, "entries_max": 0, "own": False}])
    same(_cache(place, "budget", 7, "--entries", 4).lines(),
         [{"tenant": "7", "bytes_max": 0, "entries_max": 4, "own": True}])
    same(len(_ids(place)), 4)
    same(_cache(place, "budget", 7, "--bytes", 1 << 30).lines()[0],
         {"tenant": "7", "bytes_max": 1 << 30, "entries_max": 4, "own": True})
    _put(place, [_line(id=i) for i in range(20, 30)])
    same(len(_ids(place)), 4)
    same(_cache(place, "cleanup").lines(), [{"count": 0}])
    same(_cache(place, "budget", 7, "--default").lines()[0]["own"], False)
    _put(place, [_line(id=i) for i in range(30, 40)])
    same(len(_ids(place)), 14)
    has(_cache(place, "budget", 8, code=3).err, "no tenant 8")
    same(_cache(place, "budget", 8, "--bytes", 5).lines()[0]["bytes_max"], 5)
    _put(place, [_line(id=1, payload="x" * 100)], tenant=8, code=1)
    same(_tenants(place), [7, 8])


def if_absent_leaves_what_is_there(place):
    _put(place, [_line(id=1, key=KEY, payload="old")])
    lines = _put(place, [_line(id=1, payload="new"), _line(key=KEY, payload="new"),
                         _line(id=2, key=KEY, payload="new"), _line(id=2, payload="two")],
                 "--if-absent").lines()
    same([line.get("exists", False) for line in lines], [True, True, True, False])
    same([line["id"] for line in lines], ["1", None, "2", "2"])
    same([line["payload"] for line in _get(place, 1, 2)], ["old", "two"])


def an_entry_is_compared_and_set_by_its_lsn(place):
    lsn = _put(place, [_line(id=1, payload="a")]).lines()[0]["lsn"]
    lsn2 = _put(place, [_line(id=1, payload="b", expected_lsn=lsn)]).lines()[0]["lsn"]
    result = _put(place, [_line(id=2), _line(id=1, payload="c", expected_lsn=lsn), _line(id=3)],
                  code=1)
    same(len(result.lines()), 1)
    has(result.err, "mneme: -:2: the entry does not have expected_lsn")
    _put(place, [_line(id=9, expected_lsn=1)], code=1)
    _put(place, [_line(id=1, payload="d", expected_lsn=str(lsn2))])
    same((_get(place, 1)[0]["payload"], _ids(place)), ("d", [1, 2]))
    has(_put(place, [_line(id=1, expected_lsn=1)], "--if-absent", code=1).err, "exclude")


def each_line_is_acknowledged_at_once(place):
    put = place.start("cache", "put", "7")
    for i in range(3):
        put.stdin.write(f"{_line(id=i)}\n".encode())
        put.stdin.flush()
        same(json.loads(put.stdout.readline())["id"], str(i))
    put.send_signal(signal.SIGINT)
    out, err = put.communicate()
    same((out, put.returncode), (b"", 130))
    has(err.decode(), "what was acknowledged is stored")
    same(_ids(place), [0, 1, 2])


def the_first_bad_line_ends_it_and_is_named(place):
    for line, part in [
        ("{}", "payload is missing"), ("[]", "line is an array"), ("nonsense", "line is null"),
        (_line(id=-1), "id is no integer from 0 to 18446744073709551615"),
        (_line(id=1.5), "id is no integer"), (_line(key="00"), "64 hexadecimal digits"),
        (_line(key=KEY, request="x"), "key and request are both given"),
        (_line(payload_base64=""), "payload and payload_base64 are both given"),
        (_line(vector=[1]), 'unknown key "vector"'), (_line(ttl_seconds=-1), "negative"),
        (_line(embedding=[1, 2, 3]), ""), (_line(embedding=[1, 65520]), ""),
        (_line(embedding_base64=base64.b64encode(struct.pack("<2f", 1, float("nan"))).decode()),
         ""),
        (_line(model="m" * 257), ""), (_line(expected_lsn=3), "expected_lsn needs an id"),
    ]:
        result = _put(place, [_line(id=1, embedding=[1, 2]), "", line, _line(id=2)], code=1)
        same(len(result.lines()), 1, line)
        has(result.err, "mneme: -:3: ")
        has(result.err, part)
        same(result.err.count("\n"), 1)
        same(_ids(place), [1])


def empty_input_stores_nothing(place):
    same(_put(place, "").out, b"")
    same(_cache(place, "tenants").out, b"")


def a_stream_is_stored_whole(place):
    payload = os.urandom(3 << 20)
    vectors = place.file("v.npy", npy([[1, 0], [0, 1]]))
    ack = _cache(place, "put", 7, "--stream", "--id", 5, "--request", "r", "--model", "m",
                 "--context", 9, "--embedding-file", f"{vectors}:1", "--ttl", "1h", "--ack",
                 "disk", given=payload).lines()
    same((ack[0]["id"], ack[0]["lsn"] > 0), ("5", True))
    line = _get(place, "--request", "r", "--model", "m", "--embedding")[0]
    same((line["id"], line["context"], line["embedding"]), ("5", "9", [0, 1]))
    same(3500 * 10**6 < line["expires_at_us"] - _now_us() <= 3600 * 10**6, True)
    same(hashlib.sha256(_cache(place, "get", 7, 5, "--raw").out).digest(),
         hashlib.sha256(payload).digest())
    answer = place.file("answer", "from a file")
    ack = _cache(place, "put", 7, "--payload-file", answer, "--key", KEY).lines()
    same(_get(place, "--key", KEY)[0]["payload"], "from a file")
    same(_cache(place, "put", 7, "--stream", "--id", ack[0]["id"], "--if-absent",
                given=b"x").lines(), [{"id": ack[0]["id"], "exists": True}])
    same(_cache(place, "put", 7, "--stream", given=b"").lines()[0]["lsn"] > 0, True)
    has(_cache(place, "put", 7, "--payload-file", answer + "?", code=1).err, "cannot open")


def a_stream_that_is_interrupted_leaves_nothing(place):
    _put(place, [_line(id=1, payload="old")])
    for signal_number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)):
        put = place.start("cache", "put", "7", "--stream", "--id", "1")
        put.stdin.write(b"half an answ" * 100000)
        put.stdin.flush()
        _cache(place, "list", 7, code=5)  # it is at work
        put.send_signal(signal_number)
        out, err = put.communicate()
        same((out, put.returncode), (b"", code))
        if code == 130:
            has(err.decode(), "mneme: stopped; nothing is stored")
        same([line["payload"] for line in _get(place, 1)], ["old"])
        same(_ids(place), [1])


def a_payload_that_is_too_large_is_refused(place):
    put = place.start("cache", "put", "7", "--stream", "--id", "1")
    chunk = b"x" * (1 << 20)
    try:
        for _ in range(65):
            put.stdin.write(chunk)
        put.stdin.close()
    except BrokenPipeError:
        pass
    same((put.wait(), put.stdout.read()), (1, b""))
    has(put.stderr.read().decode(), "mneme: ")
    same(_cache(place, "tenants").out, b"")
    same(len(_cache(place, "put", 7, "--stream", given=chunk * 64).lines()), 1)


def damage_is_told_and_never_shown(place):
    # Each is larger than a block of a segment, so that the damage of one is not that of the other.
    _put(place, [_line(id=1, key=KEY, embedding=[1, 0],
                       payload="x" * 20000 + "canary" + "x" * 40000),
                 _line(id=2, key=OTHER_KEY, embedding=[0, 1], payload="y" * 40000)])
    place.run("checkpoint")
    flipped = 0
    for path in pathlib.Path(place.store, "seg").glob("*.seg"):
        content = bytearray(path.read_bytes())
        at = content.find(b"canary")
        if at >= 0:
            content[at] ^= 1
            path.write_bytes(content)
            flipped += 1
    same(flipped, 1)
    for words in ((1,), (1, "--peek"), ("--key", KEY), (1, "--raw")):
        result = _cache(place, "get", 7, *words, code=4)
        same(result.out, b"", words)
        has(result.err, f"mneme: {place.store}: tenant 7")
        same(result.err.count(place.store), 1)
    result = _cache(place, "get", 7, 1, 9, 2, code=4)
    same([line["id"] for line in result.lines()], ["2"])
    has(result.err, "entry 1: ")
    has(result.err, "no entry 9 of tenant 7")
    result = _lookup(place, "--key", KEY, "--embedding", "[1,0]", "--min-similarity", "0.9", code=4)
    same((result.lines()[0]["kind"], "canary" in str(result)), ("miss", False))
    has(result.err, "1 of the entries that were compared is damaged")
    same(_lookup(place, "--key", KEY, code=4).lines(), [{"kind": "miss", "reason": "damaged"}])
    line = _lookup(place, "--embedding", "[0,1]", "--min-similarity", "0.9").lines()[0]
    same((line["kind"], line["id"]), ("semantic", "2"))
    same("canary" in str(_cache(place, "list", 7, code=4)), False)
    # It can be replaced.
    _put(place, [_line(id=1, key=KEY, embedding=[1, 0], payload="whole")])
    same(_get(place, 1)[0]["payload"], "whole")
    same(_get(place, "--key", KEY)[0]["payload"], "whole")


def reading_does_not_wait_for_readers_but_is_refused_beside_a_writer(place):
    _put(place, [_line(id=1)])
    put = place.start("cache", "put", "7")
    put.stdin.write(f"{_line(id=2)}\n".encode())
    put.stdin.flush()
    put.stdout.readline()
    for words in (("get", 7, 1), ("get", 7, 1, "--peek"), ("list", 7), ("tenants",), ("stats",),
                  ("exists", 7, 1), ("drop", 7), ("lookup", 7, "--key", KEY)):
        _cache(place, *words, code=5)
    put.communicate()
    same(_ids(place), [1, 2])


def a_store_is_made_by_put_alone(place):
    for words in (("get", 7, 1), ("list", 7), ("tenants",), ("stats",), ("drop", 7), ("cleanup",),
                  ("delete", 7, 1), ("invalidate", 7, "--all"), ("budget", 7, "--bytes", 1),
                  ("exists", 7, 1), ("lookup", 7, "--key", KEY)):
        _cache(place, *words, code=3)
        same(os.path.exists(place.store), False)
    _put(place, [_line(id=1)])
    same(_ids(place), [1])


def snapshots_hold_the_cache(place):
    _put(place, [_line(id=1, key=KEY, payload="then")])
    snapshot = place.run("snapshot", "create").lines()[0]["id"]
    _put(place, [_line(id=1, key=KEY, payload="now")])
    for words in (("get", "7", "1"), ("get", "7", "--key", KEY), ("lookup", "7", "--key", KEY)):
        same(place.run("--snapshot", snapshot, "cache", *words).lines()[0]["payload"], "then")
    place.run("--snapshot", snapshot, "cache", "drop", "7", code=2)
    into = str(place.folder / "restored")
    place.run("snapshot", "restore", snapshot, "--into", into)
    same(run("-d", into, "cache", "get", "7", "--key", KEY).lines()[0]["payload"], "then")


def usage_errors_exit_2_and_open_nothing(place):
    near = ("--embedding", "[1]")
    for words, part in [
        (("put",), "TENANT is missing"), (("put", "x"), "TENANT is a number from 0 to 1844674407"),
        (("put", "-1"), "TENANT"), (("put", U64_MAX + 1), "TENANT"), (("put", ""), "TENANT"),
        (("put", "7", "--ack", "maybe"), "none, os, disk"), (("put", "7", "8"), '"8"'),
        (("put", "7", "--id", "1"), "--id goes with --stream"),
        (("put", "7", "--embedding", "[1]"), "--embedding goes with --stream"),
        (("put", "7", "--stream", "--payload-file", "x"), "exclude"),
        (("put", "7", "--stream", "--key", KEY, "--request", "x"), "exclude"),
        (("put", "7", "--stream", "--key", KEY[1:]), "--key takes 64"),
        (("put", "7", "--stream", "--ttl", "soon"), "--ttl takes a duration"),
        (("put", "7", "--stream", "--ttl", "-1"), "--ttl takes a duration"),
        (("put", "7", "--stream", "--id", U64_MAX + 1), "--id takes a number"),
        (("put", "7", "--stream", "--embedding", "{}"), "--embedding takes an array"),
        (("put", "7", "--stream", "--embedding", "[]"), "--embedding is empty"),
        (("put", "7", "--stream", "--embedding-file", "x"), "--embedding-file takes F.npy:ROW"),
        (("put", "7", "--stream", *near, "--embedding-file", "x:0"), "exclude"),
        (("put", "7", "--stream=x"), "takes no value"), (("put", "7", "--raw"), "--raw"),
        (("get",), "TENANT is missing"), (("get", "7"), "which entry"),
        (("get", "7", "x"), "ID is a number"), (("get", "7", "1", "--key", KEY), "exclude"),
        (("get", "7", "--key", "x"), "--key takes 64"),
        (("get", "7", "1", "--model", "m"), "--model goes with --request"),
        (("get", "7", "1", "2", "--raw"), "--raw"),
        (("get", "7", "1", "--raw", "--embedding"), "exclude"),
        (("get", "7", "1", "--embedding=[1]"), "takes no value"),
        (("lookup", "7"), "what for"), (("lookup", "7", *near), "--min-similarity is missing"),
        (("lookup", "7", "--embedding"), "needs a value"),
        (("lookup", "7", *near, "--min-similarity", "0"), "above 0"),
        (("lookup", "7", *near, "--min-similarity", "1.01"), "above 0"),
        (("lookup", "7", *near, "--min-similarity", "x"), "above 0"),
        (("lookup", "7", "--key", KEY, "--min-similarity", "1"), "goes with an embedding"),
        (("lookup", "7", "--key", KEY, "--candidates", "1"), "goes with an embedding"),
        (("lookup", "7", *near, "--min-similarity", "1", "--candidates", "65537"), "--candidates"),
        (("lookup", "7", *near, "--min-similarity", "1", "--refined", "51"), "--refined"),
        (("lookup", "7", "--key", KEY, "--model", "m", "--any-model"), "exclude"),
        (("lookup", "7", "--key", KEY, "--context", "1", "--any-context"), "exclude"),
        (("lookup", "7", "--key", KEY, "--context", "x"), "--context"),
        (("exists", "7"), "ID is missing"), (("list", "7", "--after", "-1"), "--after"),
        (("delete", "7"), "ID is missing"), (("delete", "7", "1.0"), "ID is a number"),
        (("invalidate", "7"), "which entries"),
        (("invalidate", "7", "--all", "--model", "m"), "alone"),
        (("invalidate", "7", "--before", "1", "--older-than", "1"), "exclude"),
        (("invalidate", "7", "--before", "x"), "microseconds"),
        (("invalidate", "7", "--older-than", "x"), "duration"),
        (("invalidate", "7", "--request", "x"), "unknown option --request"),
        (("budget", "7", "--bytes", "-1"), "--bytes"),
        (("budget", "7", "--default", "--bytes", "1"), "alone"),
        (("tenants", "7"), '"7"'), (("cleanup", "7"), '"7"'), (("stats", "7", "8"), '"8"'),
    ]:
        result = _cache(place, *words, code=2)
        same(result.out, b"", words)
        has(result.err, part)
        has(result.err, "usage: ")
    same(os.path.exists(place.store), False)


def a_closed_pipe_ends_quietly(place):
    _put(place, [_line(id=i, payload="x" * 1000) for i in range(2000)], "--ack", "none")
    reader = place.start("cache", "list", "7")
    reader.stdout.readline()
    reader.stdout.close()
    err = reader.stderr.read()
    same((reader.wait(), err), (0, b""))


# The example that puts the cache in front of a command.
def _answer(place, request, *command, options=(), code=0):
    done = subprocess.run([os.environ["ANSWER_CACHE"], place.store, "7", "m", *options, "--",
                           *command], input=request, capture_output=True, env=environment())
    same(done.returncode, code, done)
    return done.stdout, done.stderr.decode()


def the_example_asks_once_and_answers_twice(place):
    log = place.folder / "asked"
    model = ("sh", "-c", f"echo x >>'{log}'; tr a-z A-Z")
    same(_answer(place, b"what is tea?", *model), (b"WHAT IS TEA?", "miss\n"))
    same(_answer(place, b"what is tea?", *model), (b"WHAT IS TEA?", "hit\n"))
    same(_answer(place, b"what is tee?", *model), (b"WHAT IS TEE?", "miss\n"))
    same(log.read_text(), "x\nx\n")
    same(_get(place, "--request", "what is tea?", "--model", "m")[0]["payload"], "WHAT IS TEA?")
    large = os.urandom(5 << 20)
    same(_answer(place, large, "cat"), (large, "miss\n"))
    same(_answer(place, large, "false"), (large, "hit\n"))
    same(_answer(place, b"", "true"), (b"", "miss\n"))
    same(_answer(place, b"", "false"), (b"", "hit\n"))


def the_example_stores_no_answer_that_failed(place):
    same(_answer(place, b"q", "sh", "-c", "echo half; exit 7", code=7), (b"half\n", "miss\n"))
    same(_answer(place, b"q", "sh", "-c", "echo half; kill -9 $$", code=137),
         (b"half\n", "miss\n"))
    out, err = _answer(place, b"q", "no-such-command-at-all", code=127)
    same((out, err.startswith("miss\n"), "no-such-command" in err), (b"", True, True))
    same(_answer(place, b"q", "echo", "whole"), (b"whole\n", "miss\n"))
    same(_answer(place, b"q", "echo", "other"), (b"whole\n", "hit\n"))


def the_example_passes_on_what_it_cannot_store(place):
    n_bytes = (64 << 20) + 1
    out, err = _answer(place, b"q", "head", "-c", str(n_bytes), "/dev/zero")
    same((len(out), err.count("\n")), (n_bytes, 2))
    has(err, "not stored")
    put = place.start("cache", "put", "7")
    put.stdin.write(f"{_line(id=1)}\n".encode())
    put.stdin.flush()
    put.stdout.readline()
    out, err = _answer(place, b"q", "echo", "fresh")
    same(out, b"fresh\n")
    has(err, "no cache")
    put.communicate()


def the_example_forgets_in_time(place):
    same(_answer(place, b"q", "echo", "1", options=("--ttl", "1000")), (b"1\n", "miss\n"))
    same(_answer(place, b"q", "echo", "2", options=("--ttl", "1000")), (b"1\n", "hit\n"))
    line = _get(place, "--request", "q", "--model", "m")[0]
    same(990 * 10**6 < line["expires_at_us"] - _now_us() <= 1000 * 10**6, True)
    for words in (("x",), (place.store, "7", "m"), (place.store, "x", "m", "--", "true"),
                  (place.store, "7", "m", "--"), (place.store, "7", "m", "--ttl", "--", "true"),
                  (place.store, "7", "m", "--ttl", "0", "--", "true"),
                  (place.store, "7", "m", "true")):
        done = subprocess.run([os.environ["ANSWER_CACHE"], *words], capture_output=True)
        same((done.returncode, done.stdout), (2, b""), words)


if __name__ == "__main__":
    main()
