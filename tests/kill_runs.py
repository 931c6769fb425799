"""Kills commands at random moments and repeats them until they end: the digests must be those of an undisturbed run.

    python tests/kill_runs.py --kills 10 --seed 0
    python tests/kill_runs.py --job recovery --job bucket --kills 10

Jobs: a Wanda run, a SparseGPT run, recoveries block by block and by overlapping windows, a sweep, and a run in a bucket
(a server of moto). Beside the outputs of each workdir lie files of a stranger, which must stay. Exits with 1 if a
digest differs or a file is gone.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STRANGERS = ("thesis.tex", "progress/notes.txt")


def jobs(folder: Path, model: str | None) -> dict[str, list[str]]:
    """Name → script and arguments of each job, without the workdir."""
    samples = ["--config.calibration.samples=16", *([f"--config.model={model}"] if model else [])]
    nano = ["--config=nano", *samples]
    sparse = [*nano, "--config.pruning.sparsity=0.5"]
    recover = ["recover", *nano, f"--config.recovery.run={folder / 'wanda' / 'whole'}"]
    window = [
        "--config.recovery.how=window",
        "--config.recovery.blocks=2",
        "--config.recovery.stride=1",
    ]
    return {
        "wanda": ["prune", *sparse],
        "sparsegpt": ["prune", *sparse, "--config.pruning.criterion=sparsegpt"],
        "recovery": recover,
        "window": [*recover, *window],
        "sweep": [
            "sweep", "--config=sweep_nano", "--config.calibration.samples=4",
            "--config.sweep.grid=pruning.criterion=random|wanda calibration.source=fr|sw",
            "--config.evaluation.rows=8",
        ],
        "bucket": ["prune", *sparse],
    }  # fmt: skip


def start(job: list[str], workdir: Path | str) -> subprocess.Popen[str]:
    script, *arguments = job
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    return subprocess.Popen(
        [*command, f"--workdir={workdir}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip


def to_the_end(job: list[str], workdir: Path | str) -> None:
    process = start(job, workdir)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(job)}: {said[-2000:]}")


def digests(workdir: Path) -> dict[str, object]:
    """The digests of each report, and of a sweep its tables, by path."""
    found: dict[str, object] = {
        str(file.relative_to(workdir)): json.loads(file.read_text())["digests"]
        for file in sorted(workdir.rglob("report.json"))
    }
    if (workdir / "changes.csv").is_file():
        found["changes.csv"] = (workdir / "changes.csv").read_text()
    return found


def killed(job: list[str], workdir: Path | str, seconds: float, kills: int) -> int:
    """Kills the command at random moments until it ends before one, at most so many times; returns the number."""
    for kill in range(kills):
        process = start(job, workdir)
        time.sleep(random.uniform(0.3, 1) * seconds)
        is_over = process.poll() is not None
        process.kill()
        process.communicate()
        if is_over:
            return kill
    return kills


def in_folder(job: list[str], workdir: Path, seconds: float, kills: int) -> tuple[int, bool]:
    """The number of kills, and whether the files of a stranger are there after the end of the job."""
    for stranger in STRANGERS:
        (workdir / stranger).parent.mkdir(parents=True, exist_ok=True)
        (workdir / stranger).write_text("mine")
    hits = killed(job, workdir, seconds, kills)
    to_the_end(job, workdir)
    return hits, all((workdir / name).read_text() == "mine" for name in STRANGERS)


def in_bucket(job: list[str], copy: Path, seconds: float, kills: int) -> tuple[int, bool]:
    """As `in_folder`, in a bucket, which is downloaded at the end."""
    from s3_server import s3_bucket

    from jaxprune.base.files.store import Store

    with s3_bucket("runs") as bucket:
        address = f"{bucket}/one"
        store = Store(address, "--workdir")
        store.write(STRANGERS[0], b"mine")
        hits = killed(job, address, seconds, kills)
        to_the_end(job, address)
        store.download(store.facts(), copy)
    return hits, (copy / STRANGERS[0]).read_text() == "mine"


def tried(name: str, job: list[str], folder: Path, kills: int) -> bool:
    """Whether jobs that are killed so many times end with the digests of the whole one, and keep a stranger's files."""
    whole = folder / "whole"
    if not whole.exists():
        to_the_end(job, whole)
    began = time.monotonic()
    # another one, whose programs are compiled, as those of the killed runs
    to_the_end(job, folder / "timed")
    seconds = time.monotonic() - began
    hits, count, same, stays = 0, 0, True, True
    while hits < kills:
        workdir = folder / f"killed{count}"
        run = in_bucket if name == "bucket" else in_folder
        more, stay = run(job, workdir, seconds, kills - hits)
        hits, count, stays = hits + more, count + 1, stays and stay
        same &= digests(whole) == digests(workdir)
    print(
        f"{name}: {hits} kills of {count} runs of {seconds:.0f} s; "
        f"digests {'equal' if same else 'DIFFER'}; files of a stranger {'stay' if stays else 'GONE'}",
        flush=True,
    )
    return same and stays


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = tuple(jobs(Path(), None))
    parser.add_argument("--job", action="append", choices=names, help="by default all")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="by default the bundled one of the config nano")
    given = parser.parse_args()
    random.seed(given.seed)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        every = jobs(Path(folder), given.model)
        chosen = given.job or names
        if {"recovery", "window"} & {*chosen} and "wanda" not in chosen:
            to_the_end(every["wanda"], Path(folder) / "wanda" / "whole")
        results = [tried(name, every[name], Path(folder) / name, given.kills) for name in chosen]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
