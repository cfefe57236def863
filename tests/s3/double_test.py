#!/usr/bin/env python3
"""The double itself: that it checks signatures, answers like S3, and does what faults say.

A test is a function whose only parameter is a Place: a double of its own, and a client with its
keys. An argument picks tests by a part of their name.
"""
import base64
import hashlib
import http.client
import pathlib
import re
import ssl
import sys
import tempfile
import time
import traceback
import urllib.parse

import checksum
import signature
from client import Client, Double

KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class Place:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.double = Double("--tls", folder)
        self.client = Client(self.double.ports["port"], KEY, SECRET)

    def ask(self, method, target, body=b"", **headers):
        """Headers are named with _ for -."""
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return self.client.request(method, target, body, pairs)

    def put(self, key, body=b"x", status=200, **headers):
        answer = self.ask("PUT", f"/bucket/{key}", body, **headers)
        same(answer[0], status, answer)
        return answer[1].get("etag")


def same(actual, expected, what=""):
    if actual != expected:
        raise AssertionError(f"{what}\n  expected {expected!r}\n  got      {actual!r}")


def refused(answer, status, code):
    same(answer[0], status, answer)
    if code is not None:
        same(re.search(rb"<Code>(.*)</Code>", answer[2])[1].decode(), code, answer)


# Signatures

