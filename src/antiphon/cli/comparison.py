"""Two models compared by their answers to the same prompts: how alike, how fast, how dear."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from statistics import fmean, median, quantiles

import msgspec

from antiphon.catalogue.prices import dollars
from antiphon.cli.prompts import Prompt
from antiphon.ledger.prices import cost
from antiphon.values import Price, Usage

MEASURE = "difflib's ratio over words: 1 is the same words in the same order, 0 none in common"
WORDS = 400
"""Words of two texts that are matched, behind what they begin with and before what they end with alike."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s]")
"""A word, a punctuation mark, or one character of a script that is written without spaces."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered. Seconds count from the request; without text or a call there is no first token.

    `calls` are of functions, each as `name(arguments)`.
    """

    text: str
    calls: tuple[str, ...] = ()
    finish_reason: str
    first_token_seconds: float | None
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    @property
    def said(self) -> str:
        """Text and calls, as they are compared."""
        return "\n".join([self.text, *self.calls] if self.text else self.calls)


class Failure(msgspec.Struct, frozen=True):
    """A request that has no whole answer, and why."""

    error: str


Outcome = Answer | Failure | None
"""None: it was not asked, or not for long enough."""


class Pair(msgspec.Struct, frozen=True):
    """A prompt, and what became of it on either side."""

    prompt: Prompt
    a: Outcome
    b: Outcome


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A pair with its likeness, which only two answers have."""

    prompt: Prompt
    identical: bool | None
    similarity: float | None
    a: Outcome
    b: Outcome


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A side: the name that is asked for, the snapshot it means, and its price if that is known."""

    model: str
    snapshot: str
    price: Price | None


class Spread(msgspec.Struct, frozen=True):
    """Half of the values are at most `p50`, 95 of 100 at most `p95`."""

    p50: float
    p95: float


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What one model did. Costs are dollars, as decimal strings; `cost_unknown` says why there are none."""

    model: str
    snapshot: str
    answered: int
    failed: int
    failures: dict[str, int]
    finish_reasons: dict[str, int]
    cut_by_length: float | None
    """The share of answers that ended because they were as long as they might be."""
    median_answer_tokens: float | None
    first_token_seconds: Spread | None
    seconds: Spread | None
    tokens_per_second: float | None
    """Tokens of all answers, over the seconds of all answers, as if they had come one after the other."""
    cost: str | None
    cost_of_1000_requests: str | None
    cost_unknown: str | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Everything but the answers. `compared` prompts were answered by both; shares are of those."""

    prompts: int
    compared: int
    identical: int
    identical_share: float | None
    mean_similarity: float | None
    similarity_measure: str = MEASURE
    interrupted: bool
    a: Side
    b: Side

    @property
    def whole(self) -> bool:
        """Whether both sides answered every prompt."""
        return self.a.answered == self.b.answered == self.prompts


def compared(pairs: Iterable[Pair]) -> list[Compared]:
    """Each pair with its likeness."""
    return [_likened(pair) for pair in pairs]


def _likened(pair: Pair) -> Compared:
    identical = alike = None
    if isinstance(pair.a, Answer) and isinstance(pair.b, Answer):
        identical = (pair.a.text, pair.a.calls) == (pair.b.text, pair.b.calls)
        alike = 1.0 if identical else similarity(pair.a.said, pair.b.said)
    return Compared(prompt=pair.prompt, identical=identical, similarity=alike, a=pair.a, b=pair.b)


def summary(
    found: Sequence[Compared], a: Named, b: Named, *, prompts: int, interrupted: bool = False
) -> Summary:
    """What `found` says of the two models, of so many prompts in all."""
    likeness = [one.similarity for one in found if one.similarity is not None]
    identical = sum(one.identical is True for one in found)
    return Summary(
        prompts=prompts,
        compared=len(likeness),
        identical=identical,
        identical_share=identical / len(likeness) if likeness else None,
        mean_similarity=fmean(likeness) if likeness else None,
        interrupted=interrupted,
        a=side(a, [one.a for one in found]),
        b=side(b, [one.b for one in found]),
    )


def side(named: Named, outcomes: Sequence[Outcome]) -> Side:
    """What one model did with its prompts."""
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    failures = Counter(outcome.error for outcome in outcomes if isinstance(outcome, Failure))
    finishes = Counter(answer.finish_reason for answer in answers)
    firsts = [one.first_token_seconds for one in answers if one.first_token_seconds is not None]
    tokens = [answer.completion_tokens for answer in answers]
    seconds = [answer.seconds for answer in answers]
    spent = None if named.price is None else spending(named.price, answers)
    return Side(
        model=named.model,
        snapshot=named.snapshot,
        answered=len(answers),
        failed=failures.total(),
        failures=dict(failures.most_common()),
        finish_reasons=dict(finishes.most_common()),
        cut_by_length=finishes["length"] / len(answers) if answers else None,
        median_answer_tokens=median(tokens) if tokens else None,
        first_token_seconds=spread(firsts),
        seconds=spread(seconds),
        tokens_per_second=sum(tokens) / sum(seconds) if sum(seconds) else None,
        cost=None if spent is None else dollars(spent),
        cost_of_1000_requests=None if spent is None or not answers else dollars(spent * 1000 // len(answers)),
        cost_unknown=f"no snapshot '{named.snapshot}' is in the catalogue here" if spent is None else None,
    )


def spending(price: Price, answers: Iterable[Answer]) -> int:
    """What answers cost at a price, in nano-dollars: each rounded as the ledger rounds it."""
    return sum(
        cost(
            price,
            Usage(
                prompt_tokens=answer.prompt_tokens,
                cached_tokens=answer.cached_tokens,
                completion_tokens=answer.completion_tokens,
            ),
        ).total
        for answer in answers
    )


def most_different(found: Iterable[Compared], number: int) -> list[Compared]:
    """So many pairs of answers at most that are not identical, the least similar first."""
    differ = [(one.similarity, one) for one in found if one.similarity is not None and not one.identical]
    return [one for _, one in sorted(differ, key=lambda each: each[0])[:number]]


def similarity(a: str, b: str) -> float:
    """How alike two texts are, from 0 to 1: see `MEASURE`. White space does not count.

    Of long texts that differ early and late, words behind the first `WORDS` that differ count as different,
    since the time that matching takes grows with their square.
    """
    left, right = _WORD.findall(a), _WORD.findall(b)
    if not left and not right:
        return 1.0
    start = _shared(left, right)
    left_rest, right_rest = left[start:], right[start:]
    end = _shared(left_rest[::-1], right_rest[::-1])
    left_rest, right_rest = left_rest[: len(left_rest) - end], right_rest[: len(right_rest) - end]
    matcher = SequenceMatcher(None, left_rest[:WORDS], right_rest[:WORDS], autojunk=False)
    matched = start + end + sum(block.size for block in matcher.get_matching_blocks())
    return 2 * matched / (len(left) + len(right))


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    """How many items two sequences begin with alike."""
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(left, right, strict=False)))


def spread(values: Sequence[float]) -> Spread | None:
    """The median and the 95th percentile, between two values in proportion; None of nothing."""
    if not values:
        return None
    # `quantiles` wants two values at least.
    parts = quantiles(values if len(values) > 1 else [*values, *values], n=100, method="inclusive")
    return Spread(parts[49], parts[94])
