"""Texts to compare and to record predictions on, if the user has none: of the kinds that models meet in production."""

from collections.abc import Sequence

from nlp_inference import Document

_LONG = (
    "The committee met in Geneva on Tuesday. Maria Jensen of the Danish Institute opened the session, and Paul O'Neill "
    "reported on the work in Nairobi, Lagos and São Paulo. "
)

SINGLE: tuple[str, ...] = (
    "Ana Rossi lives in Rome and works for Siemens in Munich.",
    "Angela Merkel met Emmanuel Macron in Paris on Friday, according to Reuters.",
    "My name is Sarah-Jane O'Neill-Smith and I live in Newcastle-upon-Tyne.",
    "Apple, Google and Microsoft opened offices in São Paulo, Zürich and Kraków.",
    "The Bank of England raised its rates; the Federal Reserve did not.",
    "Please send the invoice to john.smith@example.com before 31/12/2024.",
    "I absolutely loved this film: the acting was superb and the music unforgettable.",
    "The hotel was dirty, the staff were rude, and nobody answered the phone.",
    "It is an average phone. The camera is good, the battery is not.",
    "Can you tell me how to reset my password? I have been locked out since Monday.",
    "My card was charged twice for the same order, number 4711-0815.",
    "Book a table for four at Luigi's in Boston tomorrow at 7pm.",
    "Play something by Miles Davis from the album Kind of Blue.",
    "Patients received 50 mg of metoprolol twice daily for hypertension.",
    "The BRCA1 gene on chromosome 17 is associated with breast cancer.",
    "RT @bbcnews: #Brexit talks resume in Brussels http://t.co/abc123 😀",
    "WASHINGTON (AP) — PRESIDENT BIDEN SPOKE TO NATO ALLIES.",
    "barack obama was born in honolulu, hawaii, and studied at harvard.",
    "<p>Contact <b>Dr. Lena M&uuml;ller</b> at the Charit&eacute; in Berlin.</p>",
    "JosÃ© GarcÃ­a moved from MÃ©xico to San JosÃ© last year.",
    "Jose\u0301 Garci\u0301a flew to Co\u0301rdoba with Zoe\u0308.",
    "Mr.Brown,Mrs.Green and Dr.White visited NewYork,Tokyo and Rio.",
    "In Antidisestablishmentarianismville, Llanfairpwllgwyngyll and Bielsko-Biała nothing happened.",
    "UN, EU, WHO, U.S.A., U.K. and St. Petersburg are abbreviations or contain one.",
    "Real Madrid beat Manchester United 3-1 in Cardiff; Cristiano Ronaldo scored twice.",
    "    Ana\tRossi\n\nVia Roma 1\n00184 Roma  ",
    "Ok.",
    _LONG * 3,
    _LONG * 24,
)

PAIRS: tuple[tuple[str, str], ...] = (
    ("A man is playing a guitar on stage.", "A man is performing music."),
    ("A man is playing a guitar on stage.", "A man is sleeping."),
    ("Two women are walking in the park with a dog.", "Friends walk their pet."),
    ("The company reported a loss of 3 million euros.", "The company was profitable."),
    ("How do I reset my password?", "What can I do if I forgot my password?"),
    ("How do I reset my password?", "How do I delete my account?"),
    ("Berlin is the capital of Germany.", "What is the capital of Germany?"),
    ("<p>The caf&eacute; opens at <b>8</b>.</p>", "The café opens at eight."),
    ("No children are in the picture.", "There are children in the picture."),
    (_LONG * 24, "The committee met in Switzerland."),
)

QUESTIONS: tuple[tuple[str, str], ...] = (
    ("Ana Rossi lives in Rome and works for Siemens in Munich.", "Where does Ana Rossi live?"),
    ("Ana Rossi lives in Rome and works for Siemens in Munich.", "Who is her employer?"),
    ("The Eiffel Tower was completed in 1889 and is 330 metres tall.", "When was the Eiffel Tower completed?"),
    ("The Eiffel Tower was completed in 1889 and is 330 metres tall.", "Who designed the Louvre?"),
    ("<p>The library opens at <b>9 am</b> on weekdays.</p>", "When does the library open?"),
    (_LONG * 24 + "The next meeting is in Oslo in June.", "Where is the next meeting?"),
    (_LONG * 3, "Who opened the session?"),
)
"""Contexts, each with its question."""


def built_in_texts(*, pairs: bool, questions: bool) -> list[Document]:
    """Return the built-in documents for a model.

    Args:
        pairs: whether the model reads pairs.
        questions: whether the text pair is a question.

    Example:
        >>> built_in_texts(pairs=True, questions=True)[0].raw_text_pair
        'Where does Ana Rossi live?'
    """
    if not pairs:
        return [Document(id=f"built-in {number}", raw_text=text) for number, text in enumerate(SINGLE)]
    chosen: Sequence[tuple[str, str]] = QUESTIONS if questions else PAIRS
    return [
        Document(id=f"built-in {number}", raw_text=text, raw_text_pair=other)
        for number, (text, other) in enumerate(chosen)
    ]
