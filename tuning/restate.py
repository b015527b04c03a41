"""A turn in somebody's own words, restated in the third person by rules: "my card" becomes "their card"."""

from __future__ import annotations

import re

WORDS = {
    "i": "they", "i'm": "they are", "im": "they are", "i've": "they have", "i'd": "they would", "i'll": "they will",
    "me": "them", "my": "their", "mine": "theirs", "myself": "themselves", "we": "they", "we're": "they are",
    "we've": "they have", "we'd": "they would", "we'll": "they will", "us": "them", "our": "their", "ours": "theirs",
    "you": "they", "you're": "they are", "you've": "they have", "you'd": "they would", "you'll": "they will",
    "your": "their", "yours": "theirs", "yourself": "themselves",
}  # fmt: skip
SINGULAR = {
    "am": "is", "have": "has", "do": "does", "want": "wants", "need": "needs", "don't": "doesn't", "haven't": "hasn't",
    "wish": "wishes", "see": "sees", "think": "thinks", "hope": "hopes", "prefer": "prefers", "believe": "believes",
    "recommend": "recommends", "apologize": "apologizes", "suggest": "suggests", "understand": "understands",
    "know": "knows", "like": "likes", "feel": "feels", "get": "gets", "wanna": "wants to", "require": "requires",
    "live": "lives", "show": "shows", "plan": "plans", "keep": "keeps", "own": "owns", "work": "works",
}  # fmt: skip
PLURAL = {"am": "are", "was": "were"}
CONTRACTED = {"i'm": "is", "im": "is", "i've": "has", "i'd": "would", "i'll": "will"}
PLAIN_START = {
    "the", "your", "my", "it", "it's", "there", "there's", "this", "that", "these", "those", "we", "we're", "we've", "we'll",
    "you", "you're", "you've", "you'll", "our", "a", "an", "they", "he", "she", "some", "all", "no", "yes", "please", "for",
    "in", "on", "at", "to", "if", "when", "as", "one", "both", "with", "from", "by", "after", "once", "because", "since", "sorry",
    "unfortunately", "also", "not", "now", "then", "sounds", "how", "what", "where", "maybe", "actually", "here", "help", "two",
    "three", "four", "playing", "walk", "just", "yesterday", "today", "tomorrow", "every", "any", "nothing", "everything", "currently",
    "i", "i'm", "i've", "something", "someone", "another", "still", "they're", "that's", "what's", "its", "their", "his", "her", "but", "and",
}  # fmt: skip
OBJECT = re.compile(
    r"(?<=\b(?:for|get|set|let) )you\b|(?<=\b(?:to|of) )you\b|(?<=\b(?:want|need|with|tell|give|show|send|help|from|like) )you\b|\byou\b(?= back| up\b|[,.;]|$)"
)
GREETING = re.compile(
    r"^(hi|hello|hey|good (morning|afternoon|evening|day)|yes|yeah|yep|sure|ok|okay|alright|great|perfect|well|thanks|thank you"
    r"|oh|um|so|no problem|of course|awesome|wonderful|excellent|nice|got it|right)\b[^.!?]{0,12}?[\s,.!:)-]+",
    re.I,
)
CLOSING = re.compile(
    r"anything else|any other|something else|help you|assist you|else (i|that i) can|goodbye|good bye|\bbye\b|have a (great|nice|good|wonderful|lovely)"
    r"|glad (to|i)|happy to|pleasure|you('re| are) welcome|how (can|may) i|thank you for|thanks for|enjoy|take care|no problem"
    r"|one moment|let me (check|see|look)|let me check|please wait|help with that|got it|hold on|great day|nice day|good day",
    re.I,
)
REQUEST = re.compile(
    r"^(?:so )?(?:please )?(?:can|could|would|will) (?:you|u)(?: please| kindly)?,? (?:help me (?:to )?)?(\w.*)$", re.I
)
PLEASE = re.compile(
    r"^(?:please|kindly) ((?!say|be |note|wait)\w.*)$|^((?:find|show|book|get|give|tell|search|look|make|play|set|add|check|send|cancel|buy|reserve|change)\b.*)$",
    re.I,
)
MAY = re.compile(r"^(?:so )?(?:can|could|may) (?:i|we) (?:please |just )?(?!you|ask|help)(\w.*)$", re.I)
QUESTION = re.compile(
    r"^(what|where|when|why|how|who|which|is|are|do|does|did|can|could|will|would|may|should|has|have)\b", re.I
)


