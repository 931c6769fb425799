"""What `results.gathered` returns → Markdown for readers who know neither the package nor this benchmark."""

from jaxprune.base.text import NONE, byte_size, count, percent, pipes, seconds
from on_device.processes import NOT_RUN

JOBS = {"prune": "pruning", "score": "scoring", "generate": "generating"}


def markdown(found):
    """The page."""
    sections = (_head, _failures, _machine, _models, _checks, _speed, _memory)
    return "\n".join([*(line for section in sections for line in section(found)), ""])


def _head(found):
    machine = found["machine"]
    rows = [row for model in found["models"].values() for row in model["checks"]]
    checks = [row for row in rows if "passed" in row]
    passed = sum(row["passed"] for row in checks)
    on_cpu = machine.get("platform") == "cpu"
    told = [
        "The device is a CPU: this shows that the command works, and nothing of an accelerator."
    ] * on_cpu
    told += [
        f"{passed} of {len(checks)} checks of what it computes passed; speed and memory are measured, not judged."
    ]
    told += [f"{len(found['failures'])} failures are listed below."] if found["failures"] else []
    told += [] if found["finished"] else ["Not finished: this is what was known by then."]
    device = f"{machine.get('count', '?')} x {machine.get('kind', 'unknown device')}"
    return [
        f"# jaxprune on {device}",
        "",
        "jaxprune prunes language models: it sets the weights to zero that matter least on sample text, one block "
        "of the model after another. With what is left it scores and generates text. It is written in JAX. This page "
        "says whether it computes on this device what it computes on a CPU, and how fast it is beside torch.",
        "",
        f"**{' '.join(told)}** Written by `{found['command']}`, {found['started']}, in {seconds(found['seconds'])} s.",
    ]  # fmt: skip


def _failures(found):
    if not found["failures"]:
        return []
    by_error = {}
    for one in found["failures"]:
        by_error.setdefault(one["error"], []).append(f"{one['model']}, {one['what']}")
    lines = [f"- {'; '.join(places)}: {error}" for error, places in by_error.items()]
    return ["", "## What failed", "", *lines]


def _machine(found):
    machine, rates = found["machine"], found["rates"]
    if "kind" not in machine:
        return []
    memory, host = machine["memory_bytes"], machine["host"]
    device = f"{machine['count']} x {machine['kind']} ({machine['platform']})"
    device += ", which share the cores of the host" if machine["platform"] == "cpu" else ""
    versions = {
        "Python": machine["python"],
        "jaxprune": machine["jaxprune"],
        **machine["versions"],
    }
    products = [
        f"{dtype} multiplied as {held}" for dtype, held in machine["products"].items()
    ]  # fmt: skip
    rows = {
        "device": device + (f", {byte_size(memory)} each for JAX" if memory else ""),
        "driver": machine["driver"] or NONE,
        "runtime": machine["runtime"],
        "host": f"{host['cpu']}, {host['cores']} cores"
        + (f", {byte_size(host['memory_bytes'])} free" if host["memory_bytes"] else ""),
        "software": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "matrix products": f"{', '.join(products)}; sums are float32",
        "measured rates of one device": _rates(rates),
    }
    return ["", "## The machine", "", *(f"- {name}: {value}" for name, value in rows.items())]


def _rates(rates):
    if "matmul" not in rates:
        return "not measured"
    told = [
        f"{dtype} products {rate / 1e12:.3g} TFLOP/s" for dtype, rate in rates["matmul"].items()
    ]
    told.append(f"memory {rates['memory'] / 1e9:.3g} GB/s, read and written")
    link = f"{rates['link'] / 1e9:.3g} GB/s" if rates["link"] else "none, as the device is the host"
    told.append(f"link from the host's memory {link}")
    return "; ".join(told)


def _models(found):
    rows = [
        [
            name, facts["family"], f"{facts['parameters'] / 1e6:,.1f} million", count(facts["layers"]),
            count(facts["vocabulary"]), "random" if facts["random"] else "from a folder",
        ]
        for name, model in found["models"].items()
        if "family" in (facts := model["facts"])
    ]  # fmt: skip
    header = ["model", "family", "parameters", "blocks", "vocabulary", "weights"]
    return ["", "## The models", "", *pipes(header, rows)] if rows else []


def _checks(found):
    models = {name: model["checks"] for name, model in found["models"].items() if model["checks"]}
    if not models:
        return []
    table = []
    for what in dict.fromkeys(row["what"] for rows in models.values() for row in rows):
        by_model = [
            next((row for row in rows if row["what"] == what), None) for rows in models.values()
        ]
        table.append([what, _allowed(by_model), *map(_value, by_model)])
    return [
        "",
        "## Is it right?",
        "",
        "The same weights and tokens on this machine's CPU and on the device. *Logits* are what the model says of each "
        "possible next token: the relative error is ‖found − expected‖ / ‖expected‖. *Log-probabilities* are those of "
        "the tokens that do follow, as scoring computes them; their error is divided by ‖expected − mean of expected‖ "
        "instead, as all of them are far from 0. *Same weights kept*: on which share of all weights both sides decide "
        "alike, when each drops half of them. *The same masks to the bit*: what is kept, as computed twice on this "
        "device, and on all devices together.",
        "",
        "Rows without a bound are no checks: they say what rounding to bfloat16 changes by itself, on the CPU and "
        "here. The bound of float32 is what products of float32 keep, and products of factors rounded to TF32 or "
        "bfloat16 do not. bfloat16 has three digits; where a model's own bfloat16 on the CPU is farther from float32 "
        "than the bound, twice that distance is allowed. With random weights this shows sound arithmetic, not a good "
        "model.",
        "",
        *pipes(["", "allowed", *models], table),
    ]  # fmt: skip


