"""What the steps of all processes share: models, sizes, inputs, and the files that they leave for each other."""

import json
from pathlib import Path

DTYPES = ("float32", "bfloat16")
# Of everything that is timed.
SPEED_DTYPE = "bfloat16"
SPARSITY = 0.5
MACHINE, RATES = "device.machine.all", "device.rates.all"


class NotComparableError(Exception):
    """Says why there is nothing to compare with; that is no failure."""


class Job:
    """A folder of scratch files.

    Attributes:
      models: name → {"folder", "shape"}; the shape is None where the folder is there already.
      sizes: see sizes.py.
    """

    def __init__(self, folder):
        self.scratch = Path(folder)
        job = json.loads((self.scratch / "job.json").read_text())
        self.models, self.sizes = job["models"], job["sizes"]

    @classmethod
    def create(cls, folder, models, sizes):
        Path(folder, "job.json").write_text(json.dumps({"models": models, "sizes": sizes}))
        return cls(folder)

    def folder(self, model):
        """The Hugging Face folder of a model."""
        return Path(self.models[model]["folder"])

    def open(self, model):
        import jaxprune as jp

        return jp.load(self.folder(model))

    def inputs(self, model):
        """Token ids that all sides get, by what they are for."""
        return json.loads((self.scratch / f"inputs.{model}.json").read_text())

    def arrays(self, side, what, model):
        """The file of arrays that a step leaves for the comparison."""
        return self.scratch / f"{side}.{what}.{model}.npz"

    def result_file(self, key):
        """Where a step leaves what it found; `key` is SIDE.STEP.MODEL."""
        return self.scratch / f"{key}.json"

    def result(self, key):
        """What a step found, None where it has not ended."""
        file = self.result_file(key)
        return json.loads(file.read_text()) if file.exists() else None

    @property
    def rates(self):
        """What one device does at most, see `machine.rates`; None where that could not be measured."""
        found = self.result(RATES)
        return None if found is None or "error" in found else found
