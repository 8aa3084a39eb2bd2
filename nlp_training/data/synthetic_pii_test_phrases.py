"""Phrases of the test side; none of them occurs on the training side."""

from collections.abc import Mapping

PHRASES: Mapping[str, str] = {
    "opening": r"""
        Good afternoon {PERSON.plain},
        Dear all,
        Hello dear {capitalised} people,
        Hiya {PERSON.first} -
        Esteemed {title} {PERSON.last},
        Morning {PERSON.first}
        """,
    "title": r"""
        Miss
        Herr
        Doctor
        Sir
        """,
    "ending": r"""
        With best wishes\n{OTHER.PERSON.plain}
        Warmly,\n{OTHER.PERSON.first}
        Take care\n{OTHER.PERSON.first} {OTHER.PERSON.last}\n{OTHER.PHONE}
        Respectfully yours\n{OTHER.PERSON.plain}, {ORGANIZATION}
        Looking forward to your reply.
        """,
    "tell": r"""
        Somebody named {PERSON.plain} asked for a quote.
        Our neighbour {OTHER.PERSON.plain} has kept the package for us.
        Would {OTHER.PERSON.first} be able to help me out here?
        The tenancy agreement lists {PERSON.plain} as the only tenant.
        It was {PERSON} who filed the complaint.
        Best to get hold of me by telephone: {PHONE}.
        Leave a message on {PHONE} whenever it suits you.
        The number on file, {PHONE}, is out of date.
        Kindly mail everything over to {EMAIL}.
        The newsletter keeps coming to {EMAIL}, make it stop.
        You will find my inbox at {EMAIL}.
        The technician should come to {ADDRESS} instead.
        Our office relocated; visitors now find us at {ADDRESS}.
        The house, {ADDRESS}, was sold for {price}.
        My little one came into the world on {DATE.birth}.
        Let us postpone the visit until {DATE}.
        Nothing has worked since the outage of {DATE}.
        The warranty ran out on {DATE}, so they say.
        Wire the deposit of {price} over to {IBAN}.
        Could the refund go into {IBAN}, which is my bank account?
        The hotel wants to debit {CREDIT_CARD}, my credit card.
        Someone bought a {product} using my Visa {CREDIT_CARD}.
        The supplier, {ORGANIZATION}, went out of business in {year}.
        Until last {month} he was employed by {ORGANIZATION}.
        Did {ORGANIZATION} ever get back to you about offer {invoice}?
        On the forum people know me as {USERNAME}.
        Delete the profile {USERNAME} together with all its posts.
        Traffic out of {IP_ADDRESS} floods our gateway.
        We saw the address {IP_ADDRESS} scanning ports.
        The traveller holds passport {ID_NUMBER.passport}, still valid.
        For the payroll you want my social security no., {ID_NUMBER.ssn}.
        They scanned his driver's licence ({ID_NUMBER.licence}) at the counter.
        The tax office filed it under tax id {ID_NUMBER.tax}.
        """,
    "filler": r"""
        Purchase {order} came to {price} altogether.
        Firmware {version} made the {product} reboot every {count} minutes.
        Your colleague in {capitalised} promised an answer by {weekday}.
        Case {ticket} was closed although nothing got solved.
        Shipment {tracking} is stuck at customs.
        Doors close at {time}, so be early.
        Prices went up by {percent} in {year}.
        Somehow the {capitalised} page is empty.
        Spare part {sku} fits the {product} as well.
        This has cost me a whole {weekday} already.
        """,
    "entry": r"""
        Surname and first name: {PERSON}
        Cardholder: {PERSON.plain}
        Insured person: {PERSON}
        Student: {PERSON}
        Correspondence by e-mail to: {EMAIL}
        Private email: {EMAIL}
        Landline: {PHONE}
        Emergency phone: {PHONE}
        Place of residence: {ADDRESS}
        Property address: {ADDRESS}
        Birthday: {DATE.birth}
        Valid from: {DATE}
        Date of visit: {DATE}
        Payout account: {IBAN}
        Pay by credit card no.: {CREDIT_CARD}
        Name of business: {ORGANIZATION}
        Previous employer: {ORGANIZATION}
        Signed in as: {USERNAME}
        User name: {USERNAME}
        Source IP: {IP_ADDRESS}
        Travel document (passport): {ID_NUMBER.passport}
        Social security: {ID_NUMBER.ssn}
        National ID: {ID_NUMBER.national}
        """,
    "plain_entry": r"""
        Purchase no. {order}
        Grand total {price}
        Model {product} ({sku})
        Our file {ticket}
        Pieces: {count}
        Firmware: {version}
        Consignment {tracking}
        """,
}
