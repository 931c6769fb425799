"""Hugging Face folders out of pruned parameters, block by block or all at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from jaxprune.errors import InputError
from jaxprune.files import sealed, write_json, write_text
from jaxprune.hf.fingerprint import Fingerprint, files_in
from jaxprune.hf.hub import CONFIG_FILES, TERMS
from jaxprune.hf.model import Model, check_model
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.weights import exported_specs, to_stored
from jaxprune.models import Params, family_of
from jaxprune.schema import PATH, check

# The files beside the weights that an export copies: config, tokenizer, licence; no code.
BESIDE = (*CONFIG_FILES, *TERMS)


class HfWriter:
    """A Hugging Face folder in the making: it is filled part by part and gets its name when it is whole.

    Args:
      model: gives config, tokenizer and names.
      folder: one of this package's is replaced with `overwrite`; any other must not be there, or be empty.

    Raises:
      InputError: the folder holds other things, or is the model's own.
    """

    def __init__(self, model: Model, folder: Path, overwrite: bool = False) -> None:
        self._model = model
        self._folder = folder.absolute()
        if self._folder.resolve() == model.folder.resolve():
            raise InputError(f"{folder}: the model is read from there; allowed: another folder")
        sealed.check_replaceable(self._folder, overwrite)
        self._unfinished = sealed.unfinished(self._folder)
        specs = exported_specs(model.config, model.source.dtype_of)
        self._shards = ShardWriter(self._unfinished, specs)

    def write_block(self, params: Params, layer: int) -> None:
        """Writes a block from memory, in the dtypes that the model has."""
        self._shards.write(to_stored(self._model.config, params, "blocks", layer))

    def copy_unpruned(self) -> None:
        """Embedding and head, from where the model has them."""
        self._model.source.copy_unpruned(self._shards)

    def close(self, card: str | None = None) -> None:
        """Writes config (of what is exported), tokenizer and the card in place of the model's; names the folder."""
        self._shards.close()
        for file in _beside(self._model.folder, BESIDE):
            shutil.copyfile(file, self._unfinished / file.name)
        config = self._unfinished / "config.json"
        raw = json.loads(config.read_bytes())
        if (exported := family_of(self._model.config).exported(raw)) != raw:
            write_json(config, exported)
        if card is not None:
            write_text(self._unfinished / sealed.CARD, sealed.signed(card))
        sealed.finish(self._folder)


def exported_beside(model: Model) -> Mapping[str, str]:
    """SHA-256, by name, of the files that an export copies and that a tokenizer may be read from."""
    return Fingerprint.of(_beside(model.folder, CONFIG_FILES)).digests


def _beside(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Files beside the weights, without the tables of files, which an export makes anew."""
    found = files_in(folder, patterns)
    return [file for file in found if not file.name.endswith((".index.json", sealed.TABLE))]


def export_hf(model: Model, params: Params, folder: str | Path, *, overwrite: bool = False) -> None:
    """Writes a folder that `transformers.AutoModelForCausalLM.from_pretrained` loads.

    It gets no model card, as nothing here says how the parameters were made; `scripts/prune.py` writes one. A README
    of the model's folder is copied as it is, and is still about that model.

    Args:
      model: gives config, tokenizer and names.
      params: {"embed", "blocks" [L, …], "head"}; written in their own dtype.
      folder: new or empty, or with `overwrite` one that this package wrote.

    Raises:
      InputError: the folder holds something else, or is the one that the model is read from; parameters of another
        model, or that hold NaN or infinity.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("jaxprune/nano/checkpoints/bloom")
      >>> result = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
      >>> jp.export_hf(model, result.params, "runs/example/hf")
      >>> jp.load("runs/example/hf").size == model.size
      True
    """
    check_model(model)
    check("folder", folder, PATH)
    written = model.replace(params)
    folder = Path(folder).expanduser().absolute()
    writer = HfWriter(written, folder, overwrite)
    try:
        writer.copy_unpruned()
        for layer in range(model.config.n_layers):
            writer.write_block(written.block(layer), layer)
        writer.close()
    except BaseException:
        sealed.discard(folder)
        raise
