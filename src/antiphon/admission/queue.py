"""Who waits for a deployment, and who is next. Plain decisions, no clock and no `await`.

The organization that holds the fewest places is next; those that hold as many take turns. So who asks much,
or for what takes long, gets no more of the places than others who wait. Within one organization the first to
come is the first to go. A request of weight `n` takes `n` places at once.

That is no help where one organization holds every place for long. `greed` bounds what each may hold to so
many times what is free (dynamic thresholds, Choudhury and Hahne, 1998): alone, with a greed of 3, it
gets three quarters of the places, two get three sevenths each, and of many places some are always free.
`company` leaves all places to one that is alone, and to others what they lately wanted.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")
COMPANY_SECONDS = 60.0
"""So long after another organization asked for a deployment, nobody is alone there."""
_NEWCOMERS = 8
"""Of so many places, one is left to whoever did not ask lately."""


class Company:
    """Who asks for a deployment, and how many places each wanted at most lately. Moments are seconds."""

    def __init__(self) -> None:
        self._wanted: dict[str, int] = {}
        self._before: dict[str, int] = {}
        """The half of the time before."""
        self._since = -math.inf

    def see(self, organization: str, wanted: int, now: float) -> None:
        """The organization asks for it now, and would hold so many places if there were enough."""
        self.turn(now)
        self._wanted[organization] = max(wanted, self._wanted.get(organization, 0))

    def turn(self, now: float) -> None:
        """Forget what is too long ago."""
        half = COMPANY_SECONDS / 2
        if now - self._since >= half:
            self._before = self._wanted if now - self._since < 2 * half else {}
            self._wanted, self._since = {}, now

    def most(self, organization: str, capacity: int, held: Mapping[str, int]) -> int:
        """How many of the places the organization may hold beside others, who hold what `held` says.

        It leaves them what they lately wanted, each no more than an even share, and has that itself.
        """
        lately = self._wanted.keys() | self._before.keys()
        others = (lately | held.keys()) - {organization}
        if not lately - {organization}:
            return capacity
        share = capacity // (len(others) + 1)
        theirs = sum(max(held.get(one, 0), min(self._of(one), share)) for one in others)
        return max(1, share, capacity - max(theirs, capacity // _NEWCOMERS))

    def _of(self, organization: str) -> int:
        return max(self._wanted.get(organization, 0), self._before.get(organization, 0))


class Queue(Generic[T]):
    """The requests that wait for one deployment, and how many places are taken."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[tuple[T, int]]] = OrderedDict()
        self._held: Counter[str] = Counter()
        self.running = 0

    def __len__(self) -> int:
        return sum(len(line) for line in self._waiting.values())

    def waiting(self, organization: str) -> int:
        return len(self._waiting.get(organization, ()))

    def add(self, organization: str, ticket: T, weight: int) -> None:
        self._waiting.setdefault(organization, deque()).append((ticket, weight))

    def remove(self, organization: str, ticket: T) -> None:
        """Forget a ticket that gave up; one that is not waiting is passed over."""
        line = self._waiting.get(organization, deque())
        kept = deque(entry for entry in line if entry[0] is not ticket)
        if kept:
            self._waiting[organization] = kept
        else:
            self._waiting.pop(organization, None)

    def wanted(self, organization: str) -> int:
        """Places that the organization holds or waits for."""
        return self._held[organization] + sum(weight for _, weight in self._waiting.get(organization, ()))

    def next(
        self, capacity: int, greed: int | None = None, company: Company | None = None
    ) -> tuple[T, int] | None:
        """Take the next ticket and its weight if it fits into what is free of `capacity`, else None.

        A weight above the whole capacity counts as the whole capacity. Nobody overtakes the one who is next,
        so heavy requests do not starve; only organizations that hold enough are passed over, if there is a
        `greed` or `company`. None has enough while it holds nothing.
        """
        candidates = [one for one in self._waiting if self._may(one, capacity, greed, company)]
        if not candidates:
            return None
        # Of several that hold as little, `min` takes the first: whose turn it is.
        organization = min(candidates, key=self._held.__getitem__)
        line = self._waiting[organization]
        ticket, weight = line[0]
        weight = min(weight, capacity)
        if weight < 1 or self.running + weight > capacity:
            return None
        line.popleft()
        del self._waiting[organization]
        if line:
            self._waiting[organization] = line
        self.running += weight
        self._held[organization] += weight
        return ticket, weight

    def leave(self, organization: str, weight: int) -> None:
        """Give back the places of a ticket that `next` handed out."""
        self.running -= weight
        self._held[organization] -= weight
        if not self._held[organization]:
            del self._held[organization]

    def _may(self, organization: str, capacity: int, greed: int | None, company: Company | None) -> bool:
        held = self._held[organization]
        if not held:
            return True
        then = held + self._waiting[organization][0][1]
        if greed is not None and then > greed * (capacity - self.running):
            return False
        return company is None or then <= company.most(organization, capacity, self._held)