def sentences(text: str) -> list[str]:
    """`text` cut into sentences, greetings and "sure," taken off, empty ones dropped.

    >>> sentences("Hi there! I lost my card. Can you help?")
    ['I lost my card.', 'Can you help?']
    """
    pieces = re.split(r"(?<=[.!?])\s+(?=[A-Za-z0-9\"'$(])", re.sub(r"\s+", " ", text).strip())
    stripped = (_without_greeting(piece) for piece in pieces)
    return [piece for piece in stripped if len(piece.split()) > 1]


def _without_greeting(sentence: str) -> str:
    for _ in range(3):
        shorter = GREETING.sub("", sentence + " ", count=1).strip()
        if shorter == sentence:
            break
        sentence = shorter
    return sentence


def third_person(text: str) -> str:
    """Every first- and second-person word of `text` in the third person.

    >>> third_person("I lost my card and you sent me a new one")
    'they lost their card and they sent them a new one'
    """
    text = re.sub(r"\b(?:I|i) (am|was)\b", lambda verb: f"they {PLURAL[verb[1]]}", text.replace("’", "'"))
    text = OBJECT.sub("them", text)
    return re.sub(r"[A-Za-z]+(?:'[a-z]+)?", lambda word: WORDS.get(word.group().lower(), word.group()), text)


def said_by_customer(sentence: str, who: str = "The customer", other: str = "the agent") -> str:
    """What the customer said, as a statement about them.

    >>> said_by_customer("Can you cancel my order?")
    'The customer asked the agent to cancel their order.'
    """
    body = sentence.replace("’", "'").rstrip(" .!?")
    if asked := (REQUEST.match(body) or PLEASE.match(body)):
        return f"{who} asked {other} to {_lower_first(third_person(next(filter(None, asked.groups()))))}."
    if wished := MAY.match(body):
        return f"{who} asked to {third_person(wished[1])}."
    if own := _own_action(body):
        return f"{who} {own}."
    if sentence.rstrip().endswith("?") or QUESTION.match(body):
        return f'{who} asked "{body}?"'
    return f"{who} said {_lower(third_person(body), body)}."


def said_by_agent(sentence: str, who: str = "The agent") -> str:
    """What the agent said, as a statement about them.

    >>> said_by_agent("I have refunded your card.")
    'The agent has refunded their card.'
    """
    body = sentence.replace("’", "'").rstrip(" .!?")
    if own := _own_action(body):
        return f"{who} {own}."
    if sentence.rstrip().endswith("?"):
        return f'{who} asked "{body}?"'
    return f"{who} said {_lower(third_person(body), body)}."


def _own_action(body: str) -> str:
    """The predicate of a sentence that starts with "I", made singular; "" for any other sentence."""
    first, _, rest = body.partition(" ")
    if first.lower() in CONTRACTED and rest:
        return f"{CONTRACTED[first.lower()]} {third_person(rest)}"
    if first.lower() not in ("i", "we") or not rest:
        return ""
    adverb = re.match(r"(just|also|really|already|still|only) ", rest)
    lead = adverb.group() if adverb else ""
    verb, _, tail = rest[len(lead) :].partition(" ")
    restated = third_person(f"{verb} {tail}")[len(verb) :]  # the verb stays in view: "want you" becomes "want them"
    bare = verb.rstrip(",")
    return f"{lead}{SINGULAR.get(bare, bare)}{verb[len(bare) :]}{restated}".rstrip()


def _lower(text: str, original: str) -> str:
    return _lower_first(text) if original.split()[0].lower() in PLAIN_START else text


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:]


def is_closing(sentence: str) -> bool:
    """True for "Anything else?", "Have a great day" and the like, which say nothing about the matter."""
    return bool(CLOSING.search(sentence))
