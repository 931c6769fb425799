"""A model and texts by language → a smaller ordinary model that is the same on these texts."""

from jaxprune.shrinking.config import ShrinkFields as ShrinkFields
from jaxprune.shrinking.shrink import Kept as Kept
from jaxprune.shrinking.shrink import Shrunk as Shrunk
from jaxprune.shrinking.shrink import Texts as Texts
from jaxprune.shrinking.shrink import choose_layers as choose_layers
from jaxprune.shrinking.shrink import choose_tokens as choose_tokens
from jaxprune.shrinking.shrink import report_on as report_on
from jaxprune.shrinking.shrink import shrink as shrink
from jaxprune.shrinking.shrink import write_smaller as write_smaller
from jaxprune.shrinking.texts import texts_by_language as texts_by_language
from jaxprune.shrinking.words import frequent_words as frequent_words
