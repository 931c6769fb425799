"""The torch ways to score and to generate: transformers' models, in padded batches on one device."""

import torch
import transformers


def attentions(folder):
    """Kinds of attention that transformers has for a model, the fused one first; it has none for BLOOM and XGLM."""
    kind = type(transformers.AutoConfig.from_pretrained(folder))
    fused = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[kind]._supports_sdpa
    return ("sdpa", "eager") if fused else ("eager",)


def load(folder, dtype="float32", device="cpu", attention=None):
    """The model of a folder, ready to run."""
    kinds = {"dtype": getattr(torch, dtype), "attn_implementation": attention}
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, **kinds)
    return model.eval().to(device)


def padded(ids, left, device):
    """(tokens, mask) [B, T] of rows of token ids."""
    width = max(map(len, ids))
    tokens = torch.zeros((len(ids), width), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, one in enumerate(ids):
        place = slice(width - len(one), width) if left else slice(len(one))
        tokens[row, place] = torch.as_tensor(one)
        mask[row, place] = 1
    return tokens.to(device), mask.to(device)


@torch.no_grad()
def scores(model, ids, batch):
    """Log-probabilities of the tokens 1… of each sequence, in their order; log-softmax over the whole vocabulary."""
    found = []
    for start in range(0, len(ids), batch):
        rows = ids[start : start + batch]
        tokens, mask = padded(rows, False, model.device)
        logits = model(tokens, attention_mask=mask).logits[:, :-1].float().log_softmax(-1)
        chosen = logits.gather(2, tokens[:, 1:, None])[..., 0].cpu().numpy()
        found += [row[: len(one) - 1] for row, one in zip(chosen, rows, strict=True)]
    return found


def generated(model, ids, stop, new, batch):
    """What follows each prompt, greedily, at most `new` tokens; rows of like length share a batch."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found = [None] * len(ids)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        tokens, mask = padded([ids[i] for i in chosen], True, model.device)
        out = model.generate(
            tokens,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=new,
            eos_token_id=list(stop) or None,
            pad_token_id=next(iter(stop), 0),
        )
        for row, i in enumerate(chosen):
            sequence = out[row, tokens.shape[1] :].tolist()
            end = next((k for k, token in enumerate(sequence) if token in stop), len(sequence))
            found[i] = sequence[:end]
    return found
