"""The configs of the commands that write a model, as records."""

from typing import Any

from jaxprune.base.schema import config_record, filled, flag
from jaxprune.data.config import TextFields
from jaxprune.devices.sharding import MeshFields
from jaxprune.pruning.quantization import QuantizeFields
from jaxprune.pruning.settings import PruningFields, Settings
from jaxprune.recovery.config import RecoveryFields
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.stats.config import CalibrationFields, JobConfig, MixedTextFields


@config_record
class OutputFields:
    """The fields `output.*`: outputs of a run besides masks and report."""

    params: bool = flag(
        False, "store all parameters in the checkpoint; they must fit into host memory"
    )
    hf: bool = flag(True, "write the pruned model as a Hugging Face folder, block by block")
    card: bool = flag(
        True,
        "write a model card to `hf/` instead of the model's own README: method and settings; `jaxprune report` adds "
        "accuracies",
    )


@config_record
class MethodConfig(JobConfig):
    """The config of a run that applies a method to the kernels of all blocks."""

    calibration: CalibrationFields = CalibrationFields()
    output: OutputFields = OutputFields()
    mesh: MeshFields = MeshFields()

    @property
    def settings(self) -> Settings:
        """The method and its settings; InputError if fields contradict each other."""
        raise NotImplementedError


@config_record
class PruneConfig(MethodConfig):
    """The config of a pruning run; `jaxprune.cli.config` makes it from a user's config."""

    pruning: PruningFields = PruningFields()

    @property
    def settings(self) -> Settings:
        """The settings of pruning.

        Raises:
          InputError: fields of `pruning` contradict each other.
        """
        fields: dict[str, Any] = vars(self.pruning)
        return Settings(
            **fields, combine=self.calibration.combine, weights=self.calibration.weights,
            compat=self.compat, seed=self.seed, dtype=self.dtype,
        )  # fmt: skip


@config_record
class QuantizeConfig(MethodConfig):
    """The config of a quantization."""

    calibration: CalibrationFields = CalibrationFields()
    quantize: QuantizeFields = QuantizeFields()
    output: OutputFields = filled(OutputFields, "params", "hf")

    @property
    def settings(self) -> Settings:
        """The settings of a pruning that keeps all weights and rounds them; InputError for a wrong combination.

        Saved statistics are those of the dense model.
        """
        propagate = "dense" if self.calibration.stats else "block"
        return Settings(
            criterion=self.quantize.method, sparsity=0.0, allocation=self.quantize.allocation, propagate=propagate,
            combine=self.calibration.combine, weights=self.calibration.weights, compat=self.compat,
            seed=self.seed, dtype=self.dtype,
        )  # fmt: skip


@config_record
class RecoverConfig(JobConfig):
    """The config of a recovery; `pruning` has the values of the run to recover."""

    calibration: TextFields = TextFields()
    pruning: PruningFields = filled(PruningFields)
    recovery: RecoveryFields = RecoveryFields()
    output: OutputFields = OutputFields()
    mesh: MeshFields = MeshFields()


# Configs of the jobs that change every block of a model.
BlocksConfig = MethodConfig | RecoverConfig


@config_record
class ShrinkConfig(JobConfig):
    """The config of making a smaller model."""

    calibration: MixedTextFields = MixedTextFields()
    shrink: ShrinkFields = ShrinkFields()
