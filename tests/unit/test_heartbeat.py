"""The dead man's switch."""

import pytest
from domain import FakeWorld

from exporter.heartbeat import Heartbeat


@pytest.mark.parametrize(("seconds", "alive"), [(0, True), (300, True), (300.5, False)])
def test_without_a_first_sign_of_life_it_is_dead_after_five_minutes(seconds, alive):
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    world.pass_by(seconds)

    assert heartbeat.is_alive is alive


@pytest.mark.parametrize(("seconds", "alive"), [(899, True), (900, True), (901, False)])
def test_a_promise_holds_for_its_time_and_a_grace(seconds, alive):
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    heartbeat.promise(600)
    world.pass_by(seconds)

    assert heartbeat.is_alive is alive


def test_a_new_promise_replaces_the_last_even_when_it_is_shorter():
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    heartbeat.promise(6_000)
    heartbeat.promise(0)
    world.pass_by(301)

    assert not heartbeat.is_alive


def test_a_late_sign_of_life_revives_it():
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    world.pass_by(1_000)
    heartbeat.promise(0)

    assert heartbeat.is_alive
