"""`Antiphon-Retention`: a single request of which nothing is kept, whatever the policy of its project is.

The same header in the answer says that it was understood: who has to know asks something harmless first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.values import Caller, Policy

if TYPE_CHECKING:
    from antiphon.api.exchange import Exchange

HEADER = "Antiphon-Retention"
ZERO = "zero_data_retention"
"""The one value that there is: this policy of an organization, for a request."""


def policed(exchange: Exchange, caller: Caller) -> Caller:
    """The caller under the policy that the request asks for.

    Raises `InvalidRequest` for another value: who asks for something stricter must not be kept for a typo.
    """
    wanted = exchange.headers.get(HEADER.lower())
    if wanted is None:
        return caller
    if wanted != ZERO:
        raise InvalidRequest(f"The header '{HEADER}' must be '{ZERO}'.", param=HEADER, code="invalid_value")
    exchange.answer_headers[HEADER.lower()] = ZERO
    return msgspec.structs.replace(caller, policy=Policy(days=0, stores=False))
