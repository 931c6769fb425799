"""The variants of a grid: which products are one, which are left out, their configs and their names."""

import runpy
from pathlib import Path

import pytest

from jaxprune.base.errors import InputError
from jaxprune.cli.config.validate import validate
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.jobs import dense_jobs, evaluation_languages, jobs
from jaxprune.search.sweeps.variants import left_out_lines, variants
from jaxprune.steps.configs import RecoverConfig
from jaxprune.steps.planning.checked import config_of

ROOT = Path(__file__).parents[2]


def job(grid, **fields):
    known = {"model": "nano/bloom", "calibration.data": "nano", "evaluation.tasks": "nano_nli"}
    return config_of({**known, **fields, "sweep.grid": grid}, SweepConfig)


def names(grid, **fields):
    return [one.name for one in variants(job(grid, **fields)).made]


def test_products_that_differ_in_what_they_do_not_read_are_one_variant():
    config = job(
        "pruning.criterion=random|magnitude|wanda calibration.source=sw|fr pruning.sparsity=0.3|0.5 "
        "pruning.propagate=block|dense seed=0|1",
        **{"sweep.name": "{pruning.criterion}-{calibration.source}-{pruning.sparsity}-{pruning.propagate}-{seed}"},
    )  # fmt: skip
    made = variants(config).made
    assert [one.name for one in made if one.axes.get("pruning.criterion") != "wanda"] == [
        "dense", "random-0.3-0", "random-0.3-1", "random-0.5-0", "random-0.5-1", "magnitude-0.3",
        "magnitude-0.5",
    ]  # fmt: skip
    assert len(made) == 1 + 4 + 2 + 16
    random = made[1]
    assert random.axes == {"pruning.criterion": "random", "pruning.sparsity": 0.3, "seed": 0}
    assert random.languages == ()
    assert random.config.calibration == config.calibration  # whatever the order of the values
    assert made[-1].axes == {
        "pruning.criterion": "wanda", "calibration.source": ("fr",), "pruning.sparsity": 0.5,
        "pruning.propagate": "dense", "seed": 1,
    }  # fmt: skip
    assert made[-1].languages == ("fr",)


def test_products_of_grids_are_quantizations():
    made, left_out = variants(
        job(
            "quantize.grid=q4_0|f16 quantize.how=nearest|gptq calibration.source=fr|sw "
            "recovery.how=none|distil",
            **{"output.hf": False},
        )
    )
    assert [one.name for one in made] == [
        "dense",
        "q4_0-nearest", "q4_0-nearest-fr-distil", "q4_0-nearest-sw-distil",
        "q4_0-gptq-fr", "q4_0-gptq-fr-distil", "q4_0-gptq-sw", "q4_0-gptq-sw-distil",
        "f16",
    ]  # fmt: skip
    assert made[1].config.quantize.grid == "q4_0"
    assert made[1].config.output.hf
    assert left_out_lines(left_out) == [
        "left out quantize.grid=f16 quantize.how=nearest calibration.source=fr recovery.how=distil and 3 more: "
        "recovery.run: is in f16, without scales to fit; expected another grid",
    ]
    with pytest.raises(InputError, match="axes of pruning and of quantize; expected two sweeps"):
        job("pruning.sparsity=0.5 quantize.grid=q4_0")


def test_variants_that_change_weights_keep_them():
    grid = "pruning.criterion=wanda|sparsegpt calibration.source=fr recovery.how=none|block"
    made, _ = variants(job(grid, **{"output.hf": False}))
    assert {one.name: one.config.output.hf for one in made[1:]} == {
        "wanda-fr": False,
        "wanda-fr-block": True,
        "sparsegpt-fr": True,
        "sparsegpt-fr-block": True,
    }


def test_a_mask_that_reads_text_for_its_shares_has_variants_by_text():
    grid = "pruning.criterion=random calibration.source=fr|sw"
    assert names(grid) == ["dense", "random"]
    by_text = ["dense", "random-fr", "random-sw"]
    assert names(grid, **{"pruning.allocation": "owl", "pruning.sparsity": 0.5}) == by_text


def test_one_language_has_no_combination():
    grid = "calibration.source=fr|fr,sw calibration.combine=sum|max calibration.target=en|de"
    kind = {"calibration.kind": "monolingual"}
    assert names(grid, **kind) == ["dense", "fr", "fr+sw-sum", "fr+sw-max"]


def test_invalid_products_are_left_out_with_the_reason():
    found = variants(
        job(
            "pruning.criterion=wanda|refined calibration.kind=monolingual|translation|translation_vs_code "
            "calibration.source=en|fr",
            **{"calibration.code": "code"},
        )
    )
    assert [one.name for one in found.made] == [
        "dense", "wanda-monolingual-en", "wanda-monolingual-fr", "wanda-translation-fr",
        "refined-translation_vs_code-fr",
    ]  # fmt: skip
    assert len(found.left_out) == 8
    product = "pruning.criterion=wanda calibration.kind=translation_vs_code calibration.source=fr"
    assert "wanda reads no code; expected translation" in found.left_out[product]
    lines = left_out_lines(found.left_out)
    assert any(
        line.startswith("left out pruning.criterion=refined calibration.kind=monolingual cal")
        and " and 1 more: calibration.kind: got 'monolingual'; expected " in line
        for line in lines
    )


