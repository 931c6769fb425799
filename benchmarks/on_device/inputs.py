"""Random weights where a model has a shape and no folder, and the token ids that all steps get."""

import json

import numpy as np

# Different tokens in all inputs together: about as many as calibration sets have.
TOKENS = 4096


def make(job, side, model):
    """Writes both; the model's sizes."""
    import random_checkpoint

    shape = job.models[model]["shape"]
    if shape:
        random_checkpoint.write(shape, job.folder(model), "bfloat16")
    opened = job.open(model)
    config = opened.config
    inputs = _inputs(config.vocab_size, job.sizes)
    (job.scratch / f"inputs.{model}.json").write_text(json.dumps(inputs))
    return {
        "random": bool(shape), "family": config.family, "parameters": opened.size, "layers": config.n_layers,
        "vocabulary": config.vocab_size, "stored": opened.dtype,
    }  # fmt: skip


def _inputs(vocabulary, sizes):
    rng = np.random.default_rng(0)
    ids = rng.choice(vocabulary, min(TOKENS, vocabulary), replace=False)

    def rows(count, low, high=None):
        lengths = rng.integers(low, (high or low) + 1, count)
        return [rng.choice(ids, length).tolist() for length in lengths]

    texts = rows(2, sizes["text"])
    few, many = (rows(sizes[name], sizes["length"]) for name in ("few_samples", "samples"))
    premises = rows(sizes["questions"], *sizes["premise"])
    hypotheses = rows(sizes["questions"], *sizes["hypothesis"])
    options = rows(sizes["options"], 1)
    [beginning] = rows(1, sizes["beginning"])
    return {
        "texts": texts,
        "few_samples": few,
        "samples": many,
        # a question's options follow each other; they share its premise
        "questions": [
            premise + option + hypothesis
            for premise, hypothesis in zip(premises, hypotheses, strict=True)
            for option in options
        ],
        "prompts": [beginning + rest for rest in rows(sizes["prompts"], *sizes["rest"])],
    }
