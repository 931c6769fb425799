"""Peak resident memory of a whole pruning run, in a subprocess, against the size of the checkpoint.

    python benchmarks/memory.py --shape bloom-560m --samples 32
    python benchmarks/memory.py --shape bloom-7b1 --dtype bfloat16 --samples 8 --length 256 --propagate site

Writes a random checkpoint of a published shape to --scratch, prunes it with scripts/prune.py
(output.hf on, output.params off) and prints size, peak, seconds and the bound 0.4 x size + 1 GB.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from random_checkpoint import SHAPES, write

ROOT = Path(__file__).resolve().parent.parent


def measure(scratch, arguments, dtype):
    folder, workdir = scratch / "model", scratch / "run"
    config = write(arguments.shape, folder, dtype)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, config.vocab_size, (arguments.samples, arguments.length))
    np.savez(scratch / "tokens.npz", input_ids=tokens.astype(np.int32))
    command = [
        sys.executable, str(ROOT / "scripts/prune.py"), f"--config={ROOT}/configs/base.py",
        f"--workdir={workdir}", f"--config.model={folder}", f"--config.dtype={dtype}",
        "--config.calibration.kind=tokens", f"--config.calibration.data={scratch}/tokens.npz",
        f"--config.pruning.propagate={arguments.propagate}", "--config.output.params=false",
    ]  # fmt: skip
    told = subprocess.run([*command, "--plan"], check=True, capture_output=True, text=True).stdout
    planned = float(re.search(r"host +([\d.]+) GB", told)[1])
    # compiling takes memory as well
    subprocess.run(command, check=True, env=os.environ | {"JAXPRUNE_CACHE": "off"})
    report = json.loads((workdir / "report.json").read_text())
    peak, seconds = report["peak_memory_bytes"]["host"], report["seconds"]
    bound = 0.4 * size + 1e9
    print(
        f"{arguments.shape} {dtype}: {size / 1e9:.2f} GB on disk, peak {peak / 1e9:.2f} GB, planned {planned:.2f} GB, "
        f"bound {bound / 1e9:.2f} GB ({'kept' if peak <= bound else 'MISSED'}); seconds {seconds}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="bloom-560m")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), nargs="+", default=["bfloat16", "float32"]
    )
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--propagate", default="block")
    parser.add_argument("--scratch", type=Path, help="where there is room for twice the checkpoint")
    arguments = parser.parse_args()
    for dtype in arguments.dtype:
        scratch = Path(tempfile.mkdtemp(dir=arguments.scratch))
        try:
            measure(scratch, arguments, dtype)
        finally:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
