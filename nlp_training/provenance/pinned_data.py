"""Pinning the Hub data sets of a run to a commit."""

from collections.abc import Iterator
from functools import cache

from nlp_inference.errors import InvalidSpecError
from nlp_training.config import DataConfig, RunConfig, load_config
from nlp_training.data import DataSource
from nlp_training.data.hub_commits import find_commit
from nlp_training.provenance.manifest import CONFIG_FILE


def pin_data(config: RunConfig, *, resume: bool = False) -> RunConfig:
    """Return the configuration with the commit of each Hub data set as its `revision`, so that the data are fixed.

    The Hub is queried for the current commits of branches and tags, but not if `revision` is a commit. If it returns
    none, the revision is unchanged; see `find_commit`.

    Args:
        config: the run.
        resume: whether the run in its folder is resumed: a data set without a `revision` keeps its initial commit, even
            if the Hub returns no commit for it.

    Raises:
        MissingExtraError: `datasets`, which reads data sets of the Hub, is not installed.

    Example:
        >>> config = load_config("configs/quickstart.yaml")
        >>> pin_data(config) == config  # it has no data from the Hub
        True
    """
    cached_find = cache(find_commit)  # one commit for all splits of a data set, even if its branch moves
    begun = _begun(config) if resume else {}

    def pin(name: str, source: DataSource) -> DataSource:
        if source.mix:
            parts = [pin(f"{name}.{number}", one) for number, one in enumerate(source.mix)]
            return source.model_copy(update={"mix": parts})
        if source.hub_id is None or source.commit is not None:
            return source
        if begun.get(name) == source and not source.streaming:
            return source  # it began without a commit; the digest of the documents says whether they are the same
        earlier = _commit_of_same(begun.get(name), source)
        needs_query = source.revision is not None or earlier is None
        commit = (cached_find(source.hub_id, source.revision) if needs_query else None) or earlier
        return source if commit is None else source.model_copy(update={"revision": commit})

    pinned = {name: pin(name, source) for name, (source, _) in config.data.sources().items()}
    splits = {"train": pinned["train"], "validation": pinned.get("validation")}
    tests = {name: pinned[name] for name in config.data.test}
    return config.model_copy(update={"data": config.data.model_copy(update={**splits, "test": tests})})


def unpinned_lines(data: DataConfig) -> Iterator[str]:
    """Yield a line for each Hub data set without a known commit.

    Example:
        >>> list(unpinned_lines(DataConfig.model_validate({"train": {"path": "org/set", "revision": "0" * 40}})))
        []
    """
    for name, (source, _) in data.sources().items():
        if source.hub_id is not None and source.commit is None:
            yield (
                f"data.{name}: the commit of {source.hub_id} is unknown, so the data may change; set the commit as its "
                "revision"
            )


def _begun(config: RunConfig) -> dict[str, DataSource]:
    """Return the sources that the run in the folder began with, if they are known."""
    try:
        data = load_config(config.folder / CONFIG_FILE).data
    except InvalidSpecError:  # resuming from a checkpoint reports the error
        return {}
    return {name: source for name, (source, _) in data.sources().items()}


def _commit_of_same(begun: DataSource | None, source: DataSource) -> str | None:
    """The commit of what the run began with, if that is the same source but for its revision."""
    same = begun is not None and begun == source.model_copy(update={"revision": begun.revision})
    return begun.commit if begun is not None and same else None