@pytest.mark.parametrize(
    ("grid", "fields", "message"),
    [
        ("calibration.source=en", {}, r"source=en: calibration\.target: got 'en', the source"),
        ("calibration.source=fr,sw", {"calibration.combine": "weights", "calibration.weights": "fr:2,ru:1"},
         "weights: got fr,ru; expected fr,sw, the languages of the samples"),
        ("pruning.criterion=wanda|ria", {"sweep.name": "a-{calibration.source}"}, "names two variants 'a-fr'"),
        ("pruning.criterion=wanda", {"sweep.name": "{criterion}"}, "but 'criterion' is no field that a grid may vary"),
        ("pruning.criterion=wanda", {"sweep.name": "{calibration.draw}"}, "sweep.name: got the name '' for"),
        ("pruning.criterion=wanda", {"sweep.name": "stats"}, "got the name 'stats' for pruning.criterion=wanda; exp"),
    ],
)  # fmt: skip
def test_grids_without_distinct_variants_are_refused(grid, fields, message):
    with pytest.raises(InputError, match=message):
        variants(job(grid, **fields))


def test_settings_that_a_variant_cannot_use_are_not_its_own():
    config = job(
        "pruning.criterion=random|dsnot calibration.source=fr|fr,sw",
        **{"pruning.start": "ria", "calibration.combine": "weights", "calibration.weights": "fr:2,sw:1"},
    )  # fmt: skip
    found = {one.name: one.config for one in variants(config).made[1:]}
    assert {name: (one.pruning.start, one.calibration.weights) for name, one in found.items()} == {
        "random": (None, None), "dsnot-fr": ("ria", None),
        "dsnot-fr+sw": ("ria", (("fr", 2.0), ("sw", 1.0))),
    }  # fmt: skip


def test_a_recovered_variant_comes_after_the_one_that_it_reads():
    config = job(
        "recovery.how=distil|none pruning.criterion=random|wanda calibration.source=fr|sw "
        "recovery.epochs=1|2",
        **{"recovery.batch": 4},
    )
    made = {one.name: one for one in variants(config).made}
    first = ["dense", "random", "distil-random-fr-1", "distil-random-fr-2", "distil-random-sw-1"]
    assert [*made][:5] == first
    assert len(made) == 1 + 1 + 4 + 2 + 4
    one = made["distil-wanda-sw-2"]
    assert isinstance(one.config, RecoverConfig)
    assert (one.pruned, one.config.recovery.run) == ("wanda-sw", "wanda-sw")
    assert (one.config.recovery.epochs, one.config.recovery.batch) == (2, 4)
    assert one.config.calibration.source == one.languages == ("sw",)
    assert one.axes == {
        "recovery.how": "distil", "pruning.criterion": "wanda", "calibration.source": ("sw",),
        "recovery.epochs": 2,
    }  # fmt: skip
    assert [made[name].pruned for name in ("distil-random-fr-1", "random")] == ["random", None]


def test_a_template_shows_draws_by_number_and_leaves_out_what_is_not_read():
    grid = "pruning.criterion=wanda|random calibration.source=fr,sw calibration.draw=1/2|2/2"
    name = "x{pruning.criterion}-{calibration.kind}-{calibration.source}-draw{calibration.draw}-end"
    assert names(grid, **{"sweep.name": name}) == [
        "dense", "xwanda-translation-fr+sw-draw1-end", "xwanda-translation-fr+sw-draw2-end",
        "xrandom-end",
    ]  # fmt: skip
    assert names("calibration.draw=1/2|2/2") == ["dense", "draw1", "draw2"]
    assert (
        names({"calibration.lines": ["0-9"], "calibration.data": ["nano", "a/b"]})[2] == "0-9-a_b"
    )


# Languages of the evaluation.


def test_languages_of_the_evaluation_are_the_target_and_those_of_the_grid():
    assert evaluation_languages(job("calibration.source=fr|fr,sw")) == ["en", "fr", "sw"]
    assert evaluation_languages(job("seed=0", **{"calibration.source": "sw"})) == ["en", "sw"]


def test_text_alone_is_enough_to_compare_variants():
    config = job("seed=0", **{"evaluation.tasks": "", "evaluation.perplexity": "nano"})
    assert dense_jobs(config) == {"perplexity": ["en", "fr"]}


# Ready configs.


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "paper").glob("*.py")), ids=str)
def test_configs_of_the_paper_are_valid_sweeps(path):
    config = validate(runpy.run_path(str(path))["get_config"](), "sweep")
    made, dense = variants(config).made, dense_jobs(config)
    refined = [one for one in made if one.axes.get("pruning.criterion") == "refined"]
    assert len(refined) == (5 if path.stem == "bloom_3b" else 0)
    assert len(made) == 13 + len(refined)
    assert jobs(made[0], dense, "all") == {
        "xnli": ["en", "fr", "es", "zh", "hi", "sw"], "marc2": ["en", "fr", "es", "zh"],
        "translation": ["fr", "es", "zh", "hi", "sw"],
    }  # fmt: skip
    [sw] = [one for one in made if one.name == "wanda-translation-sw"]
    assert jobs(sw, dense, "all")["translation"] == ["sw"]
    text = path.read_text().split('"""')[1]
    assert f"jaxprune sweep --config paper/{path.stem} --workdir" in text
