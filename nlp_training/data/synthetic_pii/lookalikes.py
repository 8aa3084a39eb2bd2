"""Values that look personal but are not: order numbers, prices, versions, product names, capitalized words."""

from collections.abc import Callable, Mapping
from random import Random

from nlp_training.data.synthetic_pii.pools import Side, words
from nlp_training.data.synthetic_pii.values import fill

_MASKS: dict[str, tuple[str, ...]] = {
    "order": (
        "#######",
        "ORD-######",
        "@@-####-####",
        "20##-#####",
        "##-###-####",
        "A####-##",
        "PO ######",
        "###########",
    ),
    "invoice": ("INV-20##-####", "INV/######", "RE######", "#########", "F-####/##", "20######"),
    "ticket": ("#%####", "INC######", "@@@-####", "CASE ####-##", "SR######", "T###-####"),
    "tracking": ("1Z###@@#########", "@@#########DE", "JD##############", "#### #### ####", "00###############"),
    "sku": ("@@-###", "@###-##", "##-@@@-#", "@@@####", "###.###.##"),
    "version": ("%.#.#", "v%.#", "v%.##.#", "%.%#.##", "20##.%", "%.#-beta"),
    "price": ("$%#.##", "€%##.##", "£%,###", "%#.## EUR", "USD %,###.##", "%## SEK", "$%.##", "€ %#,##"),
    "time": ("0%:#5", "1#:30", "%:15 pm", "%.30 am", "1#:00", "% o'clock", "%:45"),
    "count": ("%", "%#", "%##", "%,###"),
    "percent": ("%#%%", "%.#%%", "%# percent"),
    "year": ("19##", "20##", "201#", "202#"),
    "error": ("0x8007####", "E-%###", "ERR_%##", "HTTP 50%", "code %###"),
    "room": ("room %##", "gate @%", "floor %", "building @", "seat %#@", "desk %#", "platform %"),
    "hash": ("@#@##@#@", "#@@##@##@#@@", "##@@#@-@##@-#@@"),
}
_PRODUCTS = ("Pro", "Mini", "Max", "Air", "Plus", "X", "Go", "One", "Lite", "Studio", "3000", "Series 7", "II")
_MONTHS = ("January", "March", "April", "June", "July", "August", "September", "November", "December")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CAPITALISED = (
    "Terms of Service", "Customer Support", "Privacy Policy", "Quality Assurance", "Human Resources", "Annual Report",
    "Release Notes", "Getting Started Guide", "Northern Europe", "Black Friday", "Board of Directors", "Help Centre",
    "Second Quarter", "User Manual", "Smart Home", "Data Protection Officer", "General Conditions", "Accounts Payable",
    "Front Desk", "Chief Financial Officer", "Summer Sale", "First Class", "Bluetooth", "WhatsApp", "Excel", "English",
    "Windows", "Android", "Wi-Fi", "Christmas", "Easter", "GDPR", "IT Operations", "Marketing", "Legal", "Sales Team",
)  # fmt: skip


def _mask(name: str) -> Callable[[Random, Side], str]:
    def draw(rng: Random, _side: Side) -> str:
        return fill(rng, rng.choice(_MASKS[name]).replace("%%", "\0")).replace("\0", "%")

    return draw


def _product(rng: Random, side: Side) -> str:
    name = rng.choice(words(side)).title()
    return f"{name}{rng.choice((' ', '', ' '))}{rng.choice(_PRODUCTS)}"


def _month(rng: Random, _side: Side) -> str:
    return rng.choice(_MONTHS)


def _weekday(rng: Random, _side: Side) -> str:
    return rng.choice(_WEEKDAYS)


def _capitalised(rng: Random, _side: Side) -> str:
    return rng.choice(_CAPITALISED)


LOOKALIKES: Mapping[str, Callable[[Random, Side], str]] = {
    **{name: _mask(name) for name in _MASKS},
    "product": _product,
    "month": _month,
    "weekday": _weekday,
    "capitalised": _capitalised,
}
"""The generators of values by slot name."""
