"""Public dialogue sets read as chats with what is known of each: what was wanted, and the facts that were named."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dialogues.dialogue import Dialogue, Turn

CUSTOMER, AGENT = "Customer", "Agent"


@dataclass(frozen=True, slots=True)
class Chat:
    """A dialogue between `Customer` and `Agent`. Each fact's value occurs in the dialogue; `wants` are verb phrases."""

    dialogue: Dialogue
    wants: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


FIRST = (
    "Alice Amir Ana Anton Aisha Bella Boris Carla Chen Chloe Daniel Deepa Diego Dora Edith Elena Emeka Eric Fatima Felix Fiona Frank Gita Grace "
    "Hana Harold Hugo Ian Ines Isaac Ivy Jack Jana Jared Joan Jonas Julia Kai Karen Kofi Lara Leon Lily Louis Lucy Maja Marco Maria Mei Milan Mona "
    "Nadia Nathan Nina Noah Olga Omar Oscar Paul Petra Priya Rafael Rosa Ruth Ryan Samir Sara Sofia Stefan Tanya Tara Theo Tim Uma Vera Victor "
    "Walter Wendy Yara Yusuf Zoe Alexis Ben Mark John Angela Katarina Tyler Sarah Brian Jane Peter Emma Olivia Liam Mia Lucas Amelia Ethan Laura"
).split()
LAST = (
    "Abbott Baker Castro Diaz Evans Fischer Garcia Hughes Ito Jensen Kaur Lopez Meyer Nguyen Okafor Patel Quinn Reyes Shah Turner Ueda Vargas "
    "Walsh Xu Young Zhang Adeyemi Bauer Cohen Doyle Eriksen Ferrari Gomez Hansen Ivanov Jones Kim Larsen Moreau Novak Owens Park Rossi Silva Tran"
).split()
KNOWN = re.compile(
    r"\b(Alexis|Ben|Mark|John|Angela|Katarina|Tyler|Sarah|Brian|Jane|Alex)\b(?: (Miller|Jones|Brown|White|Doe|Smith))?"
)
DIGITS = re.compile(r"(?<!\d)(?<!\d[:.,])\d{3,}(?!\d|[:.,]\d)")
LABELS = (
    [(CUSTOMER, AGENT)] * 10
    + [
        ("User", "Agent"),
        ("User", "Assistant"),
        ("Client", "Support"),
        ("Caller", "Operator"),
        ("Guest", "Staff"),
        ("Customer", "Support"),
    ]
    + [("#Person1#", "#Person2#")] * 3
)

WANTS = {
    "FindMovies": "find a movie", "BuyEventTickets": "buy event tickets", "FindEvents": "find an event", "GetRide": "get a ride",
    "SearchHotel": "find a hotel", "GetWeather": "know the weather", "FindProvider": "find a provider",
    "ReserveRestaurant": "reserve a table", "FindRestaurants": "find a restaurant", "BookAppointment": "book an appointment",
    "FindAttractions": "find attractions", "ReserveHotel": "reserve a hotel room", "GetCarsAvailable": "find a rental car",
    "ReserveCar": "reserve a car", "SearchOnewayFlight": "find a flight", "BuyBusTicket": "buy bus tickets",
    "FindApartment": "find an apartment", "ScheduleVisit": "schedule a visit", "SearchRoundtripFlights": "find a round trip flight",
    "FindBus": "find a bus", "PlayMedia": "watch a movie", "CheckBalance": "check an account balance",
    "GetTimesForMovie": "know the show times", "LookupMusic": "find music", "GetAvailableTime": "check free time",
    "GetEventDates": "find an event's date", "SearchHouse": "find a house", "PlayMovie": "play a movie", "PlaySong": "play a song",
    "AddEvent": "add an event to the calendar", "LookupSong": "find a song", "TransferMoney": "transfer money",
    "BookHouse": "book a house", "ReserveOnewayFlight": "reserve a flight", "GetAlarms": "check alarms", "GetEvents": "check the calendar",
    "ReserveRoundtripFlights": "reserve a round trip flight", "FindTrains": "find a train", "ShareLocation": "share a location",
    "FindHomeByArea": "find a home", "AddAlarm": "set an alarm", "RentMovie": "rent a movie", "GetTrainTickets": "buy train tickets",
    "BuyMovieTickets": "buy movie tickets", "MakePayment": "make a payment", "RequestPayment": "request a payment",
    "weather": "know the weather", "restaurant_book": "book a restaurant table", "trivia": "play trivia",
    "bank_fraud_report": "report bank fraud", "trip_directions": "get directions", "party_plan": "plan a party",
    "bank_balance": "check a bank balance", "ride_book": "book a ride", "plane_book": "book a flight",
    "apartment_schedule": "schedule an apartment viewing", "hotel_book": "book a hotel room", "hotel_search": "find a hotel",
    "restaurant_search": "find a restaurant", "doctor_schedule": "schedule a doctor's appointment", "party_rsvp": "RSVP to a party",
    "plane_search": "find a flight", "ride_status": "check the status of a ride", "hotel_service_request": "request hotel service",
    "doctor_followup": "follow up on a doctor's appointment", "meeting_schedule": "schedule a meeting",
    "apartment_search": "find an apartment", "ride_change": "change a ride", "spaceship_access_codes": "get past a locked door",
    "spaceship_life_support": "repair the life support",
}  # fmt: skip

