"""Comparison of runs: figures against their own definition, refusals, what is written and printed."""

import csv
import json
import os

import numpy as np
import pytest
from jaxprune.evaluation.comparison.compare import compare_runs
from jaxprune.evaluation.comparison.compare_json import Comparison, LeftOut, Sides
from jaxprune.evaluation.comparison.write import (
    comparison_csv,
    comparison_markdown,
    comparison_text,
    write_comparison,
)
from run_json import read_record
from run_scripts import run_alone, run_here
from scipy.special import softmax
from scipy.stats import bootstrap

from jaxprune.errors import InputError
from jaxprune.evaluation.scoring import metrics
from jaxprune.runs import checkpoint
from jaxprune.tables import WIDTH

LABELS = np.random.default_rng(0).integers(0, 3, 300).astype(np.int32)


def save(run, task, code, scores, labels=LABELS, rows=None, **extra):
    (run / task).mkdir(parents=True, exist_ok=True)
    rows = np.arange(len(labels), dtype=np.int32) if rows is None else rows
    scores = np.asarray(scores, np.float32)
    np.savez(run / task / f"{code}.npz", scores=scores, labels=labels, rows=rows, **extra)


def save_metrics(run, task, **values):
    (run / task / "metrics.json").write_text(json.dumps({"task": task} | values))


def made_scores(seed, weight):
    noise = np.random.default_rng(seed).normal(size=(len(LABELS), 3))
    return noise + weight * np.eye(3)[LABELS]


def right(scores, labels=LABELS):
    return np.argmax(scores, axis=1) == labels


# What each run says: sw gets much worse, fr a little better.
A = {"en": made_scores(1, 2.0), "fr": made_scores(2, 1.0), "sw": made_scores(3, 1.5)}
B = {"en": A["en"], "fr": A["fr"] + made_scores(4, 0.6) / 3, "sw": made_scores(5, 0.1)}


@pytest.fixture
def runs(tmp_path):
    folders = tmp_path / "a", tmp_path / "b"
    for run, scores in zip(folders, (A, B), strict=True):
        for code in scores:
            save(run, "xnli", code, scores[code])
        save_metrics(run, "xnli", protocol="paper", labels=None)
    return folders


# Figures.


def test_probabilities_of_the_right_option_are_paired_by_row(runs):
    task = compare_runs(*runs).tasks["xnli"]
    p = {
        code: [softmax(np.float32(run[code]), axis=1)[np.arange(300), LABELS] for run in (A, B)]
        for code in A
    }
    for code, (a, b) in p.items():
        found = task.languages[code].probability
        np.testing.assert_allclose([*found.mean], [a.mean(), b.mean()], rtol=1e-6)
        assert found.difference == pytest.approx(b.mean() - a.mean(), abs=1e-6)
    found, (a, b) = task.languages["fr"].probability, p["fr"]
    drawn = bootstrap((b - a,), np.mean, method="percentile", rng=0).confidence_interval
    np.testing.assert_allclose(found.interval, drawn, atol=1e-3)
    assert task.languages["en"].probability.p == 1  # both runs say the same
    changes = np.array([b - a for a, b in p.values()])  # [language, row]: a row is drawn in all
    drawn = bootstrap((changes.mean(0),), np.mean, method="percentile", rng=0).confidence_interval
    assert task.mean.probability.difference == pytest.approx(changes.mean(), abs=1e-6)
    np.testing.assert_allclose(task.mean.probability.interval, drawn, atol=1e-3)


def test_probabilities_show_what_too_few_predictions_change_for(runs):
    """All scores of the right option fall by as much, and hardly any prediction changes."""
    save(runs[1], "xnli", "fr", A["fr"] - 0.03 * np.eye(3)[LABELS])
    found = compare_runs(*runs).tasks["xnli"].languages["fr"]
    assert found.p.mcnemar > 0.05
    assert found.probability.interval[1] < 0
    assert found.probability.p < 0.001
    text = comparison_text(compare_runs(*runs))
    table = text[text.index("probability of the right option, %") :].splitlines()
    row = next(line.split() for line in table if line.startswith("fr"))
    a, b = found.probability.mean
    assert row[1:4] == [f"{100 * a:.2f}", f"{100 * b:.2f}", f"\N{MINUS SIGN}{100 * (a - b):.2f}"]


