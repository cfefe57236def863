"""What the double does wrong on purpose, and what it has seen.

A planned fault is a JSON object: which requests it is for, and what happens to them.

    operation, method, key   only these; `key` is the beginning of the key. All by default.
    with                     only requests that have this header, named in lower case
    skip                     leaves so many matching requests alone first; 0
    n                        how many requests it is for; 1; -1 = for ever
    do                       one of the following
        status               answers `status`, `code`, `message`, `retry_after` (seconds)
        error_body           answers 200 with an error of `code` inside
        close                closes the connection instead of answering; `reset`: abruptly;
                             `hang_ups`: so many of the next ones over TLS are closed at once
        stall                never answers, until the client closes
        redirect             `status` with the Location of the other listener
        foreign              answers `status` (404) and `body` (HTML) as another web server does,
                             with `location`; `even_to_head`: sends the body after a HEAD too
        raw                  sends `body` instead of HTTP, and closes
        body                 answers 200 with `body` as it is
        delay                waits `ms`, then goes on as usual
        truncate             sends the headers of the whole body, but only `keep` bytes of it
                             (half of it by default), then closes
        flip                 flips a bit of the body, at `at` (the middle by default)
        shorten, lengthen    a body that is `by` bytes (1) too short or too long, consistently
        drip                 sends the body `bytes` at a time, `ms` apart
        headers              replaces headers of the answer; null removes one
        reply_close          answers, then closes without having said so
        stale_list           a listing without the last `forget` (1) changes
        ignore_conditions    changes without judging If-None-Match and If-Match
        ignore_range         answers with the whole object
    applies                  with status, error_body, close, stall: does the work first; false
"""
import threading
import time

ACTIONS = ("status", "error_body", "close", "stall", "redirect", "foreign", "raw", "body", "delay",
           "truncate", "flip", "shorten", "lengthen", "drip", "headers", "reply_close",
           "stale_list", "ignore_conditions", "ignore_range")
FIELDS = ("operation", "method", "key", "with", "skip", "n", "do", "applies", "status", "code",
          "message", "retry_after", "reset", "location", "even_to_head", "body", "ms", "keep",
          "at", "by", "bytes", "headers", "forget", "hang_ups")


class Plan:
    def __init__(self):
        self.lock = threading.Lock()
        self.faults = []

    def add(self, fault):
        """Raises ValueError."""
        unknown = set(fault) - set(FIELDS)
        if unknown or fault.get("do") not in ACTIONS:
            raise ValueError(f"no such fault: {fault}")
        with self.lock:
            self.faults.append(dict(fault))

    def clear(self):
        with self.lock:
            self.faults = []

    def count(self):
        """How many are still to happen; those for ever do not count."""
        with self.lock:
            return sum(1 for fault in self.faults if fault.get("n", 1) > 0)

    @staticmethod
    def is_for(fault, request):
        key = "" if request.key is None else request.key.decode("utf-8", "replace")
        return fault.get("operation", request.operation) == request.operation and \
            fault.get("method", request.method) == request.method and \
            ("with" not in fault or request.header(fault["with"]) is not None) and \
            key.startswith(fault.get("key", ""))

    def take(self, request):
        """The first fault that is planned for this request, or an empty one."""
        with self.lock:
            for fault in self.faults:
                if not self.is_for(fault, request):
                    continue
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                left = fault.get("n", 1)
                if left == 1:
                    self.faults.remove(fault)
                elif left > 1:
                    fault["n"] = left - 1
                return dict(fault)
        return {}


class Log:
    """The requests that came, without what is secret."""

    def __init__(self):
        self.lock = threading.Lock()
        self.entries = []

    def clear(self):
        with self.lock:
            self.entries = []

    def add(self, listener, request, status, fault):
        headers = {name.lower(): value for name, value in request.headers}
        has_authorization = headers.pop("authorization", None) is not None
        headers.pop("x-amz-security-token", None)
        entry = {"listener": listener, "method": request.method, "target": request.target,
                 "operation": request.operation, "style": request.style,
                 "key": None if request.key is None else request.key.decode("utf-8", "replace"),
                 "headers": headers, "has_authorization": has_authorization,
                 "n_body_bytes": len(request.body), "status": status, "fault": fault,
                 "connection": request.connection_number,
                 "at_ms": round(time.monotonic() * 1000)}
        with self.lock:
            self.entries.append(entry)

    def select(self, wanted):
        """Entries whose fields are as `wanted`, text by text; `header.NAME` means a header."""
        def is_wanted(entry):
            for name, value in wanted.items():
                there = entry["headers"].get(name[7:]) if name.startswith("header.") \
                    else entry.get(name)
                if isinstance(there, bool):
                    there = int(there)
                if str(there) != value:
                    return False
            return True
        with self.lock:
            return [entry for entry in self.entries if is_wanted(entry)]
