"""Images of any number of bands and bits: what is loaded is what was written."""

import importlib.util

import cv2
import mmcv
import numpy as np
import pytest
import tifffile
import torch
from mmcv.transforms import LoadImageFromFile
from multiband import write_tiff
from PIL import Image, ImageOps
from support import CONFIGS

from vitmm.config import load_config, resolve
from vitmm.datasets import DataError, ForRGB, LoadImage, check_annotations
from vitmm.errors import ConfigError
from vitmm.registry import MODELS

PER_255 = {'uint8': 1, 'uint16': 257, 'float32': 1 / 255, 'int16': 32767 / 255}


def load(path, channels, **options):
    return LoadImage(channels, **options).transform({'img_path': str(path)})


def values(kind, *shape):
    high = 1 if kind == 'float32' else np.iinfo(kind).max
    return (np.random.default_rng(0).random(shape) * high).astype(kind)


def bgr(image):
    return image[..., ::-1] if image.shape[2] == 3 else image


@pytest.mark.parametrize('kind', PER_255)
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 12])
@pytest.mark.parametrize('planar', [False, True])
def test_a_tiff_is_loaded_as_it_was_written(kind, bands, planar, tmp_path):
    written = values(kind, 40, 60, bands)
    write_tiff(tmp_path / 'a.tif', written, planar)
    results = load(tmp_path / 'a.tif', bands)
    assert results['img_shape'] == results['ori_shape'] == (40, 60)
    assert results['img'].dtype == ('uint8' if kind == 'uint8' else 'float32')
    expected = bgr(written) / np.float32(PER_255[kind])
    assert np.array_equal(results['img'], expected.astype(np.float32))


@pytest.mark.parametrize('bands', [1, 4, 12])
@pytest.mark.parametrize(
    'options',
    [
        {'photometric': 'minisblack', 'tile': (16, 16)},
        {'photometric': 'minisblack', 'bigtiff': True, 'byteorder': '>'},
        {},  # rows of columns and bands, (H, W, 12), become H pages
    ],
    ids=['tiles', 'bigtiff', 'by-default'],
)
def test_other_layouts(bands, options, tmp_path):
    written = values('uint16', 40, 60, bands)
    layout = {'planarconfig': 'contig'} if options and bands > 1 else {}
    tifffile.imwrite(tmp_path / 'a.tif', written, **options, **layout)
    image = load(tmp_path / 'a.tif', bands)['img']
    assert np.array_equal(image, written / np.float32(257))


@pytest.mark.parametrize('bands', [3, 4, 12])
def test_a_page_a_band(bands, tmp_path):
    written = values('uint8', bands, 40, 60)
    with tifffile.TiffWriter(tmp_path / 'a.tif') as file:
        for page in written:
            file.write(page, photometric='minisblack')
    image = load(tmp_path / 'a.tif', bands)['img']
    assert np.array_equal(bgr(image).transpose(2, 0, 1), written)


def test_overviews_are_not_bands(tmp_path):
    written = values('uint16', 64, 64, 4)
    with tifffile.TiffWriter(tmp_path / 'a.tif') as file:
        how = {'photometric': 'minisblack', 'planarconfig': 'contig'}
        file.write(written, subifds=1, **how)
        file.write(written[::2, ::2].copy(), subfiletype=1, **how)
    assert np.array_equal(load(tmp_path / 'a.tif', 4)['img'], written / np.float32(257))


@pytest.mark.parametrize(
    ('mode', 'suffix'),
    [('RGB', 'png'), ('RGB', 'jpg'), ('RGB', 'tif'), ('L', 'png'), ('L', 'jpg'), ('L', 'tif'),
     ('RGBA', 'png'), ('RGBA', 'tif'), ('P', 'png'), ('P', 'tif'), ('1', 'tif'), ('CMYK', 'jpg')],
)  # fmt: skip
def test_three_channels_of_8_bits_are_loaded_as_mmcv_does(mode, suffix, tmp_path):
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(values('uint8', 40, 60, 3)).convert(mode).save(path)
    ours, stock = load(path, 3), LoadImageFromFile().transform({'img_path': str(path)})
    assert ours['img'].dtype == stock['img'].dtype == np.uint8
    assert np.array_equal(ours['img'], stock['img'])
    assert {k: v for k, v in ours.items() if k != 'img'} == {
        k: v for k, v in stock.items() if k != 'img'
    }


