"""Model families, one file each: its config.json, modules and tensor names, declared as FAMILY."""

import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.models.family import Family

# model_type of a config.json → its family.
FAMILIES: Mapping[str, Family] = {
    model_type: family
    for family in discover(sys.modules[__name__], "FAMILY")
    for model_type in family.model_types
}
