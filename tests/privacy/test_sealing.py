"""What is sealed is read with its key, as what it is, and unchanged, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.privacy.sealing import Unreadable, bound, new_secret, seal, unseal

OF = bound("org-1", "cont_1", "payload")


@given(st.binary(max_size=300))
def test_it_is_read_as_it_was(plain: bytes) -> None:
    secret = new_secret()
    sealed = seal(secret, plain, OF)
    assert unseal(secret, sealed, OF) == plain
    assert sealed != seal(secret, plain, OF)
    assert len(plain) < 4 or plain not in sealed


@given(st.data())
def test_any_change_is_noticed(data: st.DataObject) -> None:
    secret = new_secret()
    sealed = bytearray(seal(secret, b"a prompt", OF))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unreadable):
        unseal(secret, bytes(sealed), OF)


@pytest.mark.parametrize(
    "of",
    [
        bound("org-2", "cont_1", "payload"),
        bound("org-1", "cont_2", "payload"),
        bound("org-1", "cont_1", "metadata"),
    ],
)
def test_it_is_read_as_nothing_else(of: bytes) -> None:
    secret = new_secret()
    with pytest.raises(Unreadable):
        unseal(secret, seal(secret, b"a prompt", OF), of)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(12)])
def test_what_is_too_short_is_unreadable(sealed: bytes) -> None:
    with pytest.raises(Unreadable):
        unseal(new_secret(), sealed, OF)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Unreadable):
        unseal(new_secret(), seal(new_secret(), b"a prompt", OF), OF)
