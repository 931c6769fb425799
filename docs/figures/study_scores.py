"""The scores of the study's models: workdirs of its sweeps → studies/study/<part>.npz and models.json, and back.

python docs/figures/study_scores.py RUNS    RUNS has workdirs PART or PART-ANYTHING, which may be incomplete
"""

import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxprune.base.files import manifest
from jaxprune.base.workdir.reading import file_faults, read_report
from jaxprune.evaluation.measurements import MEASUREMENTS, read_evaluation, read_measurements
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, values_of_parts
from jaxprune.evaluation.scoring.priors import within_groups
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.hf.orbax_folder import restore_packed_masks

STUDY = Path(__file__).parents[2] / "studies" / "study"
MODELS = STUDY / "models.json"
PARTS = ("translation", "languages", "code", "highest", "sparsegpt", "owl")
# The part whose masks are compared with each other.
COMPARED = "languages"
# The part whose models translate.
TRANSLATED = "highest"
TASKS = ("xnli", "sentiment")


def collect(runs: Path) -> None:
    """Adds the scores of all finished models, and where each was made; what was collected before is kept."""
    models = json.loads(MODELS.read_text(encoding="utf-8")) if MODELS.is_file() else {}
    for part in PARTS:
        sweeps = [runs / part, *sorted(runs.glob(f"{part}-*"))]
        found = [run for sweep in sweeps if sweep.is_dir() for run in sorted(sweep.iterdir())]
        if not (finished := [run for run in found if is_finished(run, part)]):
            continue
        arrays = read_arrays(STUDY / f"{part}.npz")
        for run in finished:
            arrays |= of_run(run)
        if part == COMPARED:
            shared = shared_weights([run for run in finished if "-draw" in run.name])
            if {*arrays.get("masks/models", ())} <= {*shared.get("masks/models", ())}:
                arrays |= shared
        np.savez_compressed(STUDY / f"{part}.npz", **arrays)
        before = models.get(part, {})
        models[part] = before | {run.name: origin(run, before.get(run.name)) for run in finished}
    lines = (
        f"{json.dumps(part)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in found.items())
        + "\n}"
        for part, found in models.items()
    )
    MODELS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a part; none without the file."""
    if not file.is_file():
        return {}
    with np.load(file) as arrays:
        return dict(arrays)


def is_finished(run: Path, part: str) -> bool:
    """Whether a model is pruned and evaluated; all its files, but for hf/, are as they were written."""
    last = TRANSLATION if part == TRANSLATED else PERPLEXITY
    folders = [file.parent for file in run.glob(f"*/{manifest.TABLE}") if file.parent.name != "hf"]
    report = read_report(run)
    pruned = run.name == "dense" or (
        report is not None and all(fault.startswith("hf/") for fault in file_faults(run, report))
    )
    return pruned and (run / last) in folders and not any(map(any, map(manifest.faults, folders)))


def of_run(run: Path) -> dict[str, np.ndarray]:
    """The scores of a model: "MODEL/TASK/LANGUAGE" and so on; rows and labels are those of the dense model."""
    arrays: dict[str, np.ndarray] = {}
    for task in TASKS:
        for file in sorted(run.glob(f"{task}/*.npz")):
            with np.load(file) as found:
                arrays[f"{run.name}/{task}/{file.stem}"] = found["scores"].astype(np.float32)
                if run.name == "dense":
                    names = ("labels", "groups", "rows")
                    arrays |= {f"{n}/{task}/{file.stem}": found[n] for n in names if n in found}
    for file in sorted(run.glob(f"{PERPLEXITY}/*.npz")):
        with np.load(file) as found:
            parts = np.stack([found["part_sums"], found["part_tokens"]], axis=1)
            arrays[f"{run.name}/{PERPLEXITY}/{file.stem}"] = parts
    for code, one in figures(run, TRANSLATION).items():
        arrays[f"{run.name}/{TRANSLATION}/{code}"] = np.array([one["chrf"], one["bleu"]])
    return arrays


def figures(run: Path, folder: str) -> dict[str, dict[str, float]]:
    """The values of all measures by language; empty without measurements."""
    if not (run / folder / MEASUREMENTS).is_file():
        return {}
    values: dict[str, dict[str, float]] = {}
    for one in read_measurements(run / folder):
        values.setdefault(one.language, {})[one.measure] = one.value
    return values


def shared_weights(runs: list[Path]) -> dict[str, np.ndarray]:
    """The share of the kept weights that two models have in common, [model, model]."""
    if len(runs) < 2:
        return {}
    masks = [restore_packed_masks(run / "checkpoint") for run in runs]
    both = np.array(
        [
            [sum(n.sum() for n in one.intersect(other).kept().values()) for other in masks]
            for one in masks
        ]
    )
    names = np.array([run.name for run in runs])
    return {"masks/models": names, "masks/shared": both / both.diagonal()[:, None]}


def origin(run: Path, before: dict[str, str] | None) -> dict[str, str]:
    """What made a model: digests of the code, of the input and of the result, and the CPU.

    The CPU is this machine's, unless `before` is of the same model: another machine may have made it.
    """
    facts = read_evaluation(run / PERPLEXITY)
    made = {"evaluated": facts["model_sha256"][:16], "cpu": cpu()}
    made |= {name: facts["environment"][name] for name in ("jax", "jaxprune")}
    if (run / "report.json").is_file():
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        made |= {"code": report["identity"]["code"][:16]}
        made |= {name: digest[:16] for name, digest in report["digests"].items()}
    if before and before | {"cpu": cpu()} == made:
        return before
    return made


@functools.cache
def cpu() -> str:
    """The name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))


