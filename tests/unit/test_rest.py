"""A model rests while nobody needs it."""

from __future__ import annotations

from hearth.services.rest import Rest


def test_rest_ends_at_once_only_for_a_model_that_nobody_needs() -> None:
    rest = Rest(60.0)
    rest.last_used -= 61.0
    assert rest.seconds_left() == 0.0
    rest.hold()
    rest.hold()
    rest.release()
    assert rest.is_held
    assert rest.seconds_left() == 60.0
    rest.release()
    assert not rest.is_held
    assert 0.0 < (rest.seconds_left() or 0.0) <= 60.0


def test_what_the_owner_sets_for_a_model_counts_before_what_counts_for_all() -> None:
    rest = Rest(60.0)
    rest.own_seconds = 0.0
    assert rest.seconds_left() is None
    rest.seconds, rest.own_seconds = 0.0, 5.0
    assert (rest.seconds_left() or 0.0) > 0.0
    rest.own_seconds = None
    assert rest.seconds_left() is None