def test_images_turned_by_exif_are_turned(tmp_path):
    grey = Image.fromarray(values('uint8', 40, 60))
    exif = Image.Exif()
    exif[0x0112] = 6
    grey.save(tmp_path / 'a.jpg', exif=exif)
    assert load(tmp_path / 'a.jpg', 3)['img'].shape == (60, 40, 3)
    assert load(tmp_path / 'a.jpg', 1)['img'].shape == (60, 40, 1)


@pytest.mark.parametrize('place', range(1, 9))
@pytest.mark.parametrize(
    ('kind', 'bands', 'compression'),
    [('uint8', 3, None), ('uint16', 1, None), ('uint16', 3, None), ('uint8', 5, None),
     ('uint16', 1, 'tiff_lzw')],
)  # fmt: skip
def test_tiffs_that_lie_are_turned(place, kind, bands, compression, tmp_path):
    """As Pillow turns a picture of the same Orientation; LZW is what OpenCV reads."""
    written = values(kind, 40, 60, bands)
    if compression:
        picture = Image.fromarray(written[..., 0])
        picture.save(tmp_path / 'a.tif', compression=compression, tiffinfo={274: place})
    else:
        tifffile.imwrite(
            tmp_path / 'a.tif',
            written if bands > 1 else written[..., 0],
            photometric='rgb' if bands == 3 else 'minisblack',
            planarconfig='contig' if bands > 1 else None,
            extratags=[(274, 'H', 1, place, True)],
        )
    turned = []
    for band in written.transpose(2, 0, 1):
        picture = Image.fromarray(band.astype(np.int32))
        picture.getexif()[274] = place
        turned.append(np.asarray(ImageOps.exif_transpose(picture), np.float32))
    scale = np.float32(1 if kind == 'uint8' else 257)
    image = load(tmp_path / 'a.tif', bands)['img']
    assert np.array_equal(image, bgr(np.stack(turned, axis=2)) / scale)


@pytest.mark.parametrize('compression', [None, 'tiff_lzw', 'packbits'])
def test_colour_tiffs_need_no_other_package(compression, tmp_path):
    written = values('uint8', 40, 60, 3)
    Image.fromarray(written).save(tmp_path / 'a.tif', compression=compression)
    assert np.array_equal(load(tmp_path / 'a.tif', 3)['img'], bgr(written))


@pytest.mark.parametrize('kind', ['uint8', 'uint16'])
@pytest.mark.parametrize('bands', [1, 3, 4])
def test_pngs(kind, bands, tmp_path):
    written = values(kind, 40, 60, bands)
    order = [2, 1, 0, 3][:bands] if bands > 1 else [0]
    cv2.imwrite(str(tmp_path / 'a.png'), written[..., order])  # which writes BGR as RGB
    image = load(tmp_path / 'a.png', bands)['img']
    assert np.array_equal(bgr(image), written / np.float32(PER_255[kind]))


def test_a_grey_image_fills_three_channels(tmp_path):
    written = values('uint16', 40, 60, 1)
    write_tiff(tmp_path / 'a.tif', written)
    image = load(tmp_path / 'a.tif', 3)['img']
    assert np.array_equal(image, np.repeat(written / np.float32(257), 3, axis=2))


def test_max_value_becomes_255(tmp_path):
    written = values('uint16', 40, 60, 4) >> 4  # 12 bits in 16
    write_tiff(tmp_path / 'a.tif', written)
    image = load(tmp_path / 'a.tif', 4, max_value=4095)['img']
    assert image.max() == pytest.approx(255, abs=0.1)
    assert np.allclose(image, written * (255 / 4095))


def test_pixels_without_data_become_0(tmp_path):
    written = values('float32', 40, 60, 4)
    written[:2], written[2], written[3] = np.nan, np.inf, -9999
    nodata = (42113, 's', 0, '-9999', True)  # GDAL's tag
    write_tiff(tmp_path / 'a.tif', written, extratags=[nodata])
    image = load(tmp_path / 'a.tif', 4)['img']
    assert not image[:4].any()
    assert np.allclose(image[4:], written[4:] * 255)


def test_floats_beyond_1_ask_for_max_value(tmp_path):
    write_tiff(tmp_path / 'a.tif', values('float32', 40, 60, 4) * 3000)
    with pytest.raises(DataError, match=r'a\.tif holds floats up to 2999.*max_value'):
        load(tmp_path / 'a.tif', 4)
    assert load(tmp_path / 'a.tif', 4, max_value=3000)['img'].max() == pytest.approx(255, abs=0.1)