# What a service desk answers in the end to each intent of MultiDoGO, whose files hold the customer's turns only.
SERVICE = {
    "checkclaimstatus": ("check the status of a claim", "Your claim is still being reviewed.", "I cannot find a claim under that number."),
    "getproofofinsurance": ("get a proof of insurance", "I have sent your proof of insurance.", "I am unable to issue a proof of insurance for that car."),
    "reportbrokenphone": ("report a broken phone", "I have filed the claim and a replacement phone is on its way.", "Unfortunately, that damage is not covered by your plan."),
    "changeseatassignment": ("change a seat", "Your seat has been changed.", "I am sorry, the seat you asked for is already taken."),
    "getboardingpass": ("get a boarding pass", "Your boarding pass has been sent.", "I could not find that booking."),
    "getseatinfo": ("know their seat", "I have looked up your seat and sent you the details.", "I cannot see a seat for that booking yet."),
    "bookflight": ("book a flight", "Your flight has been booked.", "Unfortunately, there is no flight left on that day."),
    "reportlostcard": ("report a lost card", "I have blocked the card and a new one will arrive within 5 days.", "I cannot block the card without the right account number."),
    "updateaddress": ("update an address", "Your address has been updated.", "I was not able to update the address."),
    "checkbalance": ("check a balance", "I have sent you the balance of your account.", "I am sorry, I cannot show the balance right now."),
    "transfermoney": ("transfer money", "The transfer is complete.", "The transfer was declined."),
    "disputecharge": ("dispute a charge", "I have opened a dispute and the charge will be refunded within 10 days.", "The charge cannot be refunded because it is too old."),
    "reportbrokensoftware": ("report broken software", "I have reset the software and it should work again.", "Our technicians have not found a fix yet."),
    "softwareupdate": ("get a software update", "The update has been installed.", "The update failed, so a technician will call you tomorrow."),
    "expensereport": ("file an expense report", "Your expense report has been submitted.", "The expense report was rejected because the receipt is missing."),
    "startorder": ("place an order", "Your order has been placed.", "I am sorry, that item is out of stock."),
    "checkserverstatus": ("check a server", "The server is running again.", "The server is still down."),
    "startserviceintent": ("start a new service", "Your new service will start tomorrow.", "We do not offer that service in your area yet."),
    "viewbillsintent": ("see a bill", "I have e-mailed you the bill.", "I cannot open the bill at the moment."),
    "replacecard": ("replace a card", "A replacement card has been ordered.", "I cannot replace the card today."),
    "closeaccount": ("close an account", "Your account has been closed.", "The account cannot be closed while there is a payment due."),
    "orderpizzaintent": ("order a pizza", "Your order will be ready in 30 minutes.", "I am sorry, we are closing and cannot take the order."),
    "orderdrinkintent": ("order a drink", "Your order is on its way.", "Unfortunately, we are out of that drink."),
    "orderburgerintent": ("order a burger", "Your order will be delivered within the hour.", "We do not deliver to that address."),
}  # fmt: skip
ASKED = {
    "name": "May I have your name, please?", "account_number": "What is your account number?", "policyid": "What is your policy number?",
    "claimid": "Could you give me the claim number?", "ssn": "What are the last digits of your social security number?",
    "phone_number": "Which phone number can we reach you on?", "phonenumber": "Which phone number can we reach you on?",
    "email_address": "What is your email address?", "booking_confirmation_number": "What is your booking confirmation number?",
    "address": "What is the address?", "card_number": "What is the card number?", "current_zipcode": "What is your zip code?",
    "current_city": "Which city are you in?", "charge_amount": "How much was the charge?", "charge_date": "When was the charge made?",
    "software_name": "Which software is it about?", "company_name": "Which company is it?", "car_model": "Which car is it?",
    "order_number": "What is the order number?", "quantity": "How many would you like?", "cost": "What was the amount?",
    "transferamount": "How much would you like to transfer?", "size": "Which size would you like?", "password": "Please confirm your password.",
}  # fmt: skip
FILLER = (
    "Okay, one moment please.",
    "Thank you. Let me check that for you.",
    "I see.",
    "Sure, I can help you with that.",
    "Thanks, got it.",
)


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Each JSON object of a JSONL file, gzipped or not; nothing where the file is absent."""
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def chats(data: Path) -> Iterator[Chat]:
    """All chats of the data folder, in the files' order: SGD, STAR, Taskmaster-4, MultiDoGO."""
    corpus = data / "corpus"
    yield from filter(None, map(sgd, records(corpus / "sgd_dialogs.jsonl.gz")))
    yield from filter(None, map(star, records(data / "star" / "star.dialogs.jsonl")))
    yield from filter(None, map(taskmaster, records(corpus / "taskmaster4_dialogs.jsonl.gz")))
    yield from filter(None, map(multidogo, records(corpus / "multidogo_customer_turns.jsonl.gz")))


