"""What the runs of chaos.py work on: models, calibration sets, and what the same commands make undisturbed."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import chaos_process
import numpy as np
from chaos_process import ROOT

from jaxprune.files import sealed
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs import checkpoint, verify

# Small random models beside the bundled ones: other families, grouped heads; no tokenizer.
TINY = ("llama", "qwen3")
MODELS = (*CHECKPOINTS, *TINY)
TEXT = {"calibration.samples": 6, "calibration.shots": 1, "calibration.max_length": 32}
LINES = 12  # of each language
Outcome = Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a command makes when nothing happens to it.

    Attributes:
      outcome: of its workdir, see `outcome`; None where it is refused.
      said: the line of the refusal.
      steps: how often it opens, renames or removes a file.
      seconds: of its life.
    """

    outcome: Outcome | None
    said: str
    steps: int
    seconds: float


@dataclasses.dataclass
class World:
    """The folder of all runs.

    Attributes:
      root: models, what is compiled, references; each case has a folder in it.
    """

    root: Path

    def make(self) -> None:
        """Makes what all cases share."""
        for name in ("models", "compiled", "references"):
            (self.root / name).mkdir()
        for name, folder in CHECKPOINTS.items():
            shutil.copytree(folder, self.root / "models" / name)
        self._save_tiny()
        for name in MODELS:  # what they compile is compiled once
            for propagate in ("block", "dense", "site"):
                folder = self.root / "warm"
                self.lay_out(folder, name, text=False)
                fields = {"pruning.propagate": propagate}
                self._run(folder, fields, self.root / "compiled", writes=True)
                shutil.rmtree(folder)

    def clear(self) -> None:
        """Takes the folder away, and the small disks that a killed case left in it."""
        mounts = Path("/proc/mounts")
        for line in mounts.read_text().splitlines() if mounts.exists() else ():
            if line.split()[1].startswith(f"{self.root}{os.sep}"):
                subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def _save_tiny(self) -> None:
        """By torch, which runs do not have in their process."""
        script = (
            "import sys, conftest\n"
            "for name in sys.argv[2:]: conftest.tiny_torch(name).save_pretrained(f'{sys.argv[1]}/{name}')"
        )
        command = [sys.executable, "-c", script, str(self.root / "models"), *TINY]
        subprocess.run(command, cwd=Path(__file__).parent, check=True, capture_output=True)

    def lay_out(self, folder: Path, model: str, *, text: bool) -> None:
        """A case's own copy of a model and of a calibration set, `folder/{model,data}`."""
        folder.mkdir()
        shutil.copytree(self.root / "models" / model, folder / "model")
        data = folder / "data"
        data.mkdir()
        if text:
            for code in ("fr", "en"):
                lines = (
                    (ROOT / "jaxprune/nano/calibration" / f"{code}.txt").read_text().splitlines()
                )
                (data / f"{code}.txt").write_text("\n".join(lines[:LINES]) + "\n")
        else:
            rng = np.random.default_rng(0)
            ids = rng.integers(4, 120, (9, 24)).astype(np.int32)
            np.savez(data / "tokens.npz", input_ids=ids, code_ids=ids[:4, ::-1])

    def reference(self, folder: Path, fields: Mapping[str, object]) -> Reference:
        """What the command makes of a case's model and data as they are now, computed once."""
        key = hashlib.sha256(json.dumps([_content(folder), sorted(fields.items())]).encode())
        file = self.root / "references" / f"{key.hexdigest()}.json"
        if not file.is_file():
            scratch = self.root / f"scratch-{os.getpid()}"
            scratch.mkdir()
            for name in ("model", "data"):
                shutil.copytree(folder / name, scratch / name)
            found = self._run(scratch, fields, self.root / "compiled", writes=False)
            shutil.rmtree(scratch)
            unfinished = file.with_suffix(f".{os.getpid()}")
            unfinished.write_text(json.dumps(dataclasses.asdict(found)))
            unfinished.rename(file)
        return Reference(**json.loads(file.read_text()))

    def _run(
        self, folder: Path, fields: Mapping[str, object], compiled: Path, *, writes: bool
    ) -> Reference:
        log = folder / "log"
        command = prune(folder, folder / "run", fields)
        one = chaos_process.start(command, log, folder, devices=2, cache=(compiled, writes))
        chaos_process.wait([one])
        assert one.ended is not None
        steps, seconds = int(log.with_suffix(".steps").read_text()), one.ended - one.began
        if one.code == 2 and len(one.said) == 1:
            return Reference(None, one.said[0], steps, seconds)
        assert one.code == 0, f"undisturbed: {one.code} {one.said}"
        whole, faults = look(folder / "run")
        assert not faults, faults
        return Reference(whole, "", steps, seconds)


def prune(folder: Path, workdir: Path, fields: Mapping[str, object], *more: str) -> list[str]:
    """The command line of a case."""
    text = (folder / "data" / "fr.txt").exists()
    data = {"calibration.data": folder / "data"} | TEXT
    tokens = {"calibration.kind": "tokens", "calibration.data": folder / "data" / "tokens.npz"}
    return [
        "prune", f"--config={ROOT / 'configs' / 'base.py'}:{folder / 'model'}", f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in ((data if text else tokens) | dict(fields)).items()),
        *more,
    ]  # fmt: skip


def look(workdir: Path) -> tuple[Outcome | None, list[str]]:
    """What a workdir with a report.json holds, and what of it `verify` does not find as it was written."""
    if not (workdir / "report.json").exists():
        return None, []
    outcome, faults = chaos_process.call(lambda: _look(workdir))  # type: ignore[misc]
    return outcome, faults


def _look(workdir: Path) -> tuple[Outcome | None, list[str]]:
    with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
        try:
            faults = verify(workdir, progress=False)
        except ValueError as error:  # of a report.json that is none
            return None, [str(error)]
        return (None if faults else outcome(workdir)), faults


def outcome(workdir: Path) -> Outcome:
    """All that two equal runs have alike: digests, figures, statistics, every file of the Hugging Face folder."""
    report = json.loads((workdir / "report.json").read_text())
    alike = {name: report[name] for name in ("digests", "sparsity", "tokens", "models", "identity")}
    hf = workdir / "hf"
    files = {name: list(facts) for name, facts in sealed.table(hf).items()} if hf.is_dir() else None
    sums = hashlib.sha256()
    if (workdir / "stats").is_dir():
        stats = checkpoint.restore_stats(workdir / "stats")
        for role, sites in sorted(stats.sum_sq.items()):
            for site, array in sorted(sites.items()):
                sums.update(f"{role} {site} {array.shape}".encode() + array.tobytes())
    return alike | {"hf": files, "stats": sums.hexdigest()}


def _content(folder: Path) -> dict[str, str]:
    files = (path for name in ("model", "data") for path in (folder / name).rglob("*"))
    return {
        str(path.relative_to(folder)): sealed.file_facts(path)[1]
        for path in sorted(files)
        if path.is_file()
    }
