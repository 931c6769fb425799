"""A step → a workdir: a complete run, its outputs, resuming and verification.

Every job that writes a workdir opens it, which compares the jobs of all processes and locks the workdir; evaluation
and analysis then seal one folder after the other. Runs use `open_run`, which also finds a complete run, or resumes or
starts one:

    with open_run(workdir, identity, config) as run:
        if run.result is None:  # not complete yet
            writer = BlockWriter(run, n_layers, writers)
            writer.write_all(step.blocks(opened, run), by_block=True)
            run.result = step.report(opened, run, writer.totals)

`run_step` alone does so. `Store` keeps finished steps by the digest of their settings, input and samples.

**Commit and replace.** An unfinished run has one folder, `progress/`: the record `run.json` (identity, choices that
depend on memory, what was measured), one `.npz` for each finished layer, and the outputs while they are filled. When
the block ends with a result, `config.json` and `report.json` in `progress/` commit the run. Then the older run's
report moves aside, each output replaces the older one, and `report.json` comes last. Readers refuse a workdir in
between; whoever opens it for writing completes it first. Shrinking is short, so it does not resume.

**Identity.** One record contains all inputs that determine the bits of a run, code and versions among them. An
unfinished run resumes only with an equal record. A finished run is compared by its inputs alone: model, calibration
set, tokenizer and the fields that it reads; code and versions are its provenance. A change of the model after its
folder was opened ends the run.
"""
