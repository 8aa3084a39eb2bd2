"""Names, streets, cities and companies from Faker, split into two disjoint sides."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from unicodedata import normalize

from nlp_inference._utils.extras import require

Side = Literal["train", "test"]

LOCALES: dict[str, int] = {
    "en_US": 5,
    "en_GB": 4,
    "en_IN": 2,
    "de_DE": 2,
    "fr_FR": 2,
    "es_ES": 2,
    "it_IT": 2,
    "nl_NL": 2,
    "pl_PL": 1,
    "pt_PT": 1,
    "sv_SE": 1,
}
"""The locales of the values and their frequencies. The text around the values is always English."""

_WORDS = """
    amber apex arrow atlas aurora badger basil beacon birch blue bolt breeze bright brook cedar cinder clear cloud
    cobalt comet copper coral core crane crest crow delta dune eagle echo ember falcon fern flint forge fox frost
    garnet ginger glade golden granite green gull harbor hawk hazel heron hill honey indigo iron ivory jade
    juniper kestrel lake lark lemon lily lion lotus lunar lynx maple marble meadow mellow mint mist moon moss
    north nova oak ocean olive onyx opal orbit otter panda paper pearl pebble pepper pine pixel plum polar prime
    quartz quick quiet rain raven red reef ridge river robin rocket rose ruby rustic sage salmon sand shadow
    silver sky slate snow solar spark sparrow spruce star stone storm summit sun swift tango thistle thorn tiger
    timber topaz trail tulip turbo twin vale velvet violet vivid walnut wave west wild willow wind winter wolf
    wren zen zephyr zinc
"""


@dataclass(frozen=True)
class Pool:
    """The parts of the values of one locale on one side."""

    locale: str
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[str, ...]


def side_of(value: str) -> Side:
    """Return the side of a value from a checksum of its letters and digits, which is the same in every process.

    Example:
        >>> side_of("García") == side_of("garcia")
        True
    """
    plain = "".join(filter(str.isalnum, normalize("NFKD", value).casefold()))
    return "test" if zlib.crc32(plain.encode()) >> 16 & 1 else "train"


@lru_cache(maxsize=1)
def load_pools() -> Mapping[Side, tuple[Pool, ...]]:
    """Return the pools of all locales on both sides, generated once per process from fixed seeds.

    Raises:
        MissingExtraError: faker is not installed.
    """
    faker = require("faker", extra="quickstart")
    sides: tuple[Side, Side] = ("train", "test")
    generators = {locale: faker.Faker(locale) for locale in LOCALES}
    pools: dict[Side, list[Pool]] = {side: [] for side in sides}
    for locale, generator in generators.items():
        generator.seed_instance(2718)
        drawn = [
            _draw(generator.first_name, 500),
            _draw(generator.last_name, 700),
            _draw(generator.street_name, 300),
            # Faker keeps Italian towns in the order of a set, another one in every process; provinces are cities, too.
            _draw(generator.administrative_unit if locale == "it_IT" else generator.city, 300),
        ]
        for side in sides:
            pools[side].append(Pool(locale, *(_on(side, values) for values in drawn)))
    return {side: tuple(pools[side]) for side in sides}


@lru_cache(maxsize=2)
def words(side: Side) -> tuple[str, ...]:
    """Return the words of user names, companies, mail domains and products of a side."""
    return _on(side, _WORDS.split())


def _draw(make: Callable[[], Any], times: int) -> set[str]:
    return {str(make()).replace("\n", " ") for _ in range(times)}


def _on(side: Side, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(value for value in values if side_of(value) == side))
