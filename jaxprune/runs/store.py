"""Finished steps by the digest of settings, input and samples: a search or a recipe does no step twice."""

import dataclasses
import hashlib
import json
from pathlib import Path

from jaxprune.base.progress import say
from jaxprune.base.workdir.differences import inputs
from jaxprune.base.workdir.reading import is_complete
from jaxprune.devices import hosts
from jaxprune.runs.run_step import Card, run_step
from jaxprune.steps.step import BlockStep, FolderStep


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of workdirs, one for each step.

    Attributes:
      folder: has the workdirs; another process must not write to it.
      card: see `run_step`.
    """

    folder: Path
    card: Card

    def made(self, step: BlockStep | FolderStep, name: str) -> Path:
        """The workdir of a finished run of a step, which is made, or resumed, unless it is there.

        Args:
          name: begins the name of the workdir, before the digest.

        Raises:
          InputError: as `run_step`.
        """
        opened = step.open()
        settings = json.dumps([step.name, inputs(step.identity(opened))], sort_keys=True)
        digest = hashlib.sha256(settings.encode()).hexdigest()
        folder = self.folder / f"{name}_{digest[:8]}"
        is_kept = is_complete(folder)
        if not is_kept:
            run_step(step, folder, self.card, opened=opened)
        if hosts.is_first():
            say(f"{step.name}: {folder.name} {'kept' if is_kept else 'made'}")
        return folder