def test_figures_of_every_language(runs):
    found = compare_runs(*runs)
    assert (found.a, found.b) == tuple(map(str, runs))
    assert list(found.tasks) == ["xnli"]
    task = found.tasks["xnli"]
    assert task.protocol == "paper"
    assert list(task.languages) == ["en", "fr", "sw"]
    for code, figure in task.languages.items():
        a, b = right(A[code]), right(B[code])
        tested = metrics.paired_bootstrap(np.subtract(b, a, dtype=float))
        assert figure.rows == figure.rows_a == figure.rows_b == len(LABELS)
        assert figure.accuracy == Sides(a.mean(), b.mean())
        assert figure.difference == pytest.approx(b.mean() - a.mean(), abs=1e-12)
        assert figure.interval == tested.interval
        assert figure.p.bootstrap == tested.p
        assert figure.p.mcnemar == metrics.mcnemar(a, b)
        for side, scores in (("a", A), ("b", B)):
            low, high = metrics.wilson_interval(int(right(scores[code]).sum()), len(LABELS))
            assert getattr(figure.accuracy_interval, side) == (low, high)
            predictions = scores[code].argmax(1)
            assert getattr(figure.f1, side) == metrics.weighted_f1(predictions, LABELS)
            if code != "en":
                gap = right(scores["en"]).mean() - right(scores[code]).mean()
                assert getattr(figure.gap_to_english, side) == pytest.approx(gap)
                ranked = (scores[c].astype(np.float32) for c in ("en", code))
                assert getattr(figure.rankc, side) == metrics.rankc(*ranked)
    assert task.languages["en"].rankc is None
    assert task.languages["en"].gap_to_english is None
    assert [worst.language for worst in task.worst] == ["fr", "sw"]


def test_significance_is_holm_within_the_task(runs):
    rng = np.random.default_rng(7)
    for run in runs:  # another task, with one language: no correction there, and none from there
        save(run, "aaa", "fr", rng.normal(size=(300, 3)))
    found = compare_runs(*runs).tasks
    for task in found.values():
        p = {code: figure.p.mcnemar for code, figure in task.languages.items()}
        ranked = sorted(p, key=p.get)
        for place, code in enumerate(ranked):
            stepped = max(p[c] * (len(p) - i) for i, c in enumerate(ranked[: place + 1]))
            assert task.languages[code].p.holm == pytest.approx(min(1.0, stepped))
    assert found["aaa"].languages["fr"].p.holm == pytest.approx(
        found["aaa"].languages["fr"].p.mcnemar
    )
    xnli = found["xnli"].languages
    assert {code: figure.significant for code, figure in xnli.items()} == {
        "en": False,
        "fr": xnli["fr"].p.holm <= 0.05,
        "sw": True,
    }


def test_one_of_many_small_p_values_is_not_significant(runs):
    labels = np.zeros(40, np.int32)

    def scores(wrong):
        return np.stack([np.ones(40), 2.0 * np.isin(np.arange(40), wrong)], axis=1)

    for task, codes in (("alone", ["fr"]), ("among", ["fr", "de", "es"])):
        for code in codes:
            # wrong in A only: 8 rows, in B only: one; p = 20/512 in French, 1 in the others
            wrong_in_b = [8] if code == "fr" else range(8, 16)
            save(runs[0], task, code, scores(range(8)), labels)
            save(runs[1], task, code, scores(wrong_in_b), labels)
    found = compare_runs(*runs)
    alone, among = (found.tasks[task].languages["fr"] for task in ("alone", "among"))
    assert alone.p.mcnemar == among.p.mcnemar == pytest.approx(20 / 512)
    assert (alone.significant, among.significant) == (True, False)
    starred = [line.split()[0] for line in comparison_text(found).splitlines() if "0.039 *" in line]
    assert starred == ["fr"]


def test_a_run_does_not_differ_from_itself(runs):
    task = compare_runs(runs[0], runs[0]).tasks["xnli"]
    for figure in [*task.languages.values(), task.mean, task.mean_non_english]:
        assert (figure.difference, figure.interval) == (0.0, (0.0, 0.0))
        assert figure.p.bootstrap == 1.0
    assert not any(figure.significant for figure in task.languages.values())


