"""Whether this package is right and fast on the accelerator of this machine: one command, no network, no model.

    python benchmarks/accelerator.py                     # random weights of three published shapes
    python benchmarks/accelerator.py --model FOLDER      # and a Hugging Face folder
    python benchmarks/accelerator.py --shape bloom-560m  # one of the three, where the CPU has few cores
    python benchmarks/accelerator.py --small             # tiny models, also on a CPU, in about a minute

On what JAX takes by default: are logits, log-probabilities and masks those of the CPU, in float32 and bfloat16? Are
masks the same bits again, and on all devices? How fast are pruning, scoring and generating on one device, against torch
there and against the rates that are measured in the same run? Is pruning's memory what the plan says?

Writes accelerator.json and accelerator.md to --out, and what each process printed to --out/logs. What fails is told in
its row, and the rest goes on. Exit code: 0 if all is well, 1 if something failed, 2 if nothing could begin.
"""

import argparse
import datetime
import json
import shlex
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from on_device import report, results
from on_device.job import MACHINE, RATES, Job
from on_device.processes import Runner
from on_device.sizes import FULL, MODELS, SMALL


def main():
    arguments = parsed()
    # as ^C does, so that the processes of steps end with this one
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    logs = arguments.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="accelerator-", dir=arguments.scratch) as scratch:
        job = Job.create(scratch, models(arguments, scratch), SMALL if arguments.small else FULL)
        runner = Runner(job, logs, begin + 60 * arguments.minutes, told)

        def written(finished):
            found = results.gathered(job) | {
                "command": shlex.join(["python", *sys.argv]),
                "started": started.isoformat(timespec="seconds"),
                "seconds": time.monotonic() - begin,
                "finished": finished,
            }
            write(arguments.out, found)
            return found

        runner.run([MACHINE])
        refuse(job.result(MACHINE), arguments)
        try:
            for stage in stages(job):
                together(runner, stage)
                written(finished=False)
        except KeyboardInterrupt:
            written(finished=False)
            sys.exit(f"stopped; what was known by then is in {arguments.out}")
        found = written(finished=True)
    print(f"\n{report.markdown(found)}\nwritten to {arguments.out}")
    sys.exit(1 if found["failures"] else 0)


def together(runner, stage):
    """Runs the processes of a stage at the same time."""
    with ThreadPoolExecutor(len(stage)) as pool:
        running = [pool.submit(runner.run, keys) for keys in stage]
        try:
            for one in running:
                one.result()
        except KeyboardInterrupt:
            runner.deadline = 0  # no step goes on
            raise


def write(folder, found):
    """Both files, as far as the run has come."""
    text = json.dumps(found, indent=1, allow_nan=False)
    (folder / "accelerator.json").write_text(f"{text}\n", encoding="utf-8")
    (folder / "accelerator.md").write_text(report.markdown(found), encoding="utf-8")


def parsed():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--small", action="store_true", help="tiny models and inputs")
    parser.add_argument(
        "--shape", choices=MODELS[False], action="append", help="random weights of this one alone"
    )
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a Hugging Face folder, too"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/accelerator"), help="%(default)s")
    parser.add_argument("--scratch", type=Path, help="a folder with room for the random weights")
    parser.add_argument(
        "--minutes", type=float, default=8, help="what has not run by then is told so; %(default)s"
    )
    arguments = parser.parse_args()
    for folder in arguments.model:
        if not (folder / "config.json").is_file():
            parser.error(f"--model {folder}: expected a Hugging Face folder, with config.json")
    return arguments


def models(arguments, scratch):
    """Name → where its folder is, or will be, and the shape that is written there."""
    found = {
        shape: {"folder": str(Path(scratch, shape)), "shape": shape}
        for shape in (MODELS[True] if arguments.small else arguments.shape or MODELS[False])
    }
    for folder in map(Path.resolve, arguments.model):
        name = folder.name if folder.name not in found else f"{folder.name}-{len(found)}"
        found[name] = {"folder": str(folder), "shape": None}
    return found


def refuse(machine, arguments):
    """Ends the process where JAX or the package does not start, or large models would run on a CPU."""
    if "error" in machine:
        print(f"error: {machine['error']}; see {arguments.out / 'logs'}", file=sys.stderr)
        sys.exit(2)
    if machine["platform"] == "cpu" and not arguments.small:
        print(
            "error: JAX sees no accelerator here; give --small to run tiny models on the CPU, or install JAX for the "
            "accelerator, such as pip install 'jax[cuda13]' or 'jax[tpu]'",
            file=sys.stderr,
        )
        sys.exit(2)


def stages(job):
    """Stage after stage, the processes that run at the same time, each as the keys of its steps.

    Nothing else runs while something is timed. Pruning has a process for each model, as a device tells the peak of its
    memory since the process began. Where the device is the CPU, both sides compile the same: one after the other.
    """
    on_cpu = job.result(MACHINE)["platform"] == "cpu"
    yield [[f"cpu.make.{model}" for model in job.models]]
    opened = [name for name in job.models if "error" not in job.result(f"cpu.make.{name}")]

    def keys(side, *steps):
        return [f"{side}.{step}.{model}" for model in opened for step in steps]

    sides = [keys(side, "logits", "scores", "masks") for side in ("cpu", "device")]
    yield from [[side] for side in sides] if on_cpu else [sides]
    yield [[RATES]]
    yield from (
        [[keys("device", "prune")]] if on_cpu else [[[key]] for key in keys("device", "prune")]
    )
    yield [keys("device", "score", "generate")]
    yield [keys("torch", "score", "generate", "prune")]


def told(key, result):
    """A line for a step that has ended."""
    side, step, model = key.split(".", 2)
    how = result.get("error") or result.get("not_compared") or f"{result['took']:.1f} s"
    print(f"{model}: {step} ({side}): {how}", flush=True)


if __name__ == "__main__":
    main()
