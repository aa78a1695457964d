"""Putting an object into S3 only if under its key lies what somebody has looked at.

What belongs here: the two headers of it (If-None-Match, If-Match), also for objects in parts, which obstore puts
without. What does not: comparing contents (``replacing``), and putting whatever lies there (``s3``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO

from cinestream_platform import progress
from cinestream_platform.lake.s3 import UPLOAD_PART_BYTES, UPLOADS_AT_ONCE
from cinestream_platform.lake.stored import KeyChangedError, NoConditionsError

CHANGED = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404"}
"""Codes of a condition that does not hold. (404: what was to be replaced is gone.)"""
UNKNOWN = {"NotImplemented", "501"}


def put_if(client: Any, bucket: str, key: str, source: BinaryIO, etag: str | None) -> None:
    """Store an opened file if the object of that ``etag`` lies there; without one, if nothing does.

    Raises:
        KeyChangedError: Something else lies there.
        NoConditionsError: The server knows no such condition.
    """
    condition: Any = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    size = os.fstat(source.fileno()).st_size
    with _refused(key):
        if size <= UPLOAD_PART_BYTES:
            client.put_object(Bucket=bucket, Key=key, Body=source, **condition)
        else:
            _put_in_parts(client, {"Bucket": bucket, "Key": key}, source.fileno(), size, condition)
    progress.note(f"{key} is stored")


def _put_in_parts(client: Any, where: Any, descriptor: int, size: int, condition: Any) -> None:
    """Store a long file in parts; the condition is that of the request that makes an object of them."""
    upload = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}

    def put(part: tuple[int, int]) -> dict[str, Any]:
        number, begin = part
        data = os.pread(descriptor, UPLOAD_PART_BYTES, begin)
        stored = client.upload_part(**upload, PartNumber=number, Body=data)
        progress.note(f"upload of {where['Key']}")
        return {"PartNumber": number, "ETag": stored["ETag"]}

    try:
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            parts = list(pool.map(put, enumerate(range(0, size, UPLOAD_PART_BYTES), start=1)))
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
    except BaseException:
        client.abort_multipart_upload(**upload)
        raise


@contextmanager
def _refused(key: str) -> Iterator[None]:
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in CHANGED:
            raise KeyChangedError(f"what lies under {key} has changed") from error
        if code in UNKNOWN:
            raise NoConditionsError(f"the server of {key} knows no conditional put") from error
        raise
