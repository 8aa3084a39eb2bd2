"""Sentences of the training side; see `synthetic_pii_train_phrases` for how they are written."""

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    "say": r"""
        My name is {PERSON} and I am writing about order {order}.
        This is {PERSON} from {ORGANIZATION}.
        {PERSON} called again today.
        I spoke with {OTHER.PERSON.plain} yesterday about the delay.
        Please ask {OTHER.PERSON.first} to look into this.
        The parcel was signed for by {PERSON}.
        Can you add {OTHER.PERSON.plain} to the booking?
        I, {PERSON.plain}, hereby cancel the contract.
        {title} {PERSON.last} will join the call at {time}.
        According to {OTHER.PERSON.plain}, the {product} never arrived.
        You can reach me at {PHONE}.
        Call me on {PHONE} after {time}.
        My mobile is {PHONE}.
        Text me: {PHONE}
        If anything comes up, ring {PHONE} or write to {EMAIL}.
        We tried to phone you on {PHONE} but nobody answered.
        Please send the invoice to {EMAIL}.
        My e-mail address is {EMAIL}.
        I never got the confirmation at {EMAIL}.
        Write to {EMAIL} or {OTHER.EMAIL}.
        Could you forward this to {OTHER.EMAIL}?
        {OTHER.PERSON.first} ({OTHER.EMAIL}) has the details.
        I live at {ADDRESS}.
        We moved to {ADDRESS} in {month}.
        Please deliver the {product} to {ADDRESS}.
        My new address is {ADDRESS}.
        The flat at {ADDRESS} is still available.
        Send the replacement to {PERSON}, {ADDRESS}.
        I was born on {DATE.birth}.
        My date of birth is {DATE.birth}.
        The appointment is on {DATE} at {time}.
        It has been broken since {DATE}.
        Your contract ends on {DATE}.
        We arrive on {DATE} and leave on {OTHER.DATE}.
        I paid {price} on {DATE}.
        Delivery was promised for {DATE}.
        Please transfer the money to {IBAN}.
        My account is {IBAN}.
        Refund {price} to IBAN {IBAN}, please.
        The direct debit is taken from {IBAN}.
        I paid with card {CREDIT_CARD}.
        My credit card number is {CREDIT_CARD}.
        The charge of {price} on {CREDIT_CARD} is not mine.
        Please block the card {CREDIT_CARD} at once.
        Charge it to {CREDIT_CARD}, valid until {expiry}.
        I work for {ORGANIZATION}.
        {ORGANIZATION} has not paid the invoice {invoice}.
        We ordered {count} units from {ORGANIZATION}.
        My insurance is with {ORGANIZATION}.
        The contract with {ORGANIZATION} was signed by {PERSON}.
        My username is {USERNAME}.
        I cannot log in as {USERNAME}.
        The account {USERNAME} is locked.
        Please reset the password for user {USERNAME}.
        Follow me at @{USERNAME}.
        There was a login from {IP_ADDRESS} that was not me.
        My IP address is {IP_ADDRESS}.
        Please unblock {IP_ADDRESS} in the firewall.
        The server {IP_ADDRESS} does not answer.
        My passport number is {ID_NUMBER.passport}.
        The passport {ID_NUMBER.passport} expires in {year}.
        My social security number is {ID_NUMBER.ssn}.
        SSN {ID_NUMBER.ssn}, in case you need it.
        My national insurance number is {ID_NUMBER.insurance}.
        The driving licence {ID_NUMBER.licence} was issued in {year}.
        Our tax number is {ID_NUMBER.tax}.
        I have the identity card {ID_NUMBER.national} with me.
        The keys were handed to {PERSON.plain} by {OTHER.PERSON.plain}.
        Has {PERSON.first} already been told?
        Have you met {PERSON.plain}, who runs {ORGANIZATION}?
        {OTHER.PERSON.plain} and {PERSON.plain} share the {product}.
        The lawyer {PERSON} represents {OTHER.PERSON.plain}.
        Written by {PERSON}, checked by {OTHER.PERSON.first}.
        For urgent matters dial {PHONE}.
        {PHONE} is the hotline of {ORGANIZATION}.
        The fax went to {PHONE} by mistake.
        His number, {PHONE}, has been disconnected.
        Sign up with {EMAIL} and you get {percent} off.
        {EMAIL} bounced twice on {weekday}.
        Contact: {EMAIL}, {PHONE}
        You can still use my old mail {EMAIL}.
        The courier stood in front of {ADDRESS} at {time}.
        From {month} on, letters go to {ADDRESS}.
        {ORGANIZATION} has its seat at {ADDRESS}.
        There was water damage in {ADDRESS}.
        Pick me up at {ADDRESS}, please.
        Between {DATE} and {OTHER.DATE} we are on holiday.
        My daughter, born {DATE.birth}, needs a vaccination.
        By {DATE} at the latest I need an answer.
        The policy started on {DATE} and costs {price}.
        On {DATE} nothing was delivered.
        The salary goes to {IBAN} as always.
        {IBAN} belongs to {PERSON.plain}.
        Is {IBAN} still your bank account?
        There is money missing from {IBAN} since {DATE}.
        The card ending is wrong, the full number is {CREDIT_CARD}.
        {CREDIT_CARD} was declined at {ORGANIZATION}.
        Please book the room with my card: {CREDIT_CARD}.
        Was {CREDIT_CARD} charged twice for {product}?
        The bill came from {ORGANIZATION} in {month}.
        I am a customer of {ORGANIZATION} since {year}.
        Why does {ORGANIZATION} call me all the time?
        In the chat my name is {USERNAME}.
        Could you merge {USERNAME} with {OTHER.USERNAME}?
        {USERNAME} posted my photo without asking.
        Remove the user {USERNAME} from the group.
        Requests from {IP_ADDRESS} time out.
        We blocked {IP_ADDRESS} after {count} attempts.
        The router has the address {IP_ADDRESS} now.
        A copy of passport {ID_NUMBER.passport} is attached.
        At the border I showed passport no. {ID_NUMBER.passport}.
        The form asks for an SSN, mine is {ID_NUMBER.ssn}.
        For taxes use the tax ID {ID_NUMBER.tax}.
        I lost my driver's license, number {ID_NUMBER.licence}.
        Her national ID is {ID_NUMBER.national}.
        """,
    "chatter": r"""
        The order number is {order} and it cost {price}.
        The {product} shows error {error} since the update to {version}.
        Your ticket {ticket} is still open.
        Invoice {invoice} over {price} is overdue.
        Tracking number {tracking}, nothing has moved since {weekday}.
        I have been waiting for {count} days now.
        Please read our {capitalised} first.
        The meeting is in {room} at {time}.
        I bought it in {month} {year}.
        The {capitalised} said it would take until {weekday}.
        It is {percent} cheaper elsewhere.
        Version {version} of {product} fixed it for most people.
        We open from {time} to {time} on {weekday}.
        Article {sku} is out of stock.
        The commit {hash} broke the build.
        I am really not happy with the service.
        Could you tell me what the next steps are?
        Thank you for your patience.
        Let me know if you need anything else.
        The manual is in {capitalised}, page {count}.
        Nothing else has changed on our side.
        We sold {count} of them in {year}.
        Serial number {sku}{order}, model {product}.
        The {product} is on sale for {price} this {weekday}.
        See the {capitalised} for details.
        Refund for order {order} takes up to {count} days.
        Please quote {invoice} when paying.
        The {product} costs {price} instead of {price}.
        There are {count} people waiting in {room}.
        Our {capitalised} will be closed until {month}.
        Does the {product} work with {capitalised}?
        I have attached two photos of the damage.
        The parcel {tracking} was left in {room}.
        Error {error} means that the disk is full.
        By the end of {year} it will be {percent} more.
        Delivery note {order}, {count} boxes.
        """,
}
