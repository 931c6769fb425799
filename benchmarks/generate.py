"""Generation here against transformers' generate in torch, alternately in one run, on the same prompts.

    python benchmarks/generate.py --model FOLDER --flores FOLDER --sources fr,de,sw

Few-shot translation into English, greedily, with the same stop tokens. Prints tokens a second, the ratio
(above 1, this package is faster), whether all tokens are identical, compile time and memory. Needs torch.
"""

import argparse
import dataclasses
import time

import torch
import torch_ways

from jaxprune.data.texts import aligned
from jaxprune.devices.machine import peak_memory
from jaxprune.devices.sharding import device_mesh, one_cpu_device_per_core
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.translation.sentences import (
    Pair,
    Sentences,
    stop_tokens,
    translation_prompts,
)
from jaxprune.hf.model import load


@dataclasses.dataclass
class Job:
    """One way to generate: seconds of each run, and what the last one wrote."""

    name: str
    run: object
    seconds: list = dataclasses.field(default_factory=list)
    found: list = dataclasses.field(default_factory=list)

    def once(self):
        start = time.perf_counter()
        self.found = self.run()
        self.seconds.append(time.perf_counter() - start)
        tokens = sum(map(len, self.found))
        print(
            f"  {self.name}: {self.seconds[-1]:.1f} s, {tokens / self.seconds[-1]:.1f} tokens/s",
            flush=True,
        )


def prompts_of(tokenizer, flores, source, rows, shots, own_shots):
    """Token ids of `rows` prompts; with `own_shots` each has demonstrations of its own."""
    pairs = [Pair(*lines) for lines in zip(*aligned(flores, [source, "en"]), strict=True)]
    queries = [pair.source for pair in pairs[len(pairs) - rows :]]
    texts = []
    for row, query in enumerate(queries):
        shown = pairs[row * shots : (row + 1) * shots] if own_shots else pairs[:shots]
        sentences = Sentences(source, "en", shown, [Pair(query, "")])
        texts += translation_prompts(sentences, tokenizer.eos_token)
    return [tokenizer(text)["input_ids"] for text in texts]


def torch_job(model, ids, stop, new, batch):
    return lambda: torch_ways.generated(model, ids, stop, new, batch)


def gap(model, prompt, theirs, ours):
    """(place, torch's logit of its token minus that of ours) where two sequences part."""
    place = next(
        (i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b),
        min(len(theirs), len(ours)),
    )
    if place >= min(len(theirs), len(ours)):
        return place, float("nan")  # one of them stopped
    with torch.no_grad():
        logits = model(torch.tensor([prompt + theirs[:place]])).logits[0, -1]
    return place, float(logits[theirs[place]] - logits[ours[place]])


def compare(arguments, model, torch_model, source, own_shots):
    tokenizer = model.tokenizer
    stop = sorted(stop_tokens(tokenizer))
    ids = prompts_of(
        tokenizer, arguments.flores, source, arguments.rows, arguments.shots, own_shots
    )
    lengths = [len(one) for one in ids]
    kind = "own shots for each row" if own_shots else "the same shots for all rows"
    print(f"{source}: {len(ids)} prompts of {min(lengths)} to {max(lengths)} tokens, {kind}")
    new = arguments.max_new_tokens
    start = time.perf_counter()
    generators = {
        dtype: Generator(model, dtype=dtype, mesh=device_mesh(arguments.devices), progress=False)
        for dtype in arguments.dtypes.split(",")
    }
    print(f"  weights on the devices: {time.perf_counter() - start:.1f} s")

    def our_run(generator):
        return lambda: generator(ids, max_new_tokens=new, stop=stop, batch=arguments.batch)

    ours = [Job(f"jaxprune {dtype}", our_run(one)) for dtype, one in generators.items()]
    theirs = [
        Job(f"torch, batches of {batch}", torch_job(torch_model, ids, stop, new, batch))
        for batch in map(int, arguments.torch_batches.split(","))
    ]
    for job in ours:
        print("  first run, with compilation:")
        job.once()
        job.seconds.clear()
    for _ in range(arguments.repeats):
        for job in (*theirs, *ours):
            job.once()
    best = min(theirs, key=lambda job: min(job.seconds))
    for job in ours:
        ratio = min(best.seconds) / min(job.seconds)
        apart = [i for i in range(len(ids)) if best.found[i] != job.found[i]]
        print(f"  {job.name}: {ratio:.2f}x of {best.name}; {len(apart)} of {len(ids)} rows differ")
        for i in apart[:5] if job.name.endswith("float32") else []:
            place, difference = gap(torch_model, ids[i], best.found[i], job.found[i])
            print(f"    row {i} from token {place}: torch's logits differ by {difference:.2g}")
    return min(best.seconds), [min(job.seconds) for job in ours], sum(map(len, best.found))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--flores", required=True, help="folder of <language>.txt")
    parser.add_argument("--sources", default="fr,de,sw")
    parser.add_argument("--rows", type=int, default=64, help="of each language")
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--own-shots", action="store_true", help="other shots for every row")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64, help="ours")
    parser.add_argument("--torch-batches", default="16,64", help="the best of them counts")
    parser.add_argument("--dtypes", default="float32,bfloat16", help="ours")
    parser.add_argument("--devices", type=int, default=-1)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    one_cpu_device_per_core()
    model = load(arguments.model)
    torch_model = torch_ways.load(arguments.model)
    runs = [
        compare(arguments, model, torch_model, source, arguments.own_shots)
        for source in arguments.sources.split(",")
    ]
    tokens = sum(run[2] for run in runs)
    torch_seconds = sum(run[0] for run in runs)
    print(f"all: torch {tokens / torch_seconds:.1f} tokens/s", end="")
    for place, dtype in enumerate(arguments.dtypes.split(",")):
        seconds = sum(run[1][place] for run in runs)
        print(f"; {dtype} {tokens / seconds:.1f}, {torch_seconds / seconds:.2f}x", end="")
    print(f"; peak memory with torch {peak_memory()['host'] / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
