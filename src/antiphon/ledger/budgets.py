"""Allowances that are refilled from the database where too little is left, and returned where it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from antiphon.errors import InsufficientQuota, Unavailable
from antiphon.ledger.allowances import Allowances, Scope
from antiphon.ledger.books import STORE_SECONDS, Books, View
from antiphon.money import money

BLOCK = 100_000_000_000
"""Nano-dollars ($100) that are leased at once of a scope without a limit."""
SHARE = 10
"""Of a limit, one part in so many is leased at once."""
OTHERS_SECONDS = 1.0
"""Longest wait for what other processes hold of a scope."""
RETRY_SECONDS = 0.1
TAKE_SECONDS = 10.0
"""Longest wait for a reservation in all, whatever the database does."""
LOOK_SECONDS = 0.25
"""Between two looks at the limits that are held of."""
POLICY_SECONDS = 1.0
"""How old may be what is known of limits and of prepaid organizations."""
IDLE_SECONDS = 2.0
"""After so long without a request, what is free of a limit is returned."""
FORGET_SECONDS = 60.0
"""The same for a scope without a limit, which nobody else is waiting for."""


class _Refill:
    """One scope's conversation with the database, for all the requests that wait for more of it."""

    def __init__(self, ask: Callable[[_Refill], Awaitable[int | None]]) -> None:
        self.amounts: list[int] = []
        self.task = asyncio.ensure_future(ask(self))
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())


