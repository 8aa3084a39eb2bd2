r"""A fixed set of texts that are difficult for preprocessing, tokenizers and windows.

Each text covers a behavior that depends on settings, or that is known to change between library versions. Characters
that are newer than some Unicode tables in use (from Unicode 3.2 of stringprep to 17.0) distinguish these tables:
https://www.unicode.org/Public/UCD/latest/ucd/DerivedAge.txt. Many other texts resemble the "big list of naughty
strings".
"""

from collections.abc import Mapping
from itertools import cycle, islice
from types import MappingProxyType

from nlp_inference.document import Document
from nlp_inference.processor import Processor

HOSTILE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "empty": "",
        "white space": " \t\n\r\n\u00a0\u2003\u3000\u2028\u0085 ",
        "control characters": "Ana\x00 lives\x07 in\x1b[31m Rome\x7f\x1f today\x9f.",
        "invisible characters": "\ufeffR\u200bo\u00adme\u2060 \u202etpircs\u202c is\u200c not\u200d Rome\u180e.",
        "tag characters": "Rome\U000e0052\U000e006f\U000e006d\U000e0065\U000e007f hides a message",
        "mojibake": "CafÃ© ZÃ¼rich: â€œMÃ¼llerâ€\u009d paid 12 â‚¬ â€“ naÃ¯ve, donâ€™t",
        "mojibake twice": "ZÃƒÂ¼rich and FranÃƒÂ§ois, with Ð\u009fÑ€Ð¸Ð²ÐµÑ‚",
        "replacement characters": "Fran\ufffdois Mller paid 5 � to Jos�",
        "markup": "<p>Ana <b>Ro</b>ssi&nbsp;&amp; Bo</p><br/><script>var x = 'Rome';</script><td>1</td><td>2</td>",
        "broken markup": "<div class='a>b' <b and 3 < 5 > 4 &lt;b&gt; &#82;&#x6f;me &notanentity; &copy <!-- Rome",
        "markup in mojibake": "<i>CafÃ©</i>&#160;&eacute;  <B>ROME</B>",
        "quotes and dashes": "“Ana’s” ‘Rome’ «Bo» „Łódź‟ — 5–7 ‐ 8‑9 ― … ′ ″ ´ ` ‹x›",
        "no-break spaces": "Ana\u00a0Rossi\u202fpaid\u20071\u00a0000\u00a0€ in\u2009Rome",
        "full width": "Ａｎａ　ｌｉｖｅｓ　ｉｎ　ＲＯＭＥ，　ｔｅｌ．　０１２３－４５６，　ｱﾅ ﾛｰﾏ ｶﾞｷﾞ",
        "ligatures": "The ﬁnal oﬃce of ﬂoor ﬆ Ĳssel ŉ Ǆ æther œuvre ﷺ №5 ℡ ½ x² ™ ㎏ Ⅷ ⓐ",
        "combining marks": "Cafe\u0301 Zu\u0308rich A\u030angstro\u0308m q\u0307\u0323 \u1100\u1161\u11a8 \u0301alone",
        "stacked marks": "R\u0300\u0301\u0302\u0303\u0308\u0330\u0331o\u0334\u0335\u0336m\u0489e\u20dd \u0489\u0489",
        "composed marks": "Café Zürich Ångström Łódź Đorđe ñ ệ ǟ \u212bngstr\u00f6m \u2126 \u212a \u1f71 \u0344",
        "mathematical letters": "𝐀𝐧𝐚 𝓁𝒾𝓋𝑒𝓈 𝕚𝕟 𝖱𝗈𝗆𝖾 𝟙𝟚𝟛 ᴬⁿᵃ ₁₂₃",
        "letters of young tables": "\u1d2c\u1b05\u1b35 \U000110a5\U000110ba \U00011131\U00011127 \U0001e030 "
        "\U000105d2\u0307 \U0001ccd6 \ua7f1 \ua7cb \ua7c0 \u2c2f \U00010d50",
        "emoji": "👍 ❤️ ☺ ✂︎ 🧑🏽‍🚀 👩‍👩‍👧‍👦 🏳️‍🌈 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🇮🇹🇵 1️⃣ #️⃣ 🫨 🪿 🙂‍↔️ 🫩",
        "emoji in words": "Ana❤Rome🍕at8pm 👨🏿‍💻Bo🤝Eve😀😀😀",
        "arabic": "تعيش آنا في روما، هاتف ٠١٢٣٤٥٦٧٨٩ \u0640\u0640 ﻻ مُحَمَّد می‌خواهم",
        "hebrew": "אנה גרה ב־רומא, \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u202bRome\u202c, מע״מ 17%",
        "right to left in left to right": "Ana \u2067רומא 12\u2069 (روما) \u200fRome\u200e, 3.14 א",
        "indic": "अना रोम में रहती है क्षत्रिय क्‍ष ஸ்ரீ বাংলা ১২৩ తెలుగు",
        "thai": "อนาอาศัยอยู่ในกรุงโรม เบอร์ ๐๘๑ น้ำ",
        "chinese and japanese": "安娜住在罗马，電話：一二三。アナはローマに住んでいます。㍿ ㌔ 葛\U000e0100",
        "korean": "아나는 로마에 산다 \u1112\u1161\u11ab\u1100\u1173\u11af ㄱㄴ ﾡﾢ",
        "cyrillic and greek": "Анна живёт в Риме й и\u0306 Їжак. Η Άννα ζει στη ΡΏΜΗ, ΟΔΥΣΣΕΥΣ ς σ",
        "letter case": "ANA Rossi rOmE iPhone McDonald İstanbul Iğdır ıI STRASSE Straße ẞ ǅ ŒUVRE",
        "look-alikes": "Аna lіves іn Rоme, pаypal.com, ⅼ1I|O0 g00gle",
        "line breaks": "Ana\r\nRossi\rlives\n\n\nin\u2028Rome\u2029now\x0band\x0chere\u0085\tBo   Eve ",
        "punctuation": "!!! ??? ... ,,, ;; -- __ ~~ ** (([[{{}}]])) @@ ## $$ %% ^^ && || \\\\ // ¿¡ ※ § ¶",
        "names and places": "Dr. Ana-María O'Neill-Rossi, Jr. met J.R.R. Bo at St. Mary's, Rome (IT) on Main St. 5b.",
        "numbers and dates": "2024-02-29, 29/02/2024 at 23:59:59Z; 1,234.56 or 1.234,56 €, -5 °C, +7%, 1e-9, 0x1F, 007",
        "contact data": "Mail ana.rossi+x@example.co.uk or +44 (0)20 7946 0958, 020-7946-0958 x12, "
        "https://a.example/b?c=d#e, @bo",
        "account data": "IBAN GB82 WEST 1234 5698 7654 32, card 4111 1111 1111 1111, 192.168.0.1, 2001:db8::1, "
        "078-05-1120",
        "code": '{"name": "Ana", \'x\': [1, 2]} SELECT * FROM t; -- \\n \\u0041 `rm -rf` $HOME %s {0} <<EOF',
        "special tokens": "[CLS] Ana [SEP] <s> Rome </s> <pad> [MASK] <|endoftext|> ▁Bo ##ing Ġx <unk>",
        "repeated characters": "Sooooo goooood!!!!!!! hahahahahahaha aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -----",
        "one character": "a",
        "spaces at the ends": "   Ana lives in Rome.   ",
        "words without spaces": "AnaRossiLivesInRome2024BoAndEveToo_snake_case-kebab-case.dotted.name/and/path",
        "sentence": "Ana Rossi lives in Rome with Bo, who works for Acme Corp. in New York since Monday.",
    }
)
"""The fixed texts by name. Three more depend on the processor, see `hostile_documents`."""

