"""Fine-tunes a pruned model in torch: all its weights with the zeros kept, and by LoRA, merged with and without masks.

    python benchmarks/fine_tune.py --model runs/gemma/hf --flores FOLDER --language fr

Trains on lines 0-299 of FLORES in one language and prints, of each model, perplexity on lines 300-339 and how many of
the zeros that pruning put into the blocks are still there. Needs torch, transformers and peft.
"""

import argparse
from pathlib import Path

import torch
import transformers

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


def train(model, parameters, train_rows, steps, rate, after=lambda: None):
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    optimizer.register_step_post_hook(lambda *_: after())
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        batch = train_rows[torch.randint(len(train_rows), (2,), generator=order)]
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def put_back(model, dropped):
    """The zeros that pruning made."""
    for name, weight in kernels(model).items():
        weight.masked_fill_(dropped[name], 0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--flores", type=Path, required=True)
    parser.add_argument("--language", default="fr")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rank", type=int, default=16)
    arguments = parser.parse_args()
    import peft  # late: quantise.py takes functions from here, where it may be missing

    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    where = tokenizer, arguments.flores, arguments.language
    trained_on, held_out = rows(*where, 0, 299), rows(*where, 300, 339)

    def load():
        return transformers.AutoModelForCausalLM.from_pretrained(
            arguments.model, dtype=torch.float32
        )

    model = load()
    dropped = {name: weight == 0 for name, weight in kernels(model).items()}

    def tell(name, model):
        total = sum(int(mask.sum()) for mask in dropped.values())
        stay = sum(int((w[dropped[n]] == 0).sum()) for n, w in kernels(model).items())
        print(
            f"{name}: perplexity {perplexity(model, held_out):.2f}, zeros {stay / total:.2%}",
            flush=True,
        )

    print(
        f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    )
    tell("pruned", model)
    train(
        model,
        model.parameters(),
        trained_on,
        arguments.steps,
        1e-5,
        lambda: put_back(model, dropped),
    )
    tell("fine-tuned, zeros kept", model)
    model = load()
    train(model, model.parameters(), trained_on, arguments.steps, 1e-5)
    tell("fine-tuned, nothing kept", model)
    config = peft.LoraConfig(r=arguments.rank, target_modules="all-linear")
    adapted = peft.get_peft_model(load(), config)
    trainable = [weight for weight in adapted.parameters() if weight.requires_grad]
    train(adapted, trainable, trained_on, arguments.steps, 2e-4)
    tell("LoRA beside the weights", adapted)
    merged = adapted.merge_and_unload()
    tell("LoRA merged", merged)
    put_back(merged, dropped)
    tell("LoRA merged, zeros put back", merged)


if __name__ == "__main__":
    main()
