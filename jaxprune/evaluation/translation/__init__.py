"""Sentences → few-shot prompts → hypotheses → BLEU and chrF."""

from jaxprune.evaluation.translation.bleu import compare_systems as compare_systems
from jaxprune.evaluation.translation.bleu import metrics_of as metrics_of
from jaxprune.evaluation.translation.evaluate import translate as translate
from jaxprune.evaluation.translation.evaluate import (
    translation_measurements as translation_measurements,
)
from jaxprune.evaluation.translation.results import TRANSLATION as TRANSLATION
from jaxprune.evaluation.translation.results import Translated as Translated
from jaxprune.evaluation.translation.results import TranslationProtocol as TranslationProtocol
from jaxprune.evaluation.translation.results import read_translated as read_translated
from jaxprune.evaluation.translation.results import write_translated as write_translated
from jaxprune.evaluation.translation.sentences import NEW_TOKENS as NEW_TOKENS
from jaxprune.evaluation.translation.sentences import Sentences as Sentences
from jaxprune.evaluation.translation.sentences import languages as languages
from jaxprune.evaluation.translation.sentences import read_sentences as read_sentences