def _allowed(rows):
    """The bound of a row, or its range where models have their own."""
    bounds = [row for row in rows if row and "allowed" in row]
    if not bounds:
        return NONE
    allowed = sorted({row["allowed"] for row in bounds})
    if allowed == [1]:
        return "yes"
    at_least = bounds[0]["at_least"]
    told = [f"{percent(one, 2)}%" if at_least else f"{one:.2g}" for one in allowed]
    return f"at {'least' if at_least else 'most'} {' to '.join(dict.fromkeys((told[0], told[-1])))}"


def _value(row):
    if row is None:
        return NONE
    if "error" in row:
        return "failed"
    if row["value"] is None:
        text = "not a number"
    elif row.get("allowed") == 1:
        text = "yes" if row["value"] == 1 else "no"
    elif row["what"].startswith("same weights"):
        text = f"{percent(row['value'], 4)}%"
    else:
        text = f"{row['value']:.1e}" if row["value"] else "0"
    return text if row.get("passed", True) else f"{text} (failed)"


def _speed(found):
    speeds = [
        (name, step, sides)
        for name, model in found["models"].items()
        for step, sides in model["speed"].items()
        if sides
    ]
    if not speeds:
        return []
    reasons = [
        f"- {name}, {JOBS[step]}: {sides['torch']['not_compared']}"
        for name, step, sides in speeds
        if "not_compared" in sides.get("torch", {})
    ]
    header = ["model", "job", "jaxprune, tokens/s", "torch, tokens/s", "jaxprune / torch",
              "products", "memory", "link", "first run"]  # fmt: skip
    return [
        "",
        "## How fast is it?",
        "",
        *_inputs(found),
        "",
        "*Products*, *memory* and *link* are bounds, not profiles: the time that the job's matrix products, the "
        "reading of weights and cached keys, and what comes from the host's memory would take at the rates above, as "
        "shares of jaxprune's time. They may overlap, so the largest says how near the job is to what the device can "
        "do; what is missing to 100% is all other work, and waiting. The *first run* contains compilation.",
        "",
        *pipes(header, [_speed_row(*one) for one in speeds]),
        *(["", "Not compared:", "", *reasons] if reasons else []),
    ]  # fmt: skip


def _inputs(found):
    """What was timed, in words."""
    sizes = found["sizes"]
    told = [
        "On one device, in bfloat16; medians of up to five runs after a first one, all of which are in "
        "accelerator.json. torch runs transformers' models in padded batches, with fused attention where transformers "
        "has it for the model.",
        "",
        f"- *Pruning*: {sizes['samples']} samples of {sizes['length']} tokens. Tokens a second, until half of each "
        "kernel's weights are chosen by |W|·‖X‖ and dropped, block by block; torch runs the published loop. Reading "
        "the weights from disk is part of jaxprune's time, not of torch's.",
        f"- *Scoring*: {sizes['questions']} questions with {sizes['options']} answers each. torch computes a row for "
        "each answer, jaxprune once what the answers of a question share; tokens of all rows are counted on both.",
        f"- *Generating*: {sizes['new']} new tokens for {sizes['prompts']} prompts at once, which begin with the same "
        f"{sizes['beginning']} tokens; jaxprune computes these once. What is generated is not compared: bfloat16 "
        "decides near ties either way.",
        "",
        "Scoring and generating run the dense model; a pruned one takes as long, as a zero is multiplied like any "
        "other number.",
    ]  # fmt: skip
    if all(model["facts"].get("parameters", 0) < 10e6 for model in found["models"].values()):
        told[-1] += (
            " **These models are tiny: the ratios say what each side does around the products, and nothing of models "
            "that people use.**"
        )
    return told


def _speed_row(name, step, sides):
    ours, torch = (sides.get(side, {}) for side in ("jaxprune", "torch"))
    shares = [ours.get("shares", {}).get(part) for part in ("products", "weights", "link")]
    return [
        name,
        JOBS[step],
        _rate(ours),
        _rate(torch),
        f"{ours['over_torch']:.2f}" if "over_torch" in ours else NONE,
        *(f"{percent(share)}%" if share else NONE for share in shares),
        f"{seconds(ours['first_seconds'])} s" if "first_seconds" in ours else NONE,
    ]


def _rate(side):
    if "tokens_per_second" in side:
        return f"{side['tokens_per_second']:,.0f}"
    if "error" not in side:
        return NONE
    return "not run" if side["error"].startswith(NOT_RUN) else "failed"


def _memory(found):
    rows = []
    for name, model in found["models"].items():
        ours, torch = (model["speed"]["prune"].get(side, {}) for side in ("jaxprune", "torch"))
        if memory := ours.get("memory"):
            sizes = memory["peak_bytes"], memory["planned_bytes"], torch.get("peak_bytes")
            told = [byte_size(size) if size else NONE for size in sizes]
            rows.append([name, memory["of"], *told])
    if not rows:
        return []
    header = ["model", "memory of", "jaxprune", "jaxprune, planned", "torch"]
    if {row[-1] for row in rows} == {NONE}:  # it does not tell on CPUs
        header, rows = header[:-1], [row[:-1] for row in rows]
    return [
        "",
        "## Memory of pruning",
        "",
        "The most that was in use while jaxprune pruned, and what `--plan` expects before a run from the sizes of "
        "model and samples; on hosts both count Python and the libraries, about 0.3 GB. jaxprune holds at most two "
        "blocks at a time, torch the whole model.",
        "",
        *pipes(header, rows),
    ]
