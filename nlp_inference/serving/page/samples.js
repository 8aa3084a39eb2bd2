// Texts to try. All names, numbers and addresses are invented.

const MAIL = `<p>Dear Ms. O&rsquo;Connor,</p>
<p>your order is on its way to <b>Anna&nbsp;Lindqvist</b>, 14 Harbour Street, Cork.
Questions? Write to <a href="mailto:help@northwind.example">help@northwind.example</a>
or call +353&nbsp;21&nbsp;496&nbsp;0123 before 3&nbsp;March&nbsp;2026.</p>
<p>Kind regards,<br>Tom&aacute;s Ribeiro, Northwind Ltd.</p>`;

const REPORT = [
  "On 4 May 2026, Helena Brandt of Fjord Insurance called from +47 22 12 34 56 about the claim of her colleague.",
  "She lives at 7 Rue des Lilas, Lyon, and asked for an answer to helena.brandt@fjord.example.",
  "<p>The transfer to <b>DE89 3704 0044 0532 0130 00</b> was &ldquo;pending&rdquo; for eleven days &mdash; nobody knew why.</p>",
  "Our logs show a login of user h_brandt84 from 192.0.2.44, two minutes after Oluwaseun Adeyemi had closed the ticket.",
  "It was a long week, the weather was bad, and the coffee machine on the third floor did not work either.",
  "Please send the documents to Kenji Watanabe, 21 Elm Road, Leeds, and a copy to Northwind Ltd. before Friday.",
];

function report(words) {
  const sentences = [];
  for (let length = 0; length < words; ) {
    const next = REPORT[sentences.length % REPORT.length];
    length += next.split(" ").length;
    sentences.push(`${next}${sentences.length % REPORT.length === REPORT.length - 1 ? "\n\n" : " "}`);
  }
  return sentences.join("");
}

const SINGLE = [
  { name: "E-mail in HTML", text: () => MAIL },
  {
    name: "Emoji",
    text: () =>
      "😀 Zoë Müller moved to 12 Piotrkowska Street, Łódź 🏡 – reach her at zoe.mueller@example.org or 👩‍👩‍👧 +48 42 555 01 23.",
  },
  {
    name: "Broken encoding",
    text: () => "JosÃ© GarcÃ­a paid from DE89 3704 0044 0532 0130 00 â€“ please confirm to josÃ©@example.com.",
  },
  {
    name: "Hidden characters",
    text: () => "Contact Ana\u200b\u00a0 Lopez\u0007 at \u202ean.lopez@example.com\u202c,\t\tor at 192.0.2.44.",
  },
  { name: "Review", text: () => "The plot drags, but both leads are wonderful. I would watch it again tomorrow!" },
  { name: "3,000 words", text: () => report(3000) },
];

const PAIRS = [
  {
    name: "Question",
    text: () => "The lighthouse of Brattholm was built in 1871 by Ingrid Solheim, and lit for the first time in March 1873.",
    pair: "Who built the lighthouse of Brattholm?",
  },
  {
    name: "No answer",
    text: () => "The lighthouse of Brattholm was built in 1871, and lit for the first time in March 1873.",
    pair: "How tall is it?",
  },
  { name: "Two statements", text: () => "A man plays the cello on a stage.", pair: "Somebody makes music." },
];

/** Return the samples for a model: pairs where it needs them, single texts otherwise. */
export const samplesOf = (model) => (model?.needs_pair ? PAIRS : SINGLE);
