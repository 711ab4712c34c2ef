"""Two folders lie at the top level and are imported as mgenv.wrappers and mgenv.agents."""

from setuptools import find_packages, setup

FOLDERS = ("wrappers", "agents")

inner = find_packages(include=["mgenv*"], exclude=[f"mgenv.{name}*" for name in FOLDERS])
outer = find_packages(include=[f"{name}*" for name in FOLDERS])

setup(
    packages=inner + [f"mgenv.{name}" for name in outer],
    package_dir={"mgenv": "mgenv"} | {f"mgenv.{name}": name for name in FOLDERS},
)