def test_means_draw_the_rows_of_all_languages_at_once(runs):
    for run, scores in zip(runs, (A, B), strict=True):
        save(run, "copies", "fr", scores["sw"])
        save(run, "copies", "de", scores["sw"])
        save(run, "apart", "fr", scores["sw"])
        save(run, "apart", "de", scores["sw"], rows=np.arange(1000, 1300))
    found = compare_runs(*runs).tasks
    one = found["copies"].languages["fr"]
    twice = found["copies"].mean
    assert [*twice.accuracy] == pytest.approx([*one.accuracy])
    assert twice.difference == pytest.approx(one.difference)
    # two copies are no more evidence than one, two sets of rows are
    assert twice.interval == pytest.approx(one.interval)
    assert found["copies"].mean == found["copies"].mean_non_english

    def width(interval):
        return interval[1] - interval[0]

    apart = found["apart"].mean
    assert apart.difference == pytest.approx(one.difference)
    assert width(apart.interval) == pytest.approx(width(one.interval) / 2**0.5, rel=0.1)

    xnli = found["xnli"]
    changes = np.mean([right(B[code]) * 1.0 - right(A[code]) for code in ("fr", "sw")], axis=0)
    mean = xnli.mean_non_english
    assert mean.difference == pytest.approx(changes.mean())
    half = 1.96 * changes.std() / len(changes) ** 0.5
    expected = [changes.mean() - half, changes.mean() + half]
    assert mean.interval == pytest.approx(expected, abs=0.1 * half)


# Groups and priors.