_WORDY = "Ana met Bo in Rome on 5 May, paid 12 € for café No. 7 and left; Eve stayed at St. Mary's until noon."


def hostile_documents(processor: Processor, *, pairs: bool = False) -> list[Document]:
    """Return the fixed texts, two long words, and a text that is longer than three windows.

    Args:
        processor: its window size determines the length of the longer texts.
        pairs: whether to add text pairs, for a model that reads pairs.
    """
    window = processor.layout.max_length
    texts = {
        **HOSTILE_TEXTS,
        "a long word": ("Donaudampfschifffahrtsgesellschaft" * 3)[:99],  # WordPiece maps 100 characters to [UNK]
        "a very long word": "Donaudampfschifffahrtsgesellschaft" * (window // 8 + 1),
        "longer than three windows": " ".join(islice(cycle(_WORDY.split()), 3 * window + 16)),
    }
    probe = processor.task.as_probe
    documents = [probe(Document(id=f"hostile: {name}", raw_text=text)) for name, text in texts.items()]
    if pairs:
        documents += [
            probe(
                Document(
                    id=f"hostile: pair of {name}", raw_text=HOSTILE_TEXTS[name], raw_text_pair=HOSTILE_TEXTS[second]
                )
            )
            for name, second in (("sentence", "names and places"), ("empty", "mojibake"), ("markup", "empty"))
        ]
    return documents
