#!/usr/bin/env python3
"""An S3 server for tests: one bucket in memory, strict about signatures, and faulty on request.

usage: double.py [--bucket NAME] [--region NAME] [--access-key KEY] [--secret-key KEY]
                 [--tls DIRECTORY] [--port PORT]

Listens on the loopback interface, on free ports, and prints them as one line of JSON:

    port       S3 over HTTP, with the bucket in the path or in the host (BUCKET.localhost)
    tls_port   the same over TLS, with a certificate made in DIRECTORY (`ca_file`)
    other      another server: where redirects point to; answers everything, notes what it was sent
    control    plain HTTP without signatures, for the test:
        POST /faults     plans faults: a JSON object or a list of them, see faults.py
        GET  /faults     how many are still to happen
        POST /settings   changes some of SETTINGS below
        POST /reset      an empty bucket, no faults, an empty log, settings as at the start
        GET  /log        the requests, as JSON; ?FIELD=VALUE selects
        GET  /count      how many of them
        GET  /gaps       milliseconds between them, one a line

Ends when its standard input ends, so that it does not outlive the test that started it.
"""
import argparse
import http.client
import http.server
import json
import os
import pathlib
import select
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

import bucket
import faults
import signature
from bucket import Answer
from signature import Refused

LINE_BYTES_MAX = 1 << 16
HEADERS_MAX = 200
BASE_HOST = "localhost"
SETTINGS = {
    "session_token": None,    # must come with every request
    "clock_offset_s": 0,      # how far the server's clock is ahead
    "if_match_form": "any",   # of the ETag in conditions: any, quoted, bare
    "part_bytes_min": 5 << 20,
    "region": "us-east-1",
}


class Request:
    ignores_conditions = False
    ignores_range = False
    n_forgotten = 0
    style = None
    operation = None
    key = None
    bucket = None

    def __init__(self, method, target, headers, body, connection_number):
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body
        self.connection_number = connection_number
        self.parameters = [(urllib.parse.unquote_to_bytes(name),
                            urllib.parse.unquote_to_bytes(value))
                           for name, _, value in (part.partition("=") for part in
                                                  filter(None, self.query.split("&")))]

    def header(self, name):
        for n, value in self.headers:
            if n.lower() == name:
                return value
        return None

    def parameter_bytes(self, name):
        return dict(self.parameters).get(name.encode())

    def parameter(self, name):
        value = self.parameter_bytes(name)
        return None if value is None else value.decode("utf-8", "replace")

    def locate(self):
        """Bucket, key and operation. What is no UTF-8 is refused later, as in a key."""
        host = (self.header("host") or "").rpartition(":")
        host = host[0] if host[1] and host[2].isdigit() else host[1] + host[2]
        path = urllib.parse.unquote_to_bytes(self.path).removeprefix(b"/")
        if host.endswith("." + BASE_HOST):
            self.style = "host"
            self.bucket, key = host.removesuffix("." + BASE_HOST), path
        else:
            self.style = "path"
            name, _, key = path.partition(b"/")
            self.bucket = name.decode("utf-8", "replace")
        self.key = key or None
        self.operation = self.operation_of()

    def operation_of(self):
        names = {name.decode("utf-8", "replace") for name, _ in self.parameters} - {"x-id"}
        if self.key is None:
            kind = "uploads" if "uploads" in names else "location" if "location" in names else ""
            return {("GET", "uploads"): "ListMultipartUploads",
                    ("GET", "location"): "GetBucketLocation", ("GET", ""): "ListObjectsV2",
                    ("HEAD", ""): "HeadBucket", ("PUT", ""): "CreateBucket",
                    }.get((self.method, kind))
        if "uploadId" in names:
            part = names >= {"partNumber"}
            return {("PUT", True): "UploadPart", ("GET", False): "ListParts",
                    ("POST", False): "CompleteMultipartUpload",
                    ("DELETE", False): "AbortMultipartUpload"}.get((self.method, part))
        if names == {"uploads"} and self.method == "POST":
            return "CreateMultipartUpload"
        if names:
            return None
        return {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject",
                "DELETE": "DeleteObject"}.get(self.method)


