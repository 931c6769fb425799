"""What the rows of test_faults.py work on: a folder of their own, and whole things there to be damaged."""

import json
import os
import pickle
import re
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
from evaluated import evaluation, scored, written

from jaxprune.nano import CHECKPOINTS

ROOT = Path(__file__).parents[2]
WEIGHTS = "model.safetensors"
FAULTY_TASK = """
name = "toy"
data = "{data}"
languages = ["en", "fr"]
labels = ["no", "yes"]
[label]
field = "label"
[paper]
template = "{{text}} {{option}}"
options = ["no", "yes"]
"""
GOOD_ROW = '{"text": "the dog", "label": 1}\n'


class Attack:
    """Unpickled it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class Place:
    """A folder; methods that damage something give what the command line needs of it.

    Attributes:
      folder: where everything of the row lies.
      workdir: of the script; not there yet.
      marker: a file that only code out of a damaged file would make.
      patch: pytest's monkeypatch.
      keep: enters a context until the script is done.
    """

    def __init__(self, folder, whole_run, patch, keep):
        self.folder, self.workdir, self.marker = folder, folder / "workdir", folder / "marker"
        self.patch, self.keep, self._whole_run = patch, keep, whole_run

    # Command lines.

    def script(self, name, *fields, model=CHECKPOINTS["bloom"], workdir=None):
        config = f"--config={ROOT / 'configs' / 'base.py'}:{model}"
        flags = [f"--config.{field}" for field in fields]
        return [name, config, f"--workdir={workdir or self.workdir}", *flags]

    def prune(self, *fields, **kwargs):
        """Without statistics, unless a field says otherwise: reads no text."""
        return self.script("prune", "pruning.criterion=magnitude", *fields, **kwargs)

    def wanda(self, data, *fields, **kwargs):
        few = "calibration.samples=2", "calibration.shots=1", "calibration.max_length=32"
        return self.script("prune", f"calibration.data={data}", *few, *fields, **kwargs)

    def on_tokens(self, path, *fields, **kwargs):
        return self.wanda(path, "calibration.kind=tokens", *fields, **kwargs)

    def evaluate(self, *fields, **kwargs):
        return self.script("evaluate", "evaluation.rows=4", *fields, **kwargs)

    # Models.

    def model(self, name="bloom", **attributes):
        """A copy of a bundled model with other attributes in its config.json; None takes one away."""
        folder = self.folder / "model"
        shutil.copytree(CHECKPOINTS[name], folder)
        config = json.loads((folder / "config.json").read_text()) | attributes
        config = {key: value for key, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    def with_file(self, file, content):
        """A model in which a file holds other bytes."""
        folder = self.model()
        (folder / file).write_bytes(content)
        return folder

    def with_tensors(self, names, change, model="bloom"):
        """A model with other values in the tensors in whose names a pattern is found: a function of those there."""
        folder = self.model(model)
        content = bytearray((folder / WEIGHTS).read_bytes())
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        for name in filter(re.compile(names).search, header):
            begin, end = (8 + length + offset for offset in header[name]["data_offsets"])
            tensor = np.frombuffer(content[begin:end], np.float32)
            content[begin:end] = (
                np.broadcast_to(change(tensor), tensor.shape).astype(np.float32).tobytes()
            )
        (folder / WEIGHTS).write_bytes(content)
        return folder

    def with_attack(self):
        folder = self.model()
        (folder / WEIGHTS).unlink()
        with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"w": Attack(self.marker)}, 2))
            archive.writestr("archive/version", "3")
        return folder

    # Texts, tokens, tasks.

    def texts(self, **contents):
        """A folder of <language>.txt."""
        folder = self.folder / "texts"
        folder.mkdir()
        for code, content in contents.items():
            raw = content if isinstance(content, bytes) else content.encode()
            (folder / f"{code}.txt").write_bytes(raw)
        return folder

    def npz(self, **arrays):
        path = self.folder / "tokens.npz"
        np.savez(path, **arrays)
        return path

    def npz_attack(self):
        return self.npz(input_ids=np.array([[Attack(self.marker)]], dtype=object))

    def file(self, content, name="tokens.npz"):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def task(self, *rows):
        """A task whose English rows are these lines; the path of its .toml."""
        data = self.folder / "rows"
        data.mkdir()
        raw = b"".join(row if isinstance(row, bytes) else row.encode() for row in rows)
        (data / "en.jsonl").write_bytes(raw)
        path = self.folder / "toy.toml"
        path.write_text(FAULTY_TASK.format(data=data))
        return f"evaluation.tasks={path}"

    # Runs.

    def runs(self):
        """Two evaluated runs of one task."""
        rows = {"en": scored(np.eye(3)[[0, 1, 2, 1]], [0, 1, 2, 0])}
        return [written(evaluation(name, xnli=rows), self.folder / name) for name in "ab"]

    def whole_run(self, name="run"):
        """A copy of a pruned model's workdir."""
        return shutil.copytree(self._whole_run, self.folder / name)


def largest(folder):
    """The largest of the files below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return max(files, key=lambda file: file.stat().st_size)


def halve(file):
    os.truncate(file, file.stat().st_size // 2)
