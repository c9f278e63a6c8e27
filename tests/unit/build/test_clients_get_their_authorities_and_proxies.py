"""Certificates as files of the pods that need them, and proxies as variables of the pods that call out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from rag_operator.api import names
from rag_operator.build import authorities, cache, common, config, ingest, postgres, query
from rag_operator.build.common import Manifest, Proxy
from rag_operator.build.ingest import IngestInputs
from rag_operator.build.query import QueryInputs
from rag_runtime.contract.proxies import PASSWORD, USERNAME, Proxies
from tests.unit.api.examples import LOCAL
from tests.unit.build.samples import (
    CATALOG,
    PIPELINES,
    PROXIED,
    RELEASE,
    TENANTS,
    calling_out,
    pipeline,
    pod_template,
    tenant_names,
)

PRIVATE = PIPELINES["of private authorities"]
TENANT = TENANTS["of all sources"]


def query_pods(**inputs: Any) -> Manifest:
    given: dict[str, Any] = {"config_map": "c", "secret_versions": {}, "replicas": 2} | inputs
    return pod_template(query.query_deployment(PRIVATE, RELEASE, QueryInputs(**given))) or {}


def ingestion_pods(**inputs: Any) -> Manifest:
    return pod_template(ingest.ingest_cron_job(PRIVATE, TENANT, RELEASE, IngestInputs("c", **inputs))) or {}


def trusted(template: Manifest) -> dict[str, list[str]]:
    """Keys of ConfigMaps below the folder of authorities, by the path of their mount."""
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    found = {}
    for mount in template["spec"]["containers"][0]["volumeMounts"]:
        if mount["mountPath"].startswith(f"{authorities.FOLDER}/"):
            source = volumes[mount["name"]]["configMap"]
            assert source["optional"] is True
            assert mount["mountPath"] == f"/etc/rag/ca/{source['name']}"
            found[mount["mountPath"]] = [item["path"] for item in source["items"]]
    return found


def test_each_pod_has_the_certificates_of_what_it_calls() -> None:
    assert trusted(query_pods()) == {"/etc/rag/ca/corp-ca": ["ca.crt", "chat.pem"]}
    assert trusted(ingestion_pods()) == {"/etc/rag/ca/corp-ca": ["ca.crt"], "/etc/rag/ca/sites.ca": ["bundle"]}


def test_the_configurations_name_the_files() -> None:
    serve = config.serve_config(PRIVATE, CATALOG, ())
    (profile,) = serve.profiles.values()
    assert profile.endpoint and profile.endpoint.ca_file == PurePosixPath("/etc/rag/ca/corp-ca/ca.crt")
    assert serve.answering.model
    assert serve.answering.model.endpoint.ca_file == PurePosixPath("/etc/rag/ca/corp-ca/chat.pem")
    document = config.ingest_config(PRIVATE, TENANT, tenant_names(TENANT), ())
    assert document.shape.profile == profile
    files = [getattr(source.source, "ca_file", None) for source in document.sources]
    assert files == [None, None, PurePosixPath("/etc/rag/ca/sites.ca/bundle")]


def test_an_authority_changes_no_index_and_its_absence_no_document() -> None:
    """A runtime of the release before knows no such field."""
    plain = pipeline({"database": {"managed": {}}, "embedding": {"endpoint": LOCAL, "model": "m", "dimensions": 8}})
    assert config.index_shape(PRIVATE.spec).spec_hash == config.index_shape(plain.spec).spec_hash
    assert "caFile" not in config.render(config.serve_config(plain, CATALOG, ()))
    assert "caFile" not in config.render(config.ingest_config(plain, TENANT, tenant_names(TENANT), ()))


def test_retained_profiles_keep_their_authorities() -> None:
    refs = authorities.of_profiles(config.serve_config(PRIVATE, CATALOG, ()).profiles.values())
    assert [authorities.key_of(ref) for ref in refs] == ["corp-ca/ca.crt"]
    other = refs[0].model_copy(update={"name": "former"})
    assert "/etc/rag/ca/former" in trusted(query_pods(ca_refs=(other,)))
    assert "/etc/rag/ca/former" in trusted(ingestion_pods(ca_refs=(other,)))


def test_changed_certificates_roll_query_pods_and_pods_without_any_have_no_word_of_it() -> None:
    versions = {"corp-ca/chat.pem": "2", "corp-ca/ca.crt": "1"}
    annotations = query_pods(ca_versions=versions)["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_AUTHORITIES] == "corp-ca/ca.crt=1,corp-ca/chat.pem=2"
    assert common.versions_of(annotations[names.ANNOTATION_AUTHORITIES]) == versions
    assert common.versions_of("") == {}
    assert names.ANNOTATION_AUTHORITIES not in query_pods()["metadata"]["annotations"]


def variables(template: Manifest) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in template["spec"]["containers"][0].get("env", ())}


def test_query_and_ingestion_pods_are_told_of_proxies_and_stores_are_not() -> None:
    release = replace(RELEASE, proxy=Proxy("http://proxy:3128", "", (".corp.example", ".svc")))
    minimal = PIPELINES["minimal"]
    for manifest in calling_out(minimal, TENANT, release):
        found = variables(pod_template(manifest) or {})
        assert found["HTTPS_PROXY"] == "http://proxy:3128"
        assert "HTTP_PROXY" not in found
        assert found["NO_PROXY"] == "localhost,127.0.0.1,::1,.svc,.cluster.local,.corp.example"
    stores = (*postgres.managed_postgres(minimal, release, "v"), *cache.managed_redis(minimal, release, "v"))
    assert not any("PROXY" in name for one in stores if (pod := pod_template(one)) for name in variables(pod))


@pytest.mark.parametrize("proxy", [Proxy(), Proxy(direct=("a",)), Proxy(secret="corp-proxy")])
def test_without_a_proxy_pods_have_no_variable_of_it(proxy: Proxy) -> None:
    assert proxy.environment() == []
    assert proxy.login_keys() == ()
    assert not proxy.needs_login(["https://a.example"])


def test_the_login_of_proxies_is_files_of_a_secret_beside_the_pods_where_the_runtime_looks_for_them() -> None:
    minimal = PIPELINES["minimal"]
    for manifest in calling_out(minimal, TENANT, PROXIED):
        template = pod_template(manifest) or {}
        folder = Proxies.of(variables(template)).login
        assert folder == PurePosixPath("/etc/rag/keys/corp.proxy")
        (mount,) = (m for m in template["spec"]["containers"][0]["volumeMounts"] if m["mountPath"] == str(folder))
        (volume,) = (v["secret"] for v in template["spec"]["volumes"] if v["name"] == mount["name"])
        assert volume["secretName"] == "corp.proxy"
        assert [item["path"] for item in volume["items"]] == [PASSWORD, USERNAME]
        assert volume["optional"] is True, "who has it not is told by its clients, and not kept from starting"
    stores = (*postgres.managed_postgres(minimal, PROXIED, "v"), *cache.managed_redis(minimal, PROXIED, "v"))
    assert "corp.proxy" not in str(stores)


def test_a_secret_with_a_models_key_and_the_login_is_one_volume() -> None:
    hosted = PIPELINES["hosted"]
    release = replace(PROXIED, proxy=replace(PROXIED.proxy, secret="openai"))
    template = pod_template(query.query_deployment(hosted, release, QueryInputs("c", {}, 2))) or {}
    (volume,) = (v["secret"] for v in template["spec"]["volumes"] if v.get("secret", {}).get("secretName") == "openai")
    assert [item["key"] for item in volume["items"]] == ["api-key", "chat", "password", "username"]


def test_a_login_is_needed_by_whoever_calls_through_a_proxy_that_asks_for_one() -> None:
    proxy = PROXIED.proxy
    assert proxy.needs_login(["http://models.rag.svc/v1", "https://api.example/v1"])
    assert not proxy.needs_login(["http://models.rag.svc/v1", "https://models.corp/v1", "http://vllm:8000/v1"])
    assert not replace(proxy, secret="").needs_login(["https://api.example/v1"])
    assert not replace(proxy, https="").needs_login(["https://api.example/v1"])
