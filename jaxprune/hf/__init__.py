"""Hugging Face folders and hub ids → models, read part by part; pruned parameters → Hugging Face folders."""

from jaxprune.hf.aligned import aligned_cast as aligned_cast
from jaxprune.hf.export import HfWriter as HfWriter
from jaxprune.hf.export import export_hf as export_hf
from jaxprune.hf.export import exported_beside as exported_beside
from jaxprune.hf.fingerprint import exported_digest as exported_digest
from jaxprune.hf.layer_digests import hash_changed as hash_changed
from jaxprune.hf.layer_digests import hash_masks as hash_masks
from jaxprune.hf.layer_digests import hash_weights as hash_weights
from jaxprune.hf.model import Model as Model
from jaxprune.hf.model import check_model as check_model
from jaxprune.hf.model import load as load
from jaxprune.hf.orbax_folder import restore_packed_masks as restore_packed_masks
from jaxprune.hf.origin import origin_of as origin_of
from jaxprune.hf.overlay import overlaid as overlaid
from jaxprune.hf.shards import ShardWriter as ShardWriter
from jaxprune.hf.source import ParameterSource as ParameterSource
from jaxprune.hf.subset import subset as subset
from jaxprune.hf.weights import STORED as STORED
from jaxprune.hf.weights import exported_specs as exported_specs
from jaxprune.hf.weights import shapes as shapes
from jaxprune.hf.weights import size as size
from jaxprune.hf.weights import stack_layers as stack_layers
from jaxprune.hf.weights import to_stored as to_stored
