"""The grid of a sweep → its variants: the name and the complete config of each."""

import itertools
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from jaxprune.base.errors import InputError
from jaxprune.base.schema import fields_of, part_of
from jaxprune.base.text import NONE
from jaxprune.base.workdir.locks import PROGRESS
from jaxprune.base.workdir.reading import OUTPUTS
from jaxprune.data.config import TextFields, check_texts
from jaxprune.data.kinds import KINDS
from jaxprune.data.languages import MIX
from jaxprune.models.grids import GRIDS
from jaxprune.pruning.criterion import CODE
from jaxprune.pruning.methods import STARTS
from jaxprune.recovery.config import RecoveryFields
from jaxprune.recovery.recover import check_scales
from jaxprune.search.sweeps.config import DENSE, SweepConfig
from jaxprune.search.sweeps.grid import AXES, PRUNING, QUANTIZE, RECOVERY, axes_text, value_text
from jaxprune.stats.combinations import SUM
from jaxprune.stats.config import JobConfig
from jaxprune.steps.configs import MethodConfig, PruneConfig, QuantizeConfig, RecoverConfig
from jaxprune.steps.planning.checked import consistent

SOURCE, DRAW, KIND = "calibration.source", "calibration.draw", "calibration.kind"
_RECOVERY = tuple(path for path in AXES if path.startswith("recovery."))
_SHARED = ("model", "revision", "dtype", "compat", "seed", "output", "mesh")
_TAKEN = {DENSE, *OUTPUTS, PROGRESS}
_FOLDER = re.compile(r"\w[\w.,:=+-]*")
_PLACE = re.compile(r"\{([^{}]*)\}")


_Config = TypeVar("_Config", bound=JobConfig)


@dataclass(frozen=True)
class Variant:
    """A model to evaluate.

    Attributes:
      name: name of its folder, such as `dense` or `wanda-fr-0.3`.
      axes: the values of those axes of the grid that it reads, by path.
      languages: languages of its calibration text; none without text.
      config: config of `jaxprune prune`, `quantize` or `recover`; None for the dense model. `recovery.run` is the name
        of the variant that is recovered.
    """

    name: str
    axes: Mapping[str, Any]
    languages: tuple[str, ...] = ()
    config: MethodConfig | RecoverConfig | None = None

    @property
    def pruned(self) -> str | None:
        """The name of the variant that it recovers."""
        return self.config.recovery.run if isinstance(self.config, RecoverConfig) else None


class Variants(NamedTuple):
    """The variants of a grid.

    Attributes:
      made: all variants; the first is the dense model. A recovered variant comes after the one whose run it reads.
      left_out: the products that are no valid config, as text, with the reasons.
    """

    made: list[Variant]
    left_out: dict[str, str]


def variants(config: SweepConfig) -> Variants:
    """The distinct products of the axes.

    Products that differ only in fields that they do not read, such as the text of a random mask, are one variant, which
    has the sweep's own values of these fields.

    Raises:
      InputError: no product is valid; `sweep.name` is no template, or gives two variants one name.
    """
    grid = config.sweep.grid
    _check_template(config.sweep.name or "")
    by_name, left_out = {DENSE: Variant(DENSE, {})}, dict[str, str]()
    for values in itertools.product(*grid.values()):
        axes = dict(zip(grid, values, strict=True))
        try:
            products = [*_products(config, axes)]
        except InputError as error:
            left_out[axes_text(axes)] = str(error)
            continue
        for variant in products:
            if variant.name in _TAKEN or not _FOLDER.fullmatch(variant.name):
                raise InputError(
                    f"sweep.name: got the name {variant.name!r} for {axes_text(axes)}; expected letters, digits and "
                    f"some of .,:=+- in it, and none of {', '.join(sorted(_TAKEN))}"
                )
            if by_name.setdefault(variant.name, variant).config != variant.config:
                raise InputError(
                    f"sweep.name: names two variants {variant.name!r}, one of them {axes_text(axes)}; "
                    "expected a template with every axis in which variants differ"
                )
    if len(by_name) == 1:
        product, reason = next(iter(left_out.items()))
        raise InputError(f"sweep.grid: no product is valid; {product}: {reason}")
    return Variants([*by_name.values()], left_out)


def _products(config: SweepConfig, axes: Mapping[str, Any]) -> Iterator[Variant]:
    """The variant of a value of each axis, after the variant that it recovers."""
    own: MethodConfig = part_of(PruneConfig, config)
    if any(path.partition(".")[0] == QUANTIZE for path in axes):
        own = part_of(QuantizeConfig, config)
        own = replace(own, output=replace(own.output, params=False))
    product = _replaced(own, {p: v for p, v in axes.items() if not p.startswith("recovery.")})
    axes_read = _read_by_method(_checked(product))
    pruned = _checked(_replaced(own, _only(axes, axes_read)))
    if pruned.settings.method.updates_weights:  # which masks do not contain
        pruned = replace(pruned, output=replace(pruned.output, hf=True))
    fields = {path: axes.get(path, _value(pruned, path)) for path in axes_read}
    variant = _variant(config, axes, fields, pruned)
    yield variant
    if axes.get(RECOVERY) is None:
        return
    axes_read = {*_RECOVERY, "seed"} | _read_of_text(product.calibration)
    recovered = RecoverConfig(
        **{name: getattr(own, name) for name in _SHARED},
        calibration=part_of(TextFields, own.calibration),
        recovery=RecoveryFields(run=variant.name, **vars(config.recovery)),
    )
    recovered = _replaced(recovered, _only(axes, axes_read))
    recovered = replace(recovered, output=replace(recovered.output, hf=True))
    if isinstance(product, QuantizeConfig):
        check_scales(product.quantize.grid)
    if KINDS[recovered.calibration.kind].reads_text:
        check_texts(recovered.calibration)
    fields |= {path: axes.get(path, _value(recovered, path)) for path in axes_read}
    yield _variant(config, axes, fields, recovered)


