"""Captions without gender: what is rewritten, what agrees with it, what stays."""

import json
from pathlib import Path

import pytest

from captioning.commands.caption import main
from captioning.data.neutral import gendered_words, without_gender
from captioning.data.text import clean_caption
from captioning.errors import CaptioningError
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [
        ("a man is riding a bike", "a person is riding a bike"),
        ("an old woman sits on a bench", "an old person sits on a bench"),
        ("a little girl in a pink dress", "a little child in a pink dress"),
        ("three men and a dog", "three people and a dog"),
        ("two boys play soccer", "two children play soccer"),
        ("a man and a woman are sitting", "two people are sitting"),
        ("a man and woman is sitting", "two people are sitting"),
        ("an elderly man and woman", "two elderly people"),
        ("a boy and a girl in the sand", "two children in the sand"),
        ("a man and a boy", "a person and a child"),
        ("two men and a woman", "three people"),
        ("two men and three women walk", "five people walk"),
        ("a group of men and women", "a group of people"),
        ("several men and women", "several people"),
        ("the man and the woman kiss", "the two people kiss"),
        ("a man a woman and a dog", "two people and a dog"),
        ("a man a woman and a lady", "three people"),
        ("a man and his wife", "a person and their spouse"),
        ("a mother and father with a baby", "two parents with a baby"),
        ("a mother and daughter", "a parent and child"),
        ("a man looks at a woman", "a person looks at another person"),
        (
            "a man in a red shirt and a man in a blue shirt",
            "a person in a red shirt and another person in a blue shirt",
        ),
        ("a little boy and an older boy", "a little child and an older child"),
        ("an old man looks at a woman", "an old person looks at another person"),
        ("a man holds his hat", "a person holds their hat"),
        ("a woman with a bag on her shoulder", "a person with a bag on their shoulder"),
        ("a man with a dog next to her", "a person with a dog next to them"),
        ("a girl smiles as she jumps", "a child smiles as they jump"),
        ("a boy while he is in the air", "a child while they are in the air"),
        ("a girl as she quickly flies by", "a child as they quickly fly by"),
        ("a boy who hurts himself", "a child who hurts themselves"),
        ("a dog shakes his head", "a dog shakes its head"),
        ("a dog as he runs with her toy", "a dog as it runs with its toy"),
        ("a fireman and a policeman", "a firefighter and a police officer"),
        ("two firemen", "two firefighters"),
        ("a gentleman with a lady", "a person with another person"),
        ("a female athlete", "an athlete"),
        ("a male surfer rides a wave", "a surfer rides a wave"),
        ("a female in a red top", "a person in a red top"),
        ("two males are talking", "two people are talking"),
        ("a male and a female", "two people"),
        ("male and female skaters", "skaters"),
        ("a woman tennis player", "a tennis player"),
        ("a girl scout", "a scout"),
        ("a womens basketball team", "a basketball team"),
        ("a womans hand", "a persons hand"),
        ("the man's hat", "the person's hat"),
        ("a girls face", "a childs face"),
        ("teenage girls on a beach", "teenagers on a beach"),
        ("a baby boy", "a baby"),
        ("a man in a cowboy hat", "a person in a western hat"),
        ("a man made lake", "an artificial lake"),
        ("a person and a woman", "two people"),
        ("a father with his two kids", "a parent with their two kids"),
        ("a middle aged man and woman", "two middle aged people"),
        ("a sunburnt man and woman", "a sunburnt person and person"),
        ("a brunette male wearing gray", "a brunette person wearing gray"),
        ("a brown dog runs", "a brown dog runs"),
        ("an hour of a person and a person", "an hour of a person and a person"),
        ("", ""),
    ],
)
def test_what_agrees_with_a_person_is_rewritten_too(caption: str, wanted: str) -> None:
    assert without_gender(caption) == wanted


def test_no_caption_of_flickr8k_keeps_a_gender(shared: Path) -> None:
    rows = (shared / "flickr8k" / "Flickr_8k_text" / "Flickr8k.token.txt").read_text("utf-8")
    captions = {clean_caption(row.split("\t")[1]) for row in rows.splitlines()}
    said = [caption for caption in captions if gendered_words(caption)]
    assert len(said) > 15_000
    for caption in said:
        neutral = without_gender(caption)
        assert not gendered_words(neutral), caption
        assert without_gender(neutral) == neutral
        assert len(neutral.split()) <= len(caption.split()) + caption.count("man") + 3


def test_the_command_rewrites_the_caption_and_the_likeliest(capsys: pytest.CaptureFixture) -> None:
    arguments = [str(ROOT / "samples" / "hopper.jpg"), "--top", "8", "--format", "jsonl"]
    arguments += ["--model", "flickr8k"]
    assert main(arguments) == 0
    own = json.loads(capsys.readouterr().out)
    assert main([*arguments, "--neutral"]) == 0
    neutral = json.loads(capsys.readouterr().out)
    assert neutral["caption"] == without_gender(own["caption"])
    likeliest = [one["caption"] for one in neutral["captions"]]
    wanted = [without_gender(one["caption"]) for one in own["captions"]]
    assert likeliest == list(dict.fromkeys(wanted))
    with pytest.raises(CaptioningError, match="--neutral changes them"):
        main([*arguments, "--neutral", "--attention", "words.png"])
