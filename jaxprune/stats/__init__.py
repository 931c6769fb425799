"""A model's blocks and batches → statistics of every site's features, with one block on the devices at a time.

**Sites, segments.** A block is written as steps from site to site; the state between two steps is always the pair
(residual, site input). A `Segment` spans two positions and says whether statistics and the state at its end are
needed; if the state is not needed, XLA drops the products that only it needs. With `neurons` a segment also counts
the tokens that excite each neuron of the MLP, for the analysis.

**Sets.** A `Statistic` is a sum over tokens of a function of a site's features. Each set of samples, `SetKey(kind,
language)`, has its own, from the calibration to `stats/` on disk; sets merge by addition. A method names the (set,
statistic) pairs that it needs. A `Combination` merges the sets of several languages into one, by default as their
sum; a `Mixture` is a combination with the weights of languages.

**Any number of devices.** Float sums depend on their order, and a product may round differently for another shape.
The shape on one device is therefore fixed: two samples, or one if memory is too small for two; with one, sums may
differ in their last bits. Devices return sums per sample; the host adds them in float64 in the order of the samples
and rounds once. Sums of float32 values that differ by a factor of at most 2^20 are exact in float64; adding the sums
of several sets then gives bit for bit the sum over all their samples. With `mesh.model=1` no compiled pass contains a
collective. On CPUs this also prevents deadlocks: XLA's collectives wait on the threads that compute.

**Running sums.** Values too large to keep per sample, such as Gram matrices `[D, D]`, stay on the devices as running
sums, in lanes. They have the same bits on 1, 2, 4 and 8 devices of a process; with other numbers of devices or
several processes the order of addition differs, so this order is part of the identity of a run whose method needs
them. During pruning the running sums of all languages share one buffer, each row scaled by its language's factor, so
a method that needs them accepts only combinations that are weighted sums. A run whose Gram matrices do not fit is
refused before it starts; with `pruning.propagate=site` it holds those of one site at a time.

**Few shapes.** A dynamic programme groups samples by length into a few static shapes. Rows are left-justified, so a
causal model needs no mask for pads. Accelerators process a micro-batch in parts of at most 4,096 tokens, or one row,
per segment, so a segment's temporaries do not grow with the micro-batch.
"""