def _only(axes: Mapping[str, Any], paths: Container[str]) -> dict[str, Any]:
    return {path: value for path, value in axes.items() if path in paths}


def _variant(
    config: SweepConfig,
    axes: Mapping[str, Any],
    fields: Mapping[str, Any],
    variant_config: MethodConfig | RecoverConfig,
) -> Variant:
    """A variant that reads these fields."""
    read_fields = {path: fields[path] for path in axes if path in fields}
    name, languages = _name(_template(config), fields), tuple(fields.get(SOURCE, ()))
    return Variant(name, read_fields, languages, variant_config)


def _checked(product: MethodConfig) -> MethodConfig:
    """The config of a product, without settings of its sets that have no effect.

    Raises:
      InputError: fields that contradict each other, such as a sparsity and an N:M pattern.
    """
    if isinstance(product, PruneConfig) and product.pruning.criterion in STARTS:
        product = _replaced(product, {"pruning.start": None})
    calibration = product.calibration
    plain = _replaced(product, {"calibration.combine": SUM.name, "calibration.weights": None})
    config = consistent(plain)
    if not config.settings.needs_statistics:
        return config
    if len(calibration.source) > 1:
        config = consistent(product)
        config.settings.mixture.check(calibration.source)
    kind = KINDS[calibration.kind]
    if kind.reads_text and kind.may_hold_code and CODE not in config.settings.sets:
        raise InputError(
            f"calibration.kind: got {kind.name!r}, but {config.settings.method.name} reads no code; "
            f"expected {kind.role}"
        )
    return config


def _read_by_method(config: MethodConfig) -> set[str]:
    """The fields that may be axes and on which a pruned or quantized model depends."""
    settings, group = config.settings, PRUNING if isinstance(config, PruneConfig) else QUANTIZE
    paths = {path for path in AXES if path.partition(".")[0] == group}
    if isinstance(config, PruneConfig) and config.pruning.criterion in STARTS:
        paths.remove("pruning.start")
    if isinstance(config, QuantizeConfig) and not GRIDS[config.quantize.grid].levels:
        paths.remove("quantize.how")
    if settings.needs_statistics:
        paths |= {"seed", "calibration.tokens"} | _read_of_text(config.calibration)
        if len(config.calibration.source) > 1:
            paths |= {"calibration.combine", "calibration.weights"}
        return paths
    return paths - {"pruning.propagate"} | ({"seed"} & {*settings.method.options})


def _read_of_text(calibration: TextFields) -> set[str]:
    """The fields on which samples depend."""
    kind = KINDS[calibration.kind]
    if not kind.reads_text:
        return {KIND, "calibration.data"}
    if kind.is_generated:
        return {KIND, SOURCE, "calibration.samples", "calibration.max_length"}
    paths = {f"calibration.{name}" for name in fields_of(TextFields)}
    paths -= set() if kind.has_target else {"calibration.target"}
    return paths - (set() if kind.may_hold_code else {"calibration.code"})


def left_out_lines(left_out: Mapping[str, str]) -> list[str]:
    """A line for each reason, with one of its products and the number of the others."""
    by_reason: dict[str, list[str]] = {}
    for product, reason in left_out.items():
        by_reason.setdefault(reason, []).append(product)
    return [
        f"left out {products[0]}{f' and {len(products) - 1} more' if products[1:] else ''}: {reason}"
        for reason, products in by_reason.items()
    ]


def axis_text(variant: Variant, path: str) -> str:
    """The value of an axis in a table; NONE if the variant does not read it."""
    if variant.axes.get(path) is None:
        return NONE
    value = variant.axes[path]
    return MIX.join(value) if path == SOURCE else value_text(path, value)


def label_names(axes: Sequence[str]) -> list[str]:
    """The titles of axes: their names, or paths for those of recovery."""
    return [path if path.startswith("recovery.") else path.rpartition(".")[2] for path in axes]


# Values by path.


def _value(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = getattr(config, name)
    return config


def _replaced(config: _Config, values: Mapping[str, Any]) -> _Config:
    for path, value in values.items():
        group, _, name = path.rpartition(".")
        change = (
            {group: replace(getattr(config, group), **{name: value})} if group else {name: value}
        )
        config = replace(config, **change)
    return config


# Names.


def _template(config: SweepConfig) -> str:
    """`sweep.name`, or the values of all axes."""
    places = (("draw" if path == DRAW else "") + f"{{{path}}}" for path in config.sweep.grid)
    return config.sweep.name or "-".join(places)


def _check_template(template: str) -> None:
    for path in _PLACE.findall(template):
        if path not in AXES:
            raise InputError(
                f"sweep.name: got {template!r}, but {path!r} is no field that a grid may vary; expected {{FIELD}} such "
                "as {calibration.source}"
            )


def _name(template: str, fields: Mapping[str, Any]) -> str:
    """The name of a variant that reads `fields`; a part of the template is omitted if it reads none of its fields."""
    parts = []
    for part in template.split("-"):
        paths = _PLACE.findall(part)
        if not paths or any(fields.get(path) is not None for path in paths):
            parts.append(_PLACE.sub(lambda place: _short(place[1], fields.get(place[1])), part))
    return "-".join(parts)


def _short(path: str, value: Any) -> str:
    """A value in a name: languages joined by +, for a draw its number."""
    if value is None:
        return ""
    if path == SOURCE:
        return MIX.join(value)
    text = value_text(path, value)
    return text.partition("/")[0] if path == DRAW else re.sub(r"[^\w.,:=+-]", "_", text)
