"""A model and statistics of its inputs → masks, changed weights and pruned blocks."""

from jaxprune.pruning import masks as masks
from jaxprune.pruning import scores as scores
