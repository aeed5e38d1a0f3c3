"""Word lists of what a caption claims: objects, colours, numbers, actions; English.

A line is a concept and the other words for it; plurals and verb forms are made by rule where they
are regular. "a < b c" says that who says b or c says a as well: a reference's "puppy" bears out a
caption's "dog" and "animal", but its "animal" doesn't bear out "dog". What the lists lack is not
seen: `evaluation/truth.py` adds the words that the references use as objects.
"""

from collections.abc import Iterable, Mapping

from captioning.data.gendered_words import words_of

PEOPLE = """
person: people someone somebody human humans individual individuals persons
man: men guy guys gentleman gentlemen male males dude fellow
woman: women lady ladies female females
child: children kid kids youngster youngsters
boy: boys
girl: girls
baby: babies infant infants toddler toddlers
teenager: teenagers teen teens
couple
crowd: crowds audience spectators
player: players
skier: skiers
snowboarder: snowboarders
skateboarder: skateboarders skater skaters
surfer: surfers
climber: climbers
cyclist: cyclists bicyclist bicyclists biker bikers
rider: riders
runner: runners jogger joggers
hiker: hikers
dancer: dancers
swimmer: swimmers
"""

ANIMALS = """
animal: animals
dog: dogs puppy puppies pup pups canine hound greyhound greyhounds poodle terrier retriever collie
shepherd bulldog dalmatian beagle
cat: cats kitten kittens
bird: birds seagull seagulls duck ducks goose geese pigeon pigeons swan eagle parrot
horse: horses pony ponies
cow: cows bull bulls cattle
sheep: lamb lambs
goat: goats
monkey: monkeys
elephant: elephants
fish
"""

VEHICLES = """
vehicle: vehicles
bicycle: bicycles bike bikes
motorcycle: motorcycles motorbike motorbikes dirtbike dirtbikes
car: cars
truck: trucks
bus: buses
train: trains
boat: boats canoe canoes kayak kayaks raft rafts sailboat
sled: sleds sledge toboggan
scooter: scooters
skateboard: skateboards
surfboard: surfboards
snowboard: snowboards
skis: ski
swing: swings
"""

CLOTHES = """
shirt: shirts tshirt
jacket: jackets coat coats parka
dress: dresses gown
hat: hats cap caps
helmet: helmets
shorts
pants: jeans trousers
glasses: sunglasses goggles
uniform: uniforms
suit: suits
swimsuit: swimsuits bikini bikinis
costume: costumes
shoes: shoe boots boot sneakers
scarf: scarves
backpack: backpacks
"""

PLACES = """
water
ocean: sea
wave: waves surf
pool: pools
lake: lakes pond
river: rivers stream creek
puddle: puddles
beach: beaches shore
sand
snow
ice
grass: lawn
field: fields meadow
mountain: mountains hill hills cliff cliffs peak
rock: rocks boulder boulders
street: streets road roads
sidewalk: sidewalks pavement
path: paths trail trails
bridge: bridges
building: buildings house houses
park: parks playground
woods: forest forests
tree: trees
wall: walls
fence: fences
stairs: steps staircase
bench: benches
chair: chairs
table: tables
bed: beds
couch: sofa
ramp: ramps
track: tracks
court: courts
stage
sky
tunnel
"""

THINGS = """
ball: balls football soccerball basketball baseball
toy: toys
stick: sticks
frisbee: frisbees disc
rope: ropes
hurdle: hurdles obstacle obstacles
bat
racket: racquet
hand: hands
head
mouth: mouths
hair
face
camera: cameras
phone: cellphone telephone
guitar: guitars
flag: flags
sign: signs
bag: bags purse
book: books newspaper
food
drink: beer bottle
cigarette: cigarettes
umbrella: umbrellas
fire
flowers: flower
leaves: leaf
slide: slides
tent: tents
trampoline
trick: tricks
"""

CLASSES = {
    "people": PEOPLE,
    "animals": ANIMALS,
    "vehicles and boards": VEHICLES,
    "clothes": CLOTHES,
    "places": PLACES,
    "things": THINGS,
}
"""Objects, in classes: what is mistaken for what is counted within one."""

COLOURS = """
black
white
red: maroon
blue: navy turquoise teal
green
yellow
orange
brown
pink
purple: violet
gray: grey silver
tan: beige
gold: golden
blond: blonde
"""

