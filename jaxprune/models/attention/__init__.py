"""Queries, keys and values → causal attention, by the first path of `paths.PATHS` that supports it."""

from jaxprune.models.attention.attend import causal_attention as causal_attention
from jaxprune.models.attention.decoding import KeyValues as KeyValues
from jaxprune.models.attention.decoding import Stretches as Stretches
from jaxprune.models.attention.decoding import attend_step as attend_step
from jaxprune.models.attention.paths import Path as Path
from jaxprune.models.attention.paths import path_for as path_for
from jaxprune.models.attention.scoring import Prefix as Prefix
from jaxprune.models.attention.scoring import Scoring as Scoring
from jaxprune.models.attention.scoring import capped as capped
