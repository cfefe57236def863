#!/usr/bin/env python3
"""temporal plot: a trajectory drawn in the terminal, or as an SVG picture."""
import json
import math
import os
import subprocess
import xml.etree.ElementTree as xml

from harness import MNEME, environment, has, main, same

SVG = "{http://www.w3.org/2000/svg}"
YEAR = 365 * 86400 * 10**6


def _point(entity, time_us, vector):
    return json.dumps({"entity": entity, "time_us": time_us, "vector": vector})


def _put(place, entity, vectors, step=YEAR, first=-180 * YEAR, space="moods"):
    place.run("temporal", "put", space, given=[
        _point(entity, first + i * step, vector) for i, vector in enumerate(vectors)])


def _circle(n):
    return [[math.cos(3 * i / n), math.sin(3 * i / n), i / n] for i in range(n)]


def _draw(place, entity, *options, columns="80", space="moods", **env):
    done = subprocess.run(
        [MNEME, "-d", place.store, "temporal", "plot", space, str(entity), *options],
        capture_output=True, check=False,
        env={**environment(COLUMNS=columns, LC_ALL="", LC_CTYPE="", LANG="C.UTF-8"), **env})
    same((done.returncode, done.stderr), (0, b""))
    return done.stdout.decode()


def a_trajectory_is_drawn_as_wide_as_the_terminal(place):
    _put(place, 42, _circle(200))
    for columns in (40, 80, 133, 400):
        lines = _draw(place, 42, columns=str(columns)).splitlines()
        same(lines[0], 'space "moods", entity 42: 200 points, 1790-02-13 to 1988-12-27')
        drawn = [line for line in lines if line[:1] == " "]  # but headings
        same(max(map(len, drawn)) <= columns, True, drawn)
        same(max(map(len, drawn)) >= columns - 1, True, drawn)
        plane = lines[3:next(i for i, line in enumerate(lines) if "└" in line)]
        has(lines[2], "first two principal components, ")
        text = "\n".join(lines)
        has(text, "cosine distance from the first point")
        has(text, "1 1790-02-13")
        for digit in "123456789":
            same(any(digit in line[11:] for line in plane), True, digit)
        same(any(0x2800 < ord(c) < 0x2900 for c in text), True)
    has(text, "1900")
    has(text, "┤")


def where_there_is_no_utf8_stars_do(place):
    _put(place, 42, _circle(200))
    for env in ({"LANG": "C"}, {"LANG": ""}, {"LC_ALL": "POSIX"},
                {"LC_CTYPE": "de_DE.ISO-8859-1"}):
        text = _draw(place, 42, **env)
        same(text.isascii(), True)
        has(text, "*")
        has(text, "|")
    same(_draw(place, 42, LANG="", LC_CTYPE="en_US.utf8").isascii(), False)


def both_ends_of_the_time_have_labels_where_no_round_times_fit(place):
    day = 86400 * 10**6
    for entity, (first, last, texts) in enumerate([
        (-2**63, 2**63 - 1, ("-9223372036854775808", "9223372036854775807")),
        (0, 1500, ("1970-01-01", "00:00:00.0015")),
        (8 * 3600 * 10**6 + 1, 8 * 3600 * 10**6 + 1999, ("08:00:00.000001", "08:00:00.001999")),
        (day - 800, day + 700, ("1970-01-01 23:59:59.9992", "1970-01-02 00:00:00.0007")),
        (5, 6, ("00:00:00.000005", "00:00:00.000006")),
    ]):
        _put(place, entity, [[1, 0, 0], [0, 1, 0]], step=last - first, first=first)
        for columns in ("40", "57", "100", "400"):
            drawn = _draw(place, entity, columns=columns)
            lines = drawn[drawn.index("distance from"):].splitlines()
            foot = next(i for i, line in enumerate(lines) if "└" in line)
            labels = lines[foot + 1:]
            same(max(map(len, lines[foot:])) <= int(columns), True, lines)
            same(lines[foot].count("┬") >= 2, True, lines[foot])
            same(len("  ".join(labels).split("   ")) >= 2, True, labels)
            if columns == "40":
                same([labels[0].strip().startswith(texts[0]), labels[-1].endswith(texts[1])],
                     [True, True], labels)
        root, _ = _svg(place, entity)
        shown = [node for node in root.iter(SVG + "text") if float(node.get("y")) > 700]
        same(len(shown) >= 2, True, _texts(root))


def few_points_and_those_that_do_not_move_are_drawn(place):
    _put(place, 1, [[1, 2, 3]])
    _put(place, 2, [[1, 2, 3]] * 5, step=3600 * 10**6, first=0)
    _put(place, 3, [[i, 2 * i, 3] for i in range(30)], step=1, first=2**63 - 31)
    _put(place, 4, [[1, 0, 0], [-1, 0, 0]], step=2**64 - 1, first=-2**63)
    _put(place, 5, _circle(7), step=3600 * 10**6, first=0)
    has(_draw(place, 1), 'entity 1: 1 point, 1790-02-13\n')
    has(_draw(place, 2), "0 % (across) and 0 % (up)")
    has(_draw(place, 3), "100 % (across) and 0 % (up)")
    has(_draw(place, 4), "2 9223372036854775807")
    has(_draw(place, 5), "the points, and their times:")
    has(_draw(place, 5), "02:00")
    has(_draw(place, 5, "--metric", "l2"), "Euclidean distance from the first point")
    for entity in range(1, 6):
        _svg(place, entity)