def sgd(record: Mapping[str, Any]) -> Chat | None:
    """A Schema-Guided dialogue; its final slots are the facts."""
    dialogue = parsed(f"sgd-{record['id']}", record["dialogue"])
    named = {key.split(".")[1].replace("_", " "): value for key, value in record["final_slots"].items()}
    wants = tuple(WANTS[intent] for intent in record["intents"] if intent in WANTS)
    return _chat(dialogue, wants, {key: value for key, value in named.items() if _occurs(value, dialogue)})


def star(record: Mapping[str, Any]) -> Chat | None:
    """A STAR dialogue; what its tasks are called says what was wanted."""
    wants = tuple(WANTS[task] for task in record["tasks"] if task in WANTS)
    dialogue = parsed(f"star-{record['id']}", record["dialogue"])
    named = re.search(r"[Mm]y name is ([A-Z][a-z]+(?: [A-Z][a-z]+)?)", dialogue.text)
    return _chat(dialogue, wants, {"name": named[1]} if named else {})


def taskmaster(record: Mapping[str, Any]) -> Chat | None:
    """A Taskmaster-4 coffee order."""
    return _chat(parsed(f"taskmaster-{record['id']}", record["dialogue"]), (), {})


def multidogo(record: Mapping[str, Any]) -> Chat | None:
    """A MultiDoGO chat, its missing agent turns filled in: a question before each detail, and an answer in the end.

    Which answer it gets, good or bad, follows from its id.
    """
    intent = next((turn["intent"] for turn in record["customer_turns"] if turn["intent"] in SERVICE), "")
    if not intent:
        return None
    want, done, refused = SERVICE[intent]
    answer = Turn(AGENT, refused if sum(map(ord, record["id"])) % 3 == 0 else done)
    named = [_slots(turn["text"].split(), turn["slots"].split()) for turn in record["customer_turns"]]
    last = max(at for at, turn in enumerate(record["customer_turns"]) if named[at] or turn["intent"] == intent)
    turns: list[Turn] = []
    for at, turn in enumerate(record["customer_turns"]):
        if turns and at <= last:
            turns.append(Turn(AGENT, _question(named[at], len(turn["text"]) + at)))
        turns += [Turn(CUSTOMER, turn["text"]), answer] if at == last else [Turn(CUSTOMER, turn["text"])]
    dialogue = Dialogue(f"multidogo-{record['id']}", tuple(turns))
    facts = {
        slot.replace("_", " "): value for slots in named for slot, value in slots.items() if _occurs(value, dialogue)
    }
    return _chat(dialogue, (want,), facts)


def _question(named: Mapping[str, str], number: int) -> str:
    return next((ASKED[slot] for slot in named if slot in ASKED), FILLER[number % len(FILLER)])


