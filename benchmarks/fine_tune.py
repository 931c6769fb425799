"""What quantise.py and others measure of a model in torch: its kernels, rows of text, perplexity."""

import torch

WIDTH = 256  # tokens of a row


def kernels(model):
    """The weights of the blocks' linear layers, by the name that they have before anything is wrapped."""
    head = model.get_output_embeddings()
    return {
        name.replace("base_model.model.", "").replace(".base_layer", ""): module.weight
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and ".lora_" not in name
    }


def rows(tokenizer, folder, language, first, last):
    """Windows of a text of some lines, each with the BOS in front that models such as Gemma have met texts with."""
    lines = (folder / f"{language}.txt").read_text(encoding="utf-8").split("\n")[first : last + 1]
    ids = tokenizer("\n".join(lines), add_special_tokens=False).input_ids
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    step = WIDTH - len(bos)
    return torch.tensor([bos + ids[i : i + step] for i in range(0, len(ids) - step + 1, step)])


@torch.no_grad()
def perplexity(model, held_out):
    losses = [model(input_ids=row[None], labels=row[None]).loss for row in held_out]
    return float(torch.stack(losses).mean().exp())
