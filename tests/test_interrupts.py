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


def test_an_error_stays_the_reason():
    with pytest.raises(KeyboardInterrupt) as caught, uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise OSError('full')
    assert isinstance(caught.value.__context__, OSError)


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
