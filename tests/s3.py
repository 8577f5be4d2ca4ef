"""A bucket of a real S3 API on the loopback device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

boto3: Any = pytest.importorskip("boto3")  # it comes with moto

S3 = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


class Bucket:
    """The bucket `data`."""

    def __init__(self, url: str) -> None:
        self.url = url
        keys = {f"{name.lower()}": value for name, value in S3.items() if "KEY" in name}
        self._client: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        self._client.create_bucket(Bucket="data")

    def names(self) -> set[str]:
        """Of all objects in it."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket="data")
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

    def md5s(self) -> set[str]:
        """Of all objects of DVC in it."""
        return {key.rpartition("md5/")[2].replace("/", "") for key in self.names()}

    def close(self) -> None:
        self._client.close()


@contextmanager
def s3() -> Iterator[Bucket]:
    """The server and the bucket, as long as they are needed."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = Bucket(f"http://{host}:{port}")
        yield made
        made.close()
    finally:
        server.stop()
