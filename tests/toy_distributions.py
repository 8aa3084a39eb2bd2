"""Packages as pip would install them, written by tests into a folder of `sys.path`."""

from pathlib import Path


def write_distribution(site: Path, package: str, *, entry_points: str) -> None:
    """Write the metadata of version 1.0 of a package.

    Args:
        site: the folder, in which the package lies.
        package: the name of its module; that of the distribution has hyphens in place of underscores.
        entry_points: the content of `entry_points.txt`.
    """
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    name = package.replace("_", "-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
