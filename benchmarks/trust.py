"""The same bits on other devices, in two processes and after a kill; and what keeping layers durable costs.

    python benchmarks/trust.py --model FOLDER --data FOLDER_OF_LANGUAGE_TXT

Prunes the model to half with scripts/prune.py in each of these ways and prints whether masks and weights have the
digests of the run on one device. Then prunes it with and without the files of progress/, alternately.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# devices of a process, processes, more flags
WAYS = {
    "1 device": (1, 1, ()),
    "2 devices": (2, 1, ()),
    "4 devices": (4, 1, ()),
    "8 devices": (8, 1, ()),
    "2 groups of 2 devices": (4, 1, ("--config.mesh.model=2",)),
    "2 processes of 1 device": (1, 2, ()),
}
# scripts/prune.py without files of layers
WITHOUT = """
import runpy, sys
from jaxprune.runs import block_writer
block_writer.write_layer = lambda *arguments: None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Job:
    """Runs of one config in workdirs of their own."""

    def __init__(self, arguments, scratch):
        self.scratch = scratch
        self.flags = [
            str(ROOT / "scripts/prune.py"), f"--config={ROOT}/configs/base.py:{arguments.model}",
            f"--config.calibration.data={arguments.data}",
            f"--config.calibration.samples={arguments.samples}", "--config.pruning.sparsity=0.5",
        ]  # fmt: skip

    def start(self, name, devices, processes=1, more=(), program=()):
        """The processes of a run."""
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
        with socket.socket() as made:
            made.bind(("127.0.0.1", 0))
            port = made.getsockname()[1]
        command = [sys.executable, *program, *self.flags, f"--workdir={self.scratch / name}", *more]
        several = [f"--coordinator=127.0.0.1:{port}", f"--processes={processes}"]
        return [
            subprocess.Popen(
                command + ([*several, f"--process={process}"] if processes > 1 else []),
                env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for process in range(processes)
        ]  # fmt: skip

    def finish(self, name, running):
        """The report of a run, when it is over."""
        codes = [process.wait() for process in running]
        assert codes == [0] * len(codes), codes
        return json.loads((self.scratch / name / "report.json").read_text())

    def killed(self, layer):
        """The report of a run that SIGKILL ended once `layer` layers were done, and that was begun again."""
        [running] = self.start("killed", 2)
        while not (self.scratch / "killed" / "progress" / f"layer_{layer:05}.npz").is_file():
            assert running.poll() is None, "ended before it was killed"
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        return self.finish("killed", self.start("killed", 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--data", required=True, help="folder of <language>.txt, for the samples")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=2, help="of the runs that are timed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(arguments, Path(scratch))
        reports = {name: job.finish(name, job.start(name, *way)) for name, way in WAYS.items()}
        reports["killed, and begun again"] = job.killed(layer=4)
        first = reports["1 device"]["digests"]
        print(f"masks {first['masks']}")
        for name, report in reports.items():
            same = report["digests"] == first
            seconds = report["seconds"]["total"]
            print(f"  {name}: {'the same bits' if same else report['digests']}, {seconds:.1f} s")
        seconds = {"with": [], "without": []}
        for _ in range(arguments.repeats):
            for name, program in (("with", ()), ("without", ("-c", WITHOUT))):
                report = job.finish(name, job.start(name, 2, program=program))
                stages = report["seconds"]
                seconds[name].append(stages["total"] - stages["prepare"])
                print(f"  {name} files of layers: {seconds[name][-1]:.1f} s", flush=True)
        best = {name: min(taken) for name, taken in seconds.items()}
        print(f"durable layers take {best['with'] / best['without'] - 1:.1%} more time")


if __name__ == "__main__":
    main()
