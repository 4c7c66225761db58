"""Keys and keyrings: HAProxy's order, sizes, and names that disclose nothing."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.tickets.keyring import KEY_COUNT, KEY_SIZES, InvalidKey, Key, Keyring, missing_key_count

keys = st.binary(min_size=80, max_size=80).map(Key)
keyring_names = st.lists(st.sampled_from("abcde"), min_size=3, max_size=3)


@given(st.sampled_from(KEY_SIZES).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_given_any_key_then_base64_restores_it_and_its_repr_shows_the_name_only(value: bytes) -> None:
    key = Key(value)

    assert Key.decode(key.encode()) == key
    assert key.name == value[:16].hex()
    assert repr(key) == f"<key {key.name}>"
    assert repr((key,)) == f"({key!r},)"


@pytest.mark.parametrize("size", [0, 16, 47, 49, 79, 81, 160])
def test_given_another_size_then_the_key_is_invalid(size: int) -> None:
    with pytest.raises(InvalidKey, match=f"A ticket key has 48 or 80 bytes, not {size}"):
        Key(bytes(size))


@pytest.mark.parametrize("text", ["", "?", "AAAA\nAAAA", "A" * 64 + "!", "ä" * 107, "A" * 65])
def test_given_an_invalid_key_then_the_error_does_not_show_it(text: str) -> None:
    with pytest.raises(InvalidKey) as caught:
        Key.decode(text)
    assert str(caught.value) == "A ticket key is 48 or 80 bytes in base64, on one line."


@given(st.lists(keys, min_size=10, max_size=40, unique_by=lambda key: key.name))
def test_given_rotations_then_each_key_is_next_then_encrypts_then_decrypts_then_is_dropped(made: list[Key]) -> None:
    keyring = Keyring(tuple(made[:KEY_COUNT]))
    for number in range(KEY_COUNT, len(made)):
        keyring = keyring.push(made[number])
        assert keyring.keys == tuple(made[number - 2 : number + 1])
        assert Keyring.decode(keyring.encode()) == keyring


@given(st.lists(keys, min_size=12, max_size=12, unique_by=lambda key: key.name), st.integers(0, 9))
def test_given_a_keyring_that_missed_rotations_then_pushing_the_missing_keys_makes_it_equal(
    made: list[Key], behind: int
) -> None:
    keyring, target = Keyring(tuple(made[9 - behind : 12 - behind])), Keyring(tuple(made[9:]))

    count = missing_key_count(keyring.names, target.names)

    assert count == min(behind, KEY_COUNT)
    assert keyring.push(*target.newest(count)) == target


@given(keyring_names, keyring_names)
def test_given_any_two_keyrings_then_the_missing_count_is_sufficient_and_minimal(
    names: list[str], target: list[str]
) -> None:
    count = missing_key_count(names, target)

    pushes = [(names + target[KEY_COUNT - each :])[-KEY_COUNT:] == target for each in range(KEY_COUNT + 1)]
    assert pushes.index(True) == count


def test_given_keys_that_are_no_keyring_then_the_error_says_why() -> None:
    first, second, third = Keyring.generate(80, os.urandom).keys
    with pytest.raises(InvalidKey, match="three keys of one size"):
        Keyring((first, second))
    with pytest.raises(InvalidKey, match="three keys of one size"):
        Keyring((first, second, Key.generate(48, os.urandom)))
    with pytest.raises(InvalidKey, match="pushed twice"):
        Keyring((first, third, third))
