import csv
import dataclasses
import json
import re
import sys
import types

import numpy as np
import pytest

from jaxprune.base.errors import InputError
from jaxprune.evaluation.tasks.questions import (
    Option,
    Question,
    languages_of,
    load_task,
    questions,
    ready_tasks,
)
from nano import corpus

# Where the authors' `dataset.shuffle(seed=0)` of XNLI's 5,010 test rows begins (datasets 2.12, 5.2).
AUTHORS_ORDER = [50, 1498, 2596, 3879, 4334, 2413, 320, 4904, 3090, 814]

STORY = {
    "story_id": "1",
    "input_sentence_1": "Ana amka.",
    "input_sentence_2": "Mvua ilinyesha.",
    "input_sentence_3": "Alichukua mwavuli.",
    "input_sentence_4": "Alitoka nje.",
    "sentence_quiz1": "Alilowa.",
    "sentence_quiz2": "Alibaki mkavu.",
    "answer_right_ending": 2,
}
STORY_START = "Ana amka. Mvua ilinyesha. Alichukua mwavuli. Alitoka nje."
PASSAGE = {
    "link": "https://en.wikibooks.org/wiki/X",
    "question_number": 1,
    "flores_passage": "Le lac est gelé.",
    "question": " Que dit-on du lac ? ",
    "mc_answer1": "Il est gelé",
    "mc_answer2": "Il est sec",
    "mc_answer3": "Il est grand",
    "mc_answer4": "Il est vert",
    "correct_answer_num": "3",
    "dialect": "fra_Latn",
    "ds": "2023-05-03",
}
PARAPHRASE = {
    "id": 1,
    "sentence1": "He did n't ( ever ) say \" no \" , Bob 's friend said .",
    "sentence2": "Bob 's friend said he never did .",
    "label": 1,
}
CHOICES = {
    "premise": "Çocuk ağladı.",
    "choice1": "Düştü.",
    "choice2": "Annesi geldi.",
    "label": 0,
    "idx": 7,
    "changed": False,
}
BLANK = {
    "sentence": "The city refused the men a permit because _ feared violence.",
    "option1": "The city",
    "option2": "The men",
    "answer": "1",
}
NLI = {"premise": "Il dort.", "hypothesis": "Il est éveillé.", "label": 2}
CHINESE = {"id": 2, "sentence1": "他 说 .", "sentence2": "他 没说 。", "label": 0}

