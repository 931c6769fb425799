"""Pruned parameters → Hugging Face folders, block by block or all at once."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.whole import write_json, write_text
from jaxprune.base.schema import OUTPUT_PATH, check
from jaxprune.hf.fingerprint import Fingerprint, files_in
from jaxprune.hf.hub import BESIDE, CONFIG_FILES
from jaxprune.hf.model import Model, check_model
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.weights import exported_specs, to_stored
from jaxprune.models.model import family_of
from jaxprune.models.trees import Params


class HfWriter:
    """Writes a Hugging Face folder part by part; the folder gets its final name when it is complete.

    Args:
      model: source of config, tokenizer and names.
      folder: new or empty, or with `overwrite` one that this package wrote.
      files: new text of files beside the weights, by name; None for a file that is not copied.

    Raises:
      InputError: the folder contains other files, or is the model's own.
    """

    def __init__(
        self,
        model: Model,
        folder: Path,
        overwrite: bool = False,
        files: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        self._model, self._files = model, files
        self._folder = folder.absolute()
        if self._folder.resolve() == model.folder.resolve():
            raise InputError(f"{folder}: the folder of the model; choose another folder")
        manifest.check_replaceable(self._folder, overwrite)
        self._unfinished = manifest.unfinished(self._folder)
        specs = exported_specs(model.config, model.source.dtype_of)
        self._shards = ShardWriter(self._unfinished, specs)

    def write_block(self, params: Params, layer: int) -> None:
        """Writes a block from memory, in the dtypes of the model."""
        self._shards.write(to_stored(self._model.config, params, "blocks", layer))

    def copy_unpruned(self) -> None:
        """Copies embedding and head from the model's source."""
        self._model.source.copy_unpruned(self._shards)

    def close(self, *, card: bool = False) -> None:
        """Writes config, tokenizer and optionally an empty card in place of the model's README; renames the folder."""
        self._shards.close()
        for file in _beside(self._model.folder, BESIDE):
            if file.name not in self._files:
                shutil.copyfile(file, self._unfinished / file.name)
        for name, content in self._files.items():
            if content is not None:
                write_text(self._unfinished / name, content)
        config = self._unfinished / "config.json"
        raw = json.loads(config.read_bytes())
        exported = family_of(self._model.config).exported(raw)
        # raw may have the dtype of a whole multimodal model, or of the model before `Model.replace`
        exported |= {n: self._model.dtype for n in ("dtype", "torch_dtype") if n in exported}
        if exported != raw:
            write_json(config, exported)
        if card:  # its text has the sizes of the finished files
            write_text(self._unfinished / manifest.CARD, manifest.signed(""))
        manifest.finish(self._folder)


def exported_beside(model: Model) -> Mapping[str, str]:
    """SHA-256, by name, of the files that an export copies and that a tokenizer may depend on."""
    return Fingerprint.of(_beside(model.folder, CONFIG_FILES)).digests


def _beside(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Files beside the weights, without the tables of files, which an export rewrites."""
    files = files_in(folder, patterns)
    return [file for file in files if not file.name.endswith((".index.json", manifest.TABLE))]


def export_hf(model: Model, params: Params, folder: str | Path, *, overwrite: bool = False) -> None:
    """Writes a folder that `transformers.AutoModelForCausalLM.from_pretrained` loads.

    No model card is written, as the origin of the parameters is unknown; `jaxprune prune` writes one. The README of the
    model's folder is copied unchanged and still describes that model.

    Args:
      model: source of config, tokenizer and names.
      params: {"embed", "blocks" [L, …], "head"}; written in their own dtype, which config.json then names.
      folder: new or empty, or with `overwrite` one that this package wrote.

    Raises:
      InputError: the folder contains other files, or is the model's own; parameters of another model, or with NaN or
        infinity.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> result = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
      >>> jp.export_hf(model, result.params, "runs/example/hf")
      >>> jp.load("runs/example/hf").size == model.size
      True
    """
    check_model(model)
    check("folder", folder, OUTPUT_PATH)
    written = model.replace(params)
    folder = Path(folder).expanduser().absolute()
    writer = HfWriter(written, folder, overwrite)
    try:
        writer.copy_unpruned()
        for layer in range(model.config.n_layers):
            writer.write_block(written.block(layer), layer)
        writer.close()
    except BaseException:
        manifest.discard(folder)
        raise
