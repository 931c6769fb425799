"""A pruning run whose workdir is in a bucket of an S3 server on this machine, against one in a local folder.

    python benchmarks/buckets.py OUT --model FOLDER --data FOLDER

Prints the time and the bytes of both, alternately repeated, and then those of a run that is killed (SIGKILL) at random
moments. After each kill another process continues it from an empty local folder. All digests must be equal.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import fsspec

BASE = Path(__file__).parents[1] / "configs/base.py"


@contextlib.contextmanager
def server():
    """An S3 server in a process of its own, with a bucket; its environment is that of the runs."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"], timeout=5).close()
                break
            time.sleep(0.2)
        fsspec.filesystem("s3").mkdir("bucket")
        yield
    finally:
        process.terminate()
        process.wait()


def start(given, workdir, local):
    """A pruning run, with a local folder for its temporary files."""
    shutil.rmtree(local, ignore_errors=True)
    local.mkdir()
    command = [
        sys.executable, "-m", "jaxprune", "prune", f"--config={BASE}:{given.model}",
        f"--config.calibration.data={given.data}", f"--workdir={workdir}",
    ]  # fmt: skip
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(local)}, stdout=pipe, stderr=pipe, text=True
    )


def whole(given, workdir, local):
    """(seconds, what it said) of an undisturbed run."""
    began = time.perf_counter()
    process = start(given, workdir, local)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return time.perf_counter() - began, said


def digests(address):
    with fsspec.open(f"{address}/report.json") as file:
        return json.load(file)["digests"]


def uploaded(said):
    """The bytes that a run reports at its end."""
    number, unit = re.search(r"workdir: ([\d.]+) ([MG])B uploaded", said).groups()
    return float(number) * {"M": 1e6, "G": 1e9}[unit]


def killed(given, address, local, kills, seconds):
    """The seconds of a run that is killed at random moments, and these moments."""
    rng, began, moments = random.Random(0), time.perf_counter(), []
    while len(moments) < kills:
        process = start(given, address, local)
        moments.append(rng.uniform(0.2, 1.0) * seconds)
        try:
            process.wait(moments[-1])
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        else:
            sys.exit(f"it ended after {moments[-1]:.0f} s, before it was killed; other moments?")
        seconds -= moments[-1] / 2  # what is left gets shorter
    whole(given, address, local)
    return time.perf_counter() - began, moments


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    local, times = given.out / "tmp", {"local": [], "bucket": []}
    with server():
        for number in range(given.repeats):
            folder, address = given.out / f"run{number}", f"s3://bucket/run{number}"
            times["local"].append(whole(given, folder, local)[0])
            seconds, said = whole(given, address, local)
            times["bucket"].append(seconds)
            assert digests(address) == digests(folder), "the digests differ"
        written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        alone, there = min(times["local"]), min(times["bucket"])
        print(f"local {alone:.1f} s, {written / 1e6:.0f} MB written")
        print(
            f"bucket {there:.1f} s, {there / alone:.2f} of it; {uploaded(said) / written:.2f} of the "
            "bytes uploaded",
            flush=True,
        )
        seconds, moments = killed(given, "s3://bucket/killed", local, given.kills, there)
        assert digests("s3://bucket/killed") == digests(folder), "the digests differ"
        after = ", ".join(f"{moment:.0f}" for moment in moments)
        print(f"killed after {after} s: {seconds:.0f} s in all, the same digests")


if __name__ == "__main__":
    main()