# Worked examples of the S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
EMPTY = hashlib.sha256(b"").hexdigest()
VECTOR_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
VECTORS = [
    ("GET", "/test.txt", "", [("Range", "bytes=0-9")], EMPTY,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("PUT", "/test$file.text", "", [("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                                    ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
     hashlib.sha256(b"Welcome to Amazon S3.").hexdigest(),
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ("GET", "/", "lifecycle", [], EMPTY,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("GET", "/", "max-keys=2&prefix=J", [], EMPTY,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
]


def published_examples_are_signed_alike(place):
    for method, path, query, headers, payload, expected in VECTORS:
        headers = [("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", payload),
                   ("x-amz-date", "20130524T000000Z"), *headers]
        names = sorted(name.lower() for name, _ in headers)
        canonical = signature.canonical_request(method, path, query, headers, names, payload)
        got, _ = signature.sign(VECTOR_SECRET, "20130524T000000Z", "us-east-1", "s3", canonical)
        same(got, expected, canonical)


def the_general_example_is_signed_alike(place):
    headers = [("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z")]
    canonical = signature.canonical_request("GET", "/", "", headers, ["host", "x-amz-date"], EMPTY)
    got, _ = signature.sign(SECRET, "20150830T123600Z", "us-east-1", "service", canonical)
    same(got, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")


def queries_are_sorted_and_encoded(place):
    same(signature.canonical_query("b=2&a=1&a-b=&a=0&c&d=%7e%2f+"),
         "a=0&a=1&a-b=&b=2&c=&d=~%2F%2B")
    same(signature.canonical_headers([("A", " x   y "), ("a", "z")], ["a"]), "a:x y,z\n")


def requests_without_or_with_another_signature_are_refused(place):
    port = place.double.ports["port"]
    refused(place.client.send("GET", "/bucket", headers=[("Host", "x")]), 403, "AccessDenied")
    for keys, status, code in (((KEY, "wrong"), 403, "SignatureDoesNotMatch"),
                               (("wrong", SECRET), 403, "InvalidAccessKeyId"),
                               ((KEY, SECRET, "eu-west-1"), 400, "AuthorizationHeaderMalformed")):
        refused(Client(port, *keys).request("GET", "/bucket"), status, code)
    same(place.ask("GET", "/bucket?list-type=2")[0], 200)


def what_was_signed_is_what_must_come(place):
    def send(change, body=b"abc"):
        pairs = signature.signed_headers(KEY, SECRET, "us-east-1", "PUT", "h", "/bucket/k?x-id=1",
                                         b"abc", [("x-amz-meta-a", "1"), ("Range", "r")])
        request = {"method": "PUT", "target": "/bucket/k?x-id=1",
                   "headers": [("Host", "h"), *pairs]}
        change(request)
        return place.client.send(request["method"], request["target"], body, request["headers"])

    def header(name, value):
        def change(request):
            request["headers"] = [(n, value if n == name else v) for n, v in request["headers"]]
        return change

    mismatch = (403, "SignatureDoesNotMatch")
    same(send(lambda request: None)[0], 200)
    for change in (lambda r: r.update(method="DELETE"),
                   lambda r: r.update(target="/bucket/K?x-id=1"),
                   lambda r: r.update(target="/bucket/k?x-id=2"), header("Host", "other"),
                   header("x-amz-meta-a", "2"), header("Range", "s"),
                   header("x-amz-content-sha256", signature.UNSIGNED)):
        refused(send(change), *mismatch)
    refused(send(lambda r: None, b"abd"), 400, "XAmzContentSHA256Mismatch")
    refused(send(lambda r: r["headers"].append(("x-amz-meta-b", "1"))), 403, "AccessDenied")


def an_old_request_is_refused(place):
    place.double.control("POST", "/settings", {"clock_offset_s": 16 * 60})
    refused(place.ask("GET", "/bucket?list-type=2"), 403, "RequestTimeTooSkewed")
    place.double.control("POST", "/settings", {"clock_offset_s": -14 * 60})
    same(place.ask("GET", "/bucket?list-type=2")[0], 200)


def the_session_token_is_asked_for(place):
    place.double.control("POST", "/settings", {"session_token": "token"})
    refused(place.ask("GET", "/bucket?list-type=2"), 400, "InvalidToken")
    same(place.ask("GET", "/bucket?list-type=2", x_amz_security_token="token")[0], 200)
    same("token" in place.double.control("GET", "/log").replace("InvalidToken", ""), False)


def paths_must_be_canonical(place):
    refused(place.ask("PUT", "/bucket/a+b"), 400, "InvalidURI")
    refused(place.ask("PUT", "/bucket/%ff"), 400, "InvalidURI")
    place.put("a%2Bb%20c%00/..//.")
    listed = place.ask("GET", "/bucket?list-type=2&encoding-type=url")[2]
    same(re.findall(rb"<Key>(.*?)</Key>", listed), [b"a%2Bb+c%00/..//."])
    listed = place.ask("GET", "/bucket?list-type=2")[2]
    same(re.findall(rb"<Key>(.*?)</Key>", listed), [b"a+b c&#x0;/..//."])


def buckets_are_in_the_path_or_in_the_host(place):
    port = place.double.ports["port"]
    place.put("k", b"one")
    same(place.client.request("GET", "/k", host=f"bucket.localhost:{port}")[2], b"one")
    refused(place.client.request("GET", "/k", host=f"other.localhost:{port}"), 404, "NoSuchBucket")
    refused(place.ask("GET", "/other/k"), 404, "NoSuchBucket")
    same(place.double.count(style="host"), 2)


def a_hang_up_meets_the_next_connection_over_tls(place):
    client = Client(place.double.ports["tls_port"], KEY, SECRET)
    trusting = ssl.create_default_context(cafile=place.double.ports["ca_file"])
    place.double.plan(do="close", hang_ups=1)
    for _ in range(2):
        try:
            client.request("GET", "/bucket?list-type=2", tls=trusting)
            raise AssertionError("an answer came")
        except (OSError, http.client.HTTPException):
            pass
    same(client.request("GET", "/bucket?list-type=2", tls=trusting)[0], 200)


def tls_works_with_its_certificate_only(place):
    client = Client(place.double.ports["tls_port"], KEY, SECRET)
    trusting = ssl.create_default_context(cafile=place.double.ports["ca_file"])
    place.put("k", b"one")
    same(client.request("GET", "/bucket/k", tls=trusting)[2], b"one")
    try:
        client.request("GET", "/bucket/k", tls=ssl.create_default_context())
    except ssl.SSLCertVerificationError:
        return
    raise AssertionError("the certificate was trusted")


# Objects

def objects_come_back_whole_and_in_ranges(place):
    body = bytes(range(256)) * 3
    etag = place.put("k", body, x_amz_meta_a="1")
    same(etag, f'"{hashlib.md5(body).hexdigest()}"')
    status, headers, got = place.ask("GET", "/bucket/k")
    same((status, got, headers["etag"], headers["x-amz-meta-a"]), (200, body, etag, "1"))
    status, headers, got = place.ask("HEAD", "/bucket/k")
    same((status, got, headers["content-length"]), (200, b"", str(len(body))))
    for sent, begin, end in (("0-0", 0, 1), ("10-19", 10, 20), ("700-", 700, 768),
                             ("-5", 763, 768), ("760-9999", 760, 768)):
        status, headers, got = place.ask("GET", "/bucket/k", Range=f"bytes={sent}")
        same((status, got), (206, body[begin:end]))
        same(headers["content-range"], f"bytes {begin}-{end - 1}/768")
    refused(place.ask("GET", "/bucket/k", Range="bytes=768-"), 416, "InvalidRange")
    refused(place.ask("GET", "/bucket/none"), 404, "NoSuchKey")
    same(place.ask("HEAD", "/bucket/none")[::2], (404, b""))
    same(place.ask("DELETE", "/bucket/k")[0], 204)
    same(place.ask("DELETE", "/bucket/k")[0], 204)
    refused(place.ask("GET", "/bucket/k"), 404, "NoSuchKey")
    refused(place.ask("PUT", "/bucket/" + "k" * 1025), 400, "KeyTooLongError")


def conditions_hold(place):
    first = place.put("k", b"1", If_None_Match="*")
    refused(place.ask("PUT", "/bucket/k", b"2", If_None_Match="*"), 412, "PreconditionFailed")
    second = place.put("k", b"2", If_Match=first)
    refused(place.ask("PUT", "/bucket/k", b"3", If_Match=first), 412, "PreconditionFailed")
    refused(place.ask("PUT", "/bucket/none", b"3", If_Match=first), 404, "NoSuchKey")
    place.put("k", b"3", If_Match=second.strip('"'))
    refused(place.ask("GET", "/bucket/k", If_Match=second), 412, "PreconditionFailed")
    place.double.control("POST", "/settings", {"if_match_form": "bare"})
    etag = f'"{hashlib.md5(b"3").hexdigest()}"'
    refused(place.ask("PUT", "/bucket/k", b"4", If_Match=etag), 412, "PreconditionFailed")
    place.put("k", b"4", If_Match=etag.strip('"'))


def checksums_are_verified(place):
    same(checksum.crc32c(b"123456789"), 0xE3069283)
    same(checksum.crc32c_slowly(b"123456789"), 0xE3069283)
    good = base64.b64encode(checksum.crc32c(b"abc").to_bytes(4, "big")).decode()
    place.put("k", b"abc", x_amz_checksum_crc32c=good)
    refused(place.ask("PUT", "/bucket/k", b"abd", x_amz_checksum_crc32c=good), 400, "BadDigest")
    same(place.ask("GET", "/bucket/k")[1].get("x-amz-checksum-crc32c"), None)
    headers = place.ask("GET", "/bucket/k", x_amz_checksum_mode="ENABLED")[1]
    same(headers["x-amz-checksum-crc32c"], good)
    digest = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    place.put("k", b"abc", Content_MD5=digest)
    refused(place.ask("PUT", "/bucket/k", b"abd", Content_MD5=digest), 400, "BadDigest")
    refused(place.ask("PUT", "/bucket/k", b"abd", Content_MD5="x"), 400, "InvalidDigest")


def listings_are_ordered_and_paged(place):
    keys = ["a", "a/b", "b", "\u00e9", "\uffff", "\U00010000"]
    for key in keys:
        place.put(signature.encode(key, "/"))

    def page(query):
        status, _, body = place.ask("GET", "/bucket?list-type=2&encoding-type=url" + query)
        same(status, 200, body)
        token = re.search(rb"<NextContinuationToken>(.*?)</", body)
        found = [urllib.parse.unquote_plus(key.decode())
                 for key in re.findall(rb"<Key>(.*?)</Key>", body)]
        return found, signature.encode(token[1]) if token else None

    same(page(""), (keys, None))
    same(page("&prefix=a"), (["a", "a/b"], None))
    same(page("&start-after=a%2Fb"), (keys[2:], None))
    found, token = [], ""
    while token is not None:
        some, token = page("&max-keys=2" + (f"&continuation-token={token}" if token else ""))
        same(len(some), 2)
        found += some
    same(found, keys)


# Uploads in parts

def _begin(place, key="k"):
    body = place.ask("POST", f"/bucket/{key}?uploads")[2]
    return re.search(rb"<UploadId>(.*)</UploadId>", body)[1].decode()


def _complete(place, upload, parts, key="k", **headers):
    text = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>"
                   for n, etag in parts)
    return place.ask("POST", f"/bucket/{key}?uploadId={upload}", f"<CompleteMultipartUpload>{text}"
                     "</CompleteMultipartUpload>".encode(), **headers)


def parts_become_an_object(place):
    place.double.control("POST", "/settings", {"part_bytes_min": 4})
    upload = _begin(place)
    etags = [place.put(f"k?partNumber={n}&uploadId={upload}", body)
             for n, body in ((1, b"1111"), (2, b"22"))]
    same(place.ask("GET", "/bucket/k")[0], 404)
    listed = place.ask("GET", f"/bucket/k?max-parts=1&uploadId={upload}")[2]
    same(re.findall(rb"<PartNumber>(.*?)</PartNumber><Las", listed), [b"1"])
    same(b"<IsTruncated>true" in listed, True)
    listed = place.ask("GET", f"/bucket/k?part-number-marker=1&uploadId={upload}")[2]
    same(re.findall(rb"<Size>(.*?)</Size>", listed), [b"2"])
    parts = list(enumerate(etags, 1))
    refused(_complete(place, upload, parts[::-1]), 400, "InvalidPartOrder")
    refused(_complete(place, upload, [(1, etags[1])]), 400, "InvalidPart")
    refused(_complete(place, upload, []), 400, "MalformedXML")
    refused(_complete(place, "no", parts), 404, "NoSuchUpload")
    same(_complete(place, upload, parts)[0], 200)
    status, headers, body = place.ask("GET", "/bucket/k")
    same((status, body), (200, b"111122"))
    same(headers["etag"].endswith('-2"'), True)
    refused(_complete(place, upload, parts), 404, "NoSuchUpload")


def small_parts_and_conditions_refuse_a_completion(place):
    upload = _begin(place)
    etags = [place.put(f"k?partNumber={n}&uploadId={upload}", b"11") for n in (1, 2)]
    refused(_complete(place, upload, list(enumerate(etags, 1))), 400, "EntityTooSmall")
    place.put("k")
    refused(_complete(place, upload, [(1, etags[0])], If_None_Match="*"), 412, "PreconditionFailed")
    same(_complete(place, upload, [(1, etags[0])])[0], 200)


def uploads_are_listed_paged_and_aborted(place):
    ids = sorted(_begin(place) for _ in range(3)) + [_begin(place, "l")]
    found, marker = [], ""
    while marker is not None:
        body = place.ask("GET", f"/bucket?uploads&max-uploads=1{marker}")[2]
        found += re.findall(rb"<Upload><Key>.*?</Key><UploadId>(.*?)</UploadId>", body)
        more = re.search(rb"<NextKeyMarker>(.*)</NextKeyMarker>"
                         rb"<NextUploadIdMarker>(.*)</NextUploadIdMarker>", body)
        marker = more and f"&key-marker={more[1].decode()}&upload-id-marker={more[2].decode()}"
    same([upload.decode() for upload in found], ids)
    for upload, status in ((ids[3], 204), (ids[3], 404)):
        same(place.ask("DELETE", f"/bucket/l?uploadId={upload}")[0], status)
    same(place.ask("GET", "/bucket?prefix=l&uploads")[2].count(b"<Upload>"), 0)


# Faults

def faults_happen_to_the_requests_they_are_for(place):
    place.double.plan(**{"with": "range"}, do="status", status=503)
    same(place.ask("GET", "/bucket/a")[0], 404)
    same(place.ask("GET", "/bucket/a", Range="bytes=0-")[0], 503)
    place.double.plan(operation="PutObject", key="a", skip=1, n=2, do="status", status=503,
                      code="SlowDown", retry_after=3)
    place.put("a")
    place.put("b")
    answer = place.ask("PUT", "/bucket/a")
    refused(answer, 503, "SlowDown")
    same(answer[1]["retry-after"], "3")
    same(place.double.control("GET", "/faults"), "1")
    place.put("aa", status=503)
    place.put("a")
    same(place.double.count(operation="PutObject", status=503), 2)
    same(len(place.double.control("GET", "/gaps?key=a&method=PUT").split()), 2)
    try:
        place.double.plan(do="nothing")
    except RuntimeError:
        return
    raise AssertionError("an unknown fault was planned")


def _fails(place, method, target, body=b""):
    try:
        place.ask(method, target, body)
    except (ConnectionError, http.client.HTTPException):
        return
    raise AssertionError("there was an answer")


def work_is_done_without_an_answer_when_asked(place):
    for reset in (False, True):
        place.double.plan(do="close", reset=reset)
        _fails(place, "PUT", "/bucket/k", b"1")
        same(place.ask("GET", "/bucket/k")[0], 404)
    place.double.plan(do="close", applies=True)
    _fails(place, "PUT", "/bucket/k", b"1")
    same(place.ask("GET", "/bucket/k")[2], b"1")
    place.double.plan(do="status", status=500, applies=True)
    place.put("k", b"2", 500)
    same(place.ask("GET", "/bucket/k")[2], b"2")
    place.double.plan(do="error_body", code="InternalError")
    refused(place.ask("GET", "/bucket/k"), 200, "InternalError")


def bodies_are_cut_and_bent_when_asked(place):
    place.put("k", b"0123456789")
    place.double.plan(do="truncate", keep=3)
    _fails(place, "GET", "/bucket/k")
    for fault, expected in (({"do": "flip"}, b"0123446789"),
                            ({"do": "flip", "at": 0}, b"1123456789"),
                            ({"do": "shorten", "by": 3}, b"0123456"),
                            ({"do": "lengthen"}, b"0123456789x"),
                            ({"do": "drip", "bytes": 3}, b"0123456789"),
                            ({"do": "body", "body": "<html>"}, b"<html>"),
                            ({"do": "reply_close"}, b"0123456789")):
        place.double.plan(**fault)
        same(place.ask("GET", "/bucket/k")[2], expected, fault)
    place.double.plan(do="ignore_range")
    status, _, body = place.ask("GET", "/bucket/k", Range="bytes=1-2")
    same((status, body), (200, b"0123456789"))
    place.double.plan(do="headers", headers={"ETag": None, "Content-Type": "x/y"})
    headers = place.ask("GET", "/bucket/k")[1]
    same((headers.get("etag"), headers["content-type"]), (None, "x/y"))
    place.double.plan(do="delay", ms=120)
    began = time.monotonic()
    same(place.ask("GET", "/bucket/k")[2], b"0123456789")
    same(time.monotonic() - began >= 0.12, True)


def listings_are_stale_when_asked(place):
    place.put("a")
    place.put("b")
    place.ask("DELETE", "/bucket/a")
    for forget, expected in ((0, [b"b"]), (1, [b"a", b"b"]), (2, [b"a"]), (9, [])):
        place.double.plan(do="stale_list", forget=forget)
        body = place.ask("GET", "/bucket?list-type=2")[2]
        same(re.findall(rb"<Key>(.*?)</Key>", body), expected)


def conditions_are_ignored_when_asked(place):
    place.put("k", b"1")
    place.double.plan(do="ignore_conditions", n=-1)
    place.put("k", b"2", If_None_Match="*")
    place.put("k", b"3", If_Match='"no"')
    same(place.double.control("GET", "/faults"), "0")


def redirects_lead_to_who_notes_what_comes(place):
    place.double.plan(do="redirect", status=307)
    status, headers, _ = place.ask("GET", "/bucket/k")
    same(status, 307)
    other = place.double.ports["other"]
    same(headers["location"], f"http://127.0.0.1:{other}/bucket/k")
    same(place.double.count(listener="other"), 0)
    Client(other, KEY, SECRET).request("GET", "/bucket/k")
    same(place.double.count(listener="other", has_authorization=1), 1)


def a_reset_forgets_everything(place):
    place.put("k")
    place.double.plan(do="close")
    place.double.control("POST", "/settings", {"session_token": "token"})
    place.double.control("POST", "/reset")
    same(place.double.count(), 0)
    refused(place.ask("GET", "/bucket/k"), 404, "NoSuchKey")


def it_ends_with_who_started_it(place):
    other = Double()
    other.process.stdin.close()
    same(other.process.wait(), 0)
    other.process.stdout.close()


def main():
    tests = [(name, function) for name, function in globals().items()
             if callable(function) and not name.startswith("_")
             and getattr(function, "__code__", None)
             and function.__code__.co_varnames[:1] == ("place",)]
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    n_run = n_failed = 0
    with tempfile.TemporaryDirectory(prefix="mneme-s3-") as folder:
        place = Place(folder)
        with place.double:
            for name, function in tests:
                if wanted not in name:
                    continue
                n_run += 1
                place.double.control("POST", "/reset")
                try:
                    function(place)
                    print(f"[       OK ] {name}", flush=True)
                except Exception:  # a test may fail in any way
                    n_failed += 1
                    traceback.print_exc(file=sys.stdout)
                    print(f"[  FAILED  ] {name}", flush=True)
    print(f"{n_run - n_failed} passed, {n_failed} failed")
    sys.exit(1 if n_failed > 0 or n_run == 0 else 0)


if __name__ == "__main__":
    main()
