"""model_type → the names of attributes that transformers knows or reads for it, looked up in its source.

No other attribute can change the logits of transformers. The source is read as text, which takes 10 ms. Importing one
config class would take 2 s of CPU and 300 MB, because it imports torch if installed. The names come from the installed
release, so an attribute that a later release begins to read is rejected from then on.
"""

import functools
import importlib.util
import re
from pathlib import Path

# Code that all models share, without generation, whose settings select tokens and leave the logits unchanged.
_SHARED = (
    "cache_utils.py",
    "integrations/heterogeneity/configuration_utils.py",
    "masking_utils.py",
    "modeling_rope_utils.py",
    "modeling_utils.py",
)
# config.NAME, getattr(config, "NAME"), hasattr(self, "NAME"), kwargs.pop("NAME"), and fields of classes.
# The expression also matches names of other things. An extra name can only cause a rejection, never a wrong result.
_READS = re.compile(
    r"""config\.(\w+)
    | attr\( [^"',]{0,40} (?:config|self) [^"',]{0,40}, \s* ["'](\w+)["']
    | kwargs\.\w+\( \s* ["'](\w+)["']
    | ^[ ]{4}(\w+):[ ]""",
    re.MULTILINE | re.VERBOSE,
)
_QUOTED = re.compile(r"""["'](\w+)["']""")  # config classes quote other names of an attribute


@functools.lru_cache
def known_attributes(model_type: str) -> frozenset[str] | None:
    """Names that transformers knows or reads in a config of this type; None if its source cannot be read."""
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
