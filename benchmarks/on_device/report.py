"""What `results.gathered` returns → Markdown for readers who know neither the package nor this benchmark."""

from jaxprune.tables import NONE, byte_size, count, percent, pipes, seconds
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
    told = [f"{passed} of {len(checks)} checks passed."]
    told += [f"{len(found['failures'])} failures are listed below."] if found["failures"] else []
    told += [] if found["finished"] else ["Not finished: this is what was known by then."]
    device = f"{machine.get('count', '?')} x {machine.get('kind', 'unknown device')}"
    lines = [
        f"# jaxprune on {device}",
        "",
        "jaxprune prunes language models: it sets the weights to zero that matter least on sample text, one block "
        "of the model after another. With what is left it scores and generates text. It is written in JAX. This page "
        "says whether it computes on this device what it computes on a CPU, and how fast it is beside torch.",
        "",
        f"**{' '.join(told)}** Written by `{found['command']}`, {found['started']}, in {seconds(found['seconds'])} s.",
    ]  # fmt: skip
    if machine.get("platform") == "cpu":
        lines += [
            "",
            "The device is a CPU here: this shows that the command works, and nothing of an accelerator.",
        ]
    return lines


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
    if rates["link"]:
        told.append(f"from the host's memory {rates['link'] / 1e9:.3g} GB/s")
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
        "the tokens that do follow, as scoring computes them: the error is relative to how far they lie apart, "
        "‖found − expected‖ / ‖expected − mean‖. *Weights kept* is the share of all weights on which both sides decide "
        "alike when half of them are dropped. Rows without a bound are there for comparison: they say what rounding to "
        "bfloat16 does without this device.",
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
    elif row["what"].startswith("weights"):
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
        "On one device, in bfloat16; medians after a first run. *Pruning*: tokens of the sample text a second, until "
        "half of all weights are chosen and dropped. Reading the weights from disk is part of jaxprune's time, not of "
        "torch's. *Scoring*: tokens a second of questions with several answers each; torch computes a row for each "
        "answer, jaxprune once what the answers share. *Generating*: new tokens a second, all prompts at once; they "
        "begin alike, and jaxprune computes that beginning once. torch runs transformers' models in padded batches, "
        "with fused attention where transformers has it for the model.",
        "",
        "*Products*, *memory* and *link* are shares of jaxprune's time: what the job's matrix products, the reading of "
        "weights and cached keys, and what comes from the host's memory would take at the measured rates. The largest "
        "of them says how near the job is to what the device can do. The *first run* contains compilation.",
        "",
        *pipes(header, [_speed_row(*one) for one in speeds]),
        *(["", "Not compared:", "", *reasons] if reasons else []),
    ]  # fmt: skip


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
    return [
        "",
        "## Memory of pruning",
        "",
        "The most that was in use while jaxprune pruned, and what it said beforehand from the model's sizes alone. It "
        "holds one block at a time and the next one; torch holds the whole model.",
        "",
        *pipes(["model", "memory of", "jaxprune", "jaxprune, planned", "torch"], rows),
    ]