@pytest.mark.parametrize(
    ('name', 'bands', 'channels'),
    [('a.tif', 12, 4), ('a.tif', 4, 12), ('a.tif', 12, 3), ('a.tif', 4, 3), ('a.tif', 3, 1),
     ('a.tif', 5, 3), ('a.tif', 1, 4), ('a.png', 3, 1), ('a.png', 1, 4), ('a.jpg', 3, 4)],
)  # fmt: skip
def test_another_number_of_bands(name, bands, channels, tmp_path):
    image = values('uint8', 40, 60, bands)
    if name == 'a.tif':
        write_tiff(tmp_path / name, image)
    else:
        cv2.imwrite(str(tmp_path / name), image)
    with pytest.raises(DataError) as caught:
        load(tmp_path / name, channels)
    text = str(caught.value)
    assert str(tmp_path / name) in text and '\n' not in text
    assert f'has {bands} band' in text and f'takes {channels}:' in text
    assert f'model.backbone.in_chans={bands}' in text


@pytest.mark.parametrize('share', [0, 0.0005, 0.01, 0.5, 0.999])
@pytest.mark.parametrize('compression', [None, 'zlib'])
def test_a_tiff_that_was_cut(share, compression, tmp_path):
    write_tiff(tmp_path / 'whole.tif', values('uint16', 80, 60, 4), compression=compression)
    content = (tmp_path / 'whole.tif').read_bytes()
    (tmp_path / 'cut.tif').write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r'cut\.tif cannot be read') as caught:
        load(tmp_path / 'cut.tif', 4)
    assert '\n' not in str(caught.value)


def test_no_image_and_no_file(tmp_path):
    (tmp_path / 'a.tif').write_bytes(b'II*\0' + bytes(200))
    (tmp_path / 'a.png').write_text('an image it is not')
    for name in ('a.tif', 'a.png', 'nowhere.tif'):
        with pytest.raises(DataError, match=f'{name} cannot be read'):
            load(tmp_path / name, 4)


