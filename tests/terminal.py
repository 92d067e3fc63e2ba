"""A pseudo-terminal whose screen can be read: what a person would see, scrolled lines included."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import threading

_TOKEN = re.compile(r'\x1b\[\??([\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+')


class Terminal:
    """A terminal of so many columns; ``file`` is what a process writes to."""

    def __init__(self, columns=5000):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 50, columns, 0, 0))
        self.columns = columns
        self.file = os.fdopen(slave, 'w')
        self.raw = b''
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                new = os.read(self.master, 65536)
            except OSError:  # nobody can write any more
                return
            if not new:
                return
            self.raw += new

    def __enter__(self):
        """Standard output and standard error are this terminal, until it is closed."""
        self.before = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = self.file
        return self

    def __exit__(self, *_):
        sys.stdout, sys.stderr = self.before
        self.close()

    def close(self):
        self.file.close()
        self._reader.join(10)
        os.close(self.master)

    def screens(self):
        """The lines on the screen after each picture that was drawn, and in the end."""
        lines, row, column = [''], 0, 0
        for token in _TOKEN.finditer(self.raw.decode()):
            text, (number, kind) = token[0], token.groups()
            if kind == 'A':
                row -= int(number or 1)
                assert row >= 0
            elif kind == 'K':
                lines[row] = '' if number == '2' else lines[row][:column]
            elif kind in ('m', 'h', 'l'):
                if kind == 'h' and number == '25':
                    yield list(lines)
            elif text == '\r':
                if row < len(lines) - 1 or '━' in lines[row] or 'loss' in lines[row]:
                    yield list(lines)
                column = 0
            elif text == '\n':
                row += 1
                lines += [''] * (row + 1 - len(lines))
            else:
                assert kind is None, f'an unknown sequence: {text!r}'
                assert column + len(text) <= self.columns, 'a line that the terminal would break'
                lines[row] = (
                    lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
                )
                column += len(text)
        yield lines

    @property
    def cursor_shown(self):
        return self.raw.rfind(b'\x1b[?25h') > self.raw.rfind(b'\x1b[?25l')
