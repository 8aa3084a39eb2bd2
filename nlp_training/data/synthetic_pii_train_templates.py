"""Templates of the training side, by name; a name that begins with `html` holds HTML."""

from collections.abc import Mapping

TEMPLATES: Mapping[str, str] = {
    "email_short": "{greeting}\n\n{say} {chatter}\n\n{closing}",
    "email_long": "Subject: {subject}\n\n{greeting}\n\n{say} {say} {chatter} {say}\n\n{chatter}\n\n{closing}",
    "email_thread": "{say}\n\n{closing}\n\nOn {DATE}, {PERSON.plain} wrote:\n> {say}\n> {chatter}",
    "email_header": "From: {PERSON.plain} ({EMAIL})\nTo: {OTHER.EMAIL}\nDate: {DATE}, {time}\nSubject: "
    "{subject}\n\n{say}",
    "email_details": "{greeting}\n\n{chatter} Here are my details:\n\n{field}\n{field}\n{field}\n"
    "{plain_field}\n\n{closing}",
    "letter": "{ORGANIZATION}\n{ADDRESS.block}\n\n{DATE}\n\n{greeting}\n\n{say} {chatter} {say}\n\n{closing}",
    "letter_address_block": "{PERSON.plain}\n{ADDRESS.block}\n\n{DATE}\n\n{capitalised}\n\n{say} {chatter}\n\n"
    "{closing}",
    "letter_contract": "Contract {order} between {ORGANIZATION} and {title} {PERSON.plain}, born {DATE.birth}, "
    "resident at {ADDRESS}. {chatter} The fee of {price} is debited from {IBAN}.",
    "letter_reference": "To whom it may concern: {PERSON.plain} worked at {ORGANIZATION} from {DATE} to "
    "{OTHER.DATE} as {job}. For questions call {OTHER.PERSON.plain} on {OTHER.PHONE}.",
    "chat": "{PERSON.first}: {say}\nAgent: {chatter}\n{PERSON.first}: {say}\nAgent: Thanks, one moment please.",
    "chat_bot": "Bot: How can I help you today?\nVisitor: {say}\nBot: Please tell me your name.\nVisitor: "
    "{PERSON}\nBot: And your phone number?\nVisitor: {PHONE}",
    "chat_handles": "[{time}] {USERNAME}: {say}\n[{time}] {OTHER.USERNAME}: {chatter}\n[{time}] {USERNAME}: {say}",
    "chat_single": "{say}",
    "chat_double": "{say} {say}",
    "chat_plain": "{chatter} {chatter}",
    "chat_verify": "Agent: Can I have your date of birth?\nCustomer: {DATE.birth}\nAgent: And the address?\n"
    "Customer: {ADDRESS}\nAgent: Thank you, {title} {PERSON.last}. {chatter}",
    "sms": "{ORGANIZATION}: your appointment is on {DATE} at {time}. To cancel call {PHONE}.",
    "sms_parcel": "Parcel {tracking} for {PERSON} arrives {weekday}, {time}. {chatter}",
    "voicemail": "Hi, this is {PERSON.plain}, um, {say} My number is {PHONE}, again {PHONE}. Bye.",
    "note_call": "{DATE} {time} - {PERSON} called. {chatter} Wants a call back on {PHONE}. ({OTHER.PERSON.first})",
    "note_crm": "Spoke to {title} {PERSON.last} of {ORGANIZATION}. {say} {chatter} Follow up by {DATE}.",
    "note_medical": "Patient {PERSON}, {born} {DATE.birth}, admitted on {DATE}. {chatter} Insured with "
    "{ORGANIZATION}, no. {ID_NUMBER.insurance}. Next of kin: {OTHER.PERSON.plain}, {OTHER.PHONE}.",
    "record": "{field}\n{field}\n{field}\n{field}\n{plain_field}\n{field}",
    "record_short": "{field}\n{plain_field}\n{field}",
    "record_line": "{field} | {field} | {plain_field} | {field}",
    "record_semicolon": "{field}; {field}; {field}; {plain_field}",
    "record_plain": "{plain_field}\n{plain_field}\n{plain_field}\n{plain_field}",
    "form_order": "ORDER FORM\n\n{plain_field}\n{who}{sep} {PERSON}\n{where}{sep} {ADDRESS}\n{call}{sep} "
    "{PHONE}\n{mail}{sep} {EMAIL}\nPayment: {CREDIT_CARD}\n{plain_field}",
    "form_sepa": "SEPA mandate\nI authorise {ORGANIZATION} to collect payments from my account.\n{who}{sep} "
    "{PERSON}\nIBAN{sep} {IBAN}\nPlace, date: {DATE}",
    "form_travel": "Booking {hash}\n{who}{sep} {PERSON.plain}\n{born}{sep} {DATE.birth}\nPassport{sep} "
    "{ID_NUMBER.passport}\nDeparture{sep} {DATE} {time}, {room}\n{plain_field}",
    "form_checklist": "[x] {field}\n[x] {field}\n[ ] {plain_field}\n[x] {field}",
    "csv_rows": "name,email,phone\n{PERSON.plain},{EMAIL},{PHONE}\n{OTHER.PERSON.plain},{OTHER.EMAIL},{OTHER.PHONE}",
    "csv_semicolon": "id;customer;birthday;iban;total\n{count};{PERSON.plain};{DATE.birth};{IBAN};{price}",
    "json_record": '{"user": "{USERNAME}", "email": "{EMAIL}", "ip": "{IP_ADDRESS}", "order": "{order}", "name": '
    '"{PERSON.plain}"}',
    "yaml_record": "user: {USERNAME}\nname: {PERSON.plain}\nphone: {PHONE}\nversion: {version}\ncreated: {DATE}",
    "log_login": "{DATE} {time} INFO login user={USERNAME} ip={IP_ADDRESS} status={count}",
    "log_lines": "{time} WARN failed password for {USERNAME} from {IP_ADDRESS}\n{time} INFO request {hash} took "
    "{count} ms\n{time} ERROR {error} mail to {EMAIL} bounced",
    "log_access": '{IP_ADDRESS} - {USERNAME} [{DATE}] "GET /orders/{order} HTTP/1.1" {count}',
    "log_plain": "{time} INFO started {product} {version}\n{time} ERROR {error} in job {hash}, retry {count}",
    "invoice": "INVOICE {invoice}\n{ORGANIZATION}\n{ADDRESS}\n\nBill to: {PERSON}\nDate: {DATE}\n{count} x "
    "{product} {price}\nTotal {price}\nPay to: {IBAN}",
    "receipt": "{ORGANIZATION}\nReceipt {invoice}\n{product} {price}\n{DATE} {time}\nCard {CREDIT_CARD}\nThank you!",
    "signature": "--\n{PERSON.plain}\n{job} | {ORGANIZATION}\n{ADDRESS}\nT {PHONE} | {EMAIL}",
    "signature_mobile": "{PERSON.plain}, {ORGANIZATION}, mobile {PHONE}, {EMAIL}",
    "social_post": "Big thanks to {PERSON.plain} and @{USERNAME} from {ORGANIZATION}! {chatter}",
    "news": "{ORGANIZATION} named {PERSON.plain} as {job} on {DATE}. {title} {PERSON.last} joins from "
    "{OTHER.ORGANIZATION}. {chatter}",
    "minutes": "Minutes, {DATE}, {room}\nPresent: {PERSON.plain}, {OTHER.PERSON.plain}, {THIRD.PERSON.plain}\n1. "
    "{chatter}\n2. {say}\nAction: {OTHER.PERSON.first}",
    "kyc": "Identity check of {PERSON.plain}: document {ID_NUMBER.passport}, tax number {ID_NUMBER.tax}, address "
    "{ADDRESS}, born {DATE.birth}. Result: passed. {chatter}",
    "fraud": "Card {CREDIT_CARD} of {PERSON.plain} was used on {DATE} at {ORGANIZATION} for {price}. IP: "
    "{IP_ADDRESS}. {chatter}",
    "html_ticket": "<html><body><p>{greeting}</p><p>{say} {chatter}</p><p>{say}</p></body></html>",
    "html_table": "<table><tr><td>{who}</td><td>{PERSON}</td></tr><tr><td>{mail}</td><td>{EMAIL}</td></tr>"
    "<tr><td>{call}</td><td>{PHONE}</td></tr><tr><td>Order</td><td>{order}</td></tr></table>",
    "html_list": "<h2>{capitalised}</h2>\n<ul>\n<li>{field}</li>\n<li>{field}</li>\n<li>{plain_field}</li>\n</ul>",
    "html_card": "<div "
    'class="card"><h3>{PERSON.plain}</h3><span>{ORGANIZATION}</span><br/><em>{PHONE}</em><br/>{ADDRESS}</div>',
    "html_order": "<p><b>{plain_field}</b></p><p>{who}: <i>{PERSON}</i>, {where}: {ADDRESS}</p><p>{chatter}</p>",
}
