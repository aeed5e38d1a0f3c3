"""English words that say a person's gender, and the words that say the same without it.

All in lower case, as clean captions are. What is done with them: `data/neutral.py`.
"""


def words_of(text: str) -> frozenset[str]:
    """The words of a text: so a list of words is read as one."""
    return frozenset(text.split())


ADULTS = {
    "man": "person",
    "woman": "person",
    "guy": "person",
    "lady": "person",
    "gentleman": "person",
    "dude": "person",
    "fellow": "person",
    "gal": "person",
}

CHILDREN = {"boy": "child", "girl": "child", "lad": "child", "schoolboy": "student"}
CHILDREN["schoolgirl"] = "student"

RELATIVES = {
    "mother": "parent",
    "father": "parent",
    "mom": "parent",
    "mum": "parent",
    "mommy": "parent",
    "dad": "parent",
    "daddy": "parent",
    "son": "child",
    "daughter": "child",
    "brother": "sibling",
    "sister": "sibling",
    "husband": "spouse",
    "wife": "spouse",
    "grandmother": "grandparent",
    "grandma": "grandparent",
    "grandfather": "grandparent",
    "grandpa": "grandparent",
    "grandson": "grandchild",
    "granddaughter": "grandchild",
    "aunt": "relative",
    "uncle": "relative",
    "niece": "relative",
    "nephew": "relative",
    "boyfriend": "partner",
    "girlfriend": "partner",
    "bride": "newlywed",
    "groom": "newlywed",
}

TRADES = {
    "fireman": "firefighter",
    "baseman": "base player",
    "batsman": "batter",
    "stuntman": "stunt performer",
    "stewardess": "flight attendant",
    "policeman": "police officer",
    "policewoman": "police officer",
    "fisherman": "fisher",
    "businessman": "businessperson",
    "businesswoman": "businessperson",
    "salesman": "salesperson",
    "cameraman": "camera operator",
    "horseman": "horse rider",
    "horsewoman": "horse rider",
    "sportsman": "athlete",
    "sportswoman": "athlete",
    "workman": "worker",
    "repairman": "repairer",
    "mailman": "mail carrier",
    "postman": "mail carrier",
    "doorman": "door attendant",
    "serviceman": "soldier",
    "frontman": "lead singer",
    "oarsman": "rower",
    "bridesmaid": "wedding attendant",
    "groomsman": "wedding attendant",
    "cowboy": "ranch hand",
    "cowgirl": "ranch hand",
    "waiter": "server",
    "waitress": "server",
    "actress": "actor",
    "hostess": "host",
    "ballerina": "ballet dancer",
}

IRREGULAR = {
    "person": "people",
    "child": "children",
    "businessperson": "businesspeople",
    "salesperson": "salespeople",
    "lady": "ladies",
    "mommy": "mommies",
    "daddy": "daddies",
    "wife": "wives",
    "actress": "actresses",
    "waitress": "waitresses",
    "hostess": "hostesses",
    "stewardess": "stewardesses",
    "grandchild": "grandchildren",
}
"""Plurals that aren't the singular with an s; those in -man and -woman are made below."""


def plural_of(noun: str) -> str:
    """The plural of one of these nouns, its last word's: "police officers", "women"."""
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    return noun.removesuffix("man") + "men" if noun.endswith("man") else f"{noun}s"


SINGULARS = ADULTS | CHILDREN | RELATIVES | TRADES
PLURALS = {plural_of(gendered): plural_of(neutral) for gendered, neutral in SINGULARS.items()}
NOUNS = SINGULARS | PLURALS
"""Every gendered noun, singular or plural, and the neutral one."""


POSSESSIVES = {
    "mans": "persons",
    "womans": "persons",
    "ladys": "persons",
    "man's": "person's",
    "woman's": "person's",
    "lady's": "person's",
    "guy's": "person's",
    "boy's": "child's",
    "girl's": "child's",
    "boys'": "children's",
    "girls'": "children's",
    "ladies'": "people's",
}
"""Of one person or several. Cleaning drops the apostrophe: "a womans hand"."""

DROPPED_POSSESSIVES = words_of("mens womens men's women's")
"""They name a sport's or a shop's section and are left out: "a womens soccer team"."""

ADJECTIVES = words_of("male female")

PRONOUNS = words_of("he she him her his hers himself herself")

WORDS = frozenset(NOUNS) | frozenset(POSSESSIVES) | DROPPED_POSSESSIVES | ADJECTIVES | PRONOUNS
WORDS |= {"males", "females"}
"""Every word that says a gender."""


MEN = words_of("man men guy guys gentleman gentlemen male males dude fellow")
WOMEN = words_of("woman women lady ladies female females gal")
BOYS = words_of("boy boys lad lads schoolboy schoolboys")
GIRLS = words_of("girl girls schoolgirl schoolgirls")


PEOPLE = words_of(
    """
    person people child children kid kids baby babies toddler toddlers teen teens teenager teenagers
    adult adults someone crowd couple family group friend friends player players rider riders biker
    cyclist skier snowboarder surfer skateboarder skater climber hiker runner dancer swimmer athlete
    worker soldier officer student performer singer musician guitarist gymnast wrestler boxer golfer
    bicyclist jogger pedestrian tourist spectator fan photographer vendor artist clown
    """
)
"""Words of people without a gender: a pronoun after them is a person's."""

ANIMALS = words_of(
    """
    dog dogs puppy puppies cat cats kitten bird birds horse horses cow cows bull sheep goat goats
    monkey elephant bear fox squirrel rabbit duck ducks goose geese seagull hound greyhound poodle
    terrier labrador retriever collie shepherd spaniel bulldog dalmatian dachshund beagle chihuahua
    animal animals fish lizard turtle frog deer pig lamb camel zebra giraffe lion tiger
    """
)
"""Where a caption has no person, a pronoun is an animal's: "a dog and its ball"."""

FUNCTION_WORDS = words_of(
    """
    a an the and or but while as with without in on at by of to from over under near through behind
    beside besides into onto is are was were be being been has have had that who whom which whose
    up down across around along against next inside outside during for off out together alone one
    two three four five six seven eight nine ten this these those both all not also then when where
    about above after among before below between beneath past towards toward it its they them their
    there looks look stands stand sits sit runs run walks walk plays play jumps jump rides ride
    holds hold wears wear smiles smile
    """
)
"""Words that no noun phrase goes on with: "her" before one of them is not "her hand"."""

SPORTS = words_of(
    """
    basketball soccer football tennis hockey volleyball rugby baseball softball lacrosse cricket
    golf
    """
)

ROLES = words_of(
    """
    player players team teams athlete athletes skier skiers snowboarder snowboarders surfer surfers
    skater skaters skateboarder skateboarders rider riders cyclist cyclists biker bikers runner
    runners swimmer swimmers diver divers climber climbers hiker hikers dancer dancers gymnast
    gymnasts wrestler wrestlers boxer boxers golfer golfers soldier soldiers officer officers worker
    workers singer singers performer performers student students child children kid kids toddler
    toddlers baby babies adult adults teenager teenagers scout scouts person people model models
    bicyclist bicyclists jogger joggers musician musicians acrobat acrobats cheerleader cheerleaders
    """
)
"""A gendered noun before one of them is left out: "a woman skier", "a boy scout"."""
