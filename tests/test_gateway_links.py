"""``response_format: url`` with a bucket: what lies in S3 (moto's, over HTTP), what its links say, and what fails."""

from __future__ import annotations

import hmac
import json
import logging
import os
import socket
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import boto3
import httpx2
import pytest
from lascaux import AsyncRouter, Config
from lascaux.gateway.app import create_app
from lascaux.gateway.links import Links
from lascaux.gateway.orders import Orders
from lascaux.gateway.shelf import Shelf
from lascaux.gateway.worker import application
from lascaux.providers.bedrock.credentials import BEARER_VARIABLE
from lascaux.providers.bedrock.storage import LONGEST, Bucket, Storage
from lascaux.providers.errors import CredentialsError, ProviderError
from lascaux.providers.fake import PICTURE, FakeProvider
from lascaux.providers.types import Credentials, Secret
from lascaux.router.errors import ConfigError
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

Serve = Callable[[Any], AbstractContextManager[str]]

ACCESS, SECRET, TOKEN = "AKIDPLANTED", "secret-planted", "token-planted"
OTTER = b64decode(PICTURE)
CORE = "stability.stable-image-core-v1:1"
GENERATIONS = "/v1/images/generations"
ASK = {"model": "hero", "prompt": "An otter by the sea", "response_format": "url", "seed": 77}
ROLE = "arn:aws:iam::111122223333:role/pictures"


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without AWS settings."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LASCAUX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The URL of moto's S3, with two buckets."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client("s3", endpoint_url=url, region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    for name in ("pictures", "others"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.close()
    yield url
    server.stop()
    assert server._server is not None
    server._server.server_close()


def config(moto: str, **s3: Any) -> Config:
    """A gateway whose pictures go to a bucket."""
    place = {"bucket": "pictures", "region": "us-west-2", "credentials": "s3", "endpoint_url": moto, **s3}
    return Config.from_mapping(
        {
            "credentials": {
                "s3": {"access_key_id": ACCESS, "secret_access_key": SECRET},
                "role": {"role_arn": ROLE, "source": "s3", "duration": "30m", "sts_endpoint": moto},
                "session": {"access_key_id": ACCESS, "secret_access_key": SECRET, "session_token": TOKEN},
            },
            "deployments": {"core": {"model": CORE, "region": "us-west-2"}},
            "aliases": {"hero": "core"},
            "server": {"links": {"ttl": "45m", "s3": place}},
        },
        env={},
    )


@contextmanager
def gateway(serve: Serve, made: Config, **shelf: Any) -> Iterator[tuple[str, AsyncRouter]]:
    """The pictures are made up, and there is no room for any in memory."""
    router = AsyncRouter(made, provider=FakeProvider(), picture_files=False)
    kept = Shelf(Links(max_bytes=10), **shelf)
    kept.follow(lambda: router.config)
    with serve(create_app(router, shelf=kept)) as url:
        yield url, router


def ask(url: str, **fields: Any) -> Any:
    """The body of an answer."""
    answer = httpx2.post(f"{url}{GENERATIONS}", json={**ASK, **fields}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(answer: Any) -> list[str]:
    """What is warned of, links aside from anything else."""
    return [one["message"] for one in answer["lascaux"]["warnings"] if one["parameter"] == "response_format"]


def signature(link: str, host: str, secret: str) -> str:
    """What SigV4 says of a presigned link, worked out from AWS's description of it alone."""
    parts = urlsplit(link)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    facts = dict(query)
    scope = facts["X-Amz-Credential"].split("/", 1)[1]
    rest = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in query if n != "X-Amz-Signature")
    canonical = "\n".join(
        ("GET", parts.path, "&".join("=".join(pair) for pair in rest), f"host:{host}", "", "host", "UNSIGNED-PAYLOAD")
    )
    text = f"AWS4-HMAC-SHA256\n{facts['X-Amz-Date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def test_pictures_lie_in_the_bucket_and_their_links_lead_there(serve: Serve, moto: str) -> None:
    """Bytes, type and headers; a name that tells nothing; whoever has the link needs nothing else."""
    with gateway(serve, config(moto, prefix="made", tags={"keep": "a day"}, sse="AES256")) as (url, _):
        answer = ask(url, n=3, seed=78)
    assert told(answer) == []
    links = [one["url"] for one in answer["data"]]
    assert len(set(links)) == 3
    for link in links:
        assert "b64_json" not in link
        found = httpx2.get(link)
        assert (found.status_code, found.content) == (200, OTTER)
        marks = {name: found.headers[name] for name in ("content-type", "content-disposition", "cache-control")}
        assert marks == {
            "content-type": "image/png",
            "content-disposition": "inline",
            "cache-control": "private, max-age=2700, immutable",
        }
        path = urlsplit(link).path
        name = path.removeprefix("/pictures/made/").removesuffix(".png")
        assert len(name) == 32
        assert path == f"/pictures/made/{name}.png"
        object = s3_backends["123456789012"]["aws"].get_object("pictures", f"made/{name}.png")
        assert object is not None
        assert object.encryption == "AES256"
        assert s3_backends["123456789012"]["aws"].tagger.get_tag_dict_for_resource(object.arn) == {"keep": "a day"}


def test_a_link_says_who_signed_it_and_when_it_ends(serve: Serve, moto: str) -> None:
    """Region, time and signature are right by AWS's rules, which moto does not check."""
    with gateway(serve, config(moto)) as (url, _):
        link = ask(url)["data"][0]["url"]
    parts = urlsplit(link)
    facts = dict(parse_qsl(parts.query))
    made = datetime.strptime(facts["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=2)
    assert facts["X-Amz-Expires"] == "2700"
    assert facts["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert facts["X-Amz-Credential"] == f"{ACCESS}/{made:%Y%m%d}/us-west-2/s3/aws4_request"
    assert facts["X-Amz-SignedHeaders"] == "host"
    assert "X-Amz-Security-Token" not in facts
    assert facts["X-Amz-Signature"] == signature(link, parts.netloc, SECRET)
    assert SECRET not in link


def test_the_same_picture_has_another_name_for_everybody(serve: Serve, moto: str) -> None:
    """Neither prompt nor seed nor picture lead to a name: a link is for whom it was given to."""
    with gateway(serve, config(moto)) as (url, _):
        first, second = (urlsplit(ask(url)["data"][0]["url"]).path for _ in range(2))
    assert first != second
    assert first.startswith("/pictures/lascaux/")


def test_streamed_answers_have_links_too(serve: Serve, moto: str) -> None:
    """One event for each picture."""
    with gateway(serve, config(moto)) as (url, _):
        answer = httpx2.post(f"{url}{GENERATIONS}", json={**ASK, "n": 2, "stream": True}, timeout=30)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [httpx2.get(event["url"]).content for event in events] == [OTTER, OTTER]
    assert not any("b64_json" in event for event in events)


def test_a_bucket_that_is_not_there_loses_no_picture(serve: Serve, moto: str, caplog: pytest.LogCaptureFixture) -> None:
    """Base64 and a warning; the log says why, without secrets. With the right name in a new file links work again."""
    caplog.set_level(logging.DEBUG)
    with gateway(serve, config(moto, bucket="nowhere")) as (url, router):
        answer = ask(url, n=2)
        assert [one["b64_json"] for one in answer["data"]] == [PICTURE, PICTURE]
        assert told(answer) == ["a picture could not be put where links lead, so it came as base64"]
        assert "nowhere" not in json.dumps(answer)
        router._reload(config(moto, bucket="others"))
        link = ask(url)["data"][0]["url"]
    assert urlsplit(link).path.startswith("/others/lascaux/")
    assert httpx2.get(link).content == OTTER
    said = [record.getMessage() for record in caplog.records if record.name == "lascaux.gateway"]
    assert any("bucket 'nowhere' in us-west-2: PutObject refused: NoSuchBucket" in line for line in said)
    everything = "\n".join(record.getMessage() for record in caplog.records)
    assert SECRET not in everything
    assert "An otter" not in everything


def test_without_a_bucket_too_large_pictures_come_as_base64(serve: Serve, moto: str) -> None:
    """Where there is none any more after a reload, memory is what there is; links into the bucket still work."""
    with gateway(serve, config(moto)) as (url, router):
        link = ask(url)["data"][0]["url"]
        plain = Config.from_mapping({"deployments": {"core": {"model": CORE, "region": "us-west-2"}}}, env={})
        router._reload(plain)
        answer = ask(url, model="core")
        assert answer["data"][0]["b64_json"] == PICTURE
        assert told(answer) == ["a picture was too large to be kept for a link, so it came as base64"]
        assert httpx2.get(link).content == OTTER


def test_nobody_waits_long_for_a_storage_that_is_silent(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Who was promised a picture gets it, as base64."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with gateway(serve, config(where), patience=0.3) as (url, _):
            answer = ask(url, n=2)
        assert [one["b64_json"] for one in answer["data"]] == [PICTURE, PICTURE]
        assert len(told(answer)) == 1
    assert "no link after 0.3 s" in caplog.text


def test_a_storage_that_has_just_failed_is_left_alone() -> None:
    """For five seconds the same failure is told at once; then it is asked again."""
    clock = [100.0]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        where = f"http://127.0.0.1:{closed.getsockname()[1]}"
    storage = Storage(bucket(where), clock=lambda: clock[0])
    for _ in range(2):
        with pytest.raises(ProviderError, match=r"bucket 'pictures' in us-west-2: it could not be reached \(Endpoint"):
            storage.put(b"x", media_type="image/png", suffix="png", seconds=60)
    with socket.create_server(("127.0.0.1", urlsplit(where).port or 0)) as heard:
        heard.settimeout(0.2)
        with pytest.raises(ProviderError):
            storage.put(b"x", media_type="image/png", suffix="png", seconds=60)
        with pytest.raises(TimeoutError):
            heard.accept()


KEYS = Credentials(name="s3", access_key_id=ACCESS, secret_access_key=Secret(SECRET))


def bucket(url: str | None, **more: Any) -> Bucket:
    """The bucket of these tests."""
    return Bucket(**{"name": "pictures", "region": "us-west-2", "credentials": KEYS, "endpoint_url": url, **more})


def test_a_link_ends_with_the_session_that_signed_it(serve: Serve, moto: str, caplog: pytest.LogCaptureFixture) -> None:
    """An assumed role's: said once, for whoever runs the gateway; one that does not tell its end, too."""
    with gateway(serve, config(moto, credentials="role")) as (url, router):
        links = [ask(url)["data"][0]["url"] for _ in range(2)]
        router._reload(config(moto, credentials="session"))
        links.append(ask(url)["data"][0]["url"])
    facts = [dict(parse_qsl(urlsplit(link).query)) for link in links]
    assert all(1500 < int(fact["X-Amz-Expires"]) <= 1800 for fact in facts[:2])
    assert facts[2]["X-Amz-Expires"] == "2700"
    assert all("X-Amz-Security-Token" in fact for fact in facts)
    assert all(httpx2.get(link).content == OTTER for link in links)
    said = [line.getMessage() for line in caplog.records if line.getMessage().startswith("server.links: ")]
    assert len(said) == 2
    assert "instead of 2700 s: then the session of these credentials is over" in said[0]
    assert "do not tell when that is" in said[1]
    ours = [line.getMessage() for line in caplog.records if line.name != "werkzeug"]  # moto's own: it sees the links
    assert not any(TOKEN in line or SECRET in line for line in ours)


def test_a_link_holds_seven_days_at_most(moto: str) -> None:
    """S3 takes no longer one; who configures more is told at the start."""
    stored = Storage(bucket(moto)).put(OTTER, media_type="image/png", suffix="png", seconds=1e7)
    assert stored.seconds == LONGEST == 604_800
    assert "X-Amz-Expires=604800&" in stored.url
    made = Config.from_mapping(
        {
            "deployments": {"core": {"model": CORE, "region": "us-west-2"}},
            "server": {"links": {"ttl": "8d", "s3": {"bucket": "pictures", "region": "us-west-2"}}},
        },
        env={},
    )
    assert [one.parameter for one in made.warnings] == ["server.links.ttl"]


@pytest.mark.parametrize(
    ("name", "region", "host"),
    [
        ("pictures", "us-east-1", "pictures.s3.us-east-1.amazonaws.com"),
        ("pictures", "ap-southeast-5", "pictures.s3.ap-southeast-5.amazonaws.com"),
        ("pictures", "cn-north-1", "pictures.s3.cn-north-1.amazonaws.com.cn"),
        ("dotted.pictures", "us-gov-west-1", "s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_links_lead_to_the_buckets_own_region(name: str, region: str, host: str) -> None:
    """Everywhere the regional endpoint; names that no certificate fits stand in the path. Checked without a call."""
    storage = Storage(bucket(None, name=name, region=region))
    client = storage._client(storage._keyring.keys(KEYS, region))
    link = client.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "a/b.png"}, ExpiresIn=60)
    parts = urlsplit(link)
    assert parts.netloc == host
    assert parts.path == ("/a/b.png" if host.startswith(name) else f"/{name}/a/b.png")
    facts = dict(parse_qsl(parts.query))
    assert facts["X-Amz-Credential"].endswith(f"/{region}/s3/aws4_request")
    assert facts["X-Amz-Signature"] == signature(link, host, SECRET)


def test_an_api_key_of_bedrocks_is_no_key_for_s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named for a bucket it is refused; in the environment it is passed over, as by boto3."""
    monkeypatch.setenv(BEARER_VARIABLE, "bedrock-key-planted")
    alone = Storage(bucket(moto, credentials=Credentials()))
    with pytest.raises(CredentialsError, match="none were found"):
        alone.put(b"x", media_type="image/png", suffix="png", seconds=60)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    stored = Storage(bucket(moto, credentials=Credentials())).put(
        OTTER, media_type="image/png", suffix="png", seconds=60
    )
    assert httpx2.get(stored.url).content == OTTER
    named = Storage(bucket(moto, credentials=Credentials(name="key", bearer_token=Secret("bedrock-key-planted"))))
    with pytest.raises(CredentialsError, match="only Bedrock takes an API key"):
        named.put(b"x", media_type="image/png", suffix="png", seconds=60)


SERVER = """
credentials: {api: {bearer_token: "${KEY:-bedrock-api-key-1}"}}
deployments: {core: {model: "stability.stable-image-core-v1:1", region: us-west-2}}
server: {%s}
"""


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("links: {s3: {bucket: x, region: us-west-2}}", "server.links.s3.bucket: must be the name of a bucket"),
        ("links: {s3: {bucket: pictures}}", "server.links.s3.region"),
        ("links: {s3: {bucket: pictures, region: us-west-2, prefix: /a}}", "a folder in the bucket such as pictures/"),
        ("links: {s3: {bucket: pictures, region: us-west-2, credentials: apo}}", "did you mean 'api'"),
        ("links: {s3: {bucket: pictures, region: us-west-2, credentials: api}}", "an API key of Bedrock"),
        ("links: {s3: {bucket: pictures, region: us-west-2, sse: aws}}", "must be one of AES256, aws:kms"),
        ("links: {s3: {bucket: pictures, region: us-west-2, kms_key_id: k}}", "needs 'sse: aws:kms' beside it"),
        ("link_ttl: 5m, links: {ttl: 6m}", "is the earlier name of 'links.ttl', which is given as well"),
        ("hosts: ['http://x']", "must be a name such as images.example.com"),
        ("public_url: example.com", "server.public_url: must be a URL"),
    ],
)
def test_what_can_not_work_is_told_at_the_start(server: str, said: str) -> None:
    """With its place, what is allowed, and the nearest name."""
    with pytest.raises(ConfigError) as caught:
        Config.parse(SERVER % server, env={})
    assert said in str(caught.value)


def test_both_names_of_the_time_work() -> None:
    """The earlier one as before; credentials that only links need are no oddity."""
    for text in ("link_ttl: 5m", "links: {ttl: 5m}"):
        assert Config.parse(SERVER % text, env={}).server.link_seconds == 300.0
    text = "links: {s3: {bucket: pictures, region: us-west-2, credentials: keys}}"
    made = Config.parse((SERVER % text).replace("api: {bearer_token", "keys: {profile"), env={})
    assert made.warnings == ()
    assert made.server.link_seconds == 3600.0


def test_names_and_the_public_address_come_from_the_configuration(serve: Serve, tmp_path: Path) -> None:
    """A name that is allowed is answered to without keys, another is not; links begin as is written there."""
    made = Config.from_mapping(
        {
            "deployments": {"core": {"model": CORE, "region": "us-west-2"}},
            "aliases": {"hero": "core"},
            "server": {"hosts": ["Images.example"], "public_url": "https://images.example/gateway/"},
        },
        env={},
    )
    journal = str(tmp_path / "journal")
    orders = Orders(
        index=0, count=1, listener=0, folder=str(tmp_path), journal=journal, durable=False, drain=1.0, keyed=False
    )
    with serve(application(AsyncRouter(made, provider=FakeProvider(), picture_files=False), orders)) as url:
        named, other = (
            httpx2.post(f"{url}{GENERATIONS}", json=ASK, headers={"host": host}, timeout=30)
            for host in ("images.example:443", "evil.example")
        )
    assert (named.status_code, other.status_code) == (200, 403)
    link = named.json()["data"][0]["url"]
    assert link.startswith("https://images.example/gateway/v1/images/files/")
