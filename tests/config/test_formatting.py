"""A config's text is formatted once, and is the same as ever."""

from mmengine.config import Config
from mmengine.config import config as mmengine_config

from vitmm.config.formatting import format_once


def test_same_text_formatted_once(monkeypatch):
    calls = []
    plain = mmengine_config.FormatCode
    plain = getattr(plain, '__wrapped__', plain)

    def counted(text, **style):
        calls.append(text)
        return plain(text, **style)

    monkeypatch.setattr(mmengine_config, 'FormatCode', counted)
    config = Config(dict(model=dict(type='A', channels=[1, 2]), lr=0.1))
    expected = config.pretty_text
    format_once()
    format_once()
    calls.clear()
    assert [config.pretty_text, config.dump(), Config(config.to_dict()).pretty_text] == 3 * [
        expected
    ]
    assert len(calls) == 1
    config.lr = 0.2
    assert 'lr = 0.2' in config.pretty_text
    assert len(calls) == 2
