"""Golden sentences, one for each rule of each grammar, written down by hand."""

import functools
import random

import pytest

from jaxprune.base.errors import InputError
from nano import meanings
from nano.grammar import LANGUAGES, grammar, render
from nano.lexicon import concepts, english, french, german, spanish, swahili
from nano.meanings import Clause, NounPhrase

N = NounPhrase

ENGLISH = [
    (Clause(N("dog"), "sleep"), "the dog sleeps"),
    (Clause(N("dog", plural=True), "sleep"), "the dogs sleep"),
    (Clause(N("child", plural=True), "play", True), "the children do not play"),
    (Clause(N("woman"), "carry", False, N("apple")), "the woman carries an apple"),
    (Clause(N("woman"), "carry", True, N("bag", ("old",))), "the woman does not carry an old bag"),
    (Clause(N("man"), "sell", False, N("knife", (), True)), "the man sells knives"),
    (Clause(N("lion"), "seek", True, N("goat")), "the lion does not look for a goat"),
    (Clause(N("dog", ("big", "black")), "run"), "the big black dog runs"),
    (Clause(N("person", plural=True), "be", True, predicate="fat"), "the people are not fat"),
    (
        Clause(N("boy"), "eat", False, N("mango"), place="garden", time="today"),
        "the boy eats a mango in the garden today",
    ),
]
FRENCH = [
    # articles: gender, number, elision
    (Clause(N("woman"), "sleep"), "la femme dort"),
    (Clause(N("child"), "sleep"), "l'enfant dort"),
    (Clause(N("man"), "work", time="today"), "aujourd'hui l'homme travaille"),
    (Clause(N("bird", plural=True), "sing"), "les oiseaux chantent"),
    # adjectives: agreement, before and after the noun, before a vowel
    (Clause(N("child", ("small",)), "run"), "le petit enfant court"),
    (Clause(N("dress", ("white",)), "burn"), "la robe blanche brûle"),
    (Clause(N("dress", ("long", "white")), "burn"), "la robe blanche longue brûle"),
    (Clause(N("dog", ("big", "black"), True), "wait"), "les grands chiens noirs attendent"),
    (Clause(N("tree", ("old",)), "fall"), "le vieil arbre tombe"),
    (Clause(N("tree", ("new",), True), "fall"), "les nouveaux arbres tombent"),
    (Clause(N("thing", ("new",)), "fall"), "le nouvel objet tombe"),
    (
        Clause(N("chair", ("old",), True), "be", predicate="heavy"),
        "les vieilles chaises sont lourdes",
    ),
    # un, une, des, and de before a preceding adjective
    (Clause(N("man"), "buy", False, N("shirt")), "l'homme achète une chemise"),
    (
        Clause(N("man"), "buy", False, N("shirt", ("red",), True)),
        "l'homme achète des chemises rouges",
    ),
    (
        Clause(N("man"), "buy", False, N("shirt", ("good",), True)),
        "l'homme achète de bonnes chemises",
    ),
    # ne … pas de, with both elisions
    (Clause(N("dog"), "eat", True, N("apple")), "le chien ne mange pas de pomme"),
    (Clause(N("girl"), "buy", True, N("orange", (), True)), "la fille n'achète pas d'oranges"),
    (Clause(N("cat"), "be", True, predicate="fat"), "le chat n'est pas gros"),
    (Clause(N("girl"), "wait", True, place="school"), "la fille n'attend pas à l'école"),
]
SPANISH = [
    (Clause(N("flower"), "fall"), "la flor cae"),
    (Clause(N("girl", ("fat",), True), "run"), "las chicas gordas corren"),
    (Clause(N("dog", ("big", "black")), "run"), "el perro negro grande corre"),
    (Clause(N("horse", plural=True), "be", predicate="white"), "los caballos son blancos"),
    (Clause(N("shirt"), "be", True, predicate="long"), "la camisa no es larga"),
    (Clause(N("dog"), "eat", False, N("apple", ("red",))), "el perro come una manzana roja"),
    (Clause(N("dog"), "eat", False, N("apple", (), True)), "el perro come unas manzanas"),
    (Clause(N("dog"), "eat", True, N("apple")), "el perro no come ninguna manzana"),
    (Clause(N("dog"), "eat", True, N("lemon")), "el perro no come ningún limón"),
    (Clause(N("dog"), "eat", True, N("lemon", (), True)), "el perro no come limones"),
    # the personal a
    (Clause(N("lion"), "see", False, N("woman")), "el león ve a una mujer"),
    (Clause(N("lion"), "see", True, N("man")), "el león no ve a ningún hombre"),
    (Clause(N("lion"), "see", False, N("goat")), "el león ve una cabra"),
    (
        Clause(N("teacher"), "read", False, N("book"), place="kitchen", time="morning"),
        "por la mañana el maestro lee un libro en la cocina",
    ),
]
GERMAN = [
    # nominative: der, die, das, weak adjectives
    (Clause(N("dog", ("big", "black")), "run"), "der große schwarze Hund läuft"),
    (Clause(N("girl", ("small",)), "run"), "das kleine Mädchen läuft"),
    (Clause(N("woman", ("good",), True), "sing"), "die guten Frauen singen"),
    # accusative: articles, mixed and strong adjectives, weak nouns
    (Clause(N("cat"), "see", False, N("bird", ("white",))), "die Katze sieht einen weißen Vogel"),
    (Clause(N("cat"), "see", False, N("horse", ("white",))), "die Katze sieht ein weißes Pferd"),
    (Clause(N("cat"), "see", False, N("goat", ("white",))), "die Katze sieht eine weiße Ziege"),
    (Clause(N("cat"), "see", False, N("goat", ("white",), True)), "die Katze sieht weiße Ziegen"),
    (Clause(N("cat"), "see", False, N("boy")), "die Katze sieht einen Jungen"),
    (Clause(N("boy"), "see", False, N("lion", (), True)), "der Junge sieht Löwen"),
    # kein and nicht
    (Clause(N("dog"), "eat", True, N("apple")), "der Hund isst keinen Apfel"),
    (Clause(N("dog"), "eat", True, N("apple", ("red",), True)), "der Hund isst keine roten Äpfel"),
    (Clause(N("man"), "read", True, N("book", ("new",))), "der Mann liest kein neues Buch"),
    (Clause(N("farmer"), "work", True, place="house"), "der Bauer arbeitet nicht im Haus"),
    (Clause(N("book", plural=True), "be", True, predicate="heavy"), "die Bücher sind nicht schwer"),
    # the verb stands second
    (
        Clause(N("dog"), "eat", True, N("apple"), place="garden", time="today"),
        "heute isst der Hund keinen Apfel im Garten",
    ),
    (Clause(N("child"), "sleep", True, time="night"), "in der Nacht schläft das Kind nicht"),
]
SWAHILI = [
    # subject prefixes of the classes, and their negative present
    (Clause(N("child"), "sleep"), "mtoto analala"),
    (Clause(N("child", plural=True), "sleep", True), "watoto hawalali"),
    (Clause(N("child"), "sleep", True), "mtoto halali"),
    (Clause(N("tree"), "fall"), "mti unaanguka"),
    (Clause(N("tree"), "fall", True), "mti hauanguki"),
    (Clause(N("tree", plural=True), "fall"), "miti inaanguka"),
    (Clause(N("tree", plural=True), "burn", True), "miti haiungui"),
    (Clause(N("fruit"), "fall", True), "tunda halianguki"),
    (Clause(N("fruit", plural=True), "fall"), "matunda yanaanguka"),
    (Clause(N("book"), "fall", True), "kitabu hakianguki"),
    (Clause(N("book", plural=True), "fall"), "vitabu vinaanguka"),
    (Clause(N("letter"), "disappear", True), "barua haipotei"),
    # animals and professions agree as people
    (Clause(N("dog", ("big",), True), "run"), "mbwa wakubwa wanakimbia"),
    (Clause(N("doctor", ("good",)), "work", True), "daktari mzuri hafanyi kazi"),
    # adjectives by class, before vowels, -a kijani
    (Clause(N("book", ("white",)), "burn"), "kitabu cheupe kinaungua"),
    (Clause(N("book", ("small", "red"), True), "burn"), "vitabu vidogo vyekundu vinaungua"),
    (Clause(N("tree", ("long",)), "be", predicate="green"), "mti mrefu ni wa kijani"),
    (Clause(N("apple"), "be", predicate="green"), "tufaha ni la kijani"),
    (Clause(N("apple", plural=True), "be", True, predicate="new"), "matufaha si mapya"),
    (Clause(N("shirt", ("new",)), "be", predicate="light"), "shati jipya ni jepesi"),
    (Clause(N("table", ("long",)), "be", predicate="yellow"), "meza ndefu ni ya manjano"),
    # monosyllabic -la; objects: only people and animals are marked in the verb
    (Clause(N("goat"), "eat", False, N("apple")), "mbuzi anakula tufaha"),
    (Clause(N("goat"), "eat", True, N("apple")), "mbuzi hali tufaha"),
    (Clause(N("man"), "see", False, N("dog")), "mwanamume anamwona mbwa"),
    (Clause(N("man"), "see", True, N("dog")), "mwanamume hamwoni mbwa"),
    (Clause(N("man"), "seek", True, N("dog", (), True)), "mwanamume hawatafuti mbwa"),
    (Clause(N("man", plural=True), "seek", True, N("dog")), "wanaume hawamtafuti mbwa"),
    (Clause(N("man", plural=True), "see", False, N("chair")), "wanaume wanaona kiti"),
    (
        Clause(N("girl"), "read", False, N("book", ("new",)), place="school", time="every_day"),
        "kila siku msichana anasoma kitabu kipya shuleni",
    ),
]
GOLDEN = {"en": ENGLISH, "fr": FRENCH, "es": SPANISH, "de": GERMAN, "sw": SWAHILI}


