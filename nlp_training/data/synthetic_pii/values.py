"""The labeled values of generated documents.

DATE is any calendar date with a day, personal or not, because the text does not show whether a date is personal. A
year, a month, a weekday or a time alone is not a DATE. PERSON excludes titles, USERNAME excludes its @, and
ORGANIZATION includes its legal form.
"""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from unicodedata import normalize

from nlp_training.data.synthetic_pii.pools import LOCALES, Pool, Side, load_pools, side_of, words

_IBAN_MASKS = {  # the national parts in the registry of ISO 13616, by country
    "DE": "##################",
    "GB": "????##############",
    "FR": "#######################",
    "ES": "####################",
    "IT": "?######################",
    "NL": "????##########",
    "PL": "########################",
    "PT": "#####################",
    "SE": "####################",
}
_PHONES = {
    "en_US": ("(###) 555-####", "###-555-####", "+1 ### 555 ####", "1-###-555-####", "###.555.####"),
    "en_GB": ("+44 20 7### ####", "07### ######", "020 7### ####", "+44 (0)7### ######", "01### ######"),
    "en_IN": ("+91 9#### #####", "09#########", "+91-8#########"),
    "de_DE": ("+49 30 ########", "0### #######", "+49 (0)17# #######", "0049 89 ######", "030/#######"),
    "fr_FR": ("+33 6 ## ## ## ##", "01 ## ## ## ##", "06.##.##.##.##", "+33 (0)1 ## ## ## ##"),
    "es_ES": ("+34 6## ### ###", "9## ## ## ##", "+34 9########"),
    "it_IT": ("+39 06 ########", "+39 3## ### ####", "02 ########"),
    "nl_NL": ("+31 6 ########", "020-#######", "06-########", "+31(0)20 ### ####"),
    "pl_PL": ("+48 ### ### ###", "22 ### ## ##"),
    "pt_PT": ("+351 9## ### ###", "21 ### ## ##"),
    "sv_SE": ("+46 70 ### ## ##", "08-### ## ##", "070-### ## ##"),
}
_ADDRESSES = {  # s street, c city, and digits and letters to draw
    "en_US": ("#%% s|c, @@ #####", "#% s|Apt. %|c, @@ #####", "#%% s|Suite #%%|c, @@ #####"),
    "en_GB": ("%% s|c|@@# #@@", "% s|c, @@%% #@@", "Flat %, %% s|c|@@# #@@"),
    "en_IN": ("%%/#, s|c ######", "% s|c - ######"),
    "de_DE": ("s %%|##### c", "s %a|D-##### c"),
    "fr_FR": ("%%, s|##### c", "%% s|##### c"),
    "es_ES": ("s %%|##### c", "s, %%, %º|##### c"),
    "it_IT": ("s, %%|##### c (@@)", "s %%|##### c"),
    "nl_NL": ("s %%|#### @@ c", "s %%-%|#### @@  c"),
    "pl_PL": ("ul. s %%/%|##-### c", "s %%|##-### c"),
    "pt_PT": ("s, %%|####-### c", "s %%, %º Dto|####-### c"),
    "sv_SE": ("s %%|### ## c",),
}
_FORMS = {
    "en_US": ("Inc.", "LLC", "Corp.", "Group", "Partners", "Holdings", "& Co."),
    "en_GB": ("Ltd", "Limited", "PLC", "Group", "& Sons"),
    "en_IN": ("Pvt. Ltd.", "Limited", "Industries"),
    "de_DE": ("GmbH", "AG", "GmbH & Co. KG", "KG", "e.V."),
    "fr_FR": ("S.A.", "SARL", "SAS"),
    "es_ES": ("S.L.", "S.A."),
    "it_IT": ("S.p.A.", "S.r.l."),
    "nl_NL": ("B.V.", "N.V."),
    "pl_PL": ("Sp. z o.o.", "S.A."),
    "pt_PT": ("Lda.", "S.A."),
    "sv_SE": ("AB",),
}
_FIELDS = ("Logistics", "Software", "Consulting", "Foods", "Insurance", "Bank", "Dental", "Media", "Energy", "Travel")
_DATES = (
    "{d:02}/{m:02}/{y}", "{m}/{d}/{y}", "{y}-{m:02}-{d:02}", "{d:02}.{m:02}.{y}", "{d} {month} {y}", "{month} {d}, {y}",
    "{d} {mon} {y}", "{mon} {d}, {y}", "{d}-{mon}-{y}", "{d}{th} {month} {y}", "{month} {d}{th}, {y}",
)  # fmt: skip
_LOOSE_DATES = (
    *_DATES, "{d}{th} of {month}", "{month} {d}{th}", "{d} {month}", "{weekday}, {d} {month} {y}",
    "{d:02}/{m:02}/{yy:02}", "{weekday}, {month} {d}",
)  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_IDS = {
    "passport": ("@########", "@@#######", "#########", "@##@#####"),
    "ssn": ("###-##-####", "### ## ####"),
    "insurance": ("@@ ## ## ## @", "@@######@", "##-######-@-###"),
    "licence": ("@#######", "@@@@@######@@#@@", "@###-####-####"),
    "tax": ("##-#######", "## ### ### ###", "@@@@@@##@##@###@", "#########@"),
    "national": ("########@", "######-####", "@-########-@", "############"),
}
_LETTERS = "ABCDEFGHJKLMNPRSTVWXYZ"