def _slots(words: list[str], labels: list[str]) -> dict[str, str]:
    slots: dict[str, str] = {}
    for word, label in zip(words, labels, strict=False):
        if label != "O":
            slots[label] = f"{slots[label]} {word}" if label in slots else word
    return slots


def parsed(key: str, text: str) -> Dialogue:
    """`User: hi\\nAgent: hello` as a dialogue whose speakers are `Customer` and `Agent`; empty turns dropped."""
    lines = (line.partition(": ") for line in text.split("\n"))
    turns = (
        Turn(AGENT if who == "Agent" else CUSTOMER, said.strip())
        for who, colon, said in lines
        if colon and said.strip()
    )
    return Dialogue(key, tuple(turns))


def varied(chat: Chat, rng: random.Random) -> Chat:
    """The same chat with other people's names and other long numbers, everywhere alike, so that only copying helps."""
    swaps: dict[str, str] = {}

    def person(found: re.Match[str]) -> str:
        return swaps.setdefault(found[1], rng.choice(FIRST)) + (
            " " + swaps.setdefault(found[2], rng.choice(LAST)) if found[2] else ""
        )

    def number(found: re.Match[str]) -> str:
        return swaps.setdefault(found[0], _number(found[0], rng))

    invented = {
        value: _invented(rng)
        for key, value in chat.facts.items()
        if key.endswith(" name") and value.istitle() and rng.random() < 0.7
    }

    def swap(text: str) -> str:
        for value, new in invented.items():
            text = text.replace(value, new)
        return DIGITS.sub(number, KNOWN.sub(person, text))

    turns = tuple(Turn(turn.speaker, swap(turn.text)) for turn in chat.dialogue.turns)
    return replace(
        chat, dialogue=Dialogue(chat.dialogue.id, turns), facts={key: swap(value) for key, value in chat.facts.items()}
    )


def _number(old: str, rng: random.Random) -> str:
    if rng.random() < 0.2 and len(old) > 3:
        return rng.choice(["", "#", "A", "B", "KX-", "ORD-", "TK-", "INV"]) + "".join(
            rng.choices("0123456789ABCDEFGHKLMNPRSTX", k=len(old))
        )
    return str(rng.randint(1, 9)) + "".join(rng.choices("0123456789", k=len(old) - 1))


def _invented(rng: random.Random) -> str:
    syllables = (
        "ba ko ri ten mar lo sun ve dra pe li no cha wick ford ham ton ly zen or ca mi ster del ru fa gi".split()
    )
    return " ".join("".join(rng.choices(syllables, k=rng.randint(2, 3))).title() for _ in range(rng.randint(1, 2)))


def labelled(chat: Chat, rng: random.Random) -> tuple[Dialogue, str, str]:
    """The dialogue under other speaker names, and what an answer calls the customer and the agent."""
    customer, agent = rng.choice(LABELS) if rng.random() < 0.85 else rng.sample(FIRST, 2)
    named = {CUSTOMER: customer, AGENT: agent}
    turns = tuple(Turn(named[turn.speaker], turn.text) for turn in chat.dialogue.turns)
    proper = customer.startswith("#") or customer in FIRST
    return replace(chat.dialogue, turns=turns), customer if proper else "The customer", agent if proper else "The agent"


def cut(chat: Chat, rng: random.Random, longest: int = 8) -> Chat:
    """A stretch of the chat, two to `longest` turns; what it leaves out is no longer known of it."""
    turns = chat.dialogue.turns
    start = rng.choice([0, 0, rng.randrange(max(1, len(turns) - 3))])
    kept = turns[start : start + rng.randint(2, longest)]
    dialogue = Dialogue(chat.dialogue.id, kept)
    facts = {key: value for key, value in chat.facts.items() if _occurs(value, dialogue)}
    return (
        Chat(dialogue, chat.wants[:1] if start == 0 and len(kept) > 3 else (), facts)
        if len({turn.speaker for turn in kept}) == 2
        else chat
    )


def _occurs(value: str, dialogue: Dialogue) -> bool:
    return len(value) > 1 and value not in ("True", "False") and value.lower() in dialogue.text.lower()


def _chat(dialogue: Dialogue, wants: tuple[str, ...], facts: Mapping[str, str]) -> Chat | None:
    return Chat(dialogue, wants, facts) if len({turn.speaker for turn in dialogue.turns}) == 2 else None