def _svg(place, entity, *options, space="moods"):
    path = place.folder / "picture.svg"
    path.unlink(missing_ok=True)
    result = place.run("temporal", "plot", space, str(entity), "--svg", str(path), *options)
    line = result.lines()[0]
    same(line["svg"], str(path))
    text = path.read_bytes()
    root = xml.fromstring(text)
    same(root.tag, SVG + "svg")
    same([b for part in (b"http", b"href", b"<script", b"nan", b"inf") if part in text
          for b in [part] if part != b"http"], [])
    same(text.count(b"http"), 1)  # the name space alone
    return root, line["points"]


def _texts(root):
    return ["".join(node.itertext()) for node in root.iter(SVG + "text")]


def a_picture_is_well_formed_and_says_what_it_shows(place):
    _put(place, 42, _circle(200))
    root, n_points = _svg(place, 42)
    same(n_points, 200)
    texts = _texts(root)
    same(texts[0], 'space "moods", entity 42')
    same(texts[1], "200 points, 1790-02-13 to 1988-12-27")
    same({"1800", "1850", "1900", "1950"} <= set(texts), True, texts)
    same(any(text.startswith("Cosine distance") for text in texts), True)
    digits = [node.text for node in root.iter(SVG + "text") if node.get("class") == "digit"]
    same(digits, list("123456789"))
    circles = list(root.iter(SVG + "circle"))
    same(len(circles), 2 * 200 + 9)
    for circle in circles:
        same(70 <= float(circle.get("cx")) <= 930 and 100 <= float(circle.get("cy")) <= 800, True)
    has(circles[0].find(SVG + "title").text, "1790-02-13: 0")
    style = root.find(SVG + "style").text
    has(style, "prefers-color-scheme: dark")
    _put(place, 6, _circle(9000), step=1)
    root, n_points = _svg(place, 6)
    same(n_points, 9000)
    has(_texts(root)[1], "one of 3 drawn")
    same(len(list(root.iter(SVG + "circle"))), 2 * 3000 + 9)


def names_cannot_break_out_of_a_picture(place):
    name = 'a<b>&"\']]>\x1b[2J\u202e\ufffe'
    _put(place, 1, _circle(5), space=name)
    root, _ = _svg(place, 1, space=name)
    has(_texts(root)[0], 'a<b>&')
    same("\x1b" in _draw(place, 1, space=name), False)


def an_interval_is_drawn_alone(place):
    _put(place, 42, _circle(200))
    has(_draw(place, 42, "--from", "1900-01-01T00:00:00Z", "--to", "1910-01-01T00:00:00Z"),
        "10 points, 1900-01-18 to 1909-01-16")


def odd_points_are_left_out_and_named(place):
    _put(place, 1, _circle(5))
    place.run("temporal", "put", "moods", given=[json.dumps(
        {"entity": 1, "time_us": 5, "vector_base64": "AADAfwAAgD8AAIA/"})])
    result = place.run("temporal", "plot", "moods", "1")
    has(result.err, "1 point with NaN or infinite elements left out")
    has(result.out.decode(), "5 points")


def a_file_is_whole_or_as_it_was(place):
    _put(place, 1, _circle(5))
    path = place.folder / "old.svg"
    path.write_bytes(b"old")
    (place.folder / "folder").mkdir()
    for target, part in ((place.folder / "folder", "folder"),
                         (place.folder / "none" / "a.svg", "none"),
                         (os.path.join(place.store, "a.svg"), "directory of the store")):
        result = place.run("temporal", "plot", "moods", "1", "--svg", str(target), code=1)
        same(result.out, b"")
        has(result.err, part)
    place.run("temporal", "plot", "moods", "9", "--svg", str(path), code=3)
    same(path.read_bytes(), b"old")
    place.run("temporal", "plot", "moods", "1", "--svg", str(path))
    has(path.read_text(), "<svg")
    same(sorted(entry.name for entry in place.folder.iterdir()), ["folder", "old.svg", "store"])


def wrong_words_are_refused(place):
    for words, part in [
        (("m",), "ENTITY is missing"), (("m", "x"), "ENTITY is a number"),
        (("m", "1", "2"), '"2"'), (("m", "1", "--metric", "dot"), "cosine, l2"),
        (("m", "1", "--from", "x"), "micro"),
        (("m", "1", "--from", "2", "--to", "1"), "--from is behind --to"),
        (("m", "1", "--svg", ""), "--svg takes the name of a file"),
    ]:
        result = place.run("temporal", "plot", *words, code=2)
        has(result.err, part)
        has(result.err, "usage: ")
    place.run("temporal", "plot", "m", "1", code=3)
    _put(place, 1, _circle(5))
    has(place.run("temporal", "plot", "m", "1", code=3).err, 'no space "m"')
    has(place.run("temporal", "plot", "moods", "2", code=3).err, "no points to draw")


if __name__ == "__main__":
    main()
