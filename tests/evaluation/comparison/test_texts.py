"""Perplexity and translation of two runs: against sacrebleu and by hand, refusals, what is shown."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
import sacrebleu
import scipy.stats
from jaxprune.evaluation.comparison.compare import compare_runs
from jaxprune.evaluation.comparison.compare_json import LeftOut, PerplexityComparison, Sides
from jaxprune.evaluation.comparison.texts import compare_perplexities
from jaxprune.evaluation.comparison.write import comparison_markdown, comparison_text

from jaxprune.errors import InputError
from jaxprune.evaluation.scoring import Perplexity, metrics
from jaxprune.html_report import write_report
from jaxprune.tables import WIDTH

REFERENCES = [f"the {a} {b} sees a small {c} near the river" for a in ("red", "old", "big", "sad")
              for b in ("cat", "dog", "hen") for c in ("house", "boat", "tree", "hill")]  # fmt: skip


def worse(lines, every, word="thing"):
    """The lines with a wrong word in each `every`-th of them."""
    return [
        line.replace("small", word) if place % every == 0 else line
        for place, line in enumerate(lines)
    ]


HYPOTHESES = {
    "a": {"fr": worse(REFERENCES, 4), "sw": worse(REFERENCES, 2)},
    "b": {"fr": worse(REFERENCES, 4), "sw": worse(worse(REFERENCES, 1), 1, "so")},
}
PERPLEXITIES = {"a": {"en": 20.0, "sw": 100.0}, "b": {"en": 25.0, "sw": 150.0}}


def write_translation(run, hypotheses, references=REFERENCES, target="en"):
    folder = run / "translation"
    folder.mkdir(parents=True, exist_ok=True)
    for code, lines in hypotheses.items():
        rows = [
            {"source": "…", "hypothesis": line, "reference": reference}
            for line, reference in zip(lines, references, strict=True)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{code}.jsonl").write_text(text)
    protocol = {"target": target, "shots": 4, "beams": 1, "max_new_tokens": 40}
    about = {"protocol": protocol, "languages": {code: {} for code in hypotheses}}
    (folder / "metrics.json").write_text(json.dumps(about))


def write_perplexity(run, by_language, tokens=1000, **more):
    folder = run / "perplexity"
    folder.mkdir(parents=True, exist_ok=True)
    languages = {
        code: {"perplexity": value, "tokens": tokens, "windows": 1, "by_window": [-math.log(value)]}
        | more
        for code, value in by_language.items()
    }
    (folder / "metrics.json").write_text(json.dumps({"languages": languages}))


@pytest.fixture
def runs(tmp_path):
    folders = tmp_path / "a", tmp_path / "b"
    for run in folders:
        write_translation(run, HYPOTHESES[run.name])
        write_perplexity(run, PERPLEXITIES[run.name])
    return folders


def test_perplexities_of_both_runs(runs):
    found = compare_runs(*runs)
    assert found.tasks == {}
    assert list(found.perplexity) == ["en", "sw"]
    assert found.perplexity["sw"] == PerplexityComparison(1000, Sides(100.0, 150.0), 1.5)


def test_the_interval_of_a_ratio_is_students_of_the_windows(tmp_path):
    rng = np.random.default_rng(0)
    a = rng.normal(-3, 0.3, 12)
    b = a + rng.normal(-0.1, 0.02, 12)
    for run, means in (("a", a), ("b", b)):
        write_perplexity(tmp_path / run, {"fr": float(np.exp(-means.mean()))}, by_window=[*means])
    found = compare_runs(tmp_path / "a", tmp_path / "b").perplexity["fr"]
    expected = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    np.testing.assert_allclose(np.log(found.interval), [expected.low, expected.high], rtol=1e-9)
    assert found.interval[0] < found.ratio < found.interval[1]
    # by documents, whatever windows say: each is a mean of its tokens
    for run, means in (("a", a), ("b", b)):
        ppl = {"fr": float(np.exp(-means.mean()))}
        parts = [[100 * mean, 100] for mean in means]
        write_perplexity(tmp_path / run, ppl, by_window=[-3.0, -3.5], by_part=parts)
    by_document = compare_runs(tmp_path / "a", tmp_path / "b").perplexity["fr"]
    np.testing.assert_allclose(by_document.interval, found.interval)
    # of unequal documents: the ratio of sums, with its linearised standard error
    sizes = rng.integers(20, 400, 12)
    for run, means in (("a", a), ("b", b)):
        parts = [[float(n * mean), int(n)] for n, mean in zip(sizes, means, strict=True)]
        write_perplexity(tmp_path / run, {"fr": 20.0}, by_window=[-3.0, -3.5], by_part=parts)
    uneven = compare_runs(tmp_path / "a", tmp_path / "b").perplexity["fr"].interval
    drawn = rng.integers(0, 12, (20000, 12))
    ratios = ((a - b) * sizes)[drawn].sum(1) / sizes[drawn].sum(1)
    centre = ((a - b) * sizes).sum() / sizes.sum()
    assert np.log(uneven).mean() == pytest.approx(centre)
    reach = scipy.stats.t(11).ppf(0.975) * ratios.std() * (12 / 11) ** 0.5
    assert np.log(uneven)[1] - centre == pytest.approx(reach, rel=0.15)
    write_perplexity(tmp_path / "a", {"fr": 20.0}, by_window=[*a])
    write_perplexity(tmp_path / "b", {"fr": 20.0}, by_window=[*b[:3]])
    with pytest.raises(InputError, match="expected the same text"):
        compare_runs(tmp_path / "a", tmp_path / "b")
    for run in "ab":  # of one window nobody knows
        write_perplexity(tmp_path / run, {"fr": 20.0}, by_window=[-3.0])
    assert compare_runs(tmp_path / "a", tmp_path / "b").perplexity["fr"].interval is None


def test_the_interval_of_other_tokenizers_is_of_bits_per_byte():
    """Parts drawn again and again: bits per byte of B over those of A, as a ratio of perplexities per token of A."""
    rng = np.random.default_rng(1)
    nats = rng.uniform(0.5, 1.0, 40)  # a byte, by part
    runs = []
    for tokens, worse in ((4.0, 1.0), (3.0, 1.1)):
        sizes = rng.integers(200, 900, 40)
        counts = (sizes / tokens).astype(int)
        sums = -nats * sizes * worse * rng.normal(1, 0.03, 40)
        per_byte = -sums.sum() / sizes.sum()
        runs.append(
            Perplexity(
                math.exp(-sums.sum() / counts.sum()), int(counts.sum()), 1, (-1.0,),
                by_part=tuple(zip(sums.tolist(), counts.tolist(), strict=True)),
                bits_per_byte=per_byte / math.log(2), bytes=int(sizes.sum()),
                part_bytes=tuple(sizes.tolist()),
            )
        )  # fmt: skip
    a, b = runs
    found = compare_perplexities({"fr": a}, {"fr": b}, other_tokenizer=True)["fr"]
    drawn = rng.integers(0, 40, (20000, 40))
    per_byte = [
        np.array(one.by_part)[drawn, 0].sum(1) / np.array(one.part_bytes)[drawn].sum(1)
        for one in runs
    ]
    ratios = a.bytes / a.tokens * (per_byte[0] - per_byte[1])
    reach = scipy.stats.t(39).ppf(0.975) * ratios.std() * (40 / 39) ** 0.5
    low, high = np.log(found.interval)
    assert (low + high) / 2 == pytest.approx(math.log(found.ratio))
    assert (high - low) / 2 == pytest.approx(reach, rel=0.05)
    fewer = dataclasses.replace(b, by_part=b.by_part[:30], part_bytes=b.part_bytes[:30])
    one = compare_perplexities({"fr": a}, {"fr": fewer}, other_tokenizer=True)["fr"]
    assert one.interval != found.interval
    destroyed = dataclasses.replace(b, bits_per_byte=700.0)
    worst = compare_perplexities({"fr": a}, {"fr": destroyed}, True)["fr"]
    assert worst.ratio == math.exp(700) / a.perplexity
    old = dataclasses.replace(b, part_bytes=())
    assert compare_perplexities({"fr": a}, {"fr": old}, True)["fr"].interval is None


def test_translations_are_sacrebleus_figures_with_holms_correction(runs):
    found = compare_runs(*runs).translation
    assert found.target == "en"
    for code, figure in found.languages.items():
        assert figure.rows == len(REFERENCES)
        for side in "ab":
            lines = HYPOTHESES[side][code]
            bleu = sacrebleu.corpus_bleu(lines, [REFERENCES]).score
            chrf = sacrebleu.corpus_chrf(lines, [REFERENCES]).score
            assert math.isclose(getattr(figure.bleu, side), bleu, abs_tol=1e-9)
            assert math.isclose(getattr(figure.chrf, side), chrf, abs_tol=1e-9)
        assert figure.bleu.difference == figure.bleu.b - figure.bleu.a
    fr, sw = (found.languages[code] for code in ("fr", "sw"))
    assert [fr.holm, sw.holm] == metrics.holm([fr.bleu.p, sw.bleu.p])
    assert (fr.significant, sw.significant) == (False, True)  # fr is the same in both


def test_both_are_shown_and_nothing_is_wider_than_the_terminal(runs, tmp_path):
    found = compare_runs(*runs)
    text = comparison_text(found)
    assert max(map(len, text.splitlines())) <= WIDTH
    sw = found.translation.languages["sw"]
    loss = f"{sw.bleu.difference:+.1f}".replace("-", "\N{MINUS SIGN}")
    for shown in (text, comparison_markdown(found)):
        assert "translation into en" in shown
        assert loss in shown
        assert "1.500" in shown
    starred = [line.split()[0] for line in text.splitlines() if re.search(r"\d \* ", line)]
    assert starred == ["sw"]
    write_report(runs[1], runs[0], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Translation" in page
    assert "after / before" in page


def test_what_one_run_lacks_is_left_out_and_told(runs):
    write_translation(runs[0], {"de": REFERENCES})
    write_perplexity(runs[1], PERPLEXITIES["b"] | {"fr": 3.0})
    found = compare_runs(*runs)
    assert list(found.translation.languages) == ["fr", "sw"]
    assert found.left_out == LeftOut(("translation/de",), ("perplexity/fr",))


def refused(runs, message):
    with pytest.raises(InputError, match=message) as error:
        compare_runs(*runs)
    assert "\n" not in str(error.value)


def test_other_text_is_refused(runs):
    write_perplexity(runs[1], PERPLEXITIES["b"], tokens=999)
    refused(runs, "perplexity/en: 1000 tokens in A and 999 in B; expected the same text")
    write_perplexity(runs[1], PERPLEXITIES["b"])
    write_translation(runs[1], {"sw": REFERENCES[:-1]}, REFERENCES[:-1])
    refused(runs, "translation/sw: B has other sentences than A")
    write_translation(runs[1], HYPOTHESES["b"], target="fr")
    refused(runs, "translation: target 'en' in A and 'fr' in B; expected the same in both")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("translation/fr.jsonl", "{", "fr.jsonl: not JSON"),
        ("perplexity/metrics.json", '{"languages": {"fr": {"tokens": 3}}}', r"missing required field `perplexity`"),
        ("perplexity/metrics.json", "[", "metrics.json: not JSON"),
    ],
)  # fmt: skip
def test_broken_files_are_refused(runs, file, content, message):
    (runs[1] / file).write_text(content)
    refused(runs, message)