# Task, protocol, language, a row as the data set has it, its options (context, continuation), its
# label. The strings of lm_eval are what its YAML files give, those of the paper are in its section 5.
RENDERED = [
    (
        ("xnli", "paper", "fr", NLI, 2),
        ("", "Il dort. , right? Yes , Il est éveillé."),
        ("", "Il dort. , right? Also , Il est éveillé."),
        ("", "Il dort. , right? No , Il est éveillé."),
    ),
    (
        ("xnli", "lm_eval", "fr", NLI, 2),
        ("", " Il dort., correct? Oui, Il est éveillé."),
        ("", " Il dort., correct? Aussi, Il est éveillé."),
        ("", " Il dort., correct? Non, Il est éveillé."),
    ),
    (
        ("marc2", "paper", "de", {"id": "de_1", "text": "Gut\n und\t billig", "label": 3}, 1),
        ("", "Gut und billig It is negative"),
        ("", "Gut und billig It is positive"),
    ),
    (
        ("xcopa", "paper", "tr", {**CHOICES, "question": "cause"}, 0),
        ("", "Çocuk ağladı because düştü."),
        ("", "Çocuk ağladı because annesi geldi."),
    ),
    (
        ("xcopa", "paper", "tr", {**CHOICES, "question": "effect"}, 0),
        ("", "Çocuk ağladı so düştü."),
        ("", "Çocuk ağladı so annesi geldi."),
    ),
    (
        ("xcopa", "lm_eval", "tr", {**CHOICES, "question": "cause"}, 0),
        ("Çocuk ağladı çünkü", " düştü."),
        ("Çocuk ağladı çünkü", " annesi geldi."),
    ),
    (
        ("xcopa", "lm_eval", "tr", {**CHOICES, "question": "effect"}, 0),
        ("Çocuk ağladı bu yüzden", " düştü."),
        ("Çocuk ağladı bu yüzden", " annesi geldi."),
    ),
    (
        ("paws_x", "paper", "zh", CHINESE, 0),
        ("", "他 说 . , right? No , 他 没说 。"),
        ("", "他 说 . , right? Yes , 他 没说 。"),
    ),
    (
        ("paws_x", "lm_eval", "en", PARAPHRASE, 1),
        (
            "",
            "He didn't (ever) say\"no\", Bob's friend said, right? No, bob's friend said he never did.",
        ),
        (
            "",
            "He didn't (ever) say\"no\", Bob's friend said, right? Yes, bob's friend said he never did.",
        ),
    ),
    (
        ("xstorycloze", "paper", "sw", STORY, 1),
        ("", f"{STORY_START} Alilowa."),
        ("", f"{STORY_START} Alibaki mkavu."),
    ),
    (
        ("xstorycloze", "lm_eval", "sw", STORY, 1),
        (STORY_START, " Alilowa."),
        (STORY_START, " Alibaki mkavu."),
    ),
    (
        ("xwinograd", "paper", "en", BLANK, 0),
        ("", "The city refused the men a permit because The city feared violence."),
        ("", "The city refused the men a permit because The men feared violence."),
    ),
    (
        ("xwinograd", "lm_eval", "en", BLANK, 0),
        ("The city refused the men a permit because The city", " feared violence."),
        ("The city refused the men a permit because The men", " feared violence."),
    ),
    (
        ("belebele", "paper", "fr", PASSAGE, 2),
        ("", "Le lac est gelé.  Que dit-on du lac ?  Il est gelé"),
        ("", "Le lac est gelé.  Que dit-on du lac ?  Il est sec"),
        ("", "Le lac est gelé.  Que dit-on du lac ?  Il est grand"),
        ("", "Le lac est gelé.  Que dit-on du lac ?  Il est vert"),
    ),
    (
        ("belebele", "lm_eval", "fr", PASSAGE, 2),
        *(
            (
                "P: Le lac est gelé.\nQ: Que dit-on du lac ?\nA: Il est gelé\nB: Il est sec\n"
                "C: Il est grand\nD: Il est vert\nAnswer:",
                f" {letter}",
            )
            for letter in "ABCD"
        ),
    ),
    (
        ("nano_nli", "paper", "fr", NLI, 2),
        ("", "Il dort. , right? Yes , Il est éveillé."),
        ("", "Il dort. , right? Also , Il est éveillé."),
        ("", "Il dort. , right? No , Il est éveillé."),
    ),
    (
        ("nano_reviews", "paper", "es", {"text": "muy malo", "label": 0}, 0),
        ("", "muy malo It is negative"),
        ("", "muy malo It is positive"),
    ),
]


