import csv

import pytest

from vitmm.apis import atlas
from vitmm.errors import BackboneError
from vitmm.models.backbones.survey import survey


@pytest.mark.parametrize(
    ('name', 'parameters', 'gmacs'),
    # He et al. 2015 (fvcore counts 4.09), Liu et al. 2021 and 2022, without the classifiers.
    [
        ('resnet50', 25.56 - 2.05, 4.09),
        ('swin_tiny_patch4_window7_224', 28.29 - 0.77, 4.5),
        ('convnext_tiny', 28.59 - 0.77, 4.46),
    ],
)
def test_figures_are_the_published_ones(name, parameters, gmacs):
    found = survey(name)
    assert not found.refused
    assert found.parameters == pytest.approx(parameters, abs=0.02)
    assert found.gflops_224 == pytest.approx(gmacs, rel=0.01)
    assert found.strides == (4, 8, 16, 32)
    assert found.checkpointing
    assert 'in1k' in ' '.join(found.weights)


def test_tiles_cost_what_they_cost():
    found = survey('test_vit_relpos')  # 160 a side: 4 tiles for 224, 16 for 512
    assert found.sizes == 'tiles'
    assert found.gflops_512 == pytest.approx(4 * found.gflops_224, rel=0.01)


def test_a_class_token_that_goes_along_the_stages_is_counted():
    found = survey('pit_ti_224')  # torch's counter fails on it under no_grad
    assert not found.refused
    assert found.gflops_224 == pytest.approx(0.7, rel=0.05)  # Heo et al. 2021


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch, capsys):
    places = dict(out=tmp_path / 'docs', work_dir=tmp_path / 'work')
    rows = atlas.make_atlas(['resnet18', 'test_vit3'], workers=1, **places)
    assert [row['name'] for row in rows] == ['resnet18', 'test_vit3']
    assert '2 of 2' in capsys.readouterr().out
    page = (tmp_path / 'docs' / 'backbones.md').read_text()
    assert '| resnet18 | any | 224 | 4 8 16 32 | 64 128 256 512 | 11.2 | 1.81 |' in page
    with (tmp_path / 'docs' / 'backbones.csv').open() as file:
        assert [row['name'] for row in csv.DictReader(file)] == ['resnet18', 'test_vit3']

    # A killed run left half a line, and one architecture was refused.
    (store,) = (tmp_path / 'work').iterdir()
    with store.open('a') as file:
        file.write('{"name": "resnet34", "refu')
    asked = []

    def measure(names, workers):
        asked.extend(names)
        for name in names:
            yield {**rows[0], 'name': name, 'refused': 'it is tired'}

    monkeypatch.setattr(atlas, '_measure', measure)
    atlas.make_atlas(['resnet18', 'resnet34', 'test_vit3'], **places)
    assert asked == ['resnet34']
    shown = capsys.readouterr().out
    assert '2 of 3' in shown
    assert 'resnet34: it is tired' in shown
    atlas.make_atlas(['resnet18', 'resnet34', 'test_vit3'], **places)
    assert asked == ['resnet34', 'resnet34']  # what was refused is tried again


def test_unknown_names():
    with pytest.raises(BackboneError, match='resnet18'):
        atlas.make_atlas(['resnet_18'])
