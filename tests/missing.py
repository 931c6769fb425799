"""Processes in which packages are missing that are installed here."""

import os


def without(folder, *packages):
    """An environment in which importing these packages fails as if they were not installed.

    Args:
      folder: an empty one, which gets a module of each name.
    """
    for name in packages:
        text = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        (folder / f"{name}.py").write_text(text)
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
