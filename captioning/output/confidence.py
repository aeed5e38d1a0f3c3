"""Which captions the model is least confident of."""


def least_confident(scores: list[float], share: float) -> list[bool]:
    """For each caption, whether it belongs to the share with the lowest scores.

    scores: mean log-probability per word. share: 0 to 1 of the captions, rounded to a whole number.
    """
    order = sorted(range(len(scores)), key=scores.__getitem__)
    lowest = set(order[: round(share * len(scores))])
    return [index in lowest for index in range(len(scores))]
