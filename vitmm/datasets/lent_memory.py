"""Shared memory that a worker lends to the training process, and uses again when it is back.

Fresh shared memory comes page by page in both processes, which takes a third of their time. Here
both keep what they have mapped. Its first byte says whose turn it is: what is ``LENT`` belongs to
the training process, until nothing refers to the batch that lies there any more; what is ``FREE``
belongs to the worker. Either may make ``RETIRED`` what it owns, and is done with it.

The memory has no name and no file in ``/dev/shm``: it ends with the last process that maps it.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import weakref
from multiprocessing import reduction  # on Windows without DupFd
from typing import NamedTuple

import numpy as np

FREE, LENT, RETIRED = range(3)
START = 64  # bytes before the batch
MOST = 16  # pieces that a worker keeps; when all are lent, others are used once
NAME = 'vitmm'  # in /proc/PID/maps


class Ticket(NamedTuple):
    """Says to the training process which memory is lent; ``file`` comes along the first time."""

    pid: int
    number: int
    file: reduction.DupFd | None


class Lender:
    """A worker's memory."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.pieces: dict[int, mmap.mmap] = {}
        self.made = 0

    def lend(self, size: int) -> tuple[np.ndarray, Ticket]:
        """Memory for a batch of ``size`` bytes, which lies from ``START`` on.

        Raises:
            OSError: the system has no memory or no file descriptor left.
        """
        self.pieces = {n: piece for n, piece in self.pieces.items() if piece[0] != RETIRED}
        free = [n for n, piece in self.pieces.items() if piece[0] == FREE]
        number = next((n for n in free if len(self.pieces[n]) >= START + size), None)
        if number is not None:
            piece = self.pieces[number]
            piece[0] = LENT
            return np.frombuffer(piece, np.uint8), Ticket(self.pid, number, None)
        for small in free:
            self.pieces.pop(small)[0] = RETIRED
        self.made += 1
        file = os.memfd_create(NAME)
        try:
            # Batches differ in size. What is not written to takes no memory.
            os.ftruncate(file, 2 ** (START + size).bit_length())
            piece = mmap.mmap(file, 0)
            piece[0] = LENT if len(self.pieces) < MOST else RETIRED
            if piece[0] == LENT:
                self.pieces[self.made] = piece
            ticket = Ticket(self.pid, self.made, reduction.DupFd(file))
            return np.frombuffer(piece, np.uint8), ticket
        finally:
            os.close(file)


_lender: Lender | None = None


def lend(size: int) -> tuple[np.ndarray, Ticket]:
    """This worker's :meth:`Lender.lend`."""
    global _lender
    if _lender is None or _lender.pid != os.getpid():
        _lender = Lender()
    return _lender.lend(size)


class _Piece:
    """Memory of a worker, in the training process."""

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.lease: weakref.finalize | None = None

    def lease_out(self) -> np.ndarray:
        whole = np.frombuffer(self.memory, np.uint8)
        self.lease = weakref.finalize(whole, _give_back, self.memory)
        self.lease.atexit = False
        return whole


# They go when the loader has joined its workers, and forgets them.
_workers: weakref.WeakValueDictionary[int, multiprocessing.Process] = weakref.WeakValueDictionary()
_kept: weakref.WeakKeyDictionary[multiprocessing.Process, dict[int, _Piece]]
_kept = weakref.WeakKeyDictionary()


def borrow(ticket: Ticket) -> np.ndarray:
    """The memory of a ticket, which goes back when nothing refers to the array any more."""
    if ticket.file is None:
        return _kept[_workers[ticket.pid]][ticket.number].lease_out()
    file = ticket.file.detach()
    try:
        memory = mmap.mmap(file, 0)
    finally:
        os.close(file)
    if memory[0] == LENT:
        pieces = _pieces_of(ticket.pid)
        if pieces is not None:
            for number in [n for n, piece in pieces.items() if piece.memory[0] == RETIRED]:
                del pieces[number]
            pieces[ticket.number] = _Piece(memory)
            return pieces[ticket.number].lease_out()
        memory[0] = RETIRED
    return np.frombuffer(memory, np.uint8)


def forget(pid: int) -> None:
    """Let go of what is kept of a worker that has ended: torch may hold on to its process."""
    process = _workers.pop(pid, None)
    if process is not None:
        _kept.pop(process, None)


def _pieces_of(pid: int) -> dict[int, _Piece] | None:
    """What is kept of a worker; None if it is no child of this process."""
    process = _workers.get(pid)
    if process is None or not process.is_alive():
        children = multiprocessing.active_children()
        process = next((child for child in children if child.pid == pid), None)
        if process is None:
            return None
        _workers[pid] = process
    return _kept.setdefault(process, {})


def _give_back(memory: mmap.mmap) -> None:
    if memory[0] == LENT:
        memory[0] = FREE


def _leave_to_child() -> None:
    """A batch that a forked child has, too, is never given back: the other may look at it still."""
    for pieces in list(_kept.values()):
        for number, piece in list(pieces.items()):
            if piece.lease and piece.lease.alive:
                piece.memory[0] = RETIRED
                del pieces[number]


def _forget() -> None:
    _workers.clear()
    _kept.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(before=_leave_to_child, after_in_child=_forget)