def fill(rng: Random, mask: str) -> str:
    """Replace every `#` by a digit, `%` by a digit from 1 on, and `@` and `?` by a capital letter."""
    drawn = []
    for character in mask:
        if character == "#":
            drawn.append(str(rng.randrange(10)))
        elif character == "%":
            drawn.append(str(rng.randrange(1, 10)))
        else:
            drawn.append(rng.choice(_LETTERS) if character in "@?" else character)
    return "".join(drawn)


def slug(name: str) -> str:
    """A name as mail addresses write it.

    Example:
        >>> slug("Núñez-Weiß")
        'nunezweiss'
    """
    plain = normalize("NFKD", name.replace("ß", "ss").replace("ł", "l").replace("ø", "o"))
    return "".join(character for character in plain if character.isascii() and character.isalnum()).lower()


class Persona:
    """One person of a document, whose name, mail address and user name belong together."""

    def __init__(self, rng: Random, side: Side) -> None:
        self._rng = rng
        self._side = side
        pools = load_pools()[side]
        self.pool: Pool = rng.choices(pools, weights=[LOCALES[pool.locale] for pool in pools])[0]
        self.first = rng.choice(self.pool.first_names)
        self.last = rng.choice(self.pool.last_names)

    def value(self, label: str, variant: str) -> str:
        """A value of this person that carries `label`. Numbers and dates belong to one side, as the names do."""
        make = _MAKERS[label]
        while True:
            value, decisive = make(self, variant)
            if decisive is None or side_of(decisive) == self._side:
                return value

    def person(self, variant: str) -> tuple[str, None]:
        first, last, initial = self.first, self.last, self.first[0]
        if variant:
            return {"first": first, "last": last, "plain": f"{first} {last}"}[variant], None
        middle = self._rng.choice(_LETTERS)
        styles = (f"{first} {last}", f"{last}, {first}", f"{initial}. {last}", f"{first} {middle}. {last}")
        return self._rng.choices(styles, weights=(14, 2, 2, 2))[0], None

    def email(self, _variant: str) -> tuple[str, None]:
        return f"{self._account()}@{self._domain()}", None

    def username(self, _variant: str) -> tuple[str, None]:
        rng = self._rng
        if rng.random() < 0.5:
            return self._account(), None
        joint = rng.choice(("", "_", "-", "."))
        number = rng.choice(("", str(rng.randrange(2000))))
        return f"{rng.choice(words(self._side))}{joint}{rng.choice(words(self._side))}{number}", None

    def _account(self) -> str:
        rng = self._rng
        first, last = slug(self.first) or "x", slug(self.last) or "y"
        styles = (f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}", f"{last}{rng.randrange(1, 100)}",
                  f"{first}{last[0]}{rng.randrange(1950, 2010)}", f"{first[0]}.{last}", f"{first}{last}")  # fmt: skip
        return rng.choice(styles)

    def _domain(self) -> str:
        rng = self._rng
        if rng.random() < 0.4:
            return rng.choice(
                ("gmail.com", "yahoo.com", "outlook.com", "gmx.de", "hotmail.co.uk", "example.org", "mail.net")
            )
        joint = rng.choice(("", "-"))
        ending = rng.choice(("com", "org", "net", "co.uk", "de", "fr", "es", "it", "nl", "io", "eu"))
        return f"{rng.choice(words(self._side))}{joint}{rng.choice(words(self._side))}.{ending}"

    def phone(self, _variant: str) -> tuple[str, str]:
        number = fill(self._rng, self._rng.choice(_PHONES[self.pool.locale]))
        return number, number

    def address(self, variant: str) -> tuple[str, None]:
        rng, pool = self._rng, self.pool
        mask = rng.choice(_ADDRESSES[pool.locale])
        street, city = rng.choice(pool.streets), rng.choice(pool.cities)
        drawn = [{"s": street, "c": city}.get(mark) or fill(rng, mark) for mark in mask]
        return "".join(drawn).replace("|", "\n" if variant == "block" else ", "), None

    def date(self, variant: str) -> tuple[str, str]:
        rng = self._rng
        first, days = (date(1940, 1, 1), 24000) if variant == "birth" else (date(2017, 1, 1), 4000)
        day = first + timedelta(days=rng.randrange(days))
        style = rng.choice(_DATES if variant == "birth" else _LOOSE_DATES)
        month, weekday = _MONTHS[day.month - 1], _WEEKDAYS[day.weekday()]
        th = "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
        text = style.format(
            d=day.day, m=day.month, y=day.year, yy=day.year % 100, month=month, mon=month[:3], weekday=weekday, th=th
        )
        return text, f"{day.month}/{day.day}"

    def iban(self, _variant: str) -> tuple[str, str]:
        rng = self._rng
        own = self.pool.locale[3:]
        country = own if own in _IBAN_MASKS else rng.choice(list(_IBAN_MASKS))
        national = fill(rng, _IBAN_MASKS[country])
        digits = "".join(str(int(character, 36)) for character in f"{national}{country}00")
        number = f"{country}{98 - int(digits) % 97:02}{national}"
        grouped = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
        return (grouped if rng.random() < 0.6 else number), number

    def credit_card(self, _variant: str) -> tuple[str, str]:
        rng = self._rng
        mask, groups = rng.choice((("4##############", (4, 4, 4, 4)), ("52#############", (4, 4, 4, 4)),
                                   ("37############", (4, 6, 5))))  # fmt: skip
        digits = fill(rng, mask)
        doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits))]
        number = f"{digits}{-sum(value - 9 * (value > 9) for value in doubled) % 10}"
        joint = rng.choice((" ", " ", "-", ""))
        starts = [sum(groups[:index]) for index in range(len(groups))]
        return joint.join(number[at : at + size] for at, size in zip(starts, groups, strict=True)), number

    def organization(self, _variant: str) -> tuple[str, None]:
        rng, side = self._rng, self._side
        form = rng.choice(_FORMS[self.pool.locale])
        last, other = rng.choice(self.pool.last_names), rng.choice(self.pool.last_names)
        word, second = (rng.choice(words(side)).title() for _ in range(2))
        field = rng.choice(_FIELDS)
        names = (f"{last} {form}", f"{word}{second.lower()} {form}", f"{word} {field} {form}", f"{last} {field}",
                 f"{last} & {other} {form}", f"{word} {field}", f"{word} {second} {form}")  # fmt: skip
        return rng.choice(names), None

    def ip_address(self, _variant: str) -> tuple[str, str]:
        rng = self._rng
        if rng.random() < 0.8:
            number = ".".join(str(rng.randrange(1, 255)) for _ in range(4))
        else:
            number = f"2001:db8:{':'.join(f'{rng.randrange(65536):x}' for _ in range(rng.choice((2, 4, 6))))}"
            number = number if number.count(":") == 7 else f"{number}::{rng.randrange(1, 99)}"
        return number, number

    def id_number(self, variant: str) -> tuple[str, str]:
        number = fill(self._rng, self._rng.choice(_IDS[variant]))
        return number, number


_MAKERS: dict[str, Callable[[Persona, str], tuple[str, str | None]]] = {
    "PERSON": Persona.person,
    "EMAIL": Persona.email,
    "PHONE": Persona.phone,
    "ADDRESS": Persona.address,
    "DATE": Persona.date,
    "IBAN": Persona.iban,
    "CREDIT_CARD": Persona.credit_card,
    "ORGANIZATION": Persona.organization,
    "USERNAME": Persona.username,
    "IP_ADDRESS": Persona.ip_address,
    "ID_NUMBER": Persona.id_number,
}
LABELS: tuple[str, ...] = tuple(_MAKERS)
"""The labels of the generated documents."""
