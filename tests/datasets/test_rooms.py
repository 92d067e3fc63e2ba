"""The embedded depth set: its depth against its own geometry, its files against its drawings."""

import hashlib

import cv2
import numpy as np
import pytest

from vitmm.datasets import DataError, LoadDepth, write_rooms
from vitmm.datasets.draw_room import draw_room
from vitmm.datasets.rooms import room_rng
from vitmm.registry import FUNCTIONS


@pytest.fixture(scope='module')
def rooms():
    return [draw_room(room_rng(0, 'train', index)) for index in range(12)]


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    return write_rooms(tmp_path_factory.mktemp('data') / 'rooms', 3, 2)


def points(room, share=1.0):
    """(H, W, 3): where in the room the pixels' rays are at this share of their depth."""
    height, width = room.depth.shape
    camera = np.array([[room.focal, 0, width / 2], [0, room.focal, height / 2], [0, 0, 1]])
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera).T
    turn = cv2.Rodrigues(np.array([-room.pitch, 0, 0]))[0]
    return (rays * room.depth[..., None] * share) @ turn.T


def test_every_pixel_lies_on_the_surface_that_it_shows(rooms):
    shown = set()
    for room in rooms:
        place = points(room)
        for number in np.unique(room.surface):
            here = place[room.surface == number]
            if number < 6:
                off, kind = here[:, number // 2] - room.walls[number % 2, number // 2], 'wall'
            elif number < 6 + len(room.boxes):
                low, high = room.boxes[number - 6]
                off, kind = np.abs((here - (low + high) / 2) / (high - low)).max(-1) - 0.5, 'box'
            else:
                ball = room.balls[number - 6 - len(room.boxes)]
                off, kind = np.linalg.norm(here - ball[:3], axis=-1) - ball[3], 'ball'
            assert np.abs(off).max() < 1e-4, kind
            shown.add(kind)
    assert shown == {'wall', 'box', 'ball'}


def test_nothing_stands_before_what_is_shown(rooms):
    for room in rooms:
        for share in np.linspace(0.05, 0.999, 40):
            place = points(room, share)
            assert (place > room.walls[0]).all() and (place < room.walls[1]).all()
            for low, high in room.boxes:
                assert not ((place > low) & (place < high)).all(-1).any()
            for *centre, radius in room.balls:
                assert (np.linalg.norm(place - centre, axis=-1) > radius - 1e-3).all()


def test_depths_are_those_of_rooms(rooms):
    depth = np.stack([room.depth for room in rooms])
    assert depth.min() > 0.5 and depth.max() < 10
    assert depth.std() > 0.5
    assert all(len(room.boxes) + len(room.balls) >= 2 for room in rooms)


def test_things_stand_out_from_the_walls(rooms):
    """The image shows the same surfaces as the depth."""
    for room in rooms:
        spread = np.ptp(room.image.astype(int), axis=-1)
        things = room.surface >= 6
        assert spread[things].mean() > 2 * spread[~things].mean()


def test_files_are_the_drawings(written):
    for split, count in (('train', 3), ('test', 2)):
        images = sorted((written / 'images' / split).iterdir())
        depths = sorted((written / 'annotations' / split).iterdir())
        assert [p.stem for p in images] == [p.stem for p in depths]
        assert len(images) == count
        for index, (image, depth) in enumerate(zip(images, depths, strict=True)):
            room = draw_room(room_rng(0, split, index))
            read = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
            assert read.dtype == np.uint16
            np.testing.assert_allclose(read / 1000, room.depth, atol=0.00051)
            shown = cv2.imread(str(image))[..., ::-1].astype(int)
            assert np.abs(shown - room.image).mean() < 6  # JPEG


def test_more_images_leave_the_first_as_they_were(written, tmp_path):
    more = FUNCTIONS.get('vitmm.write_rooms')(tmp_path / 'more', 4, 2)
    other = write_rooms(tmp_path / 'other', 3, 2, seed=1)

    def digest(root, name):
        return hashlib.sha256((root / name).read_bytes()).hexdigest()

    for name in ('images/train/room_00002.jpg', 'annotations/test/room_00001.png'):
        assert digest(more, name) == digest(written, name) != digest(other, name)
    names = list(more.rglob('*.jpg'))
    assert len({p.read_bytes() for p in names}) == len(names) == 6


def test_another_set_is_not_written_over(written):
    assert write_rooms(written, 3, 2) == written
    with pytest.raises(DataError, match='num_train'):
        write_rooms(written, 4, 2)
    with pytest.raises(DataError, match='0 or more'):
        write_rooms(written, -1, 2)


def load(path, shape=(4, 6)):
    results = {'img': np.zeros((*shape, 3), np.uint8), 'depth_map_path': str(path)}
    return LoadDepth(0.001).transform(results | {'seg_fields': []})


def test_depth_comes_in_metres(tmp_path):
    path = tmp_path / 'a.png'
    values = np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000
    cv2.imwrite(str(path), values)
    results = load(path)
    assert results['gt_depth_map'].dtype == np.float32
    np.testing.assert_allclose(results['gt_depth_map'], values / 1000, rtol=1e-6)
    assert results['seg_fields'] == ['gt_depth_map']  # which crops and flips go by


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (None, r'a\.png cannot be read \(No such file or directory\)'),
        (b'no image', r'a\.png cannot be read'),
        (np.ones((4, 6, 3), np.uint8), r'a\.png is 4 x 6 x 3, its image 4 x 6'),
        (np.ones((6, 4), np.uint16), r'a\.png is 6 x 4, its image 4 x 6'),
        (np.zeros((4, 6), np.uint16), r'a\.png has no measured pixel'),
    ],
)
def test_a_bad_depth_map_is_named(tmp_path, content, words):
    path = tmp_path / 'a.png'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        cv2.imwrite(str(path), content)
    with pytest.raises(DataError, match=words):
        load(path)


def test_who_does_not_look_is_wrong_by_a_quarter():
    """The best map that is the same for all images: what a model has to be far better than."""
    train, test = (
        np.stack([draw_room(room_rng(0, split, index)).depth for index in range(60)])
        for split in ('train', 'test')
    )
    blind = [np.quantile(train, share, axis=0) for share in (0.2, 0.3, 0.4, 0.5)]
    assert min((np.abs(guess - test) / test).mean() for guess in blind) > 0.25
