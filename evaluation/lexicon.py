"""Words that carry no claim of their own in a summary, and words that say the same thing, as plain data."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Grammar: never evidence, never a claim.
FUNCTION = _words(
    """
    a an the this that these those there here it its he she they them him her his hers their theirs we us our ours i me
    my mine you your yours who whom whose which what when where why how if then than as at by for from in into of off on
    onto out over to up upon with within about after again against all also although am among and any anyone anything are
    around away back be because become been before being below between both but came can come could did do does doing
    done down during each either else enough etc even ever every everyone everything few further get gets getting go goes
    going gone got had has have having however instead is itself himself herself themselves just later least less let
    like likely lot made make makes making many may maybe might more most much must near need needs next now often
    once one only or other others otherwise own per perhaps please possible quite rather really same several shall should
    since so some someone something soon still such take taken takes taking therefore though through thus till together
    too took toward towards under unless until very via was way well went were whatever whether while will would yet
    """
)

# Words with which people talk about a chat; they are in summaries and not in chats.
REPORTING = _words(
    """
    longer sooner faster slower easier harder cheaper bigger smaller mr mrs ms miss dr sir madam tv internet
    ability able aboard absence accept accord according account achieve acknowledge acquire act action activity
    actual actually add addition address admire admit adopt advance advantage advice advise affect afford afraid
    agent agree agreement aim allow almost along already alternative always amount analyze angry announce annoy
    another answer anxious anymore anytime apart apologise apologised apologize apology app appear appearance apply
    appoint appreciate appreciation approach approve area argue argument arrange arrangement arrive article asap
    aside ask aspect assign assignment assist assistance assistant assume assure astonished attempt attend attention
    attitude attract author available avoid aware awful background bad base basic basis became become began begin
    begun behalf behavior belief believe belong belongings beneficial benefit best better big bit blame boring
    borrow bought branch brief briefly bring broad brought build business busy buy call caller calm came care carry
    case catch cause century certain certainly challenge chance change characteristic chat check choice choose chose
    chosen claim clarify clear clearly client colleague comfort comment common communicate company compare complain
    complaint complete completely complex concept concern conclude condition confirm confront confuse confusion
    connect consider consist consult contact contain content continue contract contrary convenience convenient
    conversation convey convince cool cope correct correctly cost couple create criticise criticize culture curious
    current currently custom customer day deal dear decide decision declare decline definitely degree delay demand
    demonstrate deny department depend describe description desire detail determine develop device dialogue differ
    difference different difficult difficulty direct direction directly disadvantage disagree disappoint discover
    discuss discussion dislike dissatisfied distracted disturbed division dm doubt drawback driver drop due duty
    eager earlier earliest ease easy effect effective effort elaborate email embarrassed emphasise emphasize
    employee employer empty enable encounter encourage end enjoy enquire enquiry ensure entire error escalate
    especially event eventually everywhere exact exactly example excellent except exchange excite excited exist
    expect expectation expense experience expert explain explanation express extra face facility fact factor fail
    failure fallen familiar famous fast fault favor favorite feature fee feedback feel feeling fell felt fewer
    fewest field fill final finally find fine finish first fix focus follow force form former forward found free
    frequent friend friendly frustrated frustration function funny future gain gave general generally give given
    glad goal gonna good grateful great greet grew group grown guarantee guess guest guidance guide guy handle hang
    happen happy hard headquarter hear height held hello help hesitate hide high higher highest hike hire history
    hit hold hope hopeful host hour huge hurry idea identify ignore illegal imagine immediate immediately impact
    important impossible impress impression improve inbox include income inconvenience increase indicate individual
    industry infer inform information initial initiate inquire inquiry insist inspire instead instruct instruction
    intend intention interact interest interesting interval interview introduce introduction invitation invite
    involve issue item jealous job join joke justify keep kept kind knew know knowledge known lack large last late
    latest lay lead learn leave led left lend length lent level lie lifestyle link list listen live local location
    long look lose loss lost love low lower lowest lying mail main mainly maintain man manage manager manner match
    mate matter mean meaning means meant meet member mention merit message met method mind minute miss mistake mode
    modern modify moment money monitor month mood mostly motivate move name narrate national natural nature nearly
    necessary negative negotiate nervous new nice nobody normal note notice notify nowadays number object obtain
    obvious occasion occur offer officer old online open operator opinion opportunity oppose opposite optimistic
    option order organise organize original originally outcome page paid parent part participate particular partner
    party pass past pay people perform period permission permit persist person personally persuade pessimistic phone
    physical pick pity place plan play pleasant pleased plenty point polite poor popular position positive
    possibility possible post potential practice praise prefer preference prepare present press previous previously
    price principle prior private probably problem procedure proceed process product promise proper properly propose
    protect proud provide public pull purchase purpose push put qualification quality query question quick quickly
    quit raise ran range reach react reaction ready realise realize reason reassure recall receive recent recently
    reception recognise recognize recommend recommendation record refer reference refusal refuse regard regarding
    regardless register regret regular reject relate relation relationship relative relax relevant relief remain
    remark remember remind remove rent repeat reply report represent representative request require requirement
    reside resign resigned resolution resolve respect respond response responsible rest result return reveal review
    rid ride right risk role room run sad said salesperson salty sat satisfied satisfy save saw say scared scene
    schedule search second section secure see seek seem seen select seller send sense sent separate series serious
    serve service set settle setup share shocked shop short shortcoming show shown shut side similar simple simply
    site situation size skill skip slow small social solution solve somebody sometimes somewhere sorry sort sound
    speak speaker special specific specify spend spent spoke spoken staff stage stand standard start state statement
    status stay step stick stood stop store story strange strength stress strong strongly structure struggle stuck
    stuff style subject submit succeed success successful suddenly suffer suggest suggestion suit suitable summarise
    summarize support supportive suppose sure surprise suspect switch system talk task taught teach team technician
    tell tend term terrible test thank thanks theory thing think thought thoughtful thoughts threw thrilled
    throughout tight time times tip tired told topic total totally touch traditional traveling travelling treat
    trigger trip trouble true trust try turn type typical unable unaware unclear understand understood unfortunately
    unhappy unhelpful unreasonable unsatisfied unsure update upset urge url usage use useful user usual usually
    utilise utilising utilize value various verify via view visit visitor wait wake walk want warn waste watch way
    weakness website week weekend weight welfare whole willing wish woke woman won wonder word work worker world
    worldwide worn worry worse worst worth write written wrong wrote year yes
    """
)

# Each line says one thing in several words: any of them in the chat supports any other in the summary.
PARAPHRASES: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in """
    buy bought purchase order shop sell sold sale
    phone call telephone ring mobile cell cellphone handset iphone android
    mail email inbox
    wifi internet network connection broadband online signal web
    fix repair solve resolve mend sort
    broken damage faulty defective crack fault defect break broke malfunction crash
    refund reimburse reimbursement repay compensate compensation credit
    cost price charge fee pay paid bill expensive cheap payment fare rate dollar money salary
    send sent ship deliver delivery post dispatch package parcel shipment shipping courier
    cancel cancellation terminate end stop
    film movie cinema
    car vehicle drive drove driving
    picture photo image screenshot photograph
    link url website site page web
    dm direct message private inbox msg pm
    late delay wait waiting
    flight plane airline fly flew airport aircraft
    food meal dish eat ate dinner lunch breakfast restaurant cook hungry taste tasty cuisine
    apartment flat house home rent landlord tenant accommodation
    job work employ career position vacancy interview
    teacher class student school course study university college exam education teach learn
    doctor hospital sick ill illness medicine patient disease symptom medical treatment health healthy
    child kid son daughter children baby
    wife husband marry married marriage wedding couple spouse divorce
    mother mom mum father dad parent
    login log sign signin password account
    item product thing article goods
    replace replacement exchange swap substitute
    store shop branch supermarket
    begin start commence
    find found locate discover
    big large huge
    small little tiny
    quick fast rapid soon speed
    slow slowly
    angry mad furious upset annoyed frustrated rude
    happy glad pleased delighted
    update upgrade version
    delete remove erase uninstall
    reboot restart reset
    trip travel journey tour vacation holiday visit
    train rail railway station
    weight fat diet slim
    evening tonight night
    meet meeting appointment date
    present gift
    clothes dress shirt skirt coat suit jacket wear
    rain weather sunny snow cold hot warm storm
    exercise gym workout sport run jog swim
    error problem issue trouble glitch bug
    gift voucher coupon discount promo promotion code
    seat reservation reserve book booking
    """.strip().splitlines()
)

# Claims of denial, letters only (`can't` -> cant); in a summary they are checked, in a chat they deny what follows.
NEGATIONS = _words(
    """
    not no never none nothing nobody neither nor without cannot cant dont doesnt didnt couldnt wouldnt wont isnt arent
    wasnt werent hasnt havent hadnt shouldnt mustnt neednt aint unable nope nowhere dnt didn doesn isn wasn hasn couldn wouldn
    didnot doesnot donot isnot wasnot havenot couldnot
    """
)

# Those that say of a thing that it is lacking; chats say it in so many ways that their silence proves nothing.
LACKING = _words("no none nothing nobody neither nor without nowhere unable")

# Words that deny without saying "not"; they can support a denial in the summary and are never checked themselves.
DENIALS = _words(
    """
    fail failure refuse refusal deny denied lack stop avoid hardly barely rarely seldom impossible wrong broken break broke problem issue trouble
    unfortunately afraid sorry miss missing lost lose unless unlike few little only instead too error down hate bad
    decline reject except against out away still yet cancel expire stuck mistake nah nay disagree dislike incorrect invalid
    unavailable unhappy dissatisfied unclear unlikely unfair useless difficult hard forget forgot ignore quit zero shame prevent
    """
)
# What a summary reports somebody doing in the chat; it has no reason to report that they did not.
TELLING = _words(
    """
    add advise apologize ask complain demand describe discuss enquire explain express face guide inform inquire introduce invite
    mention question recommend remind report request say search seek share state suggest talk tell thank update
    """
)
YES = _words("yes yeah yep yup sure right exactly correct ok okay absolutely definitely indeed certainly course")
NO = _words("no nope nah not never neither")

# What the two sides of a support chat are told of, and the other side is not.
SIDES = {
    "agent": _words(
        """
        advise apologise apologize arrange assure check confirm escalate explain guide inform instruct offer promise provide
        recommend refund register send suggest update
        """
    ),
    "customer": _words(
        """
        buy complain demand enquire expect face hope inquire lose need order receive report seek try want wish wonder
        """
    ),
}

# The words left and right of a bar shut each other out: one in the summary and only the other in the chat is a contradiction.
OPPOSITES: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (_words(left), _words(right))
    for left, _, right in (
        line.partition("|")
        for line in """
        increase rise grow gain higher | decrease drop fall decline reduce lower
        include | exclude
        permit allow | forbid prohibit
        easy simple | difficult complicated
        strong strengthen | weak weaken
        like love enjoy | dislike hate
        cheap affordable inexpensive | expensive costly
        fast quick rapid | slow
        large big | small tiny
        always | rarely
        necessary essential required mandatory | optional unnecessary
        indoor inside internal | outdoor outside external
        remember | forget forgot
        same | different
        improve | worsen
        support favour favor encourage | oppose discourage
        young | elderly
        husband father son boy | wife mother daughter girl
        maximum | minimum
        formal | informal
        public | private
        safe secure | dangerous unsafe insecure
        permanent | temporary
        optimistic | pessimistic
        majority | minority
        advantage benefit | disadvantage drawback
        profit | loss
        domestic local national | foreign international
        novice beginner | expert advanced
        modern | traditional
        expand widen broaden | shrink narrow
        accelerate | delay
        upgrade | downgrade
        daily | weekly monthly yearly
        weekly | monthly yearly
        """.strip().splitlines()
    )
)

# Words by which somebody leaves open whether a thing is so or will come.
DOUBTS = frozenset(
    """might may maybe perhaps possibly possible probably likely hopefully hope could should would think thought guess if
    suppose supposed sure try trying want wants going consider considering plan planning expect expected unless or whether
    depends""".split()
)
