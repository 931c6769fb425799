"""Checked configs of a model with some fields, `a__b=value` or {"a.b": value} for `--config.a.b=value`."""

from jaxprune.cli.config.validate import base_config, validate


def job(model, /, command=None, **fields):
    """The config of a command, by default of one to which any of the fields belongs alone, else of prune."""
    config = base_config()
    config.model = str(model)
    with config.ignore_type():
        config.update_from_flattened_dict(
            {path.replace("__", "."): v for path, v in fields.items()}
        )
    own = {"recovery__run": "recover", "shrink": "shrink"}
    alone = [
        own[name] for path in fields for name in (path, path.partition("__")[0]) if name in own
    ]
    return validate(config, command or next(iter(alone), "prune"))


def on_tokens(model, tokens, /, **fields):
    """A job whose samples are the token ids of a file."""
    return job(model, **{"calibration__kind": "tokens", "calibration__data": str(tokens), **fields})