@pytest.mark.parametrize(
    ("language", "clause", "sentence"),
    [(code, *pair) for code, pairs in GOLDEN.items() for pair in pairs],
)
def test_golden_sentence(language: str, clause: Clause, sentence: str) -> None:
    assert render(clause, language) == sentence


@functools.cache
def clauses() -> list[Clause]:
    rng = random.Random("one meaning")
    return [meanings.clause(rng) for _ in range(20_000)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_has_one_meaning(language: str) -> None:
    """Else translations of it could not be told right from wrong."""
    said: dict[str, Clause] = {}
    for clause in clauses():
        assert said.setdefault(render(clause, language), clause) == clause


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_plain_lines(language: str) -> None:
    for clause in clauses()[:2000]:
        words = render(clause, language).split(" ")
        assert all(word and word.replace("'", "").isalpha() for word in words)


def test_every_language_has_every_word() -> None:
    nouns = {*concepts.CATEGORY, *concepts.ASPECTS}
    for table in (english, french, spanish, german, swahili):
        assert set(table.NOUNS) == nouns
        assert set(table.VERBS) - {"be"} == set(concepts.VERBS)
        assert set(table.PLACES) == set(concepts.PLACES)
        assert set(table.TIMES) == set(concepts.TIMES)
        assert set(table.OPINIONS) == set(concepts.OPINIONS)
    for table in (french, spanish, german):
        assert set(table.ADJECTIVES) == set(concepts.ADJECTIVES)
    assert {*swahili.ADJECTIVES, *swahili.ASSOCIATIVES} == set(concepts.ADJECTIVES)
    assert all(len(forms) == len(swahili.CLASSES) for forms in swahili.ADJECTIVES.values())
    assert len(swahili.ASSOCIATIVE) == len(swahili.SUBJECT) == len(swahili.CLASSES)


def test_number_shows_wherever_it_is_drawn() -> None:
    for noun, (classes, singular, plural) in swahili.NOUNS.items():
        fixed = singular == plural and classes != "1/2"
        assert fixed == (noun in concepts.SINGULAR_ONLY)


def test_unknown_language() -> None:
    with pytest.raises(InputError, match=r"'it'.*en, fr, es, de, sw"):
        grammar("it")
