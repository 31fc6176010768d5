"""Django takes the request, Celery drives it: a view, a task, and one Arrow per process.

`python examples/django_celery.py runserver`, and `celery -A examples.django_celery worker` beside it. MEDIA
is a PostgreSQL URL that both share, BROKER your broker. A project of yours has the settings already.
"""

import functools
import json
import os
import sys
import time
from typing import Any

from celery import Celery
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from execution_arrow import Arrow
from execution_arrow.errors import ArrowError, StoreUnavailable
from execution_arrow.sandbox import options

app = Celery("media", broker=os.environ.get("BROKER", "memory://"), backend="cache+memory://")


@functools.cache
def arrow() -> Arrow:
    """Opened by a process's first request or task, and shared by its threads."""
    place = options(os.environ["SANDBOX"]) if "SANDBOX" in os.environ else {}
    return Arrow.open(os.environ.get("MEDIA", "media-data"), artifacts="media-files", **place)


@csrf_exempt
def generations(request: HttpRequest) -> JsonResponse:
    asked, key = json.loads(request.body), request.headers.get("Idempotency-Key")
    try:
        made = arrow().generate(asked["model"], asked["request"], account="acct_1", idempotency_key=key)
    except ArrowError as no:
        return JsonResponse({"code": no.code, "message": str(no)}, status=no.http_status)
    drive.delay(made.id)  # a repeat is harmless; what to do about a lost one is in docs/recipes.md
    return JsonResponse({"id": made.id, "status": made.status}, status=202)


@app.task(bind=True, acks_late=True, max_retries=None, autoretry_for=(StoreUnavailable,))
def drive(self: Any, generation_id: str) -> str:
    """Do what is due; come back when something is due again."""
    pause = arrow().advance(generation_id).pause(time.time())
    if pause is not None:
        raise self.retry(countdown=pause)
    return str(arrow().get(generation_id).status)


urlpatterns = [path("generations", generations)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of your project")
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
