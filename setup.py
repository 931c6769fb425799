"""The packages, which pyproject.toml cannot say: the ready configs, in configs/, are installed inside the package."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[
        *find_namespace_packages(include=["jaxprune*"]),
        *(f"jaxprune.{name}" for name in find_namespace_packages(include=["configs*"])),
    ],
    package_dir={"jaxprune.configs": "configs"},
)
