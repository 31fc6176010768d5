"""Where providers keep a request's files.

Model Studio's temporary store: a certificate for one model, then a form to a bucket, then `oss://`.

Sources: the official SDK (`utils/oss_utils.py`) and the page get-temporary-file-url; the refusals of the
bucket are those of OSS (PostObject). Chosen here: that the bucket is a path of the sandbox.

Replicate's files: one form, answered with an address. Source: its OpenAPI description.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from execution_arrow.sandbox.wire import Reply, Request, reply

RESOLVE = "x-dashscope-ossresourceresolve"
BUCKET = "/oss"
_MOST = 100  # megabytes
_GRANTED = {
    "OSSAccessKeyId": "sandbox", "x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true",
}  # fmt: skip


class TemporaryFiles:
    """Which files there are, and for which model."""

    def __init__(self) -> None:
        self._models: dict[str, str] = {}  # key of a file, its model
        self._granted = 0

    def certificate(self, request: Request) -> Reply | None:
        """The answer to `GET /uploads`; None where the question is none."""
        model = request.parameter("model")
        if request.parameter("action") != "getPolicy" or not model:
            return None
        self._granted += 1
        policy = f"{self._granted}-{model}"
        data = {
            "policy": policy, "signature": _signature(policy), "upload_dir": f"dashscope-instant/{policy}",
            "upload_host": request.base.partition("/api/")[0] + BUCKET, "expire_in_seconds": 300,
            "max_file_size_mb": _MOST, "capacity_limit_mb": 999_999_999, "oss_access_key_id": "sandbox",
            "x_oss_object_acl": "private", "x_oss_forbid_overwrite": "true",
        }  # fmt: skip
        return reply(200, {"request_id": "00000000-0000-9000-8000-000000000000", "data": data})

    def put(self, request: Request) -> Reply:
        """The bucket: `POST` of a form, whose last part is the file."""
        form = request.form() or ()
        given = {part.name: part.text for part in form if part.file is None}
        policy, key = given.get("policy", ""), given.get("key", "")
        if not form or form[-1].name != "file":
            return _refused(400, "InvalidArgument")
        if given.get("Signature") != _signature(policy) or not given.items() >= _GRANTED.items():
            return _refused(403, "SignatureDoesNotMatch")
        if not key.startswith(f"dashscope-instant/{policy}/"):
            return _refused(403, "AccessDenied")
        if len(form[-1].data) > _MOST << 20:
            return _refused(400, "EntityTooLarge")
        if key in self._models:
            return _refused(409, "FileAlreadyExists")
        self._models[key] = policy.partition("-")[2]
        return Reply(status=200)

    def problem(self, request: Request, model: str, body: Any) -> str | None:
        """What is wrong with the files of this kind that a call names."""
        for place in _places(body):
            if request.headers.get(RESOLVE) != "enable":
                return f"{place} is no address without X-DashScope-OssResourceResolve"
            if self._models.get(place.removeprefix("oss://")) != model:
                return f"{place} is not a file for {model}"
        return None


def _places(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("oss://"):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _places(item)


def _signature(policy: str) -> str:
    return hashlib.sha256(f"sandbox {policy}".encode()).hexdigest()[:28]


def _refused(status: int, code: str) -> Reply:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
    return Reply(status=status, headers={"content-type": "application/xml"}, body=text.encode())


def replicate_file(request: Request) -> Reply:
    """The answer to `POST /v1/files`: a form whose part `content` is the file."""
    parts = [part for part in request.form() or () if part.name == "content" and part.file is not None]
    if len(parts) != 1:
        return reply(
            422, {"title": "Input validation failed", "detail": "content is required", "status": 422}
        )
    digest = hashlib.sha256(parts[0].data).hexdigest()
    url = f"{request.base}/v1/files/{digest[:24]}"
    return reply(201, {
        "id": digest[:24], "name": parts[0].file, "content_type": "application/octet-stream",
        "size": len(parts[0].data), "etag": digest[:32], "checksums": {"sha256": digest}, "metadata": {},
        "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z", "urls": {"get": url},
    })  # fmt: skip
