"""A real browser for tests: headless Chromium over a pipe of the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path


def browser() -> str | None:
    """The path of Chromium or Chrome, or None; ``BROWSER_BINARY`` names another."""
    names = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
    return os.environ.get('BROWSER_BINARY') or next(filter(None, map(shutil.which, names)), None)


class Page:
    """One page, open until the ``with`` block ends.

    Attributes:
        requests: the URLs that it has asked for.
        faults: messages of the console that tell of errors, and exceptions that nobody caught.
    """

    def __init__(self, profile: Path, width: int = 1280, height: int = 900) -> None:
        read, self.write = os.pipe()
        self.read, write = os.pipe()
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.number, self.rest, self.session = 0, b'', None
        options = (
            '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync '
            '--disable-background-networking --disable-component-update --remote-debugging-pipe '
            f'--hide-scrollbars --window-size={width},{height}'
        )
        # It reads at 3 and writes at 4; sh may take no numbers above 9.
        command = f'exec "$0" {options} --user-data-dir="$1" about:blank 3<&{read} 4>&{write}'
        self.process = subprocess.Popen(
            ['bash', '-c', command, browser(), str(profile)],
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        (target,) = (
            one for one in self.call('Target.getTargets')['targetInfos'] if one['type'] == 'page'
        )
        attached = self.call('Target.attachToTarget', targetId=target['targetId'], flatten=True)
        self.session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.call(f'{domain}.enable')

    def __enter__(self) -> 'Page':
        return self

    def __exit__(self, *_: object) -> None:
        self.session = None
        self.call('Browser.close')
        self.process.wait(20)
        os.close(self.read)
        os.close(self.write)

    def call(self, method: str, **parameters: object) -> dict:
        """Send a command and return its answer; events before it are noted."""
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self.number:
                assert 'error' not in answer, (method, answer['error'])
                return answer['result']
            self._note(answer.get('method'), answer.get('params', {}))

    def _receive(self, seconds: float = 30) -> dict:
        while b'\0' not in self.rest:
            assert select.select([self.read], [], [], seconds)[0], 'the browser says nothing'
            part = os.read(self.read, 1 << 20)
            assert part, 'the browser has ended'
            self.rest += part
        message, _, self.rest = self.rest.partition(b'\0')
        return json.loads(message)

    def _note(self, event: str | None, told: dict) -> None:
        if event == 'Network.requestWillBeSent':
            self.requests.append(told['request']['url'])
        elif event == 'Runtime.exceptionThrown':
            self.faults.append(json.dumps(told['exceptionDetails'])[:500])
        elif event == 'Runtime.consoleAPICalled' and told['type'] == 'error':
            self.faults.append(json.dumps(told['args'])[:500])
        elif event == 'Log.entryAdded' and told['entry']['level'] == 'error':
            self.faults.append(told['entry']['text'] + ' ' + told['entry'].get('url', ''))

    def run(self, script: str) -> object:
        """The value of an expression in the page."""
        found = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in found, found['exceptionDetails']
        return found['result'].get('value')

    def wait(self, script: str, seconds: float = 30) -> object:
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f'{script} stays {value}: ' + str(
                self.run('document.body.innerText')
            )
            time.sleep(0.05)
        return value

    def middle(self, element: str) -> dict[str, float]:
        """Where an element is, which a script finds; scrolled to."""
        self.run(f"({element}).scrollIntoView({{block: 'nearest', behavior: 'instant'}})")
        box = self.run(f'({element}).getBoundingClientRect().toJSON()')
        return {'x': box['x'] + box['width'] / 2, 'y': box['y'] + box['height'] / 2}

    def click(self, element: str) -> None:
        """Click on an element with the left button."""
        place = self.middle(element)
        for kind in ('mousePressed', 'mouseReleased'):
            self.call('Input.dispatchMouseEvent', type=kind, button='left', clickCount=1, **place)

    def drop(self, element: str, file: Path) -> None:
        """Drop a file on an element."""
        place = self.middle(element)
        data = {'items': [], 'files': [str(file)], 'dragOperationsMask': 1}
        for kind in ('dragEnter', 'dragOver', 'drop'):
            self.call('Input.dispatchDragEvent', type=kind, data=data, **place)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page another size, in pixels."""
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setDeviceMetricsOverride', **size)

    def picture(self) -> bytes:
        """A PNG of the whole page."""
        shot = self.call('Page.captureScreenshot', captureBeyondViewport=True)
        return base64.b64decode(shot['data'])