GROUPS = (np.arange(300) // 3 * 3).astype(np.int32)


def test_groups_are_drawn_whole_and_in_all_languages_at_once(runs):
    rng = np.random.default_rng(8)
    alike = rng.normal(size=(100, 1, 1)).repeat(3, axis=1).reshape(300, 1)
    for code in ("fr", "sw"):  # B's rows of a group are right or wrong together
        scores = B[code] + 3 * alike * np.eye(3)[LABELS]
        save(runs[0], "xnli", code, A[code], groups=GROUPS)
        save(runs[1], "xnli", code, scores, groups=GROUPS)
    task = compare_runs(*runs).tasks["xnli"]
    changes = {}
    for code in ("fr", "sw"):
        after = right(np.float32(B[code] + 3 * alike * np.eye(3)[LABELS]))
        changes[code] = after * 1.0 - right(A[code])
        by_group = changes[code].reshape(100, 3).mean(1)
        found = task.languages[code]
        drawn = bootstrap((by_group,), np.mean, method="percentile", rng=0).confidence_interval
        assert found.difference == pytest.approx(by_group.mean())
        np.testing.assert_allclose(found.interval, drawn, atol=4e-3)
        rows = bootstrap((changes[code],), np.mean, rng=0).confidence_interval
        assert np.diff(found.interval) > 1.2 * np.diff(rows)
    of_both = np.mean([*changes.values()], axis=0).reshape(100, 3).mean(1)
    drawn = bootstrap((of_both,), np.mean, method="percentile", rng=0).confidence_interval
    np.testing.assert_allclose(task.mean_non_english.interval, drawn, atol=4e-3)
    assert task.languages["en"].discrimination is None  # its file has no groups


def contrast_of(scores, i, j):
    """By how much row i prefers its own label to that of row j, and row j the other way round."""
    i_own, j_own = LABELS[i], LABELS[j]
    return scores[i, i_own] - scores[i, j_own] - scores[j, i_own] + scores[j, j_own]


def test_discrimination_and_contrast_within_groups(runs):
    for code in A:
        save(runs[0], "xnli", code, A[code], groups=GROUPS)
        save(runs[1], "xnli", code, B[code], groups=GROUPS)
    found = compare_runs(*runs)
    task = found.tasks["xnli"]
    for code, figure in task.languages.items():
        values = []
        for scores in (np.float32(A[code]).astype(float), np.float32(B[code]).astype(float)):
            by_group = []
            for start in range(0, 300, 3):
                pairs = [
                    contrast_of(scores, i, j)
                    for i in range(start, start + 3)
                    for j in range(start, start + 3)
                    if LABELS[i] != LABELS[j]
                ]
                by_group.append(pairs)
            values.append(by_group)
        # a row counts once, however many rows of its group have other labels
        a, of_rows = np.float32(A[code]).astype(float), []
        for i in range(300):
            others = [j for j in range(i - i % 3, i - i % 3 + 3) if LABELS[j] != LABELS[i]]
            of_rows += [np.array([contrast_of(a, i, j) for j in others])] if others else []
        assert figure.contrast.mean.a == pytest.approx(np.mean([row.mean() for row in of_rows]))
        preferred = [np.mean((row > 0) + 0.5 * (row == 0)) for row in of_rows]
        assert figure.discrimination.mean.a == pytest.approx(np.mean(preferred))
        share, (low, high) = figure.contrast.share, figure.contrast.interval
        assert share == pytest.approx(figure.contrast.mean.b / figure.contrast.mean.a)
        assert low <= share <= high
        drawn = np.random.default_rng(0).integers(0, 100, (2000, 100))
        sums, sizes = (
            np.array([[f(pairs) for pairs in of_run] for of_run in values]) for f in (sum, len)
        )
        ratios = [
            (sums[1][at].sum() / sizes[1][at].sum()) / (sums[0][at].sum() / sizes[0][at].sum())
            for at in drawn
        ]
        np.testing.assert_allclose((low, high), np.quantile(ratios, [0.025, 0.975]), atol=0.06)
    assert task.languages["sw"].discrimination.interval[1] < 0
    text = comparison_text(found)
    assert "right option preferred within groups, % (chance 50)" in text
    table = text[text.index("contrast within groups") :].splitlines()
    row = next(line.split() for line in table if line.startswith("sw"))
    assert row[3] == f"{100 * task.languages['sw'].contrast.share:.0f}"


def test_of_a_model_that_tells_nothing_apart_there_is_nothing_to_keep(runs):
    for run in runs:
        save(run, "xnli", "fr", made_scores(11, 0.0), groups=GROUPS)
    contrast = compare_runs(*runs).tasks["xnli"].languages["fr"].contrast
    assert (contrast.share, contrast.interval) == (None, None)


def test_a_change_that_is_one_of_the_priors_alone_is_named(runs):
    """A says each option as often as it is right, B nearly always the first one."""
    save(runs[1], "xnli", "fr", A["fr"] + np.array([4.0, 0.0, 0.0]))
    found = compare_runs(*runs)
    figure = found.tasks["xnli"].languages["fr"]
    assert figure.significant
    assert figure.chosen.b[0] > 0.9 > 0.5 > figure.chosen.a[0]
    assert figure.without_prior.difference == pytest.approx(0, abs=0.01)
    text = comparison_text(found)
    note = "fr: the significant change of"
    assert note in text
    assert f"sw{note[2:]}" not in text  # sw says less of everything: that change stays
    assert note in comparison_markdown(found)
    table = text[text.index("options chosen, %") :].splitlines()
    shares = ["/".join(f"{100 * share:.0f}" for share in side) for side in figure.chosen]
    assert next(line.split() for line in table if line.startswith("fr"))[1:] == shares


# Pairs.


def test_rows_are_paired_by_number(runs):
    plain = compare_runs(*runs)
    rng = np.random.default_rng(0)
    for code, scores in B.items():
        order = rng.permutation(len(LABELS))
        save(runs[1], "xnli", code, scores[order], LABELS[order], order.astype(np.int64))
    assert compare_runs(*runs) == plain


def test_only_shared_rows_count_and_the_table_says_so(runs):
    some = np.arange(40, 300)
    save(runs[1], "xnli", "fr", B["fr"][some], LABELS[some], some)
    save(runs[1], "xnli", "sw", np.vstack([B["sw"], B["sw"]]), np.tile(LABELS, 2))
    found = compare_runs(*runs)
    figure = found.tasks["xnli"].languages["fr"]
    a, b = (right(scores["fr"])[some] for scores in (A, B))
    assert (figure.rows, figure.rows_a, figure.rows_b) == (260, 300, 260)
    assert figure.accuracy == Sides(a.mean(), b.mean())
    assert figure.p.mcnemar == metrics.mcnemar(a, b)
    assert figure.rankc is None  # its rows are not those of English
    for text in (comparison_text(found), comparison_markdown(found)):
        assert "fr: 260 rows are in both runs and count (A has 300, B has 260)" in text
        assert "sw: 300 rows are in both runs and count (A has 300, B has 600)" in text
        assert text.count("rows are in both runs") == 2
        assert "xnli, protocol paper, 260 to 300 rows a language" in text


def test_what_one_run_lacks_is_left_out_and_told(runs):
    save(runs[0], "xnli", "th", A["fr"])
    save(runs[0], "xcopa", "fr", A["fr"])
    save(runs[1], "marc2", "de", A["fr"])
    found = compare_runs(*runs)
    assert list(found.tasks) == ["xnli"]
    assert "th" not in found.tasks["xnli"].languages
    assert found.left_out == LeftOut(only_a=("xcopa/fr", "xnli/th"), only_b=("marc2/de",))
    for text in (comparison_text(found), comparison_markdown(found)):
        assert "only in A, left out: xcopa/fr, xnli/th" in text
        assert "only in B, left out: marc2/de" in text


def test_other_files_are_passed_over(runs):
    plain = compare_runs(*runs)
    (runs[0] / "analysis").mkdir()
    np.savez(runs[0] / "analysis" / "fr.npz", magnitudes=np.ones(3))
    (runs[0] / "report.json").write_text("{}")
    (runs[0] / "progress").mkdir()
    (runs[0] / "progress" / "layer_00000.npz").write_bytes(b"not read")
    assert compare_runs(*runs) == plain


def test_rankc_where_evaluation_gave_it(runs):
    save_metrics(runs[1], "xnli", protocol="paper", languages={"fr": {"accuracy": 0.3}})
    languages = compare_runs(*runs).tasks["xnli"].languages
    assert languages["fr"].rankc is None
    save_metrics(runs[1], "xnli", languages={"fr": {"rankc": {"corrected": 0.5}}})
    assert compare_runs(*runs).tasks["xnli"].languages["fr"].rankc is not None


# Refusals.


def refused(runs, message):
    with pytest.raises(InputError, match=message) as error:
        compare_runs(*runs)
    assert "\n" not in str(error.value)


def test_runs_that_cannot_be_compared(runs, tmp_path):
    refused((runs[0], tmp_path / "none"), "none: no such folder; expected the --workdir")
    (tmp_path / "empty" / "xnli").mkdir(parents=True)
    refused((tmp_path / "empty", runs[1]), "empty: not evaluated; expected <task>/<language>.npz")
    save(tmp_path / "c", "xnli", "de", A["fr"])
    save(tmp_path / "c", "marc2", "fr", A["fr"])
    refused(
        (runs[0], tmp_path / "c"),
        "no task and language in both runs: .*a has xnli/en xnli/fr xnli/sw; "
        ".*c has marc2/fr xnli/de",
    )


def test_other_data_is_refused(runs):
    labels = LABELS.copy()
    labels[17] = (labels[17] + 1) % 3
    save(runs[1], "xnli", "fr", B["fr"], labels)
    refused(runs, f"xnli/fr: row 17 has label {LABELS[17]} in A and {labels[17]} in B")
    save(runs[1], "xnli", "fr", B["fr"], rows=np.arange(300, 600))
    refused(runs, "xnli/fr: no row is in both runs")
    wider = np.hstack([B["fr"], B["fr"][:, :1] - 1])
    save(runs[1], "xnli", "fr", wider)
    refused(runs, "xnli/fr: 3 scores a row in A and 4 in B")


def test_protocols_and_labels_are_never_mixed(runs):
    save_metrics(runs[1], "xnli", protocol="lm_eval")
    refused(runs, "xnli: protocol 'paper' in A and 'lm_eval' in B; expected the same in both")
    save_metrics(runs[0], "xnli", protocol="paper", labels=["yes", "maybe", "no"])
    save_metrics(runs[1], "xnli", protocol="paper", labels=["no", "maybe", "yes"])
    refused(runs, r"xnli: labels \['yes', 'maybe', 'no'\] in A and \['no', 'maybe', 'yes'\]")
    (runs[1] / "xnli" / "metrics.json").unlink()
    assert compare_runs(*runs).tasks["xnli"].protocol == "paper"


def truncated(file):
    file.write_bytes(file.read_bytes()[:400])


def text(file):
    file.write_text("scores")


def npy(file):
    with file.open("wb") as out:
        np.save(out, np.ones(3))


class Trap:
    def __reduce__(self):
        return (os.abort, ())


def pickled(file):
    np.savez(file, scores=np.array([Trap()], object), labels=LABELS, rows=np.arange(300))


def flipped(file):
    content = bytearray(file.read_bytes())
    content[1000] ^= 255
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [truncated, text, npy, pickled, flipped])
def test_damaged_files_are_refused_and_nothing_is_unpickled(runs, damage):
    damage(runs[1] / "xnli" / "fr.npz")
    refused(runs, r"b/xnli/fr.npz: damaged, or no .npz of plain arrays")