def test_a_stack_of_colour_pages_is_no_image(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', values('uint8', 5, 40, 60, 3), photometric='rgb')
    with pytest.raises(DataError, match=r'a\.tif is a TIFF of \(5, 40, 60, 3\)'):
        load(tmp_path / 'a.tif', 4)


def test_complex_numbers_are_no_image(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', np.ones((40, 60), np.complex64))
    with pytest.raises(DataError, match='complex64'):
        load(tmp_path / 'a.tif', 1)


def test_a_compression_that_needs_another_package(tmp_path):
    written = values('uint8', 40, 60, 4)
    Image.fromarray(written).save(tmp_path / 'a.tif', compression='tiff_lzw')
    if importlib.util.find_spec('imagecodecs'):
        assert np.array_equal(load(tmp_path / 'a.tif', 4)['img'], written)
        return
    with pytest.raises(DataError, match=r'a\.tif .*LZW.*pip install imagecodecs'):
        load(tmp_path / 'a.tif', 4)


@pytest.mark.parametrize('kind', ['uint16', 'float32'])
@pytest.mark.parametrize('compression', [1, 5, 32946], ids=['none', 'lzw', 'deflate'])
@pytest.mark.parametrize('bands', [1, 3])
def test_grey_and_colour_of_many_bits_as_opencv_writes_them(bands, compression, kind, tmp_path):
    written = values(kind, 40, 60, bands)  # BGR
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    assert cv2.imwrite(str(tmp_path / 'a.tif'), written, options)
    expected = written / np.float32(PER_255[kind])
    assert np.array_equal(load(tmp_path / 'a.tif', bands)['img'], expected)
    three = load(tmp_path / 'a.tif', 3)['img']  # grey fills all
    assert np.array_equal(three, np.broadcast_to(expected, (40, 60, 3)))


def test_only_rgb_is_distorted():
    import mmseg.datasets  # noqa: F401  (registers the transform)

    wrapped = ForRGB({'type': 'mmseg.PhotoMetricDistortion'})
    for image in (values('uint8', 9, 9, 4), values('uint8', 9, 9), values('float32', 9, 9, 3)):
        for _ in range(5):
            assert wrapped.transform({'img': image})['img'] is image
    image = values('uint8', 9, 9, 3)
    np.random.seed(3)
    ours = wrapped.transform({'img': image.copy()})['img']
    np.random.seed(3)
    stock = wrapped.inner.transform({'img': image.copy()})['img']
    assert np.array_equal(ours, stock) and not np.array_equal(ours, image)


@pytest.mark.parametrize('channels', [1, 2, 3, 4, 12])
def test_the_detection_preprocessor_takes_any_channels(channels):
    mean, std = list(range(10, 10 + channels)), list(range(50, 50 + channels))
    settings = dict(mean=mean, std=std, bgr_to_rgb=True, pad_size_divisor=32)
    ours = MODELS.build(dict(type='vitmm.DetDataPreprocessor', **settings))
    image = torch.randint(0, 256, (channels, 30, 64), dtype=torch.uint8)
    out = ours({'inputs': [image], 'data_samples': None})['inputs']
    assert out.shape == (1, channels, 32, 64)
    if channels == 3:
        stock = MODELS.build(dict(type='mmdet.DetDataPreprocessor', **settings))
        assert torch.equal(out, stock({'inputs': [image], 'data_samples': None})['inputs'])
        return
    for i in range(channels):
        assert torch.allclose(out[0, i, :30], (image[i].float() - mean[i]) / std[i])


def test_what_hooks_read_is_a_picture(tmp_path):
    from vitmm.engine.viewing import PictureBackend

    def read(name, channels):
        content = PictureBackend(channels).get(tmp_path / name)
        return mmcv.imfrombytes(content, channel_order='rgb')

    many, grey = values('uint8', 40, 60, 12), values('uint16', 40, 60, 1) >> 6
    write_tiff(tmp_path / 'many.tif', many)
    assert np.array_equal(read('many.tif', 12), many[..., :3])
    tifffile.imwrite(tmp_path / 'rows.tif', many)
    assert np.array_equal(read('rows.tif', 12), many[..., :3])
    write_tiff(tmp_path / 'grey.tif', grey)
    seen = read('grey.tif', 1)
    assert seen.shape == (40, 60, 3) and seen.min() == 0 and seen.max() == 255
    order = np.argsort(grey[..., 0], axis=None)
    assert (np.diff(seen[..., 0].ravel()[order].astype(int)) >= 0).all()
    cv2.imwrite(str(tmp_path / 'grey.png'), grey)  # 10 bits, of a scanner
    assert np.array_equal(read('grey.png', 1), seen)
    deep = values('uint16', 40, 60, 3)
    cv2.imwrite(str(tmp_path / 'deep.png'), deep[..., ::-1])
    assert np.abs(read('deep.png', 3) - (deep / 257)).mean() < 4  # but for its ends, as it is
    for name in ('rgb.tif', 'rgb.png'):
        Image.fromarray(many[..., :3]).save(tmp_path / name)
        assert PictureBackend().get(tmp_path / name) == (tmp_path / name).read_bytes()


def loaders_of(value):
    """Every LoadImage in a config."""
    if isinstance(value, dict):
        if value.get('type') == 'vitmm.LoadImage':
            yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from loaders_of(item)


@pytest.mark.parametrize('recipe', ['det/vit_retinanet', 'seg/vit_upernet', 'cls/vit_linear'])
def test_all_follows_from_one_option(recipe, tiny_options):
    options = {**tiny_options, 'model.backbone.in_chans': 12, 'max_value': 4095}
    config = resolve(load_config(CONFIGS / f'{recipe}.py', options=options)).to_dict()
    found = list(loaders_of(config))
    assert len(found) >= 3
    assert all(one['channels'] == 12 and one['max_value'] == 4095 for one in found)
    statistics = config['model']['data_preprocessor']
    assert len(statistics['mean']) == len(statistics['std']) == 12


def test_a_backbone_that_does_not_describe_itself(tiny_options):
    config = load_config(CONFIGS / 'cls' / 'vit_linear.py', options=tiny_options)
    config.model.backbone = dict(type='mmpretrain.ResNet', depth=18, in_channels=4)
    config.model.data_preprocessor.update(mean=[0.0], std=[1.0])
    config.model.head.in_channels = 512
    assert {one['channels'] for one in loaders_of(resolve(config).to_dict())} == {4}
    config.model.backbone = dict(type='mmpretrain.AlexNet')
    config.model.head.in_channels = '${backbone.channels[-1]}'
    with pytest.raises(ConfigError, match='AlexNet does not describe itself'):
        resolve(config)


def test_images_of_another_suffix_are_told_of(tmp_path):
    write_tiff(tmp_path / 'a.tif', values('uint8', 40, 60, 4))
    prefix = {'img_path': '', 'seg_map_path': ''}
    data = dict(type='mmseg.BaseSegDataset', data_root=str(tmp_path), data_prefix=prefix)
    with pytest.raises(DataError, match=r'\*\.jpg; there are \.tif: set image_suffix'):
        check_annotations(data)