NUMBERS = """
two: both pair couple
three
four
five
six
seven
eight
nine
ten
several: many group groups crowd bunch team
"""

ACTIONS = """
run: ran jog race
walk: stroll
jump: leap hop
sit
stand
lie: lies lying lay lays laying
swim: swam
play
ride: rode
climb
ski: skis skied skiing
snowboard
surf
skate: skateboard
slide
swing
fly: flies flying
fall
dive
dance
sing
eat
drink
sleep
smile: laugh
look: stare gaze
watch
talk
pose
hold: held
carry: carries carrying
wear: dressed
throw: toss
catch
hit
kick
push
pull: drag
chase
fight: wrestle
dig
splash
paddle: row
hike
drive
read
cook
push
lean
kneel: crouch squat
"""

BROADER = {
    "person": """man woman child boy girl baby teenager couple crowd player skier snowboarder
    skateboarder surfer climber cyclist rider runner hiker dancer swimmer""",
    "child": "boy girl baby",
    "rider": "cyclist",
    "animal": "dog cat bird horse cow sheep goat monkey elephant fish",
    "vehicle": "car truck bus motorcycle",
    "water": "ocean wave pool lake river puddle",
    "several": "three four five six seven eight nine ten",
}
"""{a concept: those who say one of these say it as well}."""

THINGS_AFTER_VERBS = words_of(
    """
    suit suits trunks shoes shoe shorts pool pole rod net gear goggles cap room area lot field board
    boat equipment machine contest competition lesson arts match hat boots court pants stick trail
    """
)
"""After these, "swimming" or "playing" names a thing: "a swimming pool" is no one who swims."""


def _forms_of_verb(verb: str) -> list[str]:
    """The verb with -s, -ing and -ed, as spelling has them."""
    stem = verb.removesuffix("e")
    short = len(verb) < 5 and verb[-1] in "nptmgb" and verb[-2] in "aeiou" and verb[-3] not in "aeo"
    doubled = verb + verb[-1] if short else stem
    third = f"{verb}es" if verb.endswith(("ch", "sh", "ss")) else f"{verb}s"
    return [verb, third, f"{doubled}ing", f"{doubled}ed"]


def _read_list(text: str, verbs: bool = False) -> dict[str, str]:
    """{word: concept} of a list."""
    concepts: dict[str, str] = {}
    concept = ""
    for line in filter(None, text.splitlines()):
        if ":" in line or len(line.split()) == 1:
            concept, _, others = line.partition(":")
        else:
            others = line  # a line that goes on
        for word in [concept, *others.split()]:
            for form in _forms_of_verb(word) if verbs else [word]:
                concepts.setdefault(form, concept)
    return concepts


KINDS: dict[str, Mapping[str, str]] = {
    "objects": {w: c for text in CLASSES.values() for w, c in _read_list(text).items()},
    "colours": _read_list(COLOURS),
    "numbers": _read_list(NUMBERS),
    "actions": _read_list(ACTIONS, verbs=True),
}
"""{kind: {word: its concept}}."""

CLASS_OF = {c: name for name, text in CLASSES.items() for c in _read_list(text).values()}
"""{object: its class}."""

WIDER: dict[str, list[str]] = {}
"""{concept: the concepts it says as well}."""
for _wide, _all_narrow in BROADER.items():
    for _narrow in _all_narrow.split():
        WIDER.setdefault(_narrow, []).append(_wide)

_OPENS_A_NOUN = words_of("a an the his her their its of another")


def concepts_in(caption: str, kind: str, words: Mapping[str, str]) -> set[str]:
    """The concepts of one kind that a clean caption names. words: {word: concept} of the kind."""
    found = set()
    row = caption.split()
    for place, word in enumerate(row):
        concept = words.get(word)
        if concept and not (kind == "actions" and _is_a_noun(row, place)):
            found.add(concept)
    return found


def _is_a_noun(row: list[str], place: int) -> bool:
    """Whether a word that may be a verb is none: "the slide", "a swimming pool"."""
    if row[place].endswith("ing"):
        return place + 1 < len(row) and row[place + 1] in THINGS_AFTER_VERBS
    return place > 0 and (row[place - 1] in _OPENS_A_NOUN or row[place - 1] in KINDS["colours"])


def bear_out(concepts: Iterable[str]) -> set[str]:
    """The concepts with all that who names them says as well."""
    found = set(concepts)
    return found.union(*(WIDER.get(concept, ()) for concept in found))
