"""How the descriptors of the process are divided."""

import errno
import os
import resource

import pytest

from exporter import descriptors


@pytest.fixture
def limit(monkeypatch):
    def limit(soft, hard=None):
        limits = (soft, soft if hard is None else hard)
        monkeypatch.setattr(resource, "getrlimit", lambda _: limits)

    return limit


@pytest.mark.parametrize(
    ("soft", "clients", "gateways"),
    [(64, 32, 16), (1024, 256, 704), (8192, 256, 7872), (4, 2, 1)],
)
def test_clients_and_gateways_leave_descriptors_for_everything_else(limit, soft, clients, gateways):
    limit(soft)

    assert (descriptors.for_clients(), descriptors.for_gateways()) == (clients, gateways)


def test_without_a_limit_clients_are_still_bounded(limit):
    limit(resource.RLIM_INFINITY)

    assert descriptors.for_clients() == 256


def test_the_soft_limit_is_raised_to_the_hard_one(limit, monkeypatch):
    raised = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    limit(1024, 8192)
    descriptors.raise_limit()

    assert raised == [(8192, 8192)]


def test_a_sandbox_that_forbids_to_raise_the_limit_is_no_error(limit, monkeypatch):
    def forbid(*_):
        raise PermissionError

    monkeypatch.setattr(resource, "setrlimit", forbid)
    limit(1024, 8192)
    descriptors.raise_limit()


@pytest.mark.parametrize(
    ("number", "used_up"), [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ENOENT, False)]
)
def test_that_no_descriptor_is_left_is_told_by_the_kernel(monkeypatch, number, used_up):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    assert descriptors.are_used_up() is False
    monkeypatch.setattr(os, "open", fail)
    assert descriptors.are_used_up() is used_up
