"""A model, texts and samples by language → a smaller model as a Hugging Face folder, and a report on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files import manifest
from jaxprune.base.schema import OUTPUT_PATH, check, checked
from jaxprune.data.batches import Batch, check_batches
from jaxprune.hf.model import Model, check_model
from jaxprune.shrinking.choose import Samples, Texts, choose
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.write import report_on, write_smaller


class Shrunk(NamedTuple):
    """A smaller model and the report on it.

    Attributes:
      model: opened from the folder that was written.
      report: `tokens`, `layers` and `parameters` before and after; by language in `selection` and `heldout` the texts,
        how many split as before, and their tokens before and after; in `depth` the dropped layers and their influence
        by language; in `width`, for each block, the share by language that its neurons have, and the damping of the
        Gram matrix.
    """

    model: Model
    report: dict[str, Any]


def shrink(
    model: Model,
    folder: str | Path,
    *,
    texts: Texts | None = None,
    heldout: Texts | None = None,
    expected: int | None = None,
    coverage: float | str = 1.0,
    tokens: int | None = None,
    multiple: int = 64,
    batches: Sequence[Batch] = (),
    layers: int | None = None,
    drop_layers: Sequence[int] | None = None,
    one_by_one: bool = True,
    mlp: float | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Shrunk:
    """Writes the model with fewer tokens, layers or neurons as an ordinary, smaller Hugging Face folder.

    *Tokens.* A text whose tokens are all kept is split as before. Its hidden states are equal, and so are the logits of
    kept tokens; only the sum over the vocabulary in the softmax is of fewer tokens. Byte tokens, white space, special
    tokens and those of the chat template are always kept; special tokens with "unused" or "reserved" in their names
    only if a text contains them.

    *Layers.* The layers with the least influence, 1 - mean cos(input, output) over tokens (ShortGPT), are dropped. The
    influence of a layer is the largest over the languages. Other layers are bit-identical.

    *Neurons.* Every block keeps the same number of neurons of its MLP, those with the largest share of
    Σ_n ‖h_n‖ Σ_out |W_n,out| in a language, where h are the inputs of the MLP's last kernel W. The kept rows of W are
    fitted to the outputs of all neurons by least squares, in float32.

    Args:
      model: for `texts` with a tokenizer of the kind BPE (byte-level, or with bytes for unknown characters) or Unigram.
      folder: new or empty, or with `overwrite` one that this package wrote.
      texts: texts by language code whose tokens are kept; None keeps all tokens.
      heldout: other texts by language, for the report.
      expected: number of tokens of each language's texts, after which the model's probabilities of all tokens count
        for as much as the texts, so that tokens of other texts are kept too; with `coverage` below 1 or `tokens`.
      coverage: least share of the tokens of each language's texts that are kept; the rarest ones are dropped. Or
        one for each language, as "en:0.999,fr:0.99".
      tokens: number of tokens to keep instead, by their largest share in a language.
      multiple: the numbers of tokens and of neurons are rounded up to a multiple of it.
      batches: samples that measure the layers, with `layers`, or the neurons, with `mlp`.
      layers: number of layers to keep; None keeps all.
      drop_layers: the layers to drop instead.
      one_by_one: measure again after each layer that is dropped.
      mlp: share of each block's neurons to keep.
      progress: show a progress bar.

    Raises:
      InputError: a value that is not allowed, nothing to shrink, no tokenizer or one of another kind, or a folder with
        other files.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> small, report = jp.shrink(model, "runs/example/fr", texts={"fr": ["le chat dort"]}, progress=False)
      >>> small.config.vocab_size < model.config.vocab_size
      True
      >>> report["selection"]["fr"]["same"]
      1
    """
    check_model(model)
    check("folder", folder, OUTPUT_PATH)
    check_batches(batches)
    fields = checked(ShrinkFields, {
        "expected": expected, "coverage": coverage, "tokens": tokens, "multiple": multiple, "layers": layers,
        "drop_layers": drop_layers and [*drop_layers], "one_by_one": one_by_one, "mlp": mlp,
    })  # fmt: skip
    fields.check_alternatives()
    for name, by_language in (("texts", texts or {}), ("heldout", heldout or {})):
        for code, language_texts in by_language.items():
            if isinstance(language_texts, str):  # its characters would pass for texts
                raise invalid_value(f"{name}: {code}", language_texts, "a list of texts")
            if not any(map(str.strip, language_texts)):
                raise InputError(f"{name}: {code}: no text; expected one or more")
    if not texts:
        fields.check_without_texts("", "texts")
        if heldout:
            raise invalid_value("heldout", heldout, "only with texts")
    samples = Samples(batches)
    kept = choose(model, fields, texts or {}, samples, progress=progress)
    folder = Path(folder).expanduser().absolute()
    try:
        smaller, narrow = write_smaller(
            model, kept, samples, folder, overwrite=overwrite, progress=progress
        )
    except BaseException:
        manifest.discard(folder)
        raise
    return Shrunk(smaller, report_on(model, smaller, kept, narrow, texts or {}, heldout or {}))
