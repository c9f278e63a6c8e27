"""Keys, layers and archives of images."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.cluster import oci
from tests.cluster.images import archive
from tests.cluster.images.export import Blobs, write_layer
from tests.cluster.images.recipes import OURS, RECIPES, content_key, release_of, stage
from tests.cluster.images.store import present


def names(written: io.BytesIO) -> list[str]:
    written.seek(0)
    with tarfile.open(fileobj=written) as tar:
        return tar.getnames()


def test_the_key_follows_contents_names_and_modes_but_not_times(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = content_key(tmp_path)
    os.utime(tmp_path / "a.py", (1, 1))
    assert content_key(tmp_path) == first
    (tmp_path / "a.py").chmod(0o755)
    executable = content_key(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({first, executable, content_key(tmp_path), content_key(tmp_path, "another base")}) == 4


def test_staging_leaves_caches_out_and_takes_the_dockerfile_along(tmp_path: Path) -> None:
    operator = next(recipe for recipe in RECIPES if recipe.name == "operator")
    stage(operator, tmp_path / "context")
    assert (tmp_path / "context" / "Dockerfile").exists()
    assert (tmp_path / "context" / "operator" / "rag_operator" / "__init__.py").exists()
    assert not list((tmp_path / "context").rglob("__pycache__"))


def test_a_release_is_made_anew_for_another_version_and_for_another_image(tmp_path: Path) -> None:
    (operator, _) = OURS
    asked = (("0.1.1", "sha256:aa"), ("0.1.1", "sha256:aa"), ("0.1.2", "sha256:aa"), ("0.1.1", "sha256:bb"))
    first, again, *others = [stage(release_of(operator, *one), tmp_path / "context") for one in asked]
    assert first == again
    assert len({first, *others}) == 3
    assert release_of(operator, "0.1.1").reference == "rag-operator/operator:0.1.1"
    assert release_of(operator, "0.1.1").base.reference == f"localhost/{operator.reference}"


def test_the_ignore_file_lets_through_what_the_dockerfiles_copy() -> None:
    operator = next(recipe for recipe in RECIPES if recipe.name == "operator")
    allowed = [
        line[1:].rstrip("/") for line in (operator.root / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    assert all(name.split("/")[0] in allowed for name in operator.files)


@pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts are device nodes, which root alone may make")
def test_a_deleted_file_becomes_a_whiteout(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    os.mknod(tmp_path / "gone", 0o020000, os.makedev(0, 0))
    written = io.BytesIO()
    write_layer(tmp_path, written)
    assert names(written) == [".wh.gone", "kept", "kept/file"]


def test_a_layer_keeps_hard_and_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to("a")
    written = io.BytesIO()
    write_layer(tmp_path, written)
    written.seek(0)
    with tarfile.open(fileobj=written) as tar:
        kinds = {member.name: member.type for member in tar}
    assert kinds == {"a": tarfile.REGTYPE, "b": tarfile.LNKTYPE, "c": tarfile.SYMTYPE}


def image(blobs: Blobs) -> str:
    config, layer = blobs.put(b"{}"), blobs.put(b"layer")
    manifest = {"config": config.descriptor("config"), "layers": [layer.descriptor("layer")]}
    return blobs.put(json.dumps(manifest).encode()).digest


def test_an_archive_leaves_out_what_the_node_has_but_never_the_manifest(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    manifest = image(blobs)
    everything = archive.needed(blobs, manifest)
    written = io.BytesIO()
    archive.write(blobs, manifest, "example.test/rag-operator/x:dev", written, without=set(everything))
    assert names(written) == ["oci-layout", "index.json", f"blobs/{manifest.replace(':', '/')}"]
    whole = io.BytesIO()
    archive.write(blobs, manifest, "example.test/rag-operator/x:dev", whole, without=set())
    assert len(names(whole)) == 2 + len(everything)


def test_blobs_that_no_image_needs_are_deleted(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    manifest, stale = image(blobs), blobs.put(b"stale")
    archive.prune(blobs, [manifest])
    assert archive.complete(blobs, manifest)
    assert not blobs.path(stale.digest).exists()


def test_an_image_with_a_lost_blob_is_not_complete(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    manifest = image(blobs)
    blobs.path(archive.needed(blobs, manifest)[-1]).unlink()
    assert not archive.complete(blobs, manifest)
    assert not archive.complete(blobs, "sha256:absent")


def test_the_nodes_list_is_read_by_name_and_digest() -> None:
    listed = "REF TYPE DIGEST SIZE\nexample.test/rag-operator/x:dev application/json sha256:aa 1 MiB linux/amd64 -\n"
    assert present(listed) == {"example.test/rag-operator/x:dev sha256:aa"}


def test_the_pause_image_is_one_program_run_by_an_ordinary_user(tmp_path: Path) -> None:
    (tmp_path / "pause").write_bytes(b"elf")
    written = io.BytesIO()
    oci.write_single_program(written, "example.test/x/pause:dev", tmp_path / "pause")
    written.seek(0)
    with tarfile.open(fileobj=written) as tar:
        config = json.loads(tar.extractfile("config.json").read())  # type: ignore[union-attr]
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65535:65535"}
    assert manifest[0]["RepoTags"] == ["example.test/x/pause:dev"]
