"""config.json and parameters → a model's embedding, blocks of four sites, and head, as Flax NNX modules.

**Blocks.** All families write a block as steps between four sites. Gemma's blocks also normalise the outputs of
attention and MLP (`SandwichBlock`). Cohere's run attention and MLP in parallel behind one norm (`ParallelBlock`):
`qkv` and `mlp_in` are one input, and their statistics are bit-identical.

**Kinds of layers.** In some families layers differ in their window or rotary positions. `ModelConfig.kinds` lists the
kinds, `pattern` gives the kind of each layer. A layer's kind enters the compiled block as an array, [] int32, so one
executable serves all layers. It contains the rotation tables of all kinds as constants, and the kind selects one;
attention has one branch per window that is shorter than the row. A model with one kind of layer has no such array.

**Dtypes.** `dtype` is that of weights on the device and of the inputs of their products. Sums, residuals, norms
and statistics are float32. `devices/products.py` alone decides for all processes whether a CPU multiplies bfloat16 as
float32.

**A config.json** has attributes that its family reads, that are ignored, or that are rejected by name. An attribute
is ignored if it is listed as having no effect on logits, or if transformers neither knows nor reads it for the model
type; what transformers reads is listed in `transformers_attributes.json`, which a test compares with the installed
release. Missing attributes have the defaults of transformers' config class, listed in `transformers_defaults.json`
and tested likewise.
"""

from jaxprune.models.model import load_config as load_config
