"""Does steps one after another: `python -m on_device.worker FOLDER SIDE.STEP.MODEL…`

What each found is in FOLDER/SIDE.STEP.MODEL.json as soon as it is done, so the process may die of a step. SIDE says
where a step runs: "cpu", "device" (what JAX takes by default) or "torch".
"""

import gc
import json
import sys
import time
import traceback
from pathlib import Path

from on_device import ROOT, answers, inputs, machine, speed, torch_speed
from on_device.job import Job, NotComparableError

STEPS = {
    "make": inputs.make, "machine": machine.machine, "rates": machine.rates, "logits": answers.logits,
    "scores": answers.scores, "masks": answers.masks, "prune": speed.prune, "score": speed.score,
    "generate": speed.generate,
}  # fmt: skip
TORCH = {"prune": torch_speed.prune, "score": torch_speed.score, "generate": torch_speed.generate}


def main(folder, keys):
    job = Job(folder)
    if keys[0].split(".")[0] != "torch":
        from jaxprune.devices.sharding import one_cpu_device_per_core

        one_cpu_device_per_core()
    for key in keys:
        begin = time.perf_counter()
        found = done(job, key)
        found["took"] = time.perf_counter() - begin
        whole = job.result_file(key).with_suffix(".part")
        whole.write_text(json.dumps(found))
        whole.rename(job.result_file(key))
        gc.collect()  # a model's arrays, before the next one's


def done(job, key):
    """What a step found, or why it did not."""
    side, name, model = key.split(".", 2)
    try:
        return (TORCH if side == "torch" else STEPS)[name](job, side, model)
    except NotComparableError as reason:
        return {"not_compared": str(reason)}
    except Exception as error:  # whatever it is, it goes into the step's row, and the others go on
        traceback.print_exc()
        return {"error": in_one_line(error)}


def in_one_line(error):
    """Kind, first line of the message, and the place in this repository that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    message = next(iter(str(error).strip().splitlines()), frames[-1].line or "")[:300]
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    place = f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__}: {message} ({place})"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