def write(folder, language, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{language}.jsonl").write_text(text, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: " ".join(case[0][:3]))
def test_ready_tasks_render_rows_of_their_data_sets(case, tmp_path):
    (name, protocol, language, row, label), *options = case
    folder = write(tmp_path, language, [row])
    task = load_task(name)
    group = None if task.group is None else 0
    expected = [Question(tuple(Option(*option) for option in options), label, 0, group)]
    assert language in task.languages
    assert questions(task, language, protocol=protocol, data=folder) == expected
    if protocol == "paper":
        assert questions(task, language, protocol="official", data=folder) == expected


def test_every_protocol_of_every_ready_task_is_among_the_rendered_ones():
    there = {(name, p) for name in ready_tasks() for p in load_task(name).sections}
    assert there == {case[0][:2] for case in RENDERED}


@pytest.mark.parametrize(
    ("name", "row"),
    [("xnli", NLI), ("paws_x", CHINESE), ("xcopa", {**CHOICES, "question": "effect"})],
)
def test_the_words_of_the_harness_differ_by_language(name, row, tmp_path):
    task = load_task(name)
    said = set()
    for language in task.languages:
        folder = write(tmp_path, language, [row])
        (question,) = questions(task, language, protocol="lm_eval", data=folder)
        assert len(set(question.options)) == len(question.options)
        said.add(question.options)
    assert len(said) == len(task.languages)


# Rows


def xnli_rows(count):
    return [{"premise": f"p{i}", "hypothesis": f"h{i}", "label": i % 3} for i in range(count)]


def test_official_takes_the_authors_thousand_rows(tmp_path):
    folder = write(tmp_path, "fr", xnli_rows(5010))
    task = load_task("xnli")
    found = questions(task, "fr", protocol="official", data=folder)
    assert len(found) == 1000
    assert [question.row for question in found[:10]] == AUTHORS_ORDER
    for question in found:
        assert question.label == question.row % 3
        assert question.options[0].continuation == f"p{question.row} , right? Yes , h{question.row}"
    assert questions(task, "fr", protocol="official", data=folder, rows=10) == found[:10]
    other = questions(task, "fr", protocol="official", data=folder, rows=10, seed=1)
    assert [question.row for question in other] != AUTHORS_ORDER


def test_the_other_protocols_keep_the_order_and_take_the_first_rows(tmp_path):
    folder = write(tmp_path, "fr", xnli_rows(1001))  # one more than "official" takes
    task = load_task("xnli")
    for protocol in ("paper", "lm_eval"):
        found = questions(task, "fr", protocol=protocol, data=folder, seed=5)
        assert [question.row for question in found] == list(range(1001))
        assert questions(task, "fr", protocol=protocol, data=folder, rows=7) == found[:7]
    write(tmp_path, "de", xnli_rows(5))
    assert len(questions(task, "de", data=folder, rows=9)) == 5


def test_marc2_leaves_three_stars_out_and_shuffles_what_is_left(tmp_path):
    stars = [row % 5 for row in range(50)]
    rows = [{"text": f"review {row}", "label": star} for row, star in enumerate(stars)]
    folder = write(tmp_path, "en", rows)
    kept = [row for row, star in enumerate(stars) if star != 2]
    task = load_task("marc2")
    found = questions(task, "en", data=folder)
    assert [question.row for question in found] == kept
    assert [question.label for question in found] == [int(stars[row] > 2) for row in kept]
    shuffled = questions(task, "en", protocol="official", data=folder)
    order = np.random.default_rng(0).permutation(len(kept))
    assert [question.row for question in shuffled] == [kept[i] for i in order]


def test_reviews_are_cut_at_128_words(tmp_path):
    text = "  ".join(f"w{i}" for i in range(200))
    (question,) = questions(
        load_task("marc2"), "en", data=write(tmp_path, "en", [{"text": text, "label": 0}])
    )
    expected = " ".join(f"w{i}" for i in range(128)) + " It is negative"
    assert question.options[0].continuation == expected


def test_groups_are_numbered_by_their_first_row(tmp_path):
    premises = ["Il dort.", "Il dort.", "Elle lit.", "Il dort.", "Elle lit."]
    rows = [NLI | {"premise": premise} for premise in premises]
    folder, task = write(tmp_path, "fr", rows), load_task("xnli")
    assert task.group == "premise"

    def groups(group, **of_rows):
        asked = questions(dataclasses.replace(task, group=group), "fr", data=folder, **of_rows)
        return [(one.row, one.group) for one in asked]

    assert groups("premise") == [(0, 0), (1, 0), (2, 2), (3, 0), (4, 2)]
    assert groups(None, rows=2) == [(0, None), (1, None)]
    shuffled = groups("premise", protocol="official", rows=5)
    assert sorted(shuffled) == groups("premise") != shuffled
    with pytest.raises(InputError, match=r"fr.jsonl:1: no field 'story'; there are premise"):
        groups("story")


def test_paws_x_leaves_rows_with_an_empty_sentence_out(tmp_path):
    rows = [PARAPHRASE, {**PARAPHRASE, "sentence2": ""}, {**PARAPHRASE, "label": 0}]
    found = questions(load_task("paws_x"), "fr", data=write(tmp_path, "fr", rows))
    assert [(question.row, question.label) for question in found] == [(0, 1), (2, 0)]


def test_csv_rows_are_read_as_they_were_written(tmp_path):
    texts = ['a, "quoted" one', "two\nlines", "\u2028 odd", "naïve"]
    with (tmp_path / "fr.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["premise", "hypothesis", "label"])
        writer.writerows([text, f"h{i}", i % 3] for i, text in enumerate(texts))
    found = questions(load_task("xnli"), "fr", data=str(tmp_path))
    assert [(q.row, q.label) for q in found] == [(0, 0), (1, 1), (2, 2), (3, 0)]
    assert [q.options[2].continuation for q in found] == [
        f"{text} , right? No , h{i}" for i, text in enumerate(texts)
    ]


def test_jsonl_lines_end_at_line_feeds_only(tmp_path):
    row = {"premise": "a\u2028b\x85c", "hypothesis": "d", "label": "neutral"}
    text = "\ufeff" + json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(row)
    (tmp_path / "fr.jsonl").write_bytes(text.encode())
    found = questions(load_task("xnli"), "fr", data=str(tmp_path))
    assert [(q.row, q.label) for q in found] == [(0, 1), (1, 1)]
    assert found[0].options[0].continuation == "a\u2028b\x85c , right? Yes , d"


GOOD = b'{"premise": "a", "hypothesis": "b", "label": 0}\n'
LABELS = "0, 1, 2, entailment, neutral, contradiction"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"premise": "a", "hypothesis": "b", "label": 3}', f"label is 3; expected {LABELS}"),
        (b'{"premise": "a", "hypothesis": "b", "label": 1.5}', f"label is 1.5; expected {LABELS}"),
        (b'{"premise": "a", "hypothesis": "b", "label": true}', "label is True; expected 0, 1"),
        (b'{"premise": "a", "hypothesis": "b", "label": null}', "label is empty; expected 0, 1"),
        (b'{"premise": "a", "hypothesis": "b"}', "no field 'label'; there are premise, hypothesis"),
        (b'{"premise": " ", "hypothesis": "b", "label": 1}', "premise is empty; expected a text"),
        (b'{"premise": [[[]]], "hypothesis": "b", "label": 1}', "premise is .*; expected a text"),
        (b'{"premise": "\\ud800", "label": 1}', "not JSON: .*surrogate pair"),
        (b"", "not JSON: Input data was truncated"),
        (b'{"premise": "a", "a\\nb\\u202e": 1}', r"there are premise, 'a\\nb\\u202e'"),
        (b"[1, 2]", r"'\[1, 2\]'; every line must be a JSON object"),
        (b'{"premise": "\xff"}', "byte 109 is not UTF-8"),
    ],
)
def test_a_broken_row_is_refused_with_file_and_line(line, message, tmp_path):
    (tmp_path / "fr.jsonl").write_bytes(GOOD * 2 + line + b"\n" + GOOD)
    with pytest.raises(InputError, match=rf"fr\.jsonl:3: .*{message}") as raised:
        questions(load_task("xnli"), "fr", data=str(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("premise,hypothesis,label\na,b,0\nc,d\n", "fr.csv:3: more or fewer values than the"),
        ("premise,hypothesis,label\na,b,0\nc,d,e,1\n", "fr.csv:3: more or fewer values than the"),
        ('premise,hypothesis,label\na,"b,0\n', "fr.csv:2: unexpected end of data"),
        ('premise,hypothesis,label\n"a\nb",c,\n', "fr.csv:3: label is empty"),
        ("premise,hypothesis,label\n", "language 'fr' has no rows"),
    ],
)
def test_broken_csv_is_refused_with_file_and_line(text, message, tmp_path):
    (tmp_path / "fr.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        questions(load_task("xnli"), "fr", data=str(tmp_path))


def test_a_file_with_dropped_rows_only_is_refused(tmp_path):
    write(tmp_path, "fr", [{"text": "a", "label": 2}])
    with pytest.raises(InputError, match="fr has only rows that the task drops"):
        questions(load_task("marc2"), "fr", data=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("xwinograd", BLANK | {"sentence": "No gap."}, "en.jsonl:1: sentence has no blank _"),
        ("xwinograd", BLANK | {"sentence": "At the end _"}, "en.jsonl:1: the scored text is empty"),
        ("xcopa", CHOICES | {"question": "why"}, "question is 'why'; expected cause, effect"),
    ],
)
def test_rows_that_a_prompt_cannot_take_are_refused(name, changed, message, tmp_path):
    language = "en" if name == "xwinograd" else "tr"
    folder = write(tmp_path, language, [changed])
    with pytest.raises(InputError, match=message):
        questions(load_task(name), language, protocol="lm_eval", data=folder)


