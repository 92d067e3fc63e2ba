"""Why a file cannot be read is said, on one line."""

import pytest

from vitmm.datasets import CheckedLoad, DataError, LoadImage


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (None, 'No such file or directory'),
        (b'', 'it is empty'),
        (b'no image', 'OpenCV cannot decode it'),
        (b'II*\0' + bytes(200), r'[\w ,.:]+'),
    ],
)
@pytest.mark.parametrize('checked', [False, True])
def test_why_a_file_cannot_be_read(checked, content, reason, tmp_path):
    path = tmp_path / 'a.jpg'
    if content is not None:
        path.write_bytes(content)
    load = LoadImage()
    if checked:
        load = CheckedLoad(dict(type='LoadImageFromFile'))
    with pytest.raises(DataError, match=rf'a\.jpg cannot be read \({reason}\): replace') as caught:
        load.transform({'img_path': str(path)})
    assert '\n' not in str(caught.value)
