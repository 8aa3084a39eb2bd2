"""Templates of the test side; none of them occurs on the training side."""

from collections.abc import Mapping

TEMPLATES: Mapping[str, str] = {
    "mail_plain": "{opening}\n\n{tell} {filler} {tell}\n\n{ending}",
    "mail_brief": "{opening} {tell} {tell} {ending}",
    "mail_forwarded": "---------- Forwarded message ----------\nSender: {PERSON.plain} [{EMAIL}]\nSent: "
    "{DATE}\n\n{tell} {filler}",
    "remark": "{tell}",
    "remark_with_filler": "{filler} {tell}",
    "remark_plain": "{filler} {filler}",
    "complaint": "Complaint no. {ticket}. {tell} {tell} {filler} I expect an answer by {DATE}.\n{PERSON.plain}\n"
    "{ADDRESS.block}",
    "sheet": "{entry}\n{entry}\n{plain_entry}\n{entry}\n{entry}",
    "sheet_numbered": "1) {entry}\n2) {entry}\n3) {plain_entry}\n4) {entry}",
    "sheet_slashes": "{entry} // {plain_entry} // {entry} // {entry}",
    "support_dialogue": "Q: Who am I talking to?\nA: {PERSON.plain}.\nQ: What is the best number to call you "
    "back?\nA: {PHONE}\nQ: What happened?\nA: {tell}",
    "messenger": "{PERSON.first} ({time}) {tell}\n{OTHER.PERSON.first} ({time}) {filler}\n{PERSON.first} "
    "({time}) {tell}",
    "lease": "Between {PERSON.plain} (landlord) and {OTHER.PERSON.plain} (tenant, born {DATE.birth}) for the "
    "premises {ADDRESS}; monthly rent {price}, payable to {IBAN}.",
    "audit_log": "level=warn at={time} actor={USERNAME} addr={IP_ADDRESS} action=export rows={count}",
    "xml_record": "name={PERSON.plain}\nmail={EMAIL}\nmobile={PHONE}\nbirthdate={DATE.birth}\nrelease={version}",
    "payment_note": "{ORGANIZATION} received {price} on {DATE}, credit card {CREDIT_CARD}, statement {invoice}.",
    "business_card": "{PERSON.plain}\n{ORGANIZATION}\n{ADDRESS.block}\nphone {PHONE}\nmail {EMAIL}",
    "html_message": "<div><h1>{capitalised}</h1><p>{opening}<br/>{tell}</p><blockquote>{tell}</blockquote></div>",
    "html_rows": "<dl><dt>Client name</dt><dd>{PERSON.plain}</dd><dt>Reachable at</dt><dd>{PHONE}</dd><dt>Lives "
    "at</dt><dd>{ADDRESS}</dd><dt>Purchase</dt><dd>{order}</dd></dl>",
    "html_entries": "<section><p>{entry}</p><p>{plain_entry}</p><p>{entry}</p></section>",
}
