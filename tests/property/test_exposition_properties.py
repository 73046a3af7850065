"""Whatever the keys are called and whatever the time: the bytes are the library's own, and they parse back."""

import asyncio
import gzip

from domain import NOW, a_balance, a_listing, a_reading, a_state, an_api_key, failure
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import generate_latest as library_text
from prometheus_client.openmetrics.exposition import generate_latest as library_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.errors import Reason
from exporter.exposition import Exposition
from exporter.model import label_text
from exporter.rendering import Form
from exporter.snapshot import Snapshot

names = st.text(st.characters() | st.sampled_from('"\\\n\r\t {}=,#'), max_size=12) | st.text(
    st.characters(categories=["Cs"]), max_size=3
)
int64 = st.integers(-(2**63), 2**63 - 1)
near_now = st.integers(NOW - 5, NOW + 5)

api_keys = st.builds(
    an_api_key,
    id=st.integers(1, 30),
    name=names.map(label_text),
    group=st.sampled_from(["", "vip"]) | names.map(label_text),
    status=st.integers(0, 5),
    remaining_quota=st.none() | int64,
    used_quota=int64,
    expires_at=st.none() | near_now | int64,
    created_at=st.none() | int64,
    last_used_at=st.none() | int64,
    has_model_limits=st.booleans(),
)


@st.composite
def states(draw, name="main"):
    """Build an account that was read, failed, both or neither."""
    state = a_state(name=name, stale_after_seconds=draw(st.sampled_from([0.3, 3.0, 3600.0])))
    if draw(st.integers(0, 3)):
        listing = a_listing(*draw(st.lists(api_keys, max_size=6)))
        balance = draw(st.none() | st.builds(a_balance, remaining_quota=int64))
        state = state.succeeded(a_reading(listing, balance=balance, at=NOW + draw(st.floats(-4, 1))))
    return state.failed(failure(Reason.TIMEOUT), NOW) if draw(st.booleans()) else state


snapshots = st.builds(lambda a, b: Snapshot.of([a, b]), states("main"), states("Zweites"))
steps = st.lists(st.floats(0, 4) | st.integers(0, 6), min_size=1, max_size=3)


def own_counter():
    counter = Counter("own_things", "Things.", registry=None)
    counter.inc(3)
    return counter


def library_bytes(registry: CollectorRegistry, form: Form) -> bytes:
    return library_text(registry) if form is Form.TEXT else library_openmetrics(registry)


@given(snapshots, steps)
@settings(max_examples=60, deadline=None)
def test_every_form_and_packing_is_byte_for_byte_what_the_library_gives_at_that_instant(snapshot, waits):
    now = [float(NOW)]
    exposition = Exposition(current=lambda: snapshot, own=[own_counter()], clock=lambda: now[0])

    async def check() -> None:
        for wait in waits:
            now[0] += wait
            for form in Form:
                expected = library_bytes(exposition.registry, form)
                assert await exposition.whole(form, gzipped=False) == expected
                assert gzip.decompress(await exposition.whole(form, gzipped=True)) == expected

    asyncio.run(check())


@given(st.lists(snapshots, min_size=2, max_size=3))
@settings(max_examples=20, deadline=None)
def test_after_each_exchange_the_bytes_are_those_of_the_new_snapshot(history):
    current = [history[0]]
    exposition = Exposition(current=lambda: current[0], own=[], clock=lambda: NOW)

    async def check() -> None:
        for snapshot in history:
            current[0] = snapshot
            expected = library_bytes(exposition.registry, Form.TEXT)
            assert gzip.decompress(await exposition.whole(Form.TEXT, gzipped=True)) == expected

    asyncio.run(check())


@given(names, names)
@settings(max_examples=150, deadline=None)
def test_any_name_of_a_key_or_group_comes_back_from_both_parsers(name, group):
    key = an_api_key(id=7, name=label_text(name), group=label_text(group), expires_at=NOW + 5)
    snapshot = Snapshot.of([a_state().succeeded(a_reading(a_listing(key), at=NOW))])
    exposition = Exposition(current=lambda: snapshot, own=[], clock=lambda: NOW)

    async def texts() -> list[str]:
        return [(await exposition.whole(form, gzipped=False)).decode() for form in Form]

    text, openmetrics = asyncio.run(texts())
    for parsed in (parse_text(text), parse_openmetrics(openmetrics)):
        found = [sample for family in parsed for sample in family.samples if "key_name" in sample.labels]
        assert len(found) == 10
        assert {(s.labels["key_name"], s.labels["group"]) for s in found} == {(key.name, key.group)}


@given(st.lists(api_keys, max_size=6), st.floats(-2, 8))
@settings(max_examples=40, deadline=None)
def test_the_counts_agree_with_the_keys_beside_them(listed, wait):
    snapshot = Snapshot.of([a_state().succeeded(a_reading(a_listing(*listed), at=NOW))])
    exposition = Exposition(current=lambda: snapshot, own=[], clock=lambda: NOW + wait)
    value: dict[str, float] = {}
    for family in parse_openmetrics(asyncio.run(exposition.whole(Form.OPENMETRICS, gzipped=False)).decode()):
        value[family.name] = sum(sample.value for sample in family.samples)

    assert value["cometapi_keys"] == len({key.id for key in listed})
    assert value["cometapi_keys_usable"] == value["cometapi_key_usable"]
