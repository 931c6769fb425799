"""Checked configs of a model with some fields, `a__b=value` for `--config.a.b=value`."""

from jaxprune.config.validate import base_config, validate


def job(model, /, prunes=True, **fields):
    config = base_config()
    config.model = str(model)
    config.update_from_flattened_dict({path.replace("__", "."): v for path, v in fields.items()})
    return validate(config, prunes=prunes)


def on_tokens(model, tokens, /, **fields):
    """A job whose samples are the token ids of a file."""
    return job(model, **{"calibration__kind": "tokens", "calibration__data": str(tokens), **fields})
