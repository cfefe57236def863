"""What an S3 server answers: one bucket in memory, and the requests about it."""
import base64
import binascii
import email.utils
import hashlib
import re
import secrets
import threading
import time
import urllib.parse
import xml.etree.ElementTree
from xml.sax.saxutils import escape

from checksum import crc32c
from signature import Refused

KEY_BYTES_MAX = 1024
PAGE_MAX = 1000
PARTS_MAX = 10000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
CHECKSUM = "x-amz-checksum-crc32c"


class Answer:
    def __init__(self, status, headers=(), body=b""):
        self.status = status
        self.headers = dict(headers)
        self.body = body


class Object:
    def __init__(self, body, etag, metadata, checksum):
        self.body = body
        self.etag = etag
        self.metadata = metadata  # headers, as they are sent back
        self.checksum = checksum  # of the whole object, base64, or None
        self.modified = time.time()


class Upload:
    def __init__(self, key, metadata):
        self.key = key
        self.id = secrets.token_urlsafe(24)
        self.metadata = metadata
        self.begun = time.time()
        self.parts = {}  # number -> Object


def element(name, content):
    if isinstance(content, list):
        return f"<{name}>{''.join(content)}</{name}>"
    # Control characters are no XML; servers send them like this, where keys are not encoded.
    text = re.sub(r"[\x00-\x1f]", lambda found: f"&#x{ord(found[0]):x};", escape(str(content)))
    return f"<{name}>{text}</{name}>"


def document(name, content):
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    text = element(name, content).replace(f"<{name}>", f'<{name} xmlns="{NAMESPACE}">', 1)
    return (head + text).encode()


def xml_answer(name, content, status=200):
    return Answer(status, {"Content-Type": "application/xml"}, document(name, content))


def error_body(code, message, **fields):
    more = [element(name, value) for name, value in fields.items()]
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + element("Error", [
        element("Code", code), element("Message", message), *more,
        element("RequestId", secrets.token_hex(8).upper())])).encode()


def error_answer(status, code, message, **fields):
    return Answer(status, {"Content-Type": "application/xml"}, error_body(code, message, **fields))


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + \
        f".{int(seconds * 1000) % 1000:03d}Z"


def quoted(etag):
    return f'"{etag}"'


def base64_of_crc(data):
    return base64.b64encode(crc32c(data).to_bytes(4, "big")).decode()


def check_body(request):
    """The checksums that were sent with a body."""
    sent = request.header("content-md5")
    if sent is not None:
        try:
            digest = base64.b64decode(sent, validate=True)
        except binascii.Error:
            digest = b""
        if len(digest) != 16:
            raise Refused(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")
        if digest != hashlib.md5(request.body).digest():
            raise Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we "
                          "received.")
    sent = request.header(CHECKSUM)
    if sent is not None and sent != base64_of_crc(request.body):
        raise Refused(400, "BadDigest", "The CRC32C you specified did not match the calculated "
                      "checksum.")
    return sent


def metadata_of(request):
    kept = {}
    for name, value in request.headers:
        if name.lower().startswith("x-amz-meta-") or name.lower() == "content-type":
            kept[name.lower()] = value
    if sum(len(n) + len(v) for n, v in kept.items()) > 2048:
        raise Refused(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed "
                      "metadata size.")
    return kept


