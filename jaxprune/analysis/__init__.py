"""A model and demonstrations in many languages → which features each makes large, where, and how masks overlap."""

from jaxprune.analysis.analyze import analyze_from_config
from jaxprune.analysis.config import AnalyzeConfig
from jaxprune.analysis.mask_overlap import iou
from jaxprune.analysis.overlap import by_kind, halves_by_kind

__all__ = [
    "AnalyzeConfig",
    "analyze_from_config",
    "by_kind",
    "halves_by_kind",
    "iou",
]