def test_a_missing_language_is_refused_with_those_there_are(tmp_path):
    task = load_task("xnli")
    for code in ("sw", "fr"):
        write(tmp_path, code, [NLI])
    (tmp_path / "README.md").touch()
    with pytest.raises(InputError, match=r"no language 'de'; there are fr sw$"):
        questions(task, "de", data=str(tmp_path))
    with pytest.raises(InputError, match=r"no language 'de'; there are fr sw$"):
        questions(task, "de", data=f"{tmp_path}/{{lang}}.jsonl")
    german = dataclasses.replace(task, names={"de": "de"})
    with pytest.raises(InputError, match=r"no language of xnli; there are fr sw$"):
        languages_of(german, data=str(tmp_path))
    (tmp_path / "sw").mkdir()
    write(tmp_path / "sw", "sw2", [NLI])
    assert languages_of(task, data=f"{tmp_path}/{{lang}}/{{lang}}2.jsonl") == ["sw"]
    with pytest.raises(InputError, match="xnli: no language 'it'; there are ar bg de el en"):
        questions(task, "it")
    write(tmp_path, "it", [NLI])
    assert len(questions(task, "it", data=str(tmp_path))) == 1  # English words go with any language
    with pytest.raises(InputError, match="lm_eval has no prompt for language 'it'; there are ar"):
        questions(task, "it", protocol="lm_eval", data=str(tmp_path))