def test_files_of_other_content_are_refused(runs):
    bad = B["fr"].copy()
    bad[5, 1] = np.nan
    save(runs[1], "xnli", "fr", bad, rows=np.arange(10, 310))
    refused(runs, r"xnli/fr.npz: row 15 has the score nan for option 1")
    save(runs[1], "xnli", "fr", B["fr"])
    for content in ("{", "[]"):
        (runs[1] / "xnli" / "metrics.json").write_text(content)
        refused(runs, r"xnli/metrics.json: (not JSON|expected a JSON object)")


# Masks.


def mask_trees():
    rng = np.random.default_rng(0)
    return [
        {"blocks": {"mlp": {name: {"kernel": rng.random((4, 6, 10)) < share}
                            for name in ("up", "out")}}}
        for share in (0.7, 0.5)
    ]  # fmt: skip


def test_masks_are_compared_by_layer_and_kernel(runs):
    trees = mask_trees()
    for run, tree in zip(runs, trees, strict=True):
        checkpoint.save(run / "checkpoint", masks=tree)
    found = compare_runs(*runs)
    a, b = (
        {name: tree["blocks"]["mlp"][name]["kernel"] for name in ("up", "out")} for tree in trees
    )

    def iou(select):
        pairs = [(select(name, a[name]), select(name, b[name])) for name in a]
        return sum((x & y).sum() for x, y in pairs) / sum((x | y).sum() for x, y in pairs)

    masks = found.masks
    assert masks.overall == pytest.approx(iou(lambda name, mask: mask))
    for layer in range(4):
        expected = iou(lambda name, mask, layer=layer: mask[layer])
        assert masks.layers[layer] == pytest.approx(expected)
    for name in a:
        expected = iou(lambda other, mask, name=name: mask[: 4 if other == name else 0])
        assert masks.kernels[f"blocks/mlp/{name}/kernel"] == pytest.approx(expected)
    kept = [np.mean([mask.mean() for mask in tree.values()]) for tree in (a, b)]
    assert list(masks.density) == pytest.approx(kept)
    # drawn apart from each other, as these were
    layers = [(a[name][layer], b[name][layer]) for name in a for layer in range(4)]
    both = sum(x.sum() * y.sum() / x.size for x, y in layers)
    either = sum(x.sum() + y.sum() for x, y in layers) - both
    assert masks.independent == pytest.approx(both / either)
    assert masks.independent == pytest.approx(masks.overall, abs=0.08)
    for text in (comparison_text(found), comparison_markdown(found)):
        assert f"IoU {masks.overall:.3f} of the kept weights" in text
        assert f"{masks.layers[2]:.3f}" in text
        assert "mlp/out" in text


