from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from antiphon.access import tokens

ALPHABET = string.digits + string.ascii_letters
LENGTH = 52

bodies = st.text(ALPHABET, min_size=43, max_size=43)
keys = bodies.map(lambda body: f"sk-{body}{tokens._check(body)}")


def test_a_new_key_has_the_shape_and_the_checksum_and_is_never_the_same() -> None:
    made = {tokens.new_secret() for _ in range(1000)}
    assert len(made) == 1000
    for key in made:
        assert len(key) == LENGTH and key.startswith("sk-") and set(key[3:]) <= set(ALPHABET)
        assert tokens.is_well_formed(key)


def test_a_rotation_derives_its_secret_from_the_pepper_the_key_and_its_name() -> None:
    pepper = bytes(32)
    one = tokens.rotated_secret(pepper, "key_a", "t")
    assert one == tokens.rotated_secret(pepper, "key_a", "t") and tokens.is_well_formed(one)
    others = {
        tokens.rotated_secret(bytes(31) + b"x", "key_a", "t"),
        tokens.rotated_secret(pepper, "key_b", "t"),
        tokens.rotated_secret(pepper, "key_a", "u"),
    }
    assert len(others | {one}) == 4


def test_a_tenant_is_told_by_the_pepper_alone() -> None:
    one = tokens.tenant(bytes(32), "org-a")
    assert one == tokens.tenant(bytes(32), "org-a") and "org-a" not in one
    assert len({one, tokens.tenant(bytes(31) + b"x", "org-a"), tokens.tenant(bytes(32), "org-b")}) == 3


def test_what_is_stored_of_a_rotation_is_not_what_its_secret_is_made_of() -> None:
    pepper = bytes(32)
    stored = tokens.rotation(pepper, "key_a", "t")
    assert len(stored) == 32 and stored != tokens.rotation(pepper, "key_a", "u")
    assert tokens._written(int.from_bytes(stored)) != tokens.rotated_secret(pepper, "key_a", "t")


@given(keys, st.integers(0, LENGTH - 1), st.characters())
def test_every_change_of_one_character_is_rejected(key: str, at: int, other: str) -> None:
    changed = key[:at] + other + key[at + 1 :]
    assert tokens.is_well_formed(key)
    assert tokens.is_well_formed(changed) == (changed == key)


@given(keys, st.integers(0, LENGTH - 1))
def test_a_missing_or_doubled_character_is_rejected(key: str, at: int) -> None:
    assert not tokens.is_well_formed(key[:at] + key[at + 1 :])
    assert not tokens.is_well_formed(key[:at] + key[at] + key[at:])


@given(st.text())
def test_anything_else_is_rejected_whatever_it_is(text: str) -> None:
    assert not tokens.is_well_formed(text)


def test_what_surrounds_a_key_is_not_ignored() -> None:
    key = tokens.new_secret()
    for changed in (f" {key}", f"{key}\n", f"{key}\0", key.upper(), key.replace("sk-", "SK-"), f"{key}{key}"):
        assert not tokens.is_well_formed(changed)


@given(keys)
def test_at_most_twelve_characters_of_a_key_are_shown(key: str) -> None:
    assert tokens.redacted(key) == f"{key[:8]}****{key[-4:]}"


@given(st.text(max_size=23) | st.text(ALPHABET, min_size=256, max_size=300) | st.just("é" * 30))
def test_of_what_is_short_or_long_or_not_plain_text_nothing_is_shown(text: str) -> None:
    assert tokens.redacted(text) == "****"
