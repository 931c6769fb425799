"""First lines of a text → how a model continues them, to be read beside the continuations of another model."""

from collections.abc import Mapping

from jaxprune.devices.memory import room
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.scoring.parts import weights_size
from jaxprune.evaluation.scoring.perplexity import PlainText
from jaxprune.evaluation.scoring.scorer import Scorer

LINES, BEGINNING, NEW_TOKENS = 3, 12, 24  # lines of a language; tokens of each


def continue_lines(
    scorer: Scorer, by_language: Mapping[str, PlainText]
) -> dict[str, list[dict[str, str]]]:
    """Continues the beginnings of the first LINES lines of each language greedily.

    A beginning is the first BEGINNING tokens of a line, at most half of its tokens. All beginnings are one batch.
    NEW_TOKENS tokens are generated for each, without a stop token, so that the shape of the batch is compiled once;
    a continuation ends before the first EOS.

    Args:
      scorer: of the model.
      by_language: texts by code; blank lines are skipped.

    Returns:
      By language, for each line its `beginning` and the `text` after it; empty if the model has too few positions, or
      if two copies of its weights would not fit in 60% of the memory of a device or, on CPUs, of the host.

    Raises:
      InputError: the model's logits are not finite.
    """
    model = scorer.model
    positions = model.config.max_positions or BEGINNING + NEW_TOKENS
    memory = next((size for size in room(scorer.mesh) if size is not None), 0)
    copies = 2 * weights_size(model, scorer.dtype)
    if positions < BEGINNING + NEW_TOKENS or copies > 0.6 * memory:
        return {}
    generator = Generator(model, dtype=scorer.dtype, mesh=scorer.mesh, progress=scorer.progress)
    tokenizer = model.tokenizer
    codes: list[str] = []
    prompts: list[list[int]] = []
    for code, text in by_language.items():
        for line in [line for line in text.lines if line.strip()][:LINES]:
            tokens = tokenizer(line)["input_ids"]
            codes.append(code)
            prompts.append(tokens[: min(BEGINNING, -(-len(tokens) // 2))])
    batch = max(1, len(prompts))
    generated = generator(prompts, max_new_tokens=NEW_TOKENS, batch=batch, name="continuations")
    continued: dict[str, list[dict[str, str]]] = {code: [] for code in by_language}
    for code, prompt, tokens in zip(codes, prompts, generated, strict=True):
        eos = tokenizer.eos_token_id
        ended = tokens[: tokens.index(eos)] if eos in tokens else tokens
        beginning, both = (
            str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in (prompt, prompt + ended)
        )
        beginning = beginning.rstrip("\N{REPLACEMENT CHARACTER}")  # a part of a character
        continued[code].append({"beginning": beginning, "text": both[len(beginning) :]})
    return continued