def test_masks_that_are_not_there_or_of_another_model(runs):
    ours, _ = mask_trees()
    found = compare_runs(*runs)
    assert (found.masks, found.masks_note) == (None, "neither run has any")
    checkpoint.save(runs[0] / "checkpoint", masks=ours)
    assert "\nmasks: B has none\n" in comparison_text(compare_runs(*runs))
    assert "\nmasks: A has none\n" in comparison_markdown(compare_runs(*runs[::-1]))
    checkpoint.save(runs[1] / "checkpoint", metadata={"a": 1})
    with pytest.raises(InputError, match=r"b/checkpoint: contains no masks$"):
        compare_runs(*runs)
    other = {"blocks": {"mlp": {"up": ours["blocks"]["mlp"]["up"]}}}
    checkpoint.save(runs[1] / "checkpoint", masks=other, overwrite=True)
    found = compare_runs(*runs)
    assert "mlp/out/kernel is (4, 6, 10) in the first" in found.masks_note
    assert "masks: not compared (" in comparison_text(found)


# What is written and printed.


def test_files_hold_the_same_figures(runs, tmp_path):
    found = compare_runs(*runs)
    out = tmp_path / "deep" / "out"
    write_comparison(found, out)
    write_comparison(found, out)
    assert sorted(file.name for file in out.iterdir()) == [
        "compare.csv",
        "compare.json",
        "compare.md",
    ]
    assert read_record(Comparison, out / "compare.json") == found
    assert (out / "compare.md").read_text() == comparison_markdown(found)
    with (out / "compare.csv").open(newline="") as file:
        lines = {line["language"]: line for line in csv.DictReader(file)}
    assert (out / "compare.csv").read_text() == comparison_csv(found)
    for code, figure in found.tasks["xnli"].languages.items():
        line = lines.pop(code)
        assert (line["task"], line["protocol"], int(line["rows"])) == ("xnli", "paper", 300)
        assert float(line["accuracy_b"]) == figure.accuracy.b
        assert (float(line["low"]), float(line["high"])) == figure.interval
        assert float(line["p_holm"]) == figure.p.holm
        assert line["significant"] == str(figure.significant)
        assert float(line["f1_a"]) == figure.f1.a
        assert float(line["probability_b"]) == figure.probability.mean.b
        assert float(line["probability_low"]) == figure.probability.interval[0]
        if code == "en":
            assert line["rankc_a"] == line["gap_to_english_a"] == ""
        else:
            for side in "ab":
                rankc = getattr(figure.rankc, side)
                assert float(line[f"rankc_{side}"]) == rankc.corrected
                assert float(line[f"rankc_official_{side}"]) == rankc.official
            assert float(line["gap_to_english_b"]) == figure.gap_to_english.b
    assert not lines


