"""Smaller models beside the dense one, in transformers and llama.cpp: load, generation, scoring, memory, bytes.

    python benchmarks/smaller.py --text FILE DENSE SMALL [SMALL ...] [--json OUT]

A model is a Hugging Face folder, or a .gguf file, which llama.cpp runs. Each runs in a process of its own, in turn,
`--rounds` times. Prints medians and their ratios to the first model of the same program: seconds to load, greedy
tokens/s after the first 200 characters of a text, tokens/s of a forward pass over the text's first 4,000 characters
(as much of the text, with whatever tokens a model has), and the largest resident memory. Needs torch and transformers,
and for .gguf files llama-cpp-python.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

NEW = 64  # tokens that are generated


def in_transformers(folder):
    """Functions that split a text, generate after tokens, and score tokens."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    limits = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False}

    @torch.no_grad()
    def generate(tokens):
        model.generate(torch.tensor([tokens]), **limits)

    @torch.no_grad()
    def score(tokens):
        torch.log_softmax(model(torch.tensor([tokens])).logits, dim=-1)

    return lambda text: tokenizer(text).input_ids, generate, score


def in_llama(file):
    """The same in llama.cpp."""
    import llama_cpp

    model = llama_cpp.Llama(
        str(file), n_ctx=4096, n_batch=2048, logits_all=True, verbose=False,
        n_threads=os.cpu_count(), n_threads_batch=os.cpu_count(),
    )  # fmt: skip

    def generate(tokens):
        model.reset()
        stream = model.generate(tokens, temp=0.0)
        for _ in range(NEW):
            next(stream)

    def score(tokens):
        model.reset()
        model.eval(tokens)

    return lambda text: model.tokenize(text.encode()), generate, score


def is_gguf(path):
    return path.suffix == ".gguf"


def measure(path, text):
    start = time.perf_counter()
    split, generate, score = (in_llama if is_gguf(path) else in_transformers)(path)
    loaded = time.perf_counter() - start
    short, long = split(text[:200]), split(text[:4000])

    def rate(tokens, call):
        call()
        times = []
        for _ in range(3):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return tokens / statistics.median(times)

    generated, scored = rate(NEW, lambda: generate(short)), rate(len(long), lambda: score(long))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    files = [path] if path.is_file() else path.glob("*.safetensors")
    return {
        "load, s": loaded,
        "generate, tokens/s": generated,
        "score, tokens/s": scored,
        "memory, GB": peak / 1e9,
        "files, GB": sum(file.stat().st_size for file in files) / 1e9,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the medians of each model")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments.folders[0], arguments.text.read_text("utf-8"))))
        return
    rounds = {folder: [] for folder in arguments.folders}
    for _ in range(arguments.rounds):
        for folder, found in rounds.items():
            command = [sys.executable, __file__, "--worker", "--text", arguments.text, folder]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        folder: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for folder, found in rounds.items()
    }
    for folder, found in medians.items():
        dense = next(of for path, of in medians.items() if is_gguf(path) == is_gguf(folder))
        shown = (f"{name} {value:.2f} ({value / dense[name]:.2f})" for name, value in found.items())
        print(f"{folder}: {', '.join(shown)}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({str(path): found for path, found in medians.items()}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
