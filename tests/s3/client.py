"""The least S3 client that scripts need: one signed request at a time, nothing retried."""
import http.client
import json
import pathlib
import subprocess
import sys
import urllib.parse

import signature

HERE = pathlib.Path(__file__).resolve().parent


class Client:
    def __init__(self, port, access_key, secret_key, region="us-east-1"):
        self.port = port
        self.keys = (access_key, secret_key, region)

    def request(self, method, target, body=b"", headers=(), host=None, tls=None):
        """(status, headers in lower case, body). `headers` are pairs."""
        host = host or f"127.0.0.1:{self.port}"
        pairs = signature.signed_headers(*self.keys, method, host, target, body, headers)
        return self.send(method, target, body, [("Host", host), *pairs], tls)

    def send(self, method, target, body=b"", headers=(), tls=None):
        """Sends a request as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60) \
            if tls is None else \
            http.client.HTTPSConnection("localhost", self.port, timeout=60, context=tls)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return (answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


class Double:
    """A running double.py; ends with the `with` block, or when this process ends."""

    def __init__(self, *options):
        self.process = subprocess.Popen([sys.executable, str(HERE / "double.py"), *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the double did not start")
        self.ports = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def control(self, method, page, content=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["control"], timeout=60)
        connection.request(method, page, None if content is None else json.dumps(content))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{page}: {answer.status} {text}")
        return text

    def plan(self, **fault):
        self.control("POST", "/faults", fault)

    def count(self, **wanted):
        return int(self.control("GET", "/count?" + urllib.parse.urlencode(wanted)))
