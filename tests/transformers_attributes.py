"""The attributes of a config.json that transformers reads, and their defaults, found in the installed release.

    python tests/transformers_attributes.py

Writes to jaxprune/models/:
- transformers_attributes.json: under "all" the attributes of every model type, under a type its others. Those without
  effect on logits (irrelevant_attributes.txt) are left out. The names are found in source, so some name other things.
- transformers_defaults.json: by model type the defaults of the fields of the config class.
"""

import ast
import dataclasses
import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import transformers

from jaxprune.models.attributes import IRRELEVANT
from jaxprune.models.families import FAMILIES

FOLDER = Path(__file__).parents[1] / "jaxprune" / "models"
ROOT = Path(transformers.__file__).parent
# Code that all models share: of configs, and of models without generation, whose settings select tokens and leave the
# logits unchanged.
CONFIGS = (
    "configuration_utils.py",
    "integrations/heterogeneity/configuration_utils.py",
    "modeling_rope_utils.py",
)
MODELS = ("cache_utils.py", "masking_utils.py", "modeling_utils.py")
# Attributes that change logits in one family only: XGLM's pad is a row of a table.
READ = {("xglm", "pad_token_id")}


@functools.cache
def known_attributes(model_type: str) -> frozenset[str]:
    """Names of the attributes that transformers' class has for this type, and that its code and shared code read.

    An extra name can only cause a rejection, never a wrong result.
    """
    config = type(transformers.AutoConfig.for_model(model_type))
    own = model_type.removesuffix("_text")
    configs = (*CONFIGS, f"models/{own}/configuration_{own}.py")
    models = (*MODELS, f"models/{own}/modeling_{own}.py")
    names = {field.name for field in dataclasses.fields(config)}
    names |= {*config.attribute_map, *config.attribute_map.values()}
    names = names.union(*(read_in(file, True) for file in configs))
    names = names.union(*(read_in(file, False) for file in models))
    return frozenset(
        name
        for name in names
        if name.isidentifier() and not (name[:2] == "__" or callable(getattr(config, name, None)))
    )


@functools.cache
def read_in(file: str, is_config: bool) -> frozenset[str]:
    """Names in a file: `config.NAME`, `getattr(config, "NAME")`; in code of configs also of fields and any text."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        match node:
            case ast.Attribute(value, str(name)) if ast.unparse(value).endswith("config"):
                names.add(name)
            case ast.Call(ast.Name("getattr" | "hasattr"), [value, ast.Constant(str(name)), *_]):
                if ast.unparse(value).endswith("config"):
                    names.add(name)
            case ast.Constant(str(name)) | ast.AnnAssign(ast.Name(name)) if is_config:
                names.add(name)
    return frozenset(names)


def defaults(model_type: str) -> dict[str, Any]:
    """The defaults of transformers' class, except None, of attributes that change logits."""
    config = type(transformers.AutoConfig.for_model(model_type))
    return {
        field.name: field.default
        for field in dataclasses.fields(config)
        if isinstance(field.default, bool | int | float | str)
        and (field.name not in IRRELEVANT or (model_type, field.name) in READ)
    }


def listed(model_types: Iterable[str]) -> dict[str, list[str]]:
    """The attributes of each type."""
    names = {model_type: known_attributes(model_type) - IRRELEVANT for model_type in model_types}
    common = frozenset.intersection(*names.values())
    return {"all": sorted(common)} | {
        model_type: sorted(own - common) for model_type, own in sorted(names.items())
    }


def write_lists(folder: Path, model_types: Iterable[str]) -> None:
    """Writes the two files."""
    model_types = sorted(model_types)
    contents = {
        "transformers_attributes": listed(model_types),
        "transformers_defaults": {name: defaults(name) for name in model_types},
    }
    for name, content in contents.items():
        text = json.dumps(content, indent=1) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_lists(FOLDER, FAMILIES)
