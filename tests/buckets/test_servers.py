"""Workdirs, models and texts in buckets of real servers: moto's S3 and gcp-storage-emulator."""

import json
from email.parser import BytesParser
from http.server import HTTPServer
from pathlib import Path

import numpy as np
import pytest
from ci_packages import needs
from folder_contents import contents
from kills import failing_at_last
from ports import free_port
from recount import recount
from run_scripts import run_here

import jaxprune as jp
from jaxprune.base.files.store import Store
from jaxprune.pruning import loop
from jaxprune.runs.buckets.mirror import Mirror

needs("gcp_storage_emulator", "gcsfs", "moto", "s3fs")

from gcp_storage_emulator import server as emulator  # noqa: E402
from s3_server import s3_bucket  # noqa: E402


@pytest.fixture(scope="module")
def s3():
    with s3_bucket("bucket") as bucket:
        yield f"{bucket}/runs"


class ExactParser(BytesParser):
    """Reads an upload to the end. The server's own parser takes a \\r there for a part of the line break after it."""

    def parsebytes(self, text):
        message = super().parsebytes(text)
        if message.get_content_subtype() == "related":
            part = text.split(b"\n--==0==\n", 2)[2].removesuffix(b"\n--==0==--")
            content = part.partition(b"\n\n")[2]
            message.get_payload(1).get_payload = lambda decode: content
        return message


@pytest.fixture(scope="module")
def gs():
    """As `s3`; this server ignores the conditions of writes."""
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        # it answers one request after the other, and many arrive at once
        patch.setattr(HTTPServer, "request_queue_size", 256)
        patch.setattr(emulator, "BytesParser", ExactParser)
        server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
        server.start()
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        # requests for kinds of buckets that the server does not have
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        yield "gs://bucket/runs"
    server.stop()


@pytest.fixture(params=["s3", "gs"])
def runs(request):
    """The address of a folder of a server."""
    return request.getfixturevalue(request.param)


def test_objects_of_a_server(runs, tmp_path):
    there = Store(f"{runs}/objects", "--workdir")
    content = np.random.default_rng(0).bytes(20 << 20)
    (tmp_path / "a").write_bytes(content)
    there.upload(tmp_path / "a", "deep/a")
    there.write("b", b"1")
    first = there.facts()
    assert {name: size for name, (size, _) in first.items()} == {"b": 1, "deep/a": len(content)}
    assert there.facts("deep/a") == {"deep/a": first["deep/a"]}
    there.write("b", b"2\r")
    assert there.read("b") == b"2\r"
    after = there.facts()
    assert after["deep/a"] == first["deep/a"]
    assert after["b"] != first["b"]
    there.download(["b", "deep/a"], tmp_path / "copy")
    assert contents(tmp_path / "copy") == {"b": b"2\r", "deep/a": content}
    there.remove(["b", "none"])
    assert [*there.facts()] == ["deep/a"]
    with pytest.raises(FileNotFoundError):
        there.read("b")


def test_two_requests_that_create_an_object_of_s3(s3):
    one = Store(f"{s3}/create", "--workdir")
    assert one.create("a/b.json", b"1")
    assert not one.create("a/b.json", b"2")
    assert one.read("a/b.json") == b"1"
    assert one.facts() == one.facts("a")
    assert [size for size, _ in one.facts().values()] == [1]
    for folder in ("", "a/"):  # as consoles make them
        one._fs.call_s3("put_object", Bucket="bucket", Key=f"runs/create/{folder}", Body=b"")
    assert [*one.facts()] == ["a/b.json"]
    one.remove(["a/b.json", "none"])
    assert one.facts() == {}
    with pytest.raises(FileNotFoundError):
        Store("s3://nobucket/x", "--workdir").facts()


def test_a_model_and_texts_of_a_server_give_the_masks_of_local_ones(
    runs, cache, tmp_path, monkeypatch, capfd
):
    nano = Path(jp.__file__).parent / "nano"
    for code in ("en", "fr"):
        (tmp_path / f"texts/{code}.txt").parent.mkdir(exist_ok=True)
        (tmp_path / f"texts/{code}.txt").write_text("\n".join(f"{code} {n}" for n in range(40)))
    for name, folder in (("model", nano / "checkpoints/bloom"), ("texts", tmp_path / "texts")):
        for file in folder.iterdir():
            Store(f"{runs}/{name}", name).upload(file, file.name)
    digests = []
    local = nano / "checkpoints/bloom", tmp_path / "texts"
    for number, (model, texts) in enumerate((local, (f"{runs}/model", f"{runs}/texts"))):
        folder = tmp_path / f"run{number}"
        done = run_here(
            monkeypatch, capfd, "prune", "--config=nano", f"--config.model={model}", "--workdir", folder,
            f"--config.calibration.data={texts}", "--config.calibration.samples=4",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        digests.append(json.loads((folder / "report.json").read_text())["digests"])
        assert "://bucket" not in (folder / "hf/README.md").read_text().partition("\n# ")[0]
    assert digests[0] == digests[1]


def test_an_interrupted_run_goes_on_from_a_server_with_the_same_bits(
    runs, copies, tmp_path, monkeypatch, capfd
):
    settings = ("--config", "nano", "--config.calibration.samples=4")
    local = tmp_path / "local"
    assert run_here(monkeypatch, capfd, "prune", *settings, "--workdir", local).returncode == 0
    address = f"{runs}/nano"
    with monkeypatch.context() as patch:
        stops = failing_at_last(iter([2, 1, 0]), loop.prune_kernels)
        patch.setattr(loop, "prune_kernels", stops)
        assert run_here(patch, capfd, "prune", *settings, "--workdir", address).returncode != 0
    left = Store(address, "--workdir").facts()
    assert any("layer_" in name for name in left)
    assert "report.json" not in left
    done = run_here(monkeypatch, capfd, "prune", *settings, "--workdir", address)
    assert done.returncode == 0, done.stderr
    assert str(copies) not in done.stdout
    assert run_here(monkeypatch, capfd, "verify", address).stdout.endswith("/nano: OK\n")
    Mirror(Store(address, "--workdir"), tmp_path / "copy")
    assert not recount(tmp_path / "copy")
    one, other = (
        (json.loads((run / "report.json").read_text()), (run / "hf/model.safetensors").read_bytes())
        for run in (local, tmp_path / "copy")
    )
    assert one[0]["digests"] == other[0]["digests"]
    assert one[1] == other[1]
