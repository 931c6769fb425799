"""Quantises a pruned model with the tools that are installed, and counts what became of its zeros.

    python benchmarks/quantise.py --model runs/gemma/hf --flores FOLDER    # torchao, bitsandbytes, llm-compressor
    python benchmarks/quantise.py --gguf pruned-f32.gguf pruned-q4_0.gguf  # two files of llama.cpp
    python benchmarks/quantise.py --model FOLDER --write OUT [--gguf q8_0.gguf q4_0.gguf]

Of each way: which share of the zeros is still exactly zero, which share of the other weights became so, groups of four
along the inputs that hold more than two weights (2:4 allows none), and perplexity on lines 300-339 of FLORES. With
`--write` only the dequantised models are written, one folder for each way of torchao and for each .gguf file, to be
evaluated like any other; beside those of torchao, in quantised/, the quantised models. Needs torch and transformers,
and the tools or gguf.
"""

import argparse
import importlib.util
from pathlib import Path

import torch

WIDTH = 256  # tokens of a row


def kernels(model):
    """The weights of the blocks' linear layers by name."""
    head = model.get_output_embeddings()
    return {
        name: module.weight
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
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


def told(name, before, after):
    """A line on the weights that are in both, arrays [out, in] by name."""
    zeros = stay = others = lost = crowded = groups = 0
    for key, new in after.items():
        zero = before[key] == 0
        zeros, stay = zeros + zero.sum(), stay + (new[zero] == 0).sum()
        others, lost = others + (~zero).sum(), lost + (new[~zero] == 0).sum()
        full = (new != 0).reshape(-1, 4).sum(axis=1)
        crowded, groups = crowded + (full > 2).sum(), groups + full.size
    print(
        f"{name}: {stay / max(zeros, 1):.2%} of {zeros:,} zeros kept, {lost / max(others, 1):.3%} of the others "
        f"became zero, {crowded:,} of {groups:,} groups of four are fuller than 2:4",
        flush=True,
    )


def of_gguf(before, after):
    """Tensors of the blocks, by the type that they have in the second file."""
    import gguf

    first = {tensor.name: tensor for tensor in gguf.GGUFReader(before).tensors}
    by_type = {}
    for tensor in gguf.GGUFReader(after).tensors:
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            by_type.setdefault(tensor.tensor_type.name, []).append(tensor)
    for name, tensors in by_type.items():
        pair = ({t.name: t for t in tensors}, {t.name: first[t.name] for t in tensors})
        new, old = (
            {key: gguf.dequantize(t.data, t.tensor_type) for key, t in side.items()}
            for side in pair
        )
        told(f"llama.cpp {name}", old, new)


def arrays(model, dequantised=lambda module: module.weight):
    return {
        name: dequantised(model.get_submodule(name)).detach().float().numpy()
        for name in kernels(model)
    }


def torchao_ways():
    """Configurations by name."""
    import torchao.quantization as ao
    from torchao.quantization.granularity import PerGroup

    ways = {
        "int8": ao.Int8WeightOnlyConfig(),
        "int8 and int8 activations": ao.Int8DynamicActivationInt8WeightConfig(),
    }
    for mapping in (ao.MappingType.SYMMETRIC, ao.MappingType.ASYMMETRIC):
        ways[f"int4 by 32, {mapping.name.lower()}"] = ao.IntxWeightOnlyConfig(
            weight_dtype=torch.int4, granularity=PerGroup(32), mapping_type=mapping
        )
    return ways


def by_torchao(load, _):
    import torchao.quantization as ao

    for name, config in torchao_ways().items():
        model = load()
        chosen = kernels(model).keys()
        ao.quantize_(model, config, filter_fn=lambda _, name, chosen=chosen: name in chosen)
        yield name, model, arrays(model, lambda module: module.weight.dequantize())


def by_bitsandbytes(load, _):
    from bitsandbytes.functional import dequantize_4bit
    from transformers import BitsAndBytesConfig

    def dequantised(module):
        state = getattr(module.weight, "quant_state", None)
        return dequantize_4bit(module.weight.data, state) if state else module.weight.data

    ways = {"int8": {"load_in_8bit": True}} | {
        kind: {"load_in_4bit": True, "bnb_4bit_quant_type": kind} for kind in ("nf4", "fp4")
    }
    for name, options in ways.items():
        model = load(quantization_config=BitsAndBytesConfig(**options), dtype=torch.bfloat16)
        yield name, model, arrays(model, dequantised)


def by_llmcompressor(load, calibration):
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import GPTQModifier

    data = Dataset.from_list([{"input_ids": row.tolist()} for row in calibration])
    for scheme in ("W4A16", "W4A16_ASYM"):
        model = load()
        recipe = GPTQModifier(targets=["re:.*layers[.].*proj"], scheme=scheme)
        oneshot(model=model, dataset=data, recipe=recipe, num_calibration_samples=len(data))
        # which leaves in `weight` what the integers stand for
        yield f"GPTQ {scheme}", model, arrays(model)


def of_model(folder, flores, language):
    import transformers

    def load(dtype=torch.float32, **options):
        kinds = {"dtype": dtype, **options}
        return transformers.AutoModelForCausalLM.from_pretrained(folder, **kinds).eval()

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    held_out = rows(tokenizer, flores, language, 300, 339)
    calibration = rows(tokenizer, flores, language, 0, 299)[:8]
    model = load()
    before = arrays(model)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"as exported: perplexity {perplexity(model, held_out):.2f}")
    tools = {
        "torchao": by_torchao,
        "bitsandbytes": by_bitsandbytes,
        "llmcompressor": by_llmcompressor,
    }
    for tool, ways in tools.items():
        if importlib.util.find_spec(tool) is None:
            print(f"{tool} is not installed")
            continue
        print(tool, importlib.import_module(tool).__version__)
        for name, model, after in ways(load, calibration):
            told(f"{tool} {name}", before, after)
            print(f"  perplexity {perplexity(model, held_out):.2f}", flush=True)


def write(folder, out, files):
    import transformers

    def load(**options):
        return transformers.AutoModelForCausalLM.from_pretrained(folder, **options).eval()

    def save(name, model):
        target = out / name.replace(" ", "_").replace(",", "")
        model.save_pretrained(target)
        transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(target)
        print(target, flush=True)

    for name, config in torchao_ways().items():
        quantised = load(quantization_config=transformers.TorchAoConfig(quant_type=config))
        save(f"quantised/{name}", quantised)
    for name, _, after in by_torchao(load, None):
        model = load()
        for path, weight in after.items():
            model.get_submodule(path).weight.data.copy_(torch.from_numpy(weight))
        save(name, model)
    for file in files:
        # the config of the folder, as a .gguf file lacks the pattern of windows
        model, places = load(), {"gguf_file": file.name, "dtype": torch.float32}
        found = transformers.AutoModelForCausalLM.from_pretrained(file.parent, **places)
        model.load_state_dict(found.state_dict())
        save(file.stem, model)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--flores", type=Path)
    parser.add_argument("--language", default="fr")
    parser.add_argument("--gguf", type=Path, nargs="*", default=[])
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.model, arguments.write, arguments.gguf)
    elif len(arguments.gguf) == 2:
        of_gguf(*arguments.gguf)
    elif arguments.model and arguments.flores:
        of_model(arguments.model, arguments.flores, arguments.language)
    else:
        parser.error("--model and --flores, two files of --gguf, or --model and --write")


if __name__ == "__main__":
    main()
