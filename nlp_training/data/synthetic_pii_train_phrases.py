"""Phrases of the training side. One a line; `{LABEL}` is a value, `{name}` another phrase or a look-alike."""

from collections.abc import Mapping

PHRASES: Mapping[str, str] = {
    "sep": r"""
        :
        :
        :
        =
         -
        :\t
         :
        """,
    "greeting": r"""
        Hi {PERSON.first},
        Hello {PERSON.first},
        Dear {title} {PERSON.last},
        Dear {PERSON.plain},
        Good morning {PERSON.first},
        Hi there,
        Dear Sir or Madam,
        Dear {capitalised},
        Hey {PERSON.first}!
        {PERSON.first},
        To whom it may concern,
        """,
    "title": r"""
        Mr
        Mrs
        Ms
        Dr.
        Mr.
        Prof.
        """,
    "closing": r"""
        Best regards,\n{OTHER.PERSON}
        Kind regards,\n{OTHER.PERSON.plain}\n{ORGANIZATION}
        Thanks,\n{OTHER.PERSON.first}
        Yours sincerely,\n\n{OTHER.PERSON.plain}\n{job}, {ORGANIZATION}
        Cheers,\n{OTHER.PERSON.first}
        Regards,\n{OTHER.PERSON}\n{OTHER.PHONE}
        Many thanks,\n{OTHER.PERSON.plain}\n{OTHER.EMAIL}
        Sent from my {product}
        Best,\n{OTHER.PERSON.first} ({capitalised})
        Yours faithfully,\n{ORGANIZATION}\n{OTHER.ADDRESS.block}
        """,
    "job": r"""
        Account Manager
        Head of Sales
        Customer Service
        Office Manager
        Director
        Claims Handler
        Nurse
        """,
    "expiry": r"""
        0{month_digit}/2{month_digit}
        1{teen}/2{month_digit}
        """,
    "month_digit": r"""
        4
        6
        8
        """,
    "teen": r"""
        0
        1
        2
        """,
    "who": r"""
        Name
        Full name
        Customer
        Client
        Patient
        Applicant
        Contact
        Contact person
        Account holder
        Passenger
        Employee
        Guest
        Beneficiary
        Attn
        Caller
        Requested by
        Signed
        From
        Tenant
        Driver
        Nominee
        Manager
        Signature
        Recipient
        """,
    "mail": r"""
        E-mail
        Email
        Email address
        Mail
        Contact email
        Reply-To
        To
        """,
    "call": r"""
        Phone
        Tel
        Tel.
        Telephone
        Mobile
        Cell
        Phone number
        Contact number
        Fax
        Work
        """,
    "where": r"""
        Address
        Home address
        Street address
        Shipping address
        Delivery address
        Billing address
        Ship to
        Residence
        """,
    "born": r"""
        Date of birth
        DOB
        Born
        Birth date
        """,
    "when": r"""
        Date
        Appointment
        Start date
        Due date
        Check-in
        Departure
        Created
        Last login
        Admitted
        """,
    "field": r"""
        {who}{sep} {PERSON}
        {who}{sep} {PERSON}
        {mail}{sep} {EMAIL}
        {call}{sep} {PHONE}
        {where}{sep} {ADDRESS}
        {where}:\n{ADDRESS.block}
        {born}{sep} {DATE.birth}
        {when}{sep} {DATE}
        IBAN{sep} {IBAN}
        Bank account{sep} {IBAN}
        Account (IBAN){sep} {IBAN}
        Card number{sep} {CREDIT_CARD}
        Credit card{sep} {CREDIT_CARD}
        Visa / Mastercard{sep} {CREDIT_CARD}
        Company{sep} {ORGANIZATION}
        Employer{sep} {ORGANIZATION}
        Organisation{sep} {ORGANIZATION}
        Username{sep} {USERNAME}
        User{sep} {USERNAME}
        Login{sep} {USERNAME}
        IP{sep} {IP_ADDRESS}
        IP address{sep} {IP_ADDRESS}
        Client{sep} {IP_ADDRESS}
        Passport{sep} {ID_NUMBER.passport}
        Passport no.{sep} {ID_NUMBER.passport}
        SSN{sep} {ID_NUMBER.ssn}
        Social security number{sep} {ID_NUMBER.ssn}
        National insurance{sep} {ID_NUMBER.insurance}
        Driving licence{sep} {ID_NUMBER.licence}
        Tax ID{sep} {ID_NUMBER.tax}
        ID card{sep} {ID_NUMBER.national}
        """,
    "plain_field": r"""
        Order{sep} {order}
        Order number{sep} {order}
        Invoice{sep} {invoice}
        Amount{sep} {price}
        Total{sep} {price}
        Ticket{sep} {ticket}
        Item{sep} {product}
        Article no.{sep} {sku}
        Tracking{sep} {tracking}
        Version{sep} {version}
        Quantity{sep} {count}
        Department{sep} {capitalised}
        Time{sep} {time}
        Location{sep} {room}
        Status{sep} open
        Priority{sep} high
        Reference{sep} {hash}
        """,
    "subject": r"""
        Your order {order}
        Re: {product}
        Invoice {invoice}
        Problem with {product}
        Appointment on {DATE}
        Ticket {ticket}
        Question about my contract
        {ORGANIZATION} - {capitalised}
        """,
}