COMPARE_JSON = {
    "": ["a", "b", "tasks", "perplexity", "translation", "left_out", "masks", "masks_note", "method"],
    "tasks.xnli": ["protocol", "languages", "mean", "mean_non_english", "worst"],
    "tasks.xnli.languages.fr": [
        "rows", "accuracy", "f1", "accuracy_interval", "difference", "interval", "p",
        "gap_to_english", "rankc", "rows_a", "rows_b", "significant", "probability", "chosen",
        "without_prior",
    ],
    "tasks.xnli.languages.fr.probability": ["mean", "difference", "interval", "p"],
    "tasks.xnli.languages.fr.p": ["bootstrap", "mcnemar", "holm"],
    "tasks.xnli.languages.fr.rankc": ["a", "b"],
    "tasks.xnli.languages.fr.rankc.b": ["corrected", "official"],
    "tasks.xnli.mean": ["accuracy", "difference", "interval", "p", "probability", "without_prior"],
    "tasks.xnli.mean.p": ["bootstrap"],
    "tasks.xnli.worst.a": ["language", "accuracy"],
    "left_out": ["only_a", "only_b"],
    "masks": ["overall", "independent", "layers", "kernels", "density"],
    "method": ["confidence", "resamples", "seed", "alpha", "significant"],
}  # fmt: skip


