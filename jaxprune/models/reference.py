"""model_type → the names of attributes that transformers knows or reads for it, looked up in its source.

An attribute that is not among them cannot change what transformers computes. The source is read as text, not
imported: importing one config class takes 2 s of CPU and 300 MB, for it imports torch where there is one; reading
takes 10 ms. The installed release decides, not a table of our own, so that an attribute that a later release begins to
read is refused from then on.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

# Code that all models share. Generation is left out: its settings change which token is chosen, not the logits.
_SHARED = (
    "cache_utils.py",
    "integrations/heterogeneity/configuration_utils.py",
    "masking_utils.py",
    "modeling_rope_utils.py",
    "modeling_utils.py",
)
# config.NAME, getattr(config, "NAME"), hasattr(self, "NAME"), kwargs.pop("NAME"), and fields of classes.
# More than attributes match: a name too many is refused where it could pass, never the other way round.
_READS = re.compile(
    r"""config\.(\w+)
    | attr\( [^"',]{0,40} (?:config|self) [^"',]{0,40}, \s* ["'](\w+)["']
    | kwargs\.\w+\( \s* ["'](\w+)["']
    | ^[ ]{4}(\w+):[ ]""",
    re.MULTILINE | re.VERBOSE,
)
_QUOTED = re.compile(r"""["'](\w+)["']""")  # how config classes tell other names for an attribute


@functools.lru_cache
def known_attributes(model_type: str) -> frozenset[str] | None:
    """Names that transformers knows or reads in a config of this type; None where its source cannot be read."""
    package = importlib.util.find_spec("transformers")
    if package is None or not package.submodule_search_locations:
        return None
    root = Path(package.submodule_search_locations[0])
    name = model_type.removesuffix("_text")
    own = root / "models" / name
    try:
        configuration = (own / f"configuration_{name}.py").read_text("utf-8")
        base = (root / "configuration_utils.py").read_text("utf-8")
        readers = [root / file for file in _SHARED] + [own / f"modeling_{name}.py"]
        texts = [configuration, base, *(file.read_text("utf-8") for file in readers)]
    except OSError:
        return None
    names = {name for text in texts for match in _READS.findall(text) for name in match}
    return frozenset(names.union(*map(_QUOTED.findall, (configuration, base))))
