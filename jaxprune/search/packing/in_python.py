"""The Python API of the command pack."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.base.schema import OUTPUT_PATH, check, checked
from jaxprune.base.text import NotebookTable, Table
from jaxprune.hf.model import Model, load
from jaxprune.pages.packed_model import result_table, verdict
from jaxprune.search.packing.config import PackConfig
from jaxprune.search.packing.pack import pack_from_config


@dataclasses.dataclass(frozen=True, repr=False)
class Packed(NotebookTable):
    """The result of `pack`.

    Attributes:
      model: the packed model, opened from `workdir/hf`.
      record: the content of pack.json: sizes and losses of all steps, and `result` by language.
    """

    model: Model
    record: Mapping[str, Any]

    def _shown(self) -> tuple[str, list[Table]]:
        result = self.record["result"]
        return verdict(result), [result_table(result)]


def pack(
    model: str | Path,
    workdir: str | Path,
    *,
    languages: str | Sequence[str],
    text: str | Path | None = None,
    heldout: str | Path | None = None,
    size: str | None = None,
    loss: str | None = None,
    recover: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Packed:
    """Makes a model small and fast for some languages, and writes `workdir/model.gguf` for llama.cpp.

    It keeps the tokens of the texts and those that the model expects in other texts of the languages, rounds the rest
    to few bits, calibrated on the texts, and measures bits per byte on text held out: on one part the choices, on
    another the result. An interrupted packing goes on when the call is repeated.

    Args:
      model: the dense model, a hub id or a Hugging Face folder.
      workdir: receives model.gguf, hf/ with the same weights in float32, and pack.json.
      languages: codes, in a list or separated by commas.
      text: a folder of <language>.txt or .jsonl; without it the model writes text itself.
      heldout: other text, on which losses are measured; by default the last fifth of each text.
      size: size of model.gguf at most, such as "0.15GB"; the loss is then as small as it can be.
      loss: bits per byte that any language may lose, such as "3%", the default; the file is then as small as it can be.
      recover: minutes of distillation after rounding.
      seed: of the samples.
      overwrite: replace another packing in the workdir.

    Raises:
      InputError: as `jaxprune pack`: two limits, too little text, no file of this size, a model that llama.cpp does not
        have.

    Examples:
      >>> import jaxprune as jp
      >>> from pathlib import Path
      >>> texts = Path("runs/example/texts")
      >>> texts.mkdir(parents=True, exist_ok=True)
      >>> lines = [f"le chat {i} dort" for i in range(100)]
      >>> _ = (texts / "fr.txt").write_text("\\n".join(lines))
      >>> packed = jp.pack("nano/bloom", "runs/example/pack", languages="fr", text=texts)
      >>> packed.model.config.vocab_size < 1400
      True
    """
    values = {
        "model": str(model), "languages": languages, "text": None if text is None else str(text),
        "heldout": None if heldout is None else str(heldout), "size": size, "loss": loss,
        "recover": recover, "seed": seed,
    }  # fmt: skip
    check("workdir", workdir, OUTPUT_PATH)
    folder = Path(workdir).expanduser()
    config = checked(PackConfig, values)
    record = pack_from_config(config, folder, overwrite=overwrite)
    return Packed(load(folder / "hf"), record)