class Budgets:
    """The allowances of one epoch, for requests that may have to wait for more. `monotonic` is in seconds."""

    def __init__(self, allowances: Allowances, books: Books, monotonic: Callable[[], float]) -> None:
        self._allowances, self._books, self._monotonic = allowances, books, monotonic
        self._refills: dict[Scope, _Refill] = {}
        self._views: dict[Scope, View] = {}
        """As last seen, of every scope that is held or asked for."""
        self._prepaid: dict[str, bool] = {}
        self._unknown: set[str] = set()
        """Organizations of which somebody waits to hear whether they are prepaid."""
        self._asking = asyncio.Lock()
        self._used: dict[Scope | str, float] = {}
        """When each scope, and each organization, last had a request."""
        self._looked = monotonic()
        self._closed = False

    async def prepaid(self, organization_id: str) -> bool:
        """Whether the organization may only spend what it was credited; at most about a second old."""
        self._used[organization_id] = self._monotonic()
        if organization_id not in self._prepaid:
            self._unknown.add(organization_id)
            try:
                async with asyncio.timeout(STORE_SECONDS), self._asking:
                    await self._learn(organization_id)
            except TimeoutError:
                raise _slow() from None
        return self._prepaid.get(organization_id, False)

    async def _learn(self, organization_id: str) -> None:
        """Ask once for all who wait: a crowd of transactions would keep everybody else from the database."""
        if organization_id not in self._prepaid:
            asked = {organization_id, *self._unknown}
            self._unknown.clear()
            self._prepaid |= await self._books.prepaid(sorted(asked))

    async def take(self, scopes: Sequence[Scope], amount: int) -> None:
        """Hold `amount` nano-dollars of every scope.

        Raises `InsufficientQuota` if that is not to be had, `Unavailable` if the database does not say.
        """
        self._used |= dict.fromkeys(scopes, self._monotonic())
        short = self._allowances.take(scopes, amount)
        if short is not None:
            try:
                async with asyncio.timeout(TAKE_SECONDS):
                    await self._wait(scopes, amount, short)
            except TimeoutError:
                raise _slow() from None

    async def look(self) -> None:
        """See what has changed, and return what is free of scopes that changed, are wanted, or are idle.

        To be called every `LOOK_SECONDS`: looks at scopes with a limit, and once in `POLICY_SECONDS` at all.
        """
        now = self._monotonic()
        everything = now - self._looked >= POLICY_SECONDS
        if everything:
            self._looked = now
            await self._renew_prepaid(now)
        seen = [s for s in self._allowances if everything or self._view(s).limit is not None]
        if seen:
            views = await self._books.look(seen)
            back = [scope for scope in seen if self._returns(scope, views[scope], now)]
            self._views |= views
            await self._books.give_back(back)
        self._forget()

    async def close(self) -> None:
        """Stop asking for more. Whoever waits is told `Unavailable`."""
        self._closed = True
        tasks = [refill.task for refill in self._refills.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, scopes: Sequence[Scope], amount: int, short: Scope | None) -> None:
        """Hold `amount` of every scope as soon as there is more of those that are `short`."""
        refused: dict[Scope, int] = {}
        while short is not None:
            if self._closed:
                raise _slow()
            if refused.get(short, amount + 1) <= amount:
                raise _insufficient(short, amount)
            too_much = await self._more(short, amount)
            if too_much is not None:
                refused[short] = too_much
            short = self._allowances.take(scopes, amount)

    async def _more(self, scope: Scope, amount: int) -> int | None:
        """Wait until there is more of `scope`; else the answer is the least amount that is not to be had."""
        refill = self._refills.get(scope)
        if refill is None:
            refill = self._refills[scope] = _Refill(partial(self._ask, scope))
        refill.amounts.append(amount)
        try:
            return await asyncio.shield(refill.task)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            raise _slow() from None  # the refill was given up, not this request

    async def _ask(self, scope: Scope, refill: _Refill) -> int | None:
        try:
            if scope not in self._views:
                # Before leasing, so that no wish of another process goes unseen between the two.
                views = await self._books.look([scope])
                self._views |= views
            deadline = self._monotonic() + OTHERS_SECONDS
            while True:
                amount = min(refill.amounts)
                need = amount - self._allowances.free(scope)
                if need <= 0 or await self._books.lease(scope, need, self._block(scope, need)):
                    return None
                if self._monotonic() >= deadline or not await self._books.others(scope):
                    return amount
                # What is left here is too little for anyone; another process may be able to use it.
                await self._books.give_back([scope])
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            del self._refills[scope]

    def _block(self, scope: Scope, need: int) -> int:
        """What to lease at best: a multiple of `need`, so that equal requests leave no rest behind."""
        limit = self._view(scope).limit
        return need * max(1, (BLOCK if limit is None else limit // SHARE) // need)

    def _view(self, scope: Scope) -> View:
        return self._views.get(scope, View(None, 0))

    def _returns(self, scope: Scope, view: View, now: float) -> bool:
        if scope in self._refills:
            return False
        idle = FORGET_SECONDS if view.limit is None else IDLE_SECONDS
        return view != self._view(scope) or now - self._used.get(scope, 0.0) > idle

    async def _renew_prepaid(self, now: float) -> None:
        used = [name for name in self._prepaid if now - self._used.get(name, 0.0) <= FORGET_SECONDS]
        self._prepaid = await self._books.prepaid(used) if used else {}

    def _forget(self) -> None:
        """Drop what is known of scopes and organizations that nothing is held of any more."""
        scopes = {*self._allowances, *self._refills}
        self._views = {scope: view for scope, view in self._views.items() if scope in scopes}
        kept = {*scopes, *self._prepaid}
        self._used = {name: when for name, when in self._used.items() if name in kept}


def _insufficient(scope: Scope, amount: int) -> InsufficientQuota:
    kinds = {"credit/": "prepaid balance of your organization", "proj_": "monthly budget of your project"}
    whose = next((text for start, text in kinds.items() if scope[0].startswith(start)), "")
    return InsufficientQuota(
        f"You exceeded your current quota: this request may cost up to {money(amount)}, and the "
        f"{whose or 'monthly budget of your organization'} does not leave that much. "
        "A smaller max_tokens, or a shorter recording, may cost less."
    )


def _slow() -> Unavailable:
    return Unavailable("Requests cannot be recorded at the moment.", retry_after=1)