def number_of(request, name, default, lowest=0, highest=PAGE_MAX):
    """A parameter that is a number; larger ones are cut."""
    text = request.parameter(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < lowest:
        raise Refused(400, "InvalidArgument", f"The argument {name} is not valid.")
    return min(int(text), highest)


class Bucket:
    def __init__(self, settings):
        self.settings = settings
        self.lock = threading.Lock()  # held for each operation on the state, not while bytes move
        self.clear()

    def clear(self):
        with self.lock:
            self.objects = {}  # key bytes -> Object
            self.uploads = {}  # id -> Upload
            self.changes = []  # (key, Object or None before), to show what was

    def set(self, key, new):
        self.changes.append((key, self.objects.get(key)))
        if new is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = new

    def answer(self, request):
        """Dispatches one request. Raises Refused."""
        if request.key is not None and len(request.key) > KEY_BYTES_MAX:
            raise Refused(400, "KeyTooLongError", "Your key is too long")
        function = getattr(self, "do_" + request.operation, None)
        if function is None:
            raise Refused(501, "NotImplemented", "The double has no such operation.")
        return function(request)

    # Conditions

    def matches(self, sent, etag):
        """Whether If-Match names this ETag, in a form that this server takes."""
        form = self.settings["if_match_form"]
        forms = {"any": (etag, quoted(etag)), "quoted": (quoted(etag),), "bare": (etag,)}[form]
        return sent == "*" or any(part.strip() in forms for part in sent.split(","))

    def judge(self, request, key):
        """If-None-Match and If-Match of what changes a key; the lock is held."""
        if request.ignores_conditions:
            return
        there = self.objects.get(key)
        none_match = request.header("if-none-match")
        if none_match is not None and none_match != "*":
            raise Refused(501, "NotImplemented", "If-None-Match takes only * here.")
        match = request.header("if-match")
        if match is not None and there is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        is_held = (none_match is None or there is None) and \
            (match is None or self.matches(match, there.etag))
        if not is_held:
            raise Refused(412, "PreconditionFailed",
                          "At least one of the pre-conditions you specified did not hold",
                          Condition="If-None-Match" if match is None else "If-Match")

    # Objects

    def do_PutObject(self, request):
        if request.header("x-amz-copy-source") is not None:
            raise Refused(501, "NotImplemented", "No client here copies.")
        checksum = check_body(request)
        new = Object(request.body, hashlib.md5(request.body).hexdigest(), metadata_of(request),
                     checksum)
        with self.lock:
            self.judge(request, request.key)
            self.set(request.key, new)
        headers = {"ETag": quoted(new.etag)}
        if checksum is not None:
            headers[CHECKSUM] = checksum
        return Answer(200, headers)

    def find(self, request):
        with self.lock:
            there = self.objects.get(request.key)
        if there is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        match = request.header("if-match")
        if match is not None and not self.matches(match, there.etag):
            raise Refused(412, "PreconditionFailed",
                          "At least one of the pre-conditions you specified did not hold",
                          Condition="If-Match")
        return there

    @staticmethod
    def headers_of(request, there):
        headers = {"ETag": quoted(there.etag), "Accept-Ranges": "bytes",
                   "Last-Modified": email.utils.formatdate(there.modified, usegmt=True),
                   "Content-Type": "binary/octet-stream", **there.metadata}
        wants = (request.header("x-amz-checksum-mode") or "").upper() == "ENABLED"
        if there.checksum is not None and wants and request.header("range") is None:
            headers[CHECKSUM] = there.checksum
        return headers

    def do_HeadObject(self, request):
        there = self.find(request)
        answer = Answer(200, self.headers_of(request, there), there.body)
        self.cut_to_range(request, answer)
        return answer

    def do_GetObject(self, request):
        there = self.find(request)
        none_match = request.header("if-none-match")
        if none_match is not None and self.matches(none_match, there.etag):
            return Answer(304, {"ETag": quoted(there.etag)})
        answer = Answer(200, self.headers_of(request, there), there.body)
        self.cut_to_range(request, answer)
        return answer

    @staticmethod
    def cut_to_range(request, answer):
        found = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", request.header("range") or "")
        if not found or found[0] == "bytes=-" or request.ignores_range:
            return  # what cannot be read is no range, says HTTP
        n_bytes = len(answer.body)
        if not found[1]:
            first, last = max(n_bytes - int(found[2]), 0), n_bytes - 1
        else:
            first, last = int(found[1]), min(int(found[2] or n_bytes), n_bytes - 1)
            if found[2] and int(found[2]) < first:
                return
        if first >= n_bytes or last < first:
            raise Refused(416, "InvalidRange", "The requested range is not satisfiable",
                          ActualObjectSize=n_bytes)
        answer.status = 206
        answer.headers["Content-Range"] = f"bytes {first}-{last}/{n_bytes}"
        answer.body = answer.body[first:last + 1]

    def do_DeleteObject(self, request):
        with self.lock:
            if request.key in self.objects:
                self.set(request.key, None)
        return Answer(204)

    # Listing

    def as_listed(self, n_forgotten):
        """The objects, without the last `n_forgotten` changes: a copy."""
        with self.lock:
            objects = dict(self.objects)
            for key, before in reversed(self.changes[-n_forgotten:] if n_forgotten else []):
                if before is None:
                    objects.pop(key, None)
                else:
                    objects[key] = before
        return objects

    @staticmethod
    def encoder(request):
        encoding = request.parameter("encoding-type")
        if encoding not in (None, "url"):
            raise Refused(400, "InvalidArgument", "Invalid Encoding Method specified in Request")
        if encoding is None:
            return lambda key: key.decode("utf-8", "replace")
        return lambda key: urllib.parse.quote_plus(key, safe="/*")

    def do_ListObjectsV2(self, request):
        if request.parameter("list-type") != "2" or request.parameter("delimiter"):
            raise Refused(501, "NotImplemented", "Only list-type=2 without a delimiter.")
        encode = self.encoder(request)
        prefix = request.parameter_bytes("prefix") or b""
        after = request.parameter_bytes("start-after") or b""
        n_max = number_of(request, "max-keys", PAGE_MAX)
        token = request.parameter("continuation-token")
        if token is not None:
            try:
                after = base64.urlsafe_b64decode(token.encode()).removeprefix(b"after:")
            except (binascii.Error, UnicodeEncodeError):
                raise Refused(400, "InvalidArgument",
                              "The continuation token provided is incorrect") from None
        objects = self.as_listed(request.n_forgotten)
        keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
        page = keys[:n_max]
        content = [element("Name", self.settings["bucket"]), element("Prefix", encode(prefix)),
                   element("MaxKeys", n_max), element("KeyCount", len(page)),
                   element("IsTruncated", "true" if 0 < len(page) < len(keys) else "false")]
        if request.parameter("encoding-type"):
            content.append(element("EncodingType", "url"))
        if 0 < len(page) < len(keys):
            token = base64.urlsafe_b64encode(b"after:" + page[-1]).decode()
            content.append(element("NextContinuationToken", token))
        for key in page:
            there = objects[key]
            content.append(element("Contents", [
                element("Key", encode(key)), element("LastModified", iso(there.modified)),
                element("ETag", quoted(there.etag)), element("Size", len(there.body)),
                element("StorageClass", "STANDARD")]))
        return xml_answer("ListBucketResult", content)

    def do_HeadBucket(self, request):
        return Answer(200)

    def do_CreateBucket(self, request):
        raise Refused(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named "
                      "bucket succeeded and you already own it.")

    def do_GetBucketLocation(self, request):
        return xml_answer("LocationConstraint", self.settings["region"])

    # Uploads in parts

    def do_CreateMultipartUpload(self, request):
        upload = Upload(request.key, metadata_of(request))
        with self.lock:
            self.uploads[upload.id] = upload
        return xml_answer("InitiateMultipartUploadResult", [
            element("Bucket", self.settings["bucket"]), element("Key", request.key.decode()),
            element("UploadId", upload.id)])

    def upload_of(self, request):
        """The upload that is meant; the lock is held."""
        upload = self.uploads.get(request.parameter("uploadId"))
        if upload is None or upload.key != request.key:
            raise Refused(404, "NoSuchUpload", "The specified multipart upload does not exist. The "
                          "upload ID may be invalid, or the upload may have been aborted or "
                          "completed.")
        return upload

    def do_UploadPart(self, request):
        number = number_of(request, "partNumber", None, 1, 10 ** 9)
        if number is None or number > PARTS_MAX:
            raise Refused(400, "InvalidArgument",
                          "Part number must be an integer between 1 and 10000, inclusive")
        checksum = check_body(request)
        part = Object(request.body, hashlib.md5(request.body).hexdigest(), {}, checksum)
        with self.lock:
            self.upload_of(request).parts[number] = part
        headers = {"ETag": quoted(part.etag)}
        if checksum is not None:
            headers[CHECKSUM] = checksum
        return Answer(200, headers)

    def do_ListParts(self, request):
        n_max = number_of(request, "max-parts", PAGE_MAX)
        after = number_of(request, "part-number-marker", 0, highest=PARTS_MAX)
        encode = self.encoder(request)
        with self.lock:
            upload = self.upload_of(request)
            parts = sorted((n, part) for n, part in upload.parts.items() if n > after)
        page = parts[:n_max]
        content = [element("Bucket", self.settings["bucket"]),
                   element("Key", encode(request.key)), element("UploadId", upload.id),
                   element("PartNumberMarker", after), element("MaxParts", n_max),
                   element("NextPartNumberMarker", page[-1][0] if page else 0),
                   element("IsTruncated", "true" if 0 < len(page) < len(parts) else "false")]
        for number, part in page:
            content.append(element("Part", [
                element("PartNumber", number), element("LastModified", iso(part.modified)),
                element("ETag", quoted(part.etag)), element("Size", len(part.body))]))
        return xml_answer("ListPartsResult", content)

    def do_ListMultipartUploads(self, request):
        encode = self.encoder(request)
        prefix = request.parameter_bytes("prefix") or b""
        after_key = request.parameter_bytes("key-marker") or b""
        after_id = request.parameter("upload-id-marker") or ""
        n_max = number_of(request, "max-uploads", PAGE_MAX)
        after = (after_key, after_id) if after_id else (after_key, "\U0010ffff")
        with self.lock:
            uploads = sorted((u.key, u.id, u.begun) for u in self.uploads.values()
                             if u.key.startswith(prefix) and (u.key, u.id) > after)
        page = uploads[:n_max]
        is_truncated = 0 < len(page) < len(uploads)
        content = [element("Bucket", self.settings["bucket"]),
                   element("KeyMarker", encode(after_key)), element("UploadIdMarker", after_id),
                   element("Prefix", encode(prefix)), element("MaxUploads", n_max),
                   element("IsTruncated", "true" if is_truncated else "false")]
        if request.parameter("encoding-type"):
            content.append(element("EncodingType", "url"))
        if is_truncated:
            content += [element("NextKeyMarker", encode(page[-1][0])),
                        element("NextUploadIdMarker", page[-1][1])]
        for key, upload_id, begun in page:
            content.append(element("Upload", [
                element("Key", encode(key)), element("UploadId", upload_id),
                element("Initiated", iso(begun)), element("StorageClass", "STANDARD")]))
        return xml_answer("ListMultipartUploadsResult", content)

    @staticmethod
    def parts_named(request):
        """(number, ETag) of each part in the body of a completion, in its order."""
        try:
            root = xml.etree.ElementTree.fromstring(request.body)
            parts = [{child.tag.rpartition("}")[2]: child.text or "" for child in part}
                     for part in root if part.tag.rpartition("}")[2] == "Part"]
            named = [(int(part["PartNumber"]), part["ETag"].strip('"')) for part in parts]
        except (xml.etree.ElementTree.ParseError, KeyError, ValueError):
            named = []
        if not named:
            raise Refused(400, "MalformedXML", "The XML you provided was not well-formed or did "
                          "not validate against our published schema")
        return named

    def join(self, upload, named):
        """The object that these parts are together."""
        if [n for n, _ in named] != sorted({n for n, _ in named}):
            raise Refused(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        bodies = []
        for number, etag in named:
            part = upload.parts.get(number)
            if part is None or part.etag != etag:
                raise Refused(400, "InvalidPart", "One or more of the specified parts could not be "
                              "found.", PartNumber=number, ETag=etag)
            bodies.append(part.body)
        if any(len(body) < self.settings["part_bytes_min"] for body in bodies[:-1]):
            raise Refused(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum "
                          "allowed size")
        digests = b"".join(bytes.fromhex(etag) for _, etag in named)
        etag = f"{hashlib.md5(digests).hexdigest()}-{len(named)}"
        return Object(b"".join(bodies), etag, upload.metadata, None)

    def do_CompleteMultipartUpload(self, request):
        named = self.parts_named(request)
        with self.lock:
            upload = self.upload_of(request)
            new = self.join(upload, named)
            sent = request.header(CHECKSUM)
            if sent is not None and request.header("x-amz-checksum-type") == "FULL_OBJECT":
                if sent != base64_of_crc(new.body):
                    raise Refused(400, "BadDigest", "The CRC32C you specified did not match the "
                                  "calculated checksum.")
                new.checksum = sent
            self.judge(request, request.key)
            self.set(request.key, new)
            del self.uploads[upload.id]
        return xml_answer("CompleteMultipartUploadResult", [
            element("Location", f"http://localhost/{self.settings['bucket']}"),
            element("Bucket", self.settings["bucket"]),
            element("Key", request.key.decode("utf-8", "replace")),
            element("ETag", quoted(new.etag))])

    def do_AbortMultipartUpload(self, request):
        with self.lock:
            del self.uploads[self.upload_of(request).id]
        return Answer(204)
