"""The managed Redis: its password, its memory."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import unquote, urlsplit

from rag_operator.build import cache
from rag_operator.build.common import Manifest
from tests.unit.build.samples import CACHE_PASSWORD, PIPELINES, RELEASE, pipeline


def deployment(about: str = "minimal", version: str = "uid/1") -> Manifest:
    return {child["kind"]: child for child in cache.managed_redis(PIPELINES[about], RELEASE, version)}["Deployment"]


def data_of(password: str) -> dict[str, str]:
    secret = cache.managed_redis_secret(PIPELINES["minimal"], password)
    return {key: b64decode(value).decode() for key, value in secret["data"].items()}


def test_the_url_leads_to_the_service_with_the_password() -> None:
    url = urlsplit(data_of(CACHE_PASSWORD)["url"])
    assert (url.scheme, url.hostname, url.port, url.path) == ("redis", "support-cache.rag.svc", 6379, "/0")
    assert unquote(url.password or "") == CACHE_PASSWORD


def test_the_password_is_one_word_of_the_configuration() -> None:
    assert data_of('a "b" \\c')["redis.conf"] == 'requirepass "a \\"b\\" \\\\c"\n'


def test_pods_see_the_configuration_file_only() -> None:
    spec = deployment()["spec"]["template"]["spec"]
    (volume,) = (volume for volume in spec["volumes"] if "secret" in volume)
    assert [item["key"] for item in volume["secret"]["items"]] == ["redis.conf"]
    assert spec["containers"][0]["command"] == ["redis-server", "/etc/redis/redis.conf"]


def test_old_entries_make_room_and_nothing_is_written_to_disk() -> None:
    (container,) = deployment()["spec"]["template"]["spec"]["containers"]
    settings = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
    assert settings["--maxmemory"] == str(256 * 1024**2)
    assert settings["--maxmemory-policy"] == "allkeys-lru"
    assert settings["--save"] == ""
    assert settings["--appendonly"] == "no"


def test_the_limit_leaves_room_beside_the_data() -> None:
    (container,) = deployment()["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    assert int(container["resources"]["limits"]["memory"]) >= 256 * 1024**2 * 1.25


def test_never_two_caches_behind_one_address() -> None:
    assert deployment()["spec"]["strategy"] == {"type": "Recreate"}
    assert deployment()["spec"]["replicas"] == 1


def test_a_changed_secret_rolls_the_pod() -> None:
    assert deployment(version="uid/1") != deployment(version="uid/2")


def test_the_cache_of_ones_own_is_named_by_its_secret() -> None:
    assert cache.secret_name(PIPELINES["hosted"]) == "redis.shared"
    assert cache.secret_name(pipeline()) == "support-cache"
