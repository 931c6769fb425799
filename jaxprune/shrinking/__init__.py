"""A model and texts by language → a smaller ordinary model that is the same on these texts."""

from jaxprune.shrinking.choose import Samples as Samples
from jaxprune.shrinking.choose import Texts as Texts
from jaxprune.shrinking.choose import choose as choose
from jaxprune.shrinking.config import ShrinkFields as ShrinkFields
from jaxprune.shrinking.texts import texts_by_language as texts_by_language
from jaxprune.shrinking.vocabulary import teacher_of as teacher_of
from jaxprune.shrinking.width import STATISTICS_OF_NEURONS as STATISTICS_OF_NEURONS
from jaxprune.shrinking.words import frequent_words as frequent_words
from jaxprune.shrinking.write import report_on as report_on
from jaxprune.shrinking.write import write_smaller as write_smaller
