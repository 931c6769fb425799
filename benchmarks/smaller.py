"""Smaller models in transformers beside the dense one: load, generation, scoring, memory.

    python benchmarks/smaller.py --text FILE DENSE SMALL [SMALL ...]

Each model runs in a process of its own, in turn, `--rounds` times. Prints medians and their ratios to the first model:
seconds to load, greedy tokens/s after the first 200 characters of a text, tokens/s of a forward pass over the text's
first 4,000 characters, and the largest resident memory. Needs torch and transformers.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

NEW = 64  # tokens that are generated


def measure(folder, text):
    import torch
    import transformers

    start = time.perf_counter()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    loaded = time.perf_counter() - start
    prompt = tokenizer(text[:200], return_tensors="pt").input_ids
    long = tokenizer(text[:4000], return_tensors="pt").input_ids

    def rate(tokens, call):
        call()
        times = []
        for _ in range(3):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return tokens / statistics.median(times)

    limits = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False}
    with torch.no_grad():
        generated = rate(NEW, lambda: model.generate(prompt, **limits))
        scored = rate(long.shape[1], lambda: torch.log_softmax(model(long).logits, dim=-1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"load, s": loaded, "generate, tokens/s": generated, "score, tokens/s": scored,
            "memory, GB": peak / 1e9}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
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
    dense = medians[arguments.folders[0]]
    for folder, found in medians.items():
        shown = (f"{name} {value:.2f} ({value / dense[name]:.2f})" for name, value in found.items())
        print(f"{folder}: {', '.join(shown)}")


if __name__ == "__main__":
    main()
