#!/usr/bin/env python3
"""temporal nearest: the entities whose points are nearest to a vector, in time."""
import json
import math

from harness import has, main, npy, run, same

DAY = 86400 * 10**6


def _point(entity, time_us, vector, **more):
    return json.dumps({"entity": entity, "time_us": time_us, "vector": vector, **more})


def _put(place):
    place.run("temporal", "put", "moods", given=[
        _point(1, -10 * DAY, [0, 1]), _point(1, 0, [2, 0], metadata={"of": "the epoch"}),
        _point(1, 10 * DAY, [-1, 0]), _point(2, -DAY, [1, 1], metadata={"text": "a\n b"}),
        _point(2**64 - 1, 5 * DAY, [0, 3], payload_base64="AAE=")])


def _nearest(place, *options, code=0):
    return place.run("temporal", "nearest", "moods", "--vector", "[1,0]", *options, code=code)


def _found(place, *options):
    return [(line["entity"], line["time_us"] / DAY) for line in _nearest(place, *options).lines()]


def entities_are_printed_with_their_nearest_points(place):
    _put(place)
    lines = _nearest(place).lines()
    same(list(lines[0]), ["entity", "time_us", "distance", "metadata", "lsn"])
    same(lines[0]["distance"], 0)
    same([(line["entity"], line["time_us"]) for line in lines],
         [("1", 0), ("2", -DAY), (str(2**64 - 1), 5 * DAY)])
    same(abs(lines[1]["distance"] - (1 - math.sqrt(0.5))) < 1e-7, True)
    same(lines[2]["distance"], 1)
    same(_found(place, "-k", "1"), [("1", 0)])
    same(_found(place, "--at", "-1"), [("2", -1), ("1", -10)])
    same(_found(place, "--at", "1970-01-11T00:00:00Z"),
         [("2", -1), (str(2**64 - 1), 5), ("1", 10)])
    same(_found(place, "--from", "0"), [("1", 0), (str(2**64 - 1), 5)])
    same(_found(place, "--to", "-1"), [("2", -1), ("1", -10)])
    same(_found(place, "--from", str(-DAY), "--to", "-1"), [("2", -1)])
    same(_found(place, "--metric", "l2"), [("1", 0), ("2", -1), (str(2**64 - 1), 5)])
    same(_found(place, "--at", str(-100 * DAY)), [])
    line = _nearest(place, "--vectors", "json", "-k", "3").lines()[2]
    same((line["vector"], line["payload_base64"]), ([0, 3], "AAE="))


def time_counts_where_it_is_asked_to(place):
    _put(place)
    lines = _nearest(place, "--alpha", "0.5", "--half-life", str(5 * 86400), "--at",
                     str(10 * DAY)).lines()
    # What points away now is as far as what is at right angles and a half-life old.
    same([line["entity"] for line in lines], ["2", "1", str(2**64 - 1)])
    same([line["vector_distance"] for line in lines[1:]], [2, 1])
    same([round(line["decay"], 12) for line in lines[1:]], [0, 0.5])
    same([round(line["distance"], 12) for line in lines[1:]], [0.5, 0.5])
    same(list(lines[2]), ["entity", "time_us", "distance", "vector_distance", "decay",
                          "payload_base64", "lsn"])
    same(_found(place, "--alpha", "0", "--half-life", "1e-6", "--around", "0", "-k", "1"),
         [("1", 0)])


def a_row_of_a_file_may_be_the_vector(place):
    _put(place)
    path = place.file("q.npy", npy([[0, 1], [1, 0]]))
    lines = place.run("temporal", "nearest", "moods", "--vector-file", f"{path}:1").lines()
    same(lines[0]["entity"], "1")


def a_table_is_for_people(place):
    _put(place)
    out = _nearest(place, "--table", "--stats").out.decode().splitlines()
    same(out[0].split(), ["RANK", "DISTANCE", "ENTITY", "TIME", "TEXT"])
    same(out[1].split(), ["1", "0.00000", "1", "1970-01-01T00:00:00Z", '{"of":', '"the', 'epoch"}'])
    same(out[2].split(), ["2", "0.292893", "2", "1969-12-31T00:00:00Z", "a", "b"])
    same(len({line.index("19") for line in out[1:4]}), 1)  # aligned
    has(out[5], "3 results; 5 points of 3 entities compared")
    has(_nearest(place, "--table", "--vectors", "json", code=2).err, "leave --vectors out")


def statistics_tell_what_was_compared(place):
    _put(place)
    stats = _nearest(place, "--from", "0", "--stats").lines()[-1]["stats"]
    same(stats.pop("duration_us") >= 0, True)
    same(stats, {"results": 2, "entities": 2, "points": 3, "passed": 2})


def infinite_distances_are_json(place):
    _put(place)
    out = place.run("temporal", "nearest", "moods", "--vector", "[3e38,0]", "--metric", "l2").out
    same(json.loads(out.splitlines()[0])["distance"], math.inf)
    has(out.decode(), '"distance":1e999')


def wrong_words_are_refused_and_nothing_is_made(place):
    vector = ("--vector", "[1,0]")
    timed = (*vector, "--alpha", "0.5", "--half-life", "1")
    for words, part in [
        ((), "Give --vector or --vector-file"),
        ((*vector, "--vector-file", "a:0"), "--vector and --vector-file exclude"),
        ((*vector, "--id", "a"), "--id"), (("--vector", "{}"), "array of numbers"),
        (("--vector", "[]"), "empty"), ((*vector, "-k", "0"), "-k"),
        ((*vector, "-k", "65537"), "65536"), ((*vector, "--metric", "dot"), "cosine, l2"),
        ((*vector, "--at", "x"), "micro"), ((*vector, "--at", "1", "--to", "2"), "exclude"),
        ((*vector, "--from", "2", "--to", "1"), "--from is behind --to"),
        ((*vector, "--alpha", "0.5"), "belong together"),
        ((*vector, "--half-life", "5"), "belong together"),
        ((*vector, "--around", "5"), "--around counts with"), (timed, "near which time"),
        ((*timed, "--from", "1"), "near which time"), ((*timed, "--around", "x"), "micro"),
        ((*vector, "--alpha", "1.1", "--half-life", "1"), "--alpha takes"),
        ((*vector, "--alpha", "x", "--half-life", "1"), "--alpha takes"),
        ((*vector, "--alpha", "1", "--half-life", "0"), "--half-life takes"),
        ((*vector, "--alpha", "1", "--half-life", "-5"), "--half-life takes"),
        ((*vector, "--alpha", "1", "--half-life", "x"), "--half-life takes"),
        ((*vector, "--alpha", "1", "--half-life", "1e30"), "to 9223372036854.775807, not"),
        ((*vector, "--timeout", "0"), "--timeout"),
    ]:
        result = place.run("temporal", "nearest", "m", *words, code=2)
        same(result.out, b"", words)
        has(result.err, part)
        has(result.err, "usage: ")
    place.run("temporal", "nearest", "m", *vector, code=3)
    same((place.folder / "store").exists(), False)
    _put(place)
    has(place.run("temporal", "nearest", "m", *vector, code=3).err, 'no space "m"')
    has(place.run("temporal", "nearest", "moods", "--vector", "[1]", code=1).err,
        "query has 1 dimensions, space 0 has 2")
    has(run("temporal", "nearest", "--help").out.decode(), "--half-life")


if __name__ == "__main__":
    main()
