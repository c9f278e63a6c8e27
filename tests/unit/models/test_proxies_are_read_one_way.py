from __future__ import annotations

import pytest

from rag_runtime.contract.proxies import Proxies

ENV = {"HTTP_PROXY": "http://plain:3128", "HTTPS_PROXY": "secure:3129"}


def test_each_scheme_has_its_own_proxy_and_without_any_all_is_direct() -> None:
    proxies = Proxies.of(ENV)
    assert proxies.for_url("http://a.example/v1") == "http://plain:3128"
    assert proxies.for_url("https://a.example/v1") == "http://secure:3129"
    assert Proxies.of({}).for_url("https://a.example") is None
    assert Proxies.of({"HTTPS_PROXY": "http://p:1"}).for_url("http://a.example") is None
    assert Proxies.of({"https_proxy": "http://p:1"}).for_url("https://a.example") == "http://p:1"


@pytest.mark.parametrize(
    "url",
    [
        "http://redis",
        "http://models:8080/v1",
        "http://localhost:1",
        "http://127.0.0.1",
        "http://127.8.9.1",
        "http://[::1]:5",
    ],
)
def test_loopback_and_names_without_a_dot_are_always_direct(url: str) -> None:
    assert Proxies.of(ENV).for_url(url) is None


@pytest.mark.parametrize(
    ("entry", "url", "direct"),
    [
        ("*", "https://a.example", True),
        ("a.example", "https://a.example", True),
        ("A.Example", "https://a.EXAMPLE.", True),
        ("a.example", "https://b.a.example", True),
        ("a.example", "https://ba.example", False),
        (".a.example", "https://b.a.example", True),
        (".a.example", "https://a.example", False),
        ("*.a.example", "https://b.a.example", True),
        (".svc", "http://models.team.svc:8080/v1", True),
        (".cluster.local", "http://models.team.svc.cluster.local", True),
        (".svc", "https://svc.example", False),
        ("a.example:8443", "https://a.example:8443", True),
        ("a.example:8443", "https://a.example", False),
        ("10.0.0.0/8", "http://10.1.2.3:80", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.0.0.0/8", "http://a.example", False),
        ("10.1.2.3", "http://10.1.2.3", True),
        ("10.1.2.3:81", "http://10.1.2.3", False),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("fd00::1", "http://[fd00::1]:9", True),
        ("[fd00::1]:9", "http://[fd00::1]:9", True),
        ("nonsense/8", "http://10.1.2.3", False),
    ],
)
def test_what_is_direct(entry: str, url: str, direct: bool) -> None:
    assert (Proxies.of(ENV | {"NO_PROXY": f"other.example, {entry} ,"}).for_url(url) is None) is direct
