"""A packing of a bundled model: a workdir as of quantize, the best that was measured, the same after a kill."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from folder_contents import contents
from page_programs import ROOT, programs, run

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.schema import checked
from jaxprune.data.languages import LANGUAGES
from jaxprune.data.nano import text_place
from jaxprune.pages.packed_model import packed_facts, print_packed, result_table, verdict
from jaxprune.pages.page import write_report
from jaxprune.recovery import in_time
from jaxprune.runs import store
from jaxprune.runs.verify import verify
from jaxprune.search.packing import pack, plan, texts
from jaxprune.search.packing.config import PackConfig
from jaxprune.search.packing.texts import parts_of
from jaxprune.search.status import run_status
from jaxprune.steps import shrink

CALIBRATION = Path(text_place("nano", "calibration"))
SETTINGS = {"model": "nano/bloom", "languages": "fr,sw", "text": str(CALIBRATION)}


def config(**values):
    return checked(PackConfig, {**SETTINGS, **values})


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("pack") / "out"
    return workdir, pack.pack_from_config(config(loss="2%"), workdir)


def test_the_workdir_is_that_of_a_quantized_model(packed):
    workdir, record = packed
    assert verify(workdir) == []
    file, folder = jp.load(workdir / "model.gguf"), jp.load(workdir / "hf")
    same = jax.tree.map(np.array_equal, file.params, folder.params)
    assert jax.tree.all(same)
    assert folder.config.vocab_size == record["result"]["tokens"]["after"] < 1400
    assert record["result"]["bytes"]["after"] == (workdir / "model.gguf").stat().st_size
    tokens = record["chosen"]["tokens"]
    assert sorted(path.name for path in (workdir / "steps").iterdir()) == ["dense", "texts", tokens]
    # the model before rounding is there, so the result can be recovered
    assert json.loads((workdir / "config.json").read_text())["model"].endswith(f"{tokens}/hf")


def test_the_program_of_the_page_reads_the_folder(packed, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/gemma_fr_sw").symlink_to(packed[0])
    page = (ROOT / "docs/guide/pack.md").read_text(encoding="utf-8")
    names = run("pack", programs(page), tmp_path, monkeypatch)
    prompt = names["tokenizer"]("La ville")["input_ids"]
    assert len(prompt) < len(names["ids"][0]) <= len(prompt) + 20


def test_the_card_is_that_of_the_packing(packed, monkeypatch):
    """Before and after `report`, with the paths of the command left out."""
    workdir, record = packed
    for _ in range(2):
        card = (workdir / "hf/README.md").read_text(encoding="utf-8")
        assert "# bloom, packed for French, Swahili" in card
        assert f"{record['result']['tokens']['after']:,} of its" in card
        assert verdict(record["result"]).partition(":")[0] in card
        assert "jaxprune pack --languages fr,sw --loss 2% --model bloom --text calibration" in card
        assert "The tokenizer is smaller, too" in card
        assert "Not evaluated yet" not in card
        assert "The dense model is not evaluated" not in card
        write_report(workdir, [workdir / "steps/dense"])


def test_the_smallest_file_within_the_limit_is_chosen(packed):
    _, record = packed
    within = [step for step in record["steps"] if max(step["losses"].values()) <= 0.02]
    assert record["chosen"] == min(within, key=lambda step: step["bytes"])


def test_losses_are_those_of_a_comparison_on_the_reported_text(packed):
    workdir, record = packed
    comparison = jp.compare(workdir / "steps" / "dense", workdir)
    for code, figures in record["result"]["languages"].items():
        row = comparison.table.loc["perplexity", "bits_per_byte", code]
        assert row["out", "difference"] == figures["difference"]
        assert figures["low"] < figures["difference"] < figures["high"]
    reported = (workdir / "steps" / "texts" / "reported" / "fr.txt").read_text().splitlines()
    [fr, _] = result_table(record["result"]).rows
    assert fr[0] == "French"
    assert record["result"]["languages"]["fr"]["texts"] == len(reported)


def test_the_page_begins_with_the_verdict(packed):
    workdir, record = packed
    write_report(workdir)
    page = (workdir / "report.html").read_text()
    assert verdict(record["result"]).split(": ")[0] in page
    assert "Sizes and largest losses" in page
    assert packed_facts(record)["tokens"] in page
    assert run_status(workdir).startswith(f"finished in {record['seconds']:,.1f} s")


def test_the_default_limit_is_the_same_packing():
    assert config(loss="3%").same_job() == config(loss=None).same_job()
    assert config(loss="2%").same_job() != config(loss=None).same_job()


class Killed(BaseException):
    pass


def raise_killed(*args, **kwargs):
    raise Killed


def untimed(record):
    """A record without what was timed."""
    return {**record, "seconds": 0, "result": {**record["result"], "speed": None}}


@pytest.mark.parametrize(
    ("module", "place"),
    [(shrink, "write_smaller"), (store, "run_step"), (pack, "_move_up")],
)
def test_a_killed_packing_goes_on_with_the_same_bits(module, place, packed, tmp_path, monkeypatch):
    workdir, record = packed
    original = getattr(module, place)

    def kill(*args, **kwargs):
        if place == "_move_up":  # in the middle
            step, out = args
            (step / "hf").rename(out / "hf")
        else:
            original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, place, kill)
        with pytest.raises(Killed):
            pack.pack_from_config(config(loss="2%"), tmp_path / "out")
    again = pack.pack_from_config(config(loss="2%"), tmp_path / "out")
    assert untimed(again) == untimed(record)
    for name in ("hf/model.safetensors", "hf/tokenizer.json", "model.gguf"):
        assert (tmp_path / "out" / name).read_bytes() == (workdir / name).read_bytes()


def test_a_finished_packing_is_not_repeated_and_other_settings_are_refused(packed):
    workdir, record = packed
    before = contents(workdir)
    assert pack.pack_from_config(config(loss="2%"), workdir) == record
    with pytest.raises(
        InputError, match=r"has a packing with --loss '2%', now '4%'; expected --over"
    ):
        pack.pack_from_config(config(loss="4%"), workdir)
    with pytest.raises(InputError, match="expected --overwrite"):
        pack.plan_from_config(config(loss="4%"), workdir)
    assert contents(workdir) == before


def test_a_limit_of_size_and_another_packing_in_the_place(packed, tmp_path):
    shutil.copytree(packed[0], tmp_path / "out")
    size = packed[1]["result"]["bytes"]["after"] + 100_000
    limited = config(size=f"{size / 1e6}MB")
    record = pack.pack_from_config(limited, tmp_path / "out", overwrite=True)
    assert size - 50_000 < record["result"]["bytes"]["after"] <= size
    assert verify(tmp_path / "out") == []


def test_a_file_that_is_too_small_is_refused(tmp_path):
    """At once, if the linear layers alone are larger."""
    start = r"^--size: 0.\d MB is too small for nano/bloom"
    with pytest.raises(InputError, match=f"{start}, whose linear layers alone take 0.4 MB"):
        pack.pack_from_config(config(size="0.1MB"), tmp_path)
    with pytest.raises(InputError, match=rf"{start}; expected 0.\d MB"):
        pack.pack_from_config(config(size="0.5MB"), tmp_path)


def test_the_plan_has_the_minutes_and_the_memory_of_a_recovery(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "product_rate", lambda: 1e12)
    monkeypatch.setattr(plan, "recovery_memory", lambda *_, on_grid: ({}, {"on a grid": 10**12}))
    without, with_recovery = (
        pack.plan_from_config(config(recover=minutes), tmp_path) for minutes in (None, 7)
    )
    assert with_recovery.seconds == without.seconds + 7 * 60
    assert with_recovery.disk > without.disk
    assert with_recovery.memory == 10**12 > without.memory
    assert not [*tmp_path.iterdir()]


def test_recovery_stays_within_the_size(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(in_time, "chosen", lambda *_: (16, 1))
    record = pack.pack_from_config(config(loss="2%", recover=1), tmp_path)
    last, recovered = record["steps"][-2:]
    assert "_recovered_" in recovered["name"]
    assert recovered["bytes"] <= last["bytes"] + 64
    best = min(record["steps"], key=lambda step: max(step["losses"].values()))
    assert max(record["chosen"]["losses"].values()) <= 0.02 or record["chosen"] == best


def test_lines_are_kept_for_choosing_or_reported_never_two_of_them():
    parts = parts_of(config())
    for code in ("fr", "sw"):
        lines = (CALIBRATION / f"{code}.txt").read_text().splitlines()
        cut = len(lines) - len(lines) // 5
        assert parts.kept[code] == lines[:cut]
        new = [line for line in lines[cut:] if line not in lines[:cut]]
        assert [*parts.choosing[code], *parts.reported[code]] == new[:500]


def test_without_text_the_model_writes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(texts, "_WRITTEN", 80)
    monkeypatch.setattr(texts, "_WRITTEN_TOKENS", 24)
    settings = config(text=None, loss="90%")
    with monkeypatch.context() as patch:
        patch.setattr(pack, "_choose", raise_killed)
        with pytest.raises(Killed):
            pack.pack_from_config(settings, tmp_path)
    folder = tmp_path / "steps" / "texts" / "kept"
    written = {code: (folder / f"{code}.txt").read_text().splitlines() for code in ("fr", "sw")}
    for code, lines in written.items():
        assert len(lines) > 50
        assert all(line.startswith(LANGUAGES[code].openings) for line in lines)
    monkeypatch.setattr(texts, "written_texts", raise_killed)  # once only
    record = pack.pack_from_config(settings, tmp_path)
    assert {code: lines[0] for code, lines in written.items()} == record["result"]["generated"][
        "first"
    ]
    assert verdict(record["result"]).startswith("Measured on text that the model wrote itself")
    print_packed(record, tmp_path)
    assert "written by the model itself, for want of --text" in capsys.readouterr().out
    write_report(tmp_path)
    assert "Calibration text that the model wrote" in (tmp_path / "report.html").read_text()


def test_text_that_is_held_out_twice_is_refused(tmp_path):
    message = (
        r"^--heldout: .* has 0 lines of fr that the other text lacks; expected at least 8, to "
    )
    with pytest.raises(InputError, match=message):
        pack.pack_from_config(config(heldout=SETTINGS["text"]), tmp_path / "out")


def test_other_text_is_held_out_instead(tmp_path):
    (tmp_path / "fr.txt").write_text("\n".join(f"la femme {i}" for i in range(600)))
    (tmp_path / "sw.txt").write_text("\n".join(f"mwanamke {i}" for i in range(60)))
    parts = parts_of(config(heldout=str(tmp_path)))
    assert len(parts.kept["fr"]) == len((CALIBRATION / "fr.txt").read_text().splitlines())
    assert [len(part["fr"]) for part in parts[1:]] == [166, 334]
    assert [len(part["sw"]) for part in parts[1:]] == [20, 40]


FIGURES = {
    "base_value": 1.0,
    "value": 1.02,
    "difference": 0.02,
    "low": 0.01,
    "high": 0.03,
    "parts": 30,
}
RESULT = {"bytes": {"before": 500_000_000, "after": 120_000_000}, "limit": 0.03}


def test_a_bad_result_begins_with_the_fault():
    def said(**figures):
        return verdict({**RESULT, "languages": {"fr": FIGURES, "sw": {**FIGURES, **figures}}})

    size = "model.gguf has 120 MB, 24% of 500 MB in 16 bits."
    largest = "loses most,"
    assert said() == (
        f"Within the limit of 3.0%: French {largest} +2.0% bits per byte [+1.0, +3.0]. {size}"
    )
    assert said(difference=0.26, low=0.2, high=0.3) == (
        f"Over the limit of 3.0%: Swahili {largest} +26.0% bits per byte [+20.0, +30.0]. {size}"
    )
    assert said(difference=0.0304).startswith(f"Within the limit of 3.0%: Swahili {largest} +3.0%")
    assert said(difference=0.025, high=0.0306).startswith(
        f"Probably within the limit of 3.0%: Swahili {largest} +2.5%"
    )
    assert said(difference=0.0306).startswith(f"Over the limit of 3.0%: Swahili {largest} +3.1%")
    assert said(parts=9).startswith("Too little text was held out to judge Swahili. ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "1MB", "loss": "3%"}, "--loss: set with --size; set one of them"),
        ({"text": None, "languages": "fr,ak"}, "the model has no words of Akan to begin a text"),
        ({"text": "absent"}, "--text: no folder 'absent'"),
        (
            {"languages": "fr,ja"},
            "--text: no texts of 'ja'; expected ja.txt or .jsonl beside those of de en es",
        ),
        ({"model": "nano/xglm"}, "model: llama.cpp has no xglm model; expected apertus"),
    ],
)
def test_faults_are_one_line(values, message, tmp_path):
    with pytest.raises(InputError) as error:
        pack.pack_from_config(config(**values), tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()
