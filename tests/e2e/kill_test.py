#!/usr/bin/env python3
"""SIGKILL at random moments of `mneme put`: what was acknowledged is there, byte for byte, and the
rest is whole batches. MNEME_SEED sets the seed, MNEME_KILLS the number of rounds per ack level.
"""
import base64
import json
import os
import random
import threading
import time

from harness import main, same

SEED = int(os.environ.get("MNEME_SEED", time.time_ns() % 10**9))
ROUNDS = int(os.environ.get("MNEME_KILLS", "10"))
DIMENSION = 64


def _record(chance, number, index):
    given = {"id": f"{number:04}-{index:06}",
             "vector": [chance.randrange(-800, 800) / 8 for _ in range(DIMENSION)]}
    if chance.random() < 0.5:
        given["metadata"] = {"index": index, "text": "é\n" * chance.randrange(20)}
    if chance.random() < 0.3:
        payload = bytes(chance.randrange(256) for _ in range(chance.randrange(400)))
        if payload:
            given["payload_base64"] = base64.b64encode(payload).decode()
    return given


def _feed(process, lines):
    """Writes until the reader is gone."""
    try:
        for line in lines:
            process.stdin.write(line)
        process.stdin.flush()
    except (BrokenPipeError, ValueError):
        pass


def _killed_put(place, chance, given, batch, level):
    """The acknowledgements of a writer that was killed."""
    lines = [json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in given]
    process = place.start("put", "n", "--batch", str(batch), "--ack", level)
    feeder = threading.Thread(target=_feed, args=(process, lines))
    feeder.start()
    seen = b""
    if chance.random() < 0.8:  # else perhaps before anything is open
        seen = process.stdout.readline()
    time.sleep(chance.random() * 0.03)
    process.kill()
    seen += process.stdout.read()
    feeder.join()
    try:
        process.stdin.close()
    except BrokenPipeError:
        pass
    process.stdout.close()
    process.stderr.close()
    process.wait()
    whole = seen[:seen.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]


def _exported(place):
    result = place.run("export", "n", code=None)
    if result.code == 3 and result.out == b"":
        return []  # killed before the store or the namespace was made
    same(result.code, 0, result.err)
    return result.lines()


def _check_round(stored, given, acks, batch, level):
    """Compares the records of this round with what was given, and returns how many there are."""
    n_acked = sum(ack["count"] for ack in acks)
    n = len(stored)
    if level != "none" and n < n_acked:
        raise AssertionError(f"{n_acked} acknowledged at {level}, {n} there")
    if n > n_acked + batch:
        raise AssertionError(f"{n_acked} acknowledged, {n} there, batches of {batch}")
    if n % batch != 0 and n != len(given):
        raise AssertionError(f"{n} records are no whole batches of {batch}")
    for index, one in enumerate(stored):
        lsn = one.pop("lsn")
        same(one, given[index])
        if index // batch < len(acks):
            same(lsn, acks[index // batch]["lsn"])
        if index % batch != 0:
            same(lsn, stored[index - 1]["_lsn"])
        elif index > 0 and int(lsn) <= int(stored[index - 1]["_lsn"]):
            raise AssertionError(f"LSN {lsn} after {stored[index - 1]['_lsn']}")
        one["_lsn"] = lsn
    return n


def _kill_again_and_again(place, level):
    chance = random.Random(f"{SEED} {level}")
    kept = {}
    newest_lsn = 0
    n_killed_in_time = 0
    for number in range(ROUNDS):
        batch = chance.choice([1, 1, 2, 7, 50])
        given = [_record(chance, number, index) for index in range(3000)]
        acks = _killed_put(place, chance, given, batch, level)
        everything = _exported(place)
        before = [one for one in everything if int(one["id"][:4]) < number]
        same({one["id"]: one for one in before}, kept, "what earlier rounds left")
        stored = [one for one in everything if int(one["id"][:4]) == number]
        same([one["id"] for one in stored], [one["id"] for one in given[:len(stored)]])
        for one in stored:
            kept[one["id"]] = dict(one)
        n = _check_round(stored, given, acks, batch, level)
        if n > 0:
            first = int(stored[0]["_lsn"])
            if first <= newest_lsn:
                raise AssertionError(f"LSN {first} was handed out before: {newest_lsn}")
        newest_lsn = max([newest_lsn] + [int(ack["lsn"]) for ack in acks]
                         + [int(one["_lsn"]) for one in stored])
        n_killed_in_time += n < len(given)
        if everything:
            same(place.run("count", "n").lines(), [{"count": len(everything)}])
            same(place.run("verify").code, 0)
    if n_killed_in_time < ROUNDS // 2:
        raise AssertionError(f"only {n_killed_in_time} of {ROUNDS} writers were killed in time")


def what_is_acknowledged_at_disk_survives_sigkill(place):
    _kill_again_and_again(place, "disk")


def what_is_acknowledged_at_os_survives_sigkill(place):
    _kill_again_and_again(place, "os")


def what_is_acknowledged_at_none_is_lost_in_whole_batches_from_the_end(place):
    _kill_again_and_again(place, "none")


if __name__ == "__main__":
    print(f"MNEME_SEED={SEED}", flush=True)
    main()