def test_the_keys_of_compare_json_and_their_order(runs, tmp_path):
    """As programs read them that know nothing of this package."""
    for run, tree in zip(runs, mask_trees(), strict=True):
        checkpoint.save(run / "checkpoint", masks=tree)
    write_comparison(compare_runs(*runs), tmp_path / "out")
    written = json.loads((tmp_path / "out" / "compare.json").read_text())
    for path, keys in COMPARE_JSON.items():
        value = written
        for key in filter(None, path.split(".")):
            value = value[key]
        assert list(value) == keys, path
    english = written["tasks"]["xnli"]["languages"]["en"]
    assert (english["rankc"], english["gap_to_english"]) == (None, None)
    assert (written["perplexity"], written["translation"], written["masks_note"]) == (None,) * 3
    for file, message in (
        ({}, "Object missing required field `a`"),
        (
            {**written, "method": {"seed": 0}},
            r"Object missing required field `confidence` - at `\$\.method`",
        ),
        (
            {**written, "method": {"seed": "x"}},
            r"Expected `int`, got `str` - at `\$\.method\.seed`",
        ),
    ):
        (tmp_path / "out" / "compare.json").write_text(json.dumps(file))
        with pytest.raises(InputError, match=f"compare.json.*{message}"):
            read_record(Comparison, tmp_path / "out" / "compare.json")


def with_minus(text):
    return text.replace("-", "\N{MINUS SIGN}")


def test_the_table_shows_percent_and_points(runs):
    found = compare_runs(*runs)
    figure = found.tasks["xnli"].languages["sw"]
    text = comparison_text(found)
    shown = next(line for line in text.splitlines() if line.startswith("sw "))
    low, high = (with_minus(f"{100 * bound:+.1f}") for bound in figure.interval)
    cells = [
        "sw",
        *(f"{100 * right(scores['sw']).mean():.1f}" for scores in (A, B)),
        with_minus(f"{100 * (right(B['sw']).mean() - right(A['sw']).mean()):+.1f}"),
        f"[{low},", f"{high}]", "<0.001", "<0.001", "<0.001", "*",
        *(with_minus(f"{100 * (right(s['en']).mean() - right(s['sw']).mean()):.1f}") for s in (A, B)),
        *(f"{getattr(figure.rankc, side).corrected:.3f}" for side in "ab"),
    ]  # fmt: skip
    assert shown.split() == cells
    assert text.count(" *\n") + text.count(" * ") == 2  # and the legend
    row = [*cells[:4], " ".join(cells[4:6]), *cells[6:8], r"<0.001 \*", *cells[10:]]
    assert f"| {' | '.join(row)} |" in comparison_markdown(found)


def test_the_table_fits_a_terminal(tmp_path):
    labels = np.zeros(200, np.int32)
    flat = {code: np.random.default_rng(i).random((200, 2)) for i, code in
            enumerate(["en", "zho_Hans", "arb_Arab", *(f"l{i:02}_Latn" for i in range(30))])}  # fmt: skip
    trees = [
        {"blocks": {f"mlp{i}": {"kernel": np.random.default_rng(seed).random((48, 4, 4)) < 0.5}
                    for i in range(9)}}
        for seed in (0, 1)
    ]  # fmt: skip
    for name, sign in (("a", -1), ("b", 1)):
        for code, scores in flat.items():  # right by 0.1 at one time and 0.9 at the other
            chances = scores + sign * np.array([0.0, 0.55])
            save(tmp_path / name, "xnli", code, chances, labels)
        checkpoint.save(tmp_path / name / "checkpoint", masks=trees[name == "b"])
        save(tmp_path / name, f"only_{name}", "en", flat["en"], labels)
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    lines = comparison_text(found).splitlines()[2:]  # the first two are paths
    assert max(map(len, lines)) <= WIDTH
    shown = next(line for line in lines if line.startswith("zho_Hans"))
    assert "[\N{MINUS SIGN}" in shown
    assert shown.count("\N{MINUS SIGN}") >= 3  # a loss of two digits and both ends of its interval
    layers = " ".join(line for line in lines if line.startswith("  "))
    assert all(f"{i} {share:.3f}" in layers for i, share in enumerate(found.masks.layers))


def test_the_script_prints_and_writes(runs, monkeypatch, capfd):
    for run, tree in zip(runs, mask_trees(), strict=True):
        checkpoint.save(run / "checkpoint", masks=tree)
    done = run_alone("compare", *runs)
    assert (done.returncode, done.stderr) == (0, "")
    found = read_record(Comparison, runs[1] / "compare" / "compare.json")
    assert done.stdout.startswith(comparison_text(found))
    again = run_here(monkeypatch, capfd, "compare", *runs, "--out", runs[0] / "here")
    assert again.returncode == 0
    assert read_record(Comparison, runs[0] / "here" / "compare.json") == found
