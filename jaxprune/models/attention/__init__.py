"""Queries, keys and values → causal attention, on the path that `paths.PATHS` has for what it needs."""

from jaxprune.models.attention.attend import causal_attention as causal_attention
from jaxprune.models.attention.paths import Path as Path
from jaxprune.models.attention.paths import path_for as path_for
from jaxprune.models.attention.scoring import Prefix as Prefix
from jaxprune.models.attention.scoring import Scoring as Scoring
from jaxprune.models.attention.scoring import capped as capped
