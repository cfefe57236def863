#!/usr/bin/env python3
"""Runs a test program beside a double of its own; its exit code is the program's.

usage: with_double.py PROGRAM [ARGUMENT...]
"""
import os
import subprocess
import sys
import tempfile

from client import Double


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with tempfile.TemporaryDirectory(prefix="mneme-s3-") as folder, \
            Double("--tls", folder) as double:
        ports = double.ports
        environment.update(
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{ports['port']}", AWS_REGION="us-east-1",
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            MNEME_S3_BUCKET="bucket", MNEME_DOUBLE_PORT=str(ports["port"]),
            MNEME_DOUBLE_TLS_PORT=str(ports["tls_port"]), MNEME_DOUBLE_CA_FILE=ports["ca_file"],
            MNEME_DOUBLE_CONTROL_PORT=str(ports["control"]))
        code = subprocess.run(sys.argv[1:], env=environment, stdin=subprocess.DEVNULL).returncode
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