class Scores:
    """The scores of a part, from the arrays of its file."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays = arrays

    @property
    def models(self) -> list[str]:
        """Names of the models, the dense one first."""
        names = {name.split("/")[0] for name in self._arrays} - {
            "labels",
            "groups",
            "rows",
            "masks",
        }
        return sorted(names, key=lambda name: (name != "dense", name))

    def languages(self, model: str, folder: str) -> Iterator[str]:
        """Languages in which a model has scores."""
        for name in self._arrays:
            if name.startswith(f"{model}/{folder}/"):
                yield name.rpartition("/")[2]

    def scored(self, model: str, task: str, code: str) -> Scored:
        """The scores of a task."""
        which = f"{task}/{code}"
        about = {n: self._arrays.get(f"{n}/{which}") for n in ("labels", "rows", "groups")}
        return Scored(self._arrays[f"{model}/{which}"], **about)

    def discrimination(self, model: str, code: str) -> np.ndarray:
        """By premise of XNLI, the share of comparisons in which the right option is preferred."""
        return self._by_premise(model, code, "preferred")

    def contrast(self, model: str, code: str) -> np.ndarray:
        """By premise of XNLI, the mean of the same comparisons' differences of log-probabilities."""
        return self._by_premise(model, code, "contrast")

    def _by_premise(self, model: str, code: str, measure: str) -> np.ndarray:
        scored = self.scored(model, "xnli", code)
        order = np.argsort(scored.clusters, kind="stable")
        values = getattr(within_groups(scored), measure)[order]
        return values.reshape(-1, 3).mean(axis=1)  # three hypotheses each

    def log_perplexity(self, model: str, code: str) -> np.ndarray:
        """By run of ten lines; their mean is the mean over tokens."""
        return -values_of_parts(*self._arrays[f"{model}/{PERPLEXITY}/{code}"].T)

    def chrf(self, model: str, code: str) -> float:
        """Of the translations into English, 0 to 100."""
        return float(self._arrays[f"{model}/{TRANSLATION}/{code}"][0])

    def bleu(self, model: str, code: str) -> float:
        """Of the same translations, 0 to 100."""
        return float(self._arrays[f"{model}/{TRANSLATION}/{code}"][1])

    @property
    def shared(self) -> dict[tuple[str, str], float]:
        """By two models, the share of the kept weights that they have in common; empty without masks."""
        names = self._arrays.get("masks/models", np.array([]))
        return {
            (a, b): self._arrays["masks/shared"][i, j]
            for i, a in enumerate(names)
            for j, b in enumerate(names)
        }


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
