"""Ctrl-C waits for the end of a block."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vitmm.interrupts import uninterrupted

pytestmark = pytest.mark.usefixtures('ctrl_c')


def test_one_waits():
    seen = []
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            seen.append('the end')
        seen.append('behind')
    assert seen == ['the end']


def test_a_second_does_not():
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail('not interrupted')


def test_an_error_goes_first():
    with pytest.raises(OSError, match='full'), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise OSError('full')


def test_a_handler_of_ones_own_hears_each_with_its_frame():
    heard = []

    def handler(number, frame):
        heard.append(frame.f_lineno)

    before = signal.signal(signal.SIGINT, handler)
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
        assert not heard
        signal.raise_signal(signal.SIGINT)
        assert len(heard) == 2
        signal.raise_signal(signal.SIGINT)
        assert len(heard) == 3
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
    assert len(heard) == 4
    with uninterrupted():
        signal.signal(signal.SIGINT, before)
    assert signal.getsignal(signal.SIGINT) is before


def test_without_one_nothing_changes():
    with pytest.raises(OSError, match='full'), uninterrupted():
        raise OSError('full')
    with uninterrupted(), uninterrupted():
        pass


def test_nested_blocks_wait_for_the_outer():
    seen = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
        seen.append('the end')
    assert seen == ['the end']
    with pytest.raises(KeyboardInterrupt), uninterrupted(), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail('not interrupted')


def test_other_threads_and_ignored_signals():
    def block():
        with uninterrupted():
            return threading.current_thread() is threading.main_thread()

    with ThreadPoolExecutor() as pool:
        assert pool.submit(block).result() is False
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert block() is True
    signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
