"""A packed model in llama.cpp: continues prompts, and compares the first token with this package's.

    python benchmarks/first_tokens.py OUT --text FOLDER [--prompts 20]

OUT is the workdir of `jaxprune pack` or `quantize`; prompts are the first halves of lines of FOLDER/<language>.txt.
Prints each prompt and llama.cpp's continuation, in how many the first token is equal, and for the others by how much
our two likeliest logits differ, in standard deviations of all: llama.cpp rounds the inputs of its products to 8 bits,
which decides near ties otherwise. Needs llama-cpp-python.
"""

import argparse
from pathlib import Path

import llama_cpp
import numpy as np

import jaxprune as jp

NEW = 16  # tokens of a continuation


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--text", type=Path, required=True, help="folder of <language>.txt")
    parser.add_argument("--languages", default="fr,sw", help="of the prompts (default: fr,sw)")
    parser.add_argument("--prompts", type=int, default=20, help="of each language (default: 20)")
    arguments = parser.parse_args()
    ours = jp.load(arguments.workdir / "hf")
    theirs = llama_cpp.Llama(
        str(arguments.workdir / "model.gguf"), n_ctx=512, verbose=False, swa_full=False
    )
    for code in arguments.languages.split(","):
        lines = (arguments.text / f"{code}.txt").read_text("utf-8").splitlines()
        equal, gaps = 0, []
        for line in lines[: arguments.prompts]:
            prompt = line[: len(line) // 2].rsplit(" ", 1)[0]
            tokens = ours.tokenizer(prompt)["input_ids"]
            assert theirs.tokenize(prompt.encode()) == tokens, prompt
            stream = theirs.generate(tokens, temp=0.0)
            new = [next(stream) for _ in range(NEW)]
            logits = np.asarray(jp.forward(ours.config, ours.params, np.array([tokens])))[0, -1]
            if int(logits.argmax()) == new[0]:
                equal += 1
            else:
                second, first = np.sort(logits)[-2:]
                gaps.append(float((first - second) / logits.std()))
            print(f"  {prompt} | {theirs.detokenize(new).decode('utf-8', 'replace')!r}")
        print(f"{code}: {equal} of {arguments.prompts} first tokens are equal", end="")
        others = ", ".join(f"{gap:.3f}" for gap in gaps)
        print(f"; two likeliest logits of the others: {others} deviations apart" if gaps else "")


if __name__ == "__main__":
    main()