class Server:
    """What all listeners share."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.plan = faults.Plan()
        self.log = faults.Log()
        self.settings = {}
        self.checker = signature.Checker(arguments.access_key, arguments.secret_key,
                                         arguments.region)
        self.bucket = bucket.Bucket(self.settings)
        self.ports = {}
        self.lock = threading.Lock()
        self.n_connections = 0
        self.n_hang_ups = 0  # connections over TLS that are still to be closed at once
        self.reset()

    def reset(self):
        self.plan.clear()
        self.log.clear()
        self.bucket.clear()
        self.n_hang_ups = 0
        self.change({**SETTINGS, "region": self.arguments.region})

    def change(self, settings):
        """Raises ValueError."""
        if not set(settings) <= set(SETTINGS):
            raise ValueError(f"no such setting among {settings}")
        self.settings.update(settings, bucket=self.arguments.bucket)
        self.checker.session_token = self.settings["session_token"]
        self.checker.clock_offset_s = self.settings["clock_offset_s"]
        self.checker.region = self.settings["region"]

    def number_of_connection(self):
        with self.lock:
            self.n_connections += 1
            return self.n_connections

    def hangs_up(self):
        with self.lock:
            hangs_up = self.n_hang_ups > 0
            self.n_hang_ups -= hangs_up
            return hangs_up

    def answer(self, request):
        """What a server without faults answers."""
        try:
            return self.bucket.answer(request)
        except Refused as refused:
            return bucket.error_answer(refused.status, refused.code, refused.message,
                                       **refused.fields)

    def admit(self, request):
        """None, or why the request is refused before anything is done."""
        try:
            request.locate()
            if signature.canonical_path(request.path) != request.path:
                # More than S3 asks for: servers differ in how they read what is written otherwise.
                raise Refused(400, "InvalidURI", "The path is not encoded canonically.")
            self.checker.check(request)
            if request.bucket != self.arguments.bucket:
                raise Refused(404, "NoSuchBucket", "The specified bucket does not exist",
                              BucketName=request.bucket)
            if request.key is not None:
                request.key.decode("utf-8")
        except UnicodeDecodeError:
            return bucket.error_answer(400, "InvalidURI", "Couldn't parse the specified URI.")
        except Refused as refused:
            return bucket.error_answer(refused.status, refused.code, refused.message,
                                       **refused.fields)
        return None


def apart(server, request, fault):
    """The answer that a fault puts in place of the right one, or None."""
    do = fault.get("do")
    if do == "status":
        answer = bucket.error_answer(fault["status"], fault.get("code", "InternalError"),
                                     fault.get("message", "Planned."))
        if "retry_after" in fault:
            answer.headers["Retry-After"] = str(fault["retry_after"])
        return answer
    if do == "error_body":
        return Answer(200, {"Content-Type": "application/xml"},
                      bucket.error_body(fault.get("code", "InternalError"), "Planned."))
    if do == "redirect":
        answer = bucket.error_answer(fault.get("status", 307), "TemporaryRedirect", "Planned.")
        answer.headers["Location"] = f"http://127.0.0.1:{server.ports['other']}{request.target}"
        return answer
    if do == "foreign":
        answer = Answer(fault.get("status", 404), {"Content-Type": "text/html"},
                        fault.get("body", "<html><body><h1>Not Found</h1></body></html>").encode())
        if "location" in fault:
            answer.headers["Location"] = fault["location"]
        return answer
    if do == "raw":
        return Answer(0, {}, fault["body"].encode())
    if do == "body":
        return Answer(200, {"Content-Type": "application/xml"}, fault["body"].encode())
    return None


def disfigure(answer, fault):
    """Changes what a right answer says."""
    do = fault.get("do")
    body = bytearray(answer.body)
    if do == "flip" and body:
        body[fault.get("at", len(body) // 2)] ^= 1
    elif do == "shorten":
        del body[max(len(body) - fault.get("by", 1), 0):]
    elif do == "lengthen":
        body += b"x" * fault.get("by", 1)
    elif do == "headers":
        for name, value in fault["headers"].items():
            answer.headers.pop(name, None)
            if value is not None:
                answer.headers[name] = value
    answer.body = bytes(body)


class Connection(socketserver.BaseRequestHandler):
    """One connection of a client, request after request."""

    def setup(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.double = self.server.double
        self.number = self.double.number_of_connection()
        if self.server.tls is not None:
            if self.double.hangs_up():
                raise ConnectionAbortedError("Planned.")
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.reader = self.request.makefile("rb", 1 << 18)

    def handle(self):
        while True:
            request = self.read_request()
            if request is None or not self.serve(request):
                return

    def finish(self):
        self.reader.close()

    def read_request(self):
        """None at the end, or when what comes is no HTTP."""
        words = self.reader.readline(LINE_BYTES_MAX).decode("latin-1").split()
        if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
            return None
        headers = []
        while len(headers) < HEADERS_MAX:
            line = self.reader.readline(LINE_BYTES_MAX)
            if line in (b"\r\n", b"\n"):
                break
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                return None
            headers.append((name, value.strip()))
        lower = {name.lower(): value for name, value in headers}
        if lower.get("expect", "").lower() == "100-continue":
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        n_bytes = lower.get("content-length", "0")
        if "transfer-encoding" in lower or not n_bytes.isdigit():
            return None
        body = self.reader.read(int(n_bytes))
        if len(body) != int(n_bytes):
            return None
        return Request(words[0], words[1], headers, body, self.number)

    def serve(self, request):
        """Answers one request. Returns whether the connection goes on."""
        double = self.double
        if self.server.name == "other":
            request.locate()
            double.log.add("other", request, 200, {})
            return self.send(request, Answer(200, {"ETag": '"0"'}, b"from elsewhere"), {})
        refusal = double.admit(request)
        if refusal is not None:
            double.log.add(self.server.name, request, refusal.status, {})
            return self.send(request, refusal, {})
        fault = double.plan.take(request)
        do = fault.get("do")
        if do == "delay":
            time.sleep(fault["ms"] / 1000)
        request.ignores_conditions = do == "ignore_conditions"
        request.ignores_range = do == "ignore_range"
        request.n_forgotten = fault.get("forget", 1) if do == "stale_list" else 0
        answer = apart(double, request, fault)
        if answer is None and do not in ("close", "stall"):
            answer = double.answer(request)
            disfigure(answer, fault)
        elif fault.get("applies"):
            double.answer(request)
        double.log.add(self.server.name, request, answer.status if answer else None, fault)
        if answer is None:
            self.give_up(fault)
            return False
        return self.send(request, answer, fault)

    def give_up(self, fault):
        if fault["do"] == "stall":
            select.select([self.request], [], [])  # readable when the client closes
        with self.double.lock:
            self.double.n_hang_ups += fault.get("hang_ups", 0)
        if fault.get("reset"):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def send(self, request, answer, fault):
        do = fault.get("do")
        if do == "raw":
            self.request.sendall(answer.body)
            return False
        is_last = (request.header("connection") or "").lower() == "close"
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
        now = time.time() + self.double.settings["clock_offset_s"]
        headers = {"Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now)),
                   "Server": "double", "x-amz-request-id": f"{self.number:016X}", **answer.headers}
        if do == "foreign":
            del headers["x-amz-request-id"]
        is_error_of_head = request.method == "HEAD" and answer.status >= 400
        if answer.status not in (204, 304):
            headers.setdefault("Content-Length",
                               "0" if is_error_of_head else str(len(answer.body)))
        if is_last:
            headers["Connection"] = "close"
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = b"" if request.method == "HEAD" or answer.status in (204, 304) else answer.body
        if fault.get("even_to_head"):
            body = answer.body
        if do == "truncate":
            body = body[:fault.get("keep", len(body) // 2)]
        if do == "drip":
            self.request.sendall(head)
            step = fault.get("bytes", 1)
            for at in range(0, len(body), step):
                self.request.sendall(body[at:at + step])
                time.sleep(fault.get("ms", 1) / 1000)
        elif len(body) < 1 << 16:
            self.request.sendall(head + body)
        else:
            self.request.sendall(head)
            self.request.sendall(body)
        return not is_last and do not in ("truncate", "reply_close")


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, double, name, port=0, tls=None):
        super().__init__(("127.0.0.1", port), Connection)
        self.double = double
        self.name = name
        self.tls = tls

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Control(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, status, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        entries = self.server.double.log.select(
            dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
        if path == "/log":
            self.reply(200, json.dumps(entries, indent=1))
        elif path == "/count":
            self.reply(200, str(len(entries)))
        elif path == "/gaps":
            times = [entry["at_ms"] for entry in entries]
            self.reply(200, "".join(f"{b - a}\n" for a, b in zip(times, times[1:])))
        elif path == "/faults":
            self.reply(200, str(self.server.double.plan.count()))
        else:
            self.reply(404, "no such page\n")

    def do_POST(self):
        double = self.server.double
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            if self.path == "/faults":
                planned = json.loads(data)
                for fault in planned if isinstance(planned, list) else [planned]:
                    double.plan.add(fault)
            elif self.path == "/settings":
                double.change(json.loads(data))
            elif self.path == "/reset":
                double.reset()
            else:
                return self.reply(404, "no such page\n")
        except ValueError as error:
            return self.reply(400, f"{error}\n")
        return self.reply(200, "")


def make_certificate(directory):
    """A key and a certificate that is its own authority; returns a TLS context and its path.

    It is for localhost and not for 127.0.0.1, so that a wrong name can be tried."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate = directory / "certificate.pem"
    key = directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=double",
                    "-addext", "subjectAltName=DNS:localhost,DNS:*.localhost",
                    "-keyout", key, "-out", certificate], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def main():
    parser = argparse.ArgumentParser(description="An S3 server for tests.")
    parser.add_argument("--bucket", default="bucket")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--access-key", default="AKIDEXAMPLE")
    parser.add_argument("--secret-key", default="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    parser.add_argument("--tls", metavar="DIRECTORY", type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()

    double = Server(arguments)
    listeners = {"port": Listener(double, "s3", arguments.port), "other": Listener(double, "other"),
                 "control": http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)}
    listeners["control"].double = double
    more = {}
    if arguments.tls is not None:
        context, certificate = make_certificate(arguments.tls)
        listeners["tls_port"] = Listener(double, "tls", tls=context)
        more["ca_file"] = str(certificate)
    for name, listener in listeners.items():
        double.ports[name] = listener.server_address[1]
        threading.Thread(target=listener.serve_forever, daemon=True).start()
    print(json.dumps({**double.ports, **more}), flush=True)
    try:
        while sys.stdin.buffer.read(4096):
            pass
    except KeyboardInterrupt:
        pass
    os._exit(0)  # without waiting for connections


if __name__ == "__main__":
    main()
