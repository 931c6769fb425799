"""Label scoring here against the torch way, alternately in one run, on the same weights and rows.

    python benchmarks/evaluate.py --model FOLDER --data FOLDER_OF_XNLI_JSONL --language fr

The torch way: batches of 32, one padded forward a label, log-softmax over the whole vocabulary. Prints
seconds, ratios (torch's over ours: above 1, this package is faster), the largest difference of a score,
and the peak memory of either way in a process of its own. Needs torch.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import timing

OPTIONS = ("Yes", "Also", "No")
WAYS = ("torch", "float32", "bfloat16")


def texts_of(arguments):
    lines = (
        (arguments.data / f"{arguments.language}.jsonl").read_text(encoding="utf-8").splitlines()
    )
    rows = [json.loads(line) for line in lines[: arguments.rows]]
    return [
        [f"{row['premise']} , right? {option} , {row['hypothesis']}" for row in rows]
        for option in OPTIONS
    ]


def tokens_of(tokenizer, texts):
    """Token ids of each option's texts."""
    return [tokenizer(option)["input_ids"] for option in texts]


def torch_way(folder, texts):
    """A function that gives scores [rows, options]; the model is loaded here."""
    import torch_ways
    import transformers

    model = torch_ways.load(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def run():
        options = [torch_ways.scores(model, ids, 32) for ids in tokens_of(tokenizer, texts)]
        return np.array([[scores.mean() for scores in option] for option in options]).T

    return run


def our_way(folder, texts, dtype):
    from jaxprune.devices.sharding import one_cpu_device_per_core

    one_cpu_device_per_core()
    from jaxprune.evaluation.scoring.scorer import Scorer
    from jaxprune.hf.model import load

    model = load(folder)
    scorer = Scorer(model, dtype=dtype, progress=False)

    def run():
        ids = [one for option in tokens_of(model.tokenizer, texts) for one in option]
        means = [scores.log_probabilities.mean() for scores in scorer(ids)]
        return np.array(means).reshape(len(texts), -1).T

    return run


def products(folder, texts):
    """Operations of all products that scoring computes."""
    import work

    from jaxprune.hf.model import load

    model = load(folder)
    ids = [one for option in tokens_of(model.tokenizer, texts) for one in option]
    return work.scoring(model.config, ids)


def make(way, folder, texts):
    return torch_way(folder, texts) if way == "torch" else our_way(folder, texts, way)


def peak(arguments, way):
    """Bytes that a process which does nothing else had resident at most."""
    command = [
        sys.executable, __file__, f"--model={arguments.model}", f"--data={arguments.data}",
        f"--language={arguments.language}", f"--rows={arguments.rows}", f"--only={way}",
    ]  # fmt: skip
    return int(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a Hugging Face folder")
    parser.add_argument("--data", type=Path, required=True, help="folder of <language>.jsonl")
    parser.add_argument("--language", default="fr")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    texts = texts_of(arguments)
    if arguments.only:
        from jaxprune.devices.machine import peak_memory

        make(arguments.only, arguments.model, texts)()
        print(peak_memory()["host"])
        return
    compare(arguments, texts)


def compare(arguments, texts):
    peaks = {way: peak(arguments, way) for way in WAYS}
    jobs = {way: make(way, arguments.model, texts) for way in WAYS}
    scores, seconds = {}, {way: [] for way in WAYS}
    for way in WAYS:
        begin = time.perf_counter()
        scores[way] = jobs[way]()
        print(f"  {way}: first run {time.perf_counter() - begin:.1f} s", flush=True)
    rates = []
    for _ in range(arguments.repeats):
        rates.append(timing.matmul_rate())
        for way in WAYS:
            seconds[way].append(timing.seconds(jobs[way]))
            print(f"  {way}: {seconds[way][-1]:.1f} s", flush=True)
    best = {way: min(times) for way, times in seconds.items()}
    print(f"{arguments.language}, {len(scores['torch'])} rows, best of {arguments.repeats}")
    rate = products(arguments.model, texts) / best["float32"]
    print(
        f"  float32: {rate / 1e9:.0f} GFLOP/s over all products, {rate / max(rates):.0%} of a large "
        f"product's {max(rates) / 1e9:.0f}"
    )
    for way in WAYS[1:]:
        difference = np.abs(scores[way] - scores["torch"]).max()
        same = np.mean(scores[way].argmax(1) == scores["torch"].argmax(1))
        print(
            f"  {way}: {best[way]:.1f} s against {best['torch']:.1f} s: {best['torch'] / best[way]:.2f}x; "
            f"largest difference of a score {difference:.1e}, same answer in {same:.1%} of rows; peak "
            f"{peaks[way] / 1e9:.2f} GB against {peaks['torch'] / 1e9:.2f} GB: "
            f"{peaks['torch'] / peaks[way]:.1f}x lower"
        )


if __name__ == "__main__":
    main()
