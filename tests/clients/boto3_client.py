"""boto3 as a driver, with ``endpoint_url`` at the gateway: its orders come line by line."""

from __future__ import annotations

import base64
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

Order = dict[str, Any]


def client(order: Order, service: str) -> Any:
    """As people make it, with a key pair that the gateway has issued."""
    given = order["client"]
    retries: Any = {"mode": given.get("mode", "standard"), "total_max_attempts": given["retries"] + 1}
    session: Any = boto3
    return session.client(
        service,
        endpoint_url=given["url"],
        region_name="us-west-2",
        aws_access_key_id=order["id"],
        aws_secret_access_key=given["key"],
        config=Config(read_timeout=given["timeout"], retries=retries),
    )


def body(order: Order) -> bytes:
    """The body, with pictures from files where it says ``file:``."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        if isinstance(value, str) and value.startswith("file:"):
            return base64.b64encode(Path(value.removeprefix("file:")).read_bytes()).decode()
        return value

    return json.dumps(filled(order["body"])).encode()


def invoke(order: Order) -> dict[str, Any]:
    runtime = client(order, "bedrock-runtime")
    try:
        answer = runtime.invoke_model(modelId=order["model"], body=body(order))
        told = json.loads(answer["body"].read())
    finally:
        runtime.close()
    kept = []
    for number, text in enumerate(told.pop("images", [])):
        path = Path(f"{order['pictures']}-{number}")
        path.write_bytes(base64.b64decode(text))
        kept.append({"file": str(path)})
    meta = answer["ResponseMetadata"]
    return {**told, "data": kept, "headers": meta["HTTPHeaders"], "retries": meta["RetryAttempts"]}


def models(order: Order) -> dict[str, Any]:
    control = client(order, "bedrock")
    try:
        found = control.list_foundation_models()["modelSummaries"]
        return {"data": [one["modelId"] for one in found]}
    finally:
        control.close()


def failure(error: Exception) -> dict[str, Any]:
    classes = [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("botocore")]
    if not isinstance(error, ClientError):
        return {"classes": classes, "message": str(error)}
    meta = error.response["ResponseMetadata"]
    return {
        "classes": classes,
        "code": error.response["Error"]["Code"],
        "message": error.response["Error"]["Message"],
        "status": meta["HTTPStatusCode"],
        "headers": meta["HTTPHeaders"],
        "retries": meta["RetryAttempts"],
    }


def perform(order: Order) -> dict[str, Any]:
    try:
        return {"answer": models(order) if order["do"] == "models" else invoke(order)}
    except (ClientError, BotoCoreError) as error:
        return {"error": failure(error)}


if __name__ == "__main__":
    warnings.simplefilter("error")
    for line in sys.stdin:
        print(json.dumps(perform(json.loads(line)), default=str), flush=True)
