"""AWS Signature Version 4, from the side of the server that checks it; and signing, for scripts.

What AWS documents: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""
import calendar
import hashlib
import hmac
import time
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW_SECONDS_MAX = 15 * 60


class Refused(Exception):
    """A request that is not signed as it must be."""

    def __init__(self, status, code, message, **fields):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields  # further elements of the XML error


def encode(data, safe=""):
    """Everything but letters, digits and -._~ (and `safe`) as %XX."""
    return urllib.parse.quote(data, safe=safe + "-._~")


def canonical_path(raw):
    return encode(urllib.parse.unquote_to_bytes(raw), "/") or "/"


def canonical_query(raw, without=()):
    pairs = []
    for part in filter(None, raw.split("&")):
        name, _, value = part.partition("=")
        name = encode(urllib.parse.unquote_to_bytes(name))
        if name not in without:
            pairs.append((name, encode(urllib.parse.unquote_to_bytes(value))))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def canonical_headers(headers, names):
    """`headers` are pairs as they came; values of one name are joined."""
    text = ""
    for name in names:
        values = [" ".join(value.split()) for n, value in headers if n.lower() == name]
        text += f"{name}:{','.join(values)}\n"
    return text


def canonical_request(method, path, query, headers, names, payload_hash, without=()):
    return "\n".join((method, canonical_path(path), canonical_query(query, without),
                      canonical_headers(headers, names), ";".join(names), payload_hash))


def sign(secret, stamp, region, service, canonical):
    """The signature, in hexadecimal, and the string that was signed."""
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = ("AWS4" + secret).encode()
    for part in (stamp[:8], region, service, "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex(), text


def stamp_of(seconds):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def seconds_of(stamp):
    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))


def signed_headers(access_key, secret_key, region, method, host, target, body=b"", headers=()):
    """What a script adds to a request. `headers` are pairs that are sent too, and signed."""
    path, _, query = target.partition("?")
    payload_hash = hashlib.sha256(body).hexdigest()
    stamp = stamp_of(time.time())
    added = [("x-amz-date", stamp), ("x-amz-content-sha256", payload_hash)]
    pairs = [("host", host), *added, *headers]
    names = sorted({name.lower() for name, _ in pairs})
    canonical = canonical_request(method, path, query, pairs, names, payload_hash)
    signature, _ = sign(secret_key, stamp, region, "s3", canonical)
    added.append(("Authorization",
                  f"{ALGORITHM} Credential={access_key}/{stamp[:8]}/{region}/s3/aws4_request,"
                  f"SignedHeaders={';'.join(names)},Signature={signature}"))
    return [*headers, *added]


def parse_authorization(text):
    """(access key, date, region, service, header names, signature) of the Authorization header."""
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        raise Refused(400, "InvalidRequest", "The authorization mechanism is not supported.")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = fields.get("Credential", "").split("/")
    if set(fields) != {"Credential", "SignedHeaders", "Signature"} or len(scope) < 5 or \
            scope[-1] != "aws4_request":
        raise Refused(400, "AuthorizationHeaderMalformed", "The authorization header is malformed.")
    return ("/".join(scope[:-4]), *scope[-4:-1], fields["SignedHeaders"].split(";"),
            fields["Signature"])


class Checker:
    """Knows the keys, and refuses what is not signed with them."""

    def __init__(self, access_key, secret_key, region):
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region
        self.session_token = None
        self.clock_offset_s = 0  # how far this server's clock is ahead

    def check(self, request):
        """`request` has method, path, query, headers (pairs), body. Raises Refused."""
        text = request.header("authorization")
        if text is None:
            raise Refused(403, "AccessDenied", "Access Denied")
        key, date, region, service, names, signature = parse_authorization(text)
        if key != self.access_key:
            raise Refused(403, "InvalidAccessKeyId",
                          "The AWS Access Key Id you provided does not exist in our records.",
                          AWSAccessKeyId=key)
        if region != self.region or service != "s3":
            raise Refused(400, "AuthorizationHeaderMalformed",
                          f"The authorization header is malformed; the region '{region}' is wrong; "
                          f"expecting '{self.region}'", Region=self.region)
        self.check_names(request, names)
        stamp = self.check_date(request, date)
        payload_hash = self.check_payload(request)
        canonical = canonical_request(request.method, request.path, request.query, request.headers,
                                      names, payload_hash)
        expected, signed = sign(self.secret_key, stamp, region, "s3", canonical)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise Refused(403, "SignatureDoesNotMatch",
                          "The request signature we calculated does not match the signature you "
                          "provided. Check your key and signing method.", AWSAccessKeyId=key,
                          StringToSign=signed, SignatureProvided=signature,
                          CanonicalRequest=canonical)
        self.check_token(request)

    @staticmethod
    def check_names(request, names):
        if names != sorted(set(names)) or "host" not in names:
            raise Refused(403, "SignatureDoesNotMatch", "SignedHeaders are not in order.")
        for name, _ in request.headers:
            if name.lower().startswith("x-amz-") and name.lower() not in names:
                raise Refused(403, "AccessDenied", "There were headers present in the request which"
                              " were not signed", HeadersNotSigned=name)
        for name in names:
            if request.header(name) is None:
                raise Refused(403, "SignatureDoesNotMatch", f"There is no header {name}.")

    def check_date(self, request, date):
        stamp = request.header("x-amz-date") or ""
        try:
            seconds = seconds_of(stamp)
        except ValueError:
            raise Refused(403, "AccessDenied", "AWS authentication requires a valid Date or "
                          "x-amz-date header") from None
        now = time.time() + self.clock_offset_s
        if abs(now - seconds) > SKEW_SECONDS_MAX:
            raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and"
                          " the current time is too large.", RequestTime=stamp,
                          ServerTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
        if stamp[:8] != date:
            raise Refused(400, "AuthorizationHeaderMalformed",
                          "The date in the credential scope is not that of the request.")
        return stamp

    @staticmethod
    def check_payload(request):
        sent = request.header("x-amz-content-sha256")
        if sent is None:
            raise Refused(400, "InvalidRequest",
                          "Missing required header for this request: x-amz-content-sha256")
        if sent.startswith("STREAMING-"):
            raise Refused(501, "NotImplemented", "No client here signs in a stream.")
        if sent != UNSIGNED and sent != hashlib.sha256(request.body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' "
                          "header does not match what was computed.")
        return sent

    def check_token(self, request):
        sent = request.header("x-amz-security-token")
        if sent != self.session_token:
            raise Refused(400, "InvalidToken", "The provided token is malformed or otherwise"
                          " invalid.")