def test_a_pattern_of_no_file_is_refused_with_what_to_set(tmp_path):
    task, data = load_task("xnli"), f"{tmp_path}/{{lang}}.csv"
    message = r"\.csv matches no file; expected a folder .* as DATA/\{lang\}\.jsonl$"
    with pytest.raises(InputError, match=message):
        questions(task, "de", data=data)
    with pytest.raises(InputError, match=message):
        languages_of(task, data=data)


def test_unknown_protocols_tasks_and_places_are_refused(tmp_path):
    with pytest.raises(InputError, match="protocol: got 'lm_eval'; expected paper, official"):
        questions(load_task("marc2"), "en", protocol="lm_eval")
    with pytest.raises(InputError, match=r"task: got 'xnil'; expected .*did you mean xnli\?"):
        load_task("xnil")
    with pytest.raises(InputError, match="data: no folder '/no/such/place', and it is no hub id"):
        questions(load_task("xnli"), "en", data="/no/such/place")
    with pytest.raises(
        InputError, match=r"contains neither <language>\.jsonl, <language>\.csv nor"
    ):
        questions(load_task("xnli"), "en", data=str(tmp_path))


# Hub


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the datasets library; the list of what was asked of it."""
    asked = []
    sets = {
        "facebook/xnli": [NLI],
        "owner/nli": [{**NLI, "label": 0}, {**NLI, "premise": ""}],
        "SetFit/amazon_reviews_multi_fr": [{"text": "bon", "label": 4}],
        "Muennighoff/xwinograd": [BLANK],
        "owner/xwinograd": [BLANK],
        "facebook/belebele": [PASSAGE],
    }
    errors = {
        "owner/script": RuntimeError("Dataset scripts are no longer supported,\nbut found x.py"),
        "owner/gated": FileNotFoundError("a gated dataset"),
        "owner/unreachable": ConnectionError("Couldn't reach it"),
    }

    def load_dataset(path, name=None, *, split, revision=None, data_files=None):
        asked.append((path, name, split, revision, data_files))
        if path in errors:
            raise errors[path]
        return sets[path]

    module = types.ModuleType("datasets")
    module.exceptions = types.SimpleNamespace(DatasetsError=type("DatasetsError", (Exception,), {}))
    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_hub_sets_are_read_by_configuration_split_and_file(hub):
    parquet = "refs/convert/parquet"
    for name, language, protocol in (
        ("xnli", "fr", "official"),
        ("xnli", "fr", "lm_eval"),
        ("marc2", "fr", "paper"),
        ("xwinograd", "ja", "lm_eval"),
        ("belebele", "sw", "lm_eval"),
    ):
        assert len(questions(load_task(name), language, protocol=protocol)) == 1
    assert hub == [
        ("facebook/xnli", "fr", "test", None, None),
        ("facebook/xnli", "fr", "validation", None, None),
        ("SetFit/amazon_reviews_multi_fr", None, "test", None, None),
        ("Muennighoff/xwinograd", None, "test", parquet, {"test": "jp/test/*.parquet"}),
        ("facebook/belebele", "swh_Latn", "test", None, None),
    ]


def test_another_hub_set_has_a_configuration_for_each_language(hub):
    questions(load_task("xwinograd"), "ja", data="owner/xwinograd")
    questions(load_task("xnli"), "fr", data="owner/nli", rows=1)
    questions(load_task("marc2"), "de", data="SetFit/amazon_reviews_multi_fr")
    questions(load_task("marc2"), "fr", data="SetFit/amazon_reviews_multi_{lang}")
    assert hub == [
        ("owner/xwinograd", "jp", "test", None, None),
        ("owner/nli", "fr", "test", None, None),
        ("SetFit/amazon_reviews_multi_fr", "de", "test", None, None),
        ("SetFit/amazon_reviews_multi_fr", None, "test", None, None),
    ]


def test_what_the_hub_refuses_is_said_in_one_line(hub):
    task = load_task("xnli")
    with pytest.raises(InputError, match="owner/nli fr test row 1: premise is empty"):
        questions(task, "fr", data="owner/nli")
    with pytest.raises(InputError, match="owner/script: Dataset scripts are no longer") as raised:
        questions(task, "fr", data="owner/script")
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"owner/gated: .*accept its terms"):
        questions(task, "fr", data="owner/gated")
    with pytest.raises(ConnectionError, match="the hub cannot be reached"):
        questions(task, "fr", data="owner/unreachable")


def test_a_local_copy_of_a_hub_set_is_read_as_one(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "owner" / "nli" / "fr"
    folder.mkdir(parents=True)
    (folder / "test.parquet").touch()
    assert len(questions(load_task("xnli"), "fr", data="owner/nli", rows=1)) == 1
    assert hub == [("owner/nli", "fr", "test", None, None)]


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"evaluation\.data: facebook/xnli .*pip install datasets"):
        questions(load_task("xnli"), "fr")


# Nano


def test_nano_tasks_ask_held_out_rows_in_the_paper_s_prompts():
    assert load_task("nano_nli").languages == ("en", "fr", "es", "de", "sw")
    pairs = corpus.nli_rows("sw", "held_out", 60)
    # rows are files: no seed's
    found = questions(load_task("nano_nli"), "sw", seed=3, rows=60)
    assert [question.row for question in found] == list(range(60))
    for question, pair in zip(found, pairs, strict=True):
        verbaliser = corpus.VERBALISERS[("entailment", "neutral", "contradiction")[pair.label]]
        right = question.options[question.label]
        assert right == Option("", f"{pair.premise} , right? {verbaliser} , {pair.hypothesis}")
    opinions = corpus.review_rows("de", "held_out", 40, 0)
    for question, opinion in zip(
        questions(load_task("nano_reviews"), "de", rows=40), opinions, strict=True
    ):
        sentiment = ("negative", "positive")[opinion.label]
        assert question.options[question.label].continuation == f"{opinion.text} It is {sentiment}"


def test_nano_rows_mean_the_same_in_every_language_under_either_protocol():
    task = load_task("nano_nli")
    for protocol in ("paper", "official"):
        asked = {code: questions(task, code, protocol=protocol, rows=30) for code in task.languages}
        rows = [[(q.row, q.label) for q in found] for found in asked.values()]
        assert all(found == rows[0] for found in rows)
    assert len(questions(task, "fr", protocol="official")) == 1000


def test_another_split_is_another_source():
    task = load_task("nano_nli")
    source = dataclasses.replace(task.source, split="validation")
    pairs = corpus.nli_rows("fr", "train", 12)
    found = questions(dataclasses.replace(task, source=source), "fr", rows=12)
    assert [q.options[0].continuation for q in found] == [
        f"{pair.premise} , right? Yes , {pair.hypothesis}" for pair in pairs
    ]


# Task files

SENTIMENT = """
name = "sentiment"
data = "rows/{split}/{lang}.jsonl"
split = "test"
languages = ["en", "sw"]
labels = ["negative", "positive"]
[label]
field = "stars"
values = { 1 = "negative", 2 = "negative", 4 = "positive", 5 = "positive" }
drop = [3]
[paper]
template = "{review|strip} It is {option}"
options = ["bad", "good"]
[lm_eval]
split = "dev"
context = "{review} {is}"
template = " {option}"
[lm_eval.languages]
sw = { words.is = "Ni", options = ["mbaya", "nzuri"] }
"""


@pytest.fixture
def sentiment(tmp_path):
    for split, reviews in (("test", ["Juu ", "Sawa", "Chini"]), ("dev", ["Poa"])):
        (tmp_path / "rows" / split).mkdir(parents=True)
        stars = ["5", "3", "1"]
        rows = [{"review": r, "stars": s} for r, s in zip(reviews, stars, strict=False)]
        write(tmp_path / "rows" / split, "sw", rows)
    path = tmp_path / "sentiment.toml"
    path.write_text(SENTIMENT)
    return path


def test_a_task_file_reads_rows_that_stand_beside_it(sentiment, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    task = load_task(str(sentiment))
    assert (task.name, task.languages) == ("sentiment", ("en", "sw"))
    assert task.labels == ("negative", "positive")
    assert questions(task, "sw") == [
        Question((Option("", "Juu It is bad"), Option("", "Juu It is good")), 1, 0),
        Question((Option("", "Chini It is bad"), Option("", "Chini It is good")), 0, 2),
    ]
    assert questions(task, "sw", protocol="lm_eval") == [
        Question((Option("Poa Ni", " mbaya"), Option("Poa Ni", " nzuri")), 1, 0)
    ]
    with pytest.raises(InputError, match=r"rows/\{split\}/\{lang\}.jsonl: no language 'en'; there"):
        questions(task, "en")


def test_a_folder_and_names_of_the_data_set_s_own_are_read_too(sentiment):
    text = SENTIMENT.replace("rows/{split}/{lang}.jsonl", "rows/test")
    text = text.replace('["en", "sw"]', '{ en = "en", swa = "sw" }').replace("\nsw =", "\nswa =")
    sentiment.write_text(text)
    assert [question.row for question in questions(load_task(str(sentiment)), "swa")] == [0, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "sentiment"', "", "Object missing required field `name`"),
        ('name = "sentiment"', 'name = "a/b"', r"Expected `str` matching regex .* at `\$\.name`"),
        ('name = "sentiment"', 'nam = "x"', "Object contains unknown field `nam`"),
        ('name = "sentiment"', 'name = "x', "not TOML: "),
        ('split = "test"\n', "split = 1\n", r"Expected `str \| null`, got `int` - at `\$\.split`"),
        ('["en", "sw"]', "[]", r"Expected `array` of length >= 1 - at `\$\.languages`"),
        ('["negative", "positive"]\n', '["a", "a"]\n', r"labels: got \['a', 'a'\]; expected no"),
        ('5 = "positive"', '5 = "great"', "label.values.5: got 'great'; expected negative, pos"),
        ('5 = "positive"', "5 = 1", "label.values.5: got 1; expected negative, positive"),
        ("drop = [3]", "drop = [5]", "label.values.5: got 'positive'; .*not in label.drop"),
        ('["bad", "good"]', '["bad", "bad"]', r"paper.options: got \['bad', 'bad'\]; expected no"),
        ('["bad", "good"]', '["a", "b", "c"]', "options: got 2 and 3; expected as many in every"),
        ('options = ["bad", "good"]', "", "paper.options: missing; expected template and options"),
        ("{review|strip}", "{review|strp}", "paper.template: got filter 'strp'; expected strip"),
        ("{review|strip}", "{review|words:0}", "paper.template: got filter 'words:0'; expected "),
        ("{review|strip}", "{review strip}", "paper.template: got '{review strip} It is {option}'"),
        ("{review|strip}", "{review[stars]}", "paper: {review}; expected {word"),
        ('strip} It is {option}"', 'strip}"', "paper.template: no {option}; expected {option} at"),
        ('["bad", "good"]', '["bad", "{option}"]', "paper.options: {option} in an option"),
        ('words.is = "Ni"', "words.is = { a = 'b' }", "lm_eval.languages.sw: {is}; expected {word"),
        ("\nsw =", "\nfr =", "lm_eval.languages.fr: no language of this task; expected en, sw"),
        ("rows/{split}/{lang}", "rows/all", "one set for 2 languages; expected {lang} in data"),
    ],
)
def test_what_a_task_file_may_not_say_is_refused_by_file_and_key(old, new, message, sentiment):
    assert SENTIMENT.count(old) >= 1
    sentiment.write_text(SENTIMENT.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"{re.escape(str(sentiment))}: .*{message}") as raised:
        load_task(str(sentiment))
    assert "\n" not in str(raised.value)


def test_labels_that_are_numbers_are_names_alone(sentiment, tmp_path):
    text = SENTIMENT.replace('["negative", "positive"]', '["1", "2"]')
    values = next(line for line in text.splitlines(True) if line.startswith("values"))
    sentiment.write_text(text.replace(values, "").replace("drop = [3]\n", ""))
    rows = [{"review": str(stars), "stars": stars} for stars in (2, 1, 0)]
    folder, task = tmp_path / "rows" / "test", load_task(str(sentiment))
    write(folder, "sw", rows[:2])
    assert [question.label for question in questions(task, "sw")] == [1, 0]
    write(folder, "sw", rows)
    with pytest.raises(InputError, match=r"\d: stars is 0; expected 1, 2$"):
        questions(task, "sw")


def test_a_task_file_without_a_protocol_or_utf8_is_refused(sentiment):
    sentiment.write_text(SENTIMENT[: SENTIMENT.index("[paper]")])
    with pytest.raises(InputError, match="paper: missing; expected paper or lm_eval"):
        load_task(str(sentiment))
    sentiment.write_bytes(b'name = "\xff"')
    with pytest.raises(InputError, match="byte 8 is not UTF-8"):
        load_task(str(sentiment))


def test_split_in_a_pattern_needs_one(sentiment):
    sentiment.write_text(SENTIMENT.replace('split = "test"\n', ""))
    with pytest.raises(InputError, match="has no value; the task names no split"):
        questions(load_task(str(sentiment)), "sw")
