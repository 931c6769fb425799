"""A config with a grid → its variants of one model, each pruned and evaluated, and their tables.

`variants` makes the config of each product, `jobs` the languages in which it is evaluated, `calibration` the samples of
all, and `runner` makes and evaluates them, each in a folder like those of `jaxprune prune` and `jaxprune evaluate`;
`workers` divides them among processes that share the workdir, and `merge` joins the workdirs of processes that do not.
`result` reads these folders, without a model, as one comparison with the dense model and a value for each axis, and
`write` presents it. `sweep_json` rejects another config.
"""
