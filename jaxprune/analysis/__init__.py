"""A model and demonstrations by language → the largest features by layer, overlaps of masks, language neurons."""

from jaxprune.analysis.config import AnalyzeConfig as AnalyzeConfig
from jaxprune.analysis.magnitudes import over_median as over_median
from jaxprune.analysis.mask_overlap import iou as iou
from jaxprune.analysis.neurons import LanguageNeurons as LanguageNeurons
from jaxprune.analysis.neurons import language_neurons as language_neurons
from jaxprune.analysis.overlap import by_kind as by_kind
from jaxprune.analysis.overlap import halves_by_kind as halves_by_kind
