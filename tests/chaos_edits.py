"""Changes to the files of a case: of its model, its calibration set, its workdir. Each tells in words what it did."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

Edit = Callable[[Path, random.Random], str]


def _weights(folder: Path) -> Path:
    return folder / "model" / "model.safetensors"


def flip(file: Path, rng: random.Random) -> str:
    """Another byte, in place."""
    place = rng.randrange(file.stat().st_size)
    with file.open("r+b") as opened:
        opened.seek(place)
        byte = opened.read(1)[0]
        opened.seek(place)
        opened.write(bytes([byte ^ 1 << rng.randrange(8)]))
    return f"a bit of byte {place} of {file.name}"


def byte_with_its_times(folder: Path, rng: random.Random) -> str:
    file = _weights(folder)
    before = file.stat()
    said = flip(file, rng)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return f"{said}, with its times put back"


def replaced(folder: Path, rng: random.Random) -> str:
    file = _weights(folder)
    copy = file.with_name("copy")
    shutil.copy2(file, copy)
    said = flip(copy, rng)
    copy.replace(file)
    return f"replaced by a copy with {said}"


def copied(folder: Path, rng: random.Random) -> str:
    file = _weights(folder)
    copy = file.with_name("copy")
    shutil.copyfile(file, copy)
    copy.replace(file)
    return "weights replaced by the same"


def there_and_back(folder: Path, rng: random.Random) -> str:
    state = rng.getstate()
    flip(_weights(folder), rng)
    rng.setstate(state)
    return f"{flip(_weights(folder), rng)}, and back"


def cut(folder: Path, rng: random.Random) -> str:
    file = _weights(folder)
    size = rng.randrange(file.stat().st_size)
    os.truncate(file, size)
    return f"{file.name} cut to {size} bytes"


def attribute(folder: Path, rng: random.Random) -> str:
    """A number in config.json that changes every bit, or white space that changes none."""
    file = folder / "model" / "config.json"
    config = json.loads(file.read_text())
    names = ("layer_norm_epsilon", "rms_norm_eps")
    name = next((name for name in names if name in config), None)
    if name is None or rng.random() < 0.3:
        file.write_text(file.read_text() + "\n")
        return "a line more in config.json"
    config[name] = 0.5
    _replace(file, json.dumps(config, indent=2))
    return f"config.json: {name}=0.5"


def vocabulary(folder: Path, rng: random.Random) -> str:
    """Two words of the tokenizer change places."""
    file = folder / "model" / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    words = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    if isinstance(words, dict):
        a, b = rng.sample([word for word in words if word not in special], 2)
        words[a], words[b] = words[b], words[a]
    else:
        a, b = rng.sample([i for i, (word, _) in enumerate(words) if word not in special], 2)
        words[a], words[b] = words[b], words[a]
    _replace(file, json.dumps(tokenizer))
    return f"tokenizer.json: {a!r} and {b!r} change places"


def calibration(folder: Path, rng: random.Random) -> str:
    """One token, or one sentence."""
    tokens, text = folder / "data" / "tokens.npz", folder / "data" / "fr.txt"
    if text.exists():
        lines = text.read_text().splitlines()
        line = rng.randrange(len(lines))
        lines[line] = " ".join(reversed(lines[line].split()))
        _replace(text, "\n".join(lines) + "\n")
        return f"line {line + 1} of fr.txt"
    with np.load(tokens) as arrays:
        changed = {name: arrays[name].copy() for name in arrays}
    row, column = (rng.randrange(n) for n in changed["input_ids"].shape)
    changed["input_ids"][row, column] ^= 1
    new = tokens.with_name("new.npz")
    np.savez(new, **changed)
    new.replace(tokens)
    return f"token {column} of row {row}"


def _replace(file: Path, text: str) -> None:
    new = file.with_name("copy")
    new.write_text(text)
    new.replace(file)


def edits(folder: Path) -> list[Edit]:
    """Those that a case's model and data allow."""
    known: list[Edit] = [
        byte_with_its_times, replaced, copied, there_and_back, cut, attribute, calibration, calibration,
    ]  # fmt: skip
    return [*known, vocabulary] if (folder / "model" / "tokenizer.json").exists() else known


def damage(folder: Path, rng: random.Random) -> str:
    """One file somewhere in a folder: a bit, its end, all of it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    file = rng.choice(files)
    name = file.relative_to(folder)
    kind = rng.choice(("bit", "bit", "bit", "cut", "gone"))
    if kind == "bit":
        flip(file, rng)
    elif kind == "cut":
        os.truncate(file, rng.randrange(file.stat().st_size))
    else:
        file.unlink()
    return f"{name}: {kind}"
