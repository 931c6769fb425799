"""Sentences → few-shot prompts → hypotheses → BLEU and chrF."""

from jaxprune.evaluation.translation.bleu import compare_systems as compare_systems
from jaxprune.evaluation.translation.bleu import metrics_of as metrics_of
from jaxprune.evaluation.translation.evaluate import evaluate_translation as evaluate_translation
from jaxprune.evaluation.translation.results import TRANSLATION as TRANSLATION
from jaxprune.evaluation.translation.results import LanguageScores as LanguageScores
from jaxprune.evaluation.translation.results import ScoreComparison as ScoreComparison
from jaxprune.evaluation.translation.results import TranslationResult as TranslationResult
from jaxprune.evaluation.translation.sentences import NEW_TOKENS as NEW_TOKENS
from jaxprune.evaluation.translation.sentences import Sentences as Sentences
from jaxprune.evaluation.translation.sentences import languages as languages
from jaxprune.evaluation.translation.sentences import read_sentences as read_sentences
