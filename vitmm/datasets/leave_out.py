"""Leaving bad files and boxes out of a data set, by lists from which they are gone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vitmm.datasets.atomic import locked, write_once
from vitmm.datasets.classes import read_classes
from vitmm.datasets.coco_file import need_whole
from vitmm.datasets.errors import DataError
from vitmm.datasets.files import class_folders, files_below, read_lines, write_lines
from vitmm.datasets.inspection import Seen, look_at_all
from vitmm.datasets.json_files import forget_json, read_json, take_json
from vitmm.datasets.listing import image_suffix
from vitmm.datasets.sources import Source, read_source, voc_files

_RULES = 2  # of what is bad: lists of others are made anew
_MANIFEST = 'source.json'
_BAD = 'bad.json'
_COUNTS = 'counts.json'


def leave_out(cfg: dict, scope: str | None, name: str, folder: Path) -> tuple[dict, str]:
    """A data set without what is bad in it.

    Everything is read once, under a progress bar; what is bad and the lists of the rest are kept in
    a folder of their own. They are used again for as long as the annotations and the files that
    were bad do not change.

    Images that are missing, broken, of another size than their annotations say or without a right
    mask or label are left out; of the others, boxes that have no class, no area or no part in the
    image. Boxes that reach out of it stay: mmdet cuts them. Of a COCO file to test on, boxes of no
    area stay too, so that the figures are those of the file.

    Args:
        cfg: resolved config of a data set that is no wrapper.
        scope: the config file's ``default_scope``.
        name: of the split, for messages.
        folder: where the lists go.

    Returns:
        The config to use instead, and a line that says what was left out and where it is listed.

    Raises:
        DataError: nothing is left, a file of annotations that cannot be read at all, or a format
            of which nothing can be left out.
    """
    source = read_source(cfg, scope)
    classes = read_classes(cfg, scope)
    if source.kind == 'coco':
        need_whole(source.ann_file, skipping=True)
    manifest = _manifest(source, classes)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:12]
    place = folder / f'{name}-{digest}'
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f'.{place.name}.stale.lock'):
        if place.exists() and _changed(place):
            shutil.rmtree(place)

    def write(out: Path) -> None:
        seen = look_at_all(cfg, classes, scope, name)
        bad = [
            path
            for one in seen
            if one.faults
            for path in (one.entry.image, one.entry.mask, one.entry.depth)
        ]
        (out / _BAD).write_text(json.dumps({path: _mtime(path) for path in bad if path}))
        lines = [line for one in seen for line in one.lines()]
        (out / 'left_out.txt').write_text(''.join(f'{line}\n' for line in lines))
        images = [one for one in seen if one.entry.is_image]
        good = [one for one in images if not one.faults]
        if not good:
            raise DataError(f'{name}: every image is bad; the first: {lines[0] if lines else name}')
        useless = {id(one): _useless(one, source) for one in good}
        boxes = sum(map(len, useless.values()))
        whole = len(good) == len(seen) and not boxes
        changes = {} if whole else WRITERS[source.kind](source, classes, scope, seen, out)
        counts = {'bad': len(images) - len(good), 'images': len(images), 'boxes': boxes}
        (out / _COUNTS).write_text(json.dumps({**counts, 'changes': changes}))

    write_once(place, _MANIFEST, manifest, write)
    counts = json.loads((place / _COUNTS).read_text())
    changed = {key: str((place / path).resolve()) for key, path in counts['changes'].items()}
    if source.kind == 'coco' and changed:
        forget_json(source.ann_file)
    boxes = f' and {counts["boxes"]} boxes' if source.kind in ('coco', 'voc') else ''
    said = f'{name}: {counts["bad"]} of {counts["images"]} images{boxes} are bad and left out'
    if changed:
        said += f'; by name in {place / "left_out.txt"}'
    return {**cfg, **changed}, said


def _manifest(source: Source, classes: Sequence[str]) -> dict:
    """All that decides what is bad, but for the files themselves."""
    options = {key: source.options.get(key) for key in ('pipeline', 'test_mode', 'img_suffix')}
    listed: object = None
    if source.ann_file and os.path.isfile(source.ann_file):
        status = os.stat(source.ann_file)
        listed = [source.ann_file, status.st_mtime_ns, status.st_size]
    else:
        folders = sorted(source.folders.values()) or [str(source.root)]
        names = [name for one in folders for name in files_below(one)]
        listed = [folders, hashlib.sha256(json.dumps(names).encode()).hexdigest()]
    return {
        'rules': _RULES,
        'type': source.type,
        'root': str(source.root.resolve()),
        'folders': json.dumps(source.folders, sort_keys=True),
        'listed': json.dumps(listed),
        'classes': list(classes),
        'options': json.dumps(options, default=str, sort_keys=True),
    }


def _mtime(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def _changed(place: Path) -> bool:
    bad = json.loads((place / _BAD).read_text())
    return any(_mtime(path) != before for path, before in bad.items())


def _useless(one: Seen, source: Source) -> set[int]:
    """The numbers of the boxes to leave out of an image."""
    tested = source.kind == 'coco' and source.options.get('test_mode')
    return set(one.entry.box_faults if tested else one.box_faults)


def _coco(
    source: Source, classes: Sequence[str], scope: str | None, seen: list[Seen], out: Path
) -> dict[str, str]:
    content = take_json(source.ann_file)
    ids = dict.fromkeys(image['id'] for image in content['images'])  # as the entries are ordered
    good = {id for id, one in zip(ids, seen, strict=False) if not one.faults}
    useless = {number for one in seen for number in _useless(one, source)}
    last = {image['id']: image for image in content['images'] if image['id'] in good}
    content['images'] = list(last.values())
    content['annotations'] = [
        annotation
        for number, annotation in enumerate(content.get('annotations') or [])
        if annotation.get('image_id') in good and number not in useless
    ]
    (out / 'annotations.json').write_text(json.dumps(content))
    return {'ann_file': 'annotations.json'}


def _voc(
    source: Source, classes: Sequence[str], scope: str | None, seen: list[Seen], out: Path
) -> dict[str, str]:
    good = [
        (id, one)
        for id, one in zip(read_lines(source.ann_file), seen, strict=False)  # and what is no image
        if not one.faults
    ]
    write_lines(out / 'images.txt', [id for id, _ in good])
    if not any(one.box_faults for _, one in good):
        return {'ann_file': 'images.txt'}
    for id, one in good:
        path = out / 'Annotations' / f'{id}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        tree = ElementTree.parse(voc_files(source, id)[1])
        root = tree.getroot()
        for number, thing in enumerate(list(root.iter('object'))):
            if number in one.box_faults:
                root.remove(thing)
        tree.write(path)
    return {'ann_file': 'images.txt', 'ann_subdir': 'Annotations'}


def _seg(
    source: Source, classes: Sequence[str], scope: str | None, seen: list[Seen], out: Path
) -> dict[str, str]:
    folder, suffix = source.folders['img_path'], image_suffix(source, scope)
    good = [os.path.relpath(one.entry.image, folder) for one in seen if not one.faults]
    write_lines(out / 'images.txt', [name[: -len(suffix)] for name in good])
    return {'ann_file': 'images.txt'}


def _folder(
    source: Source, classes: Sequence[str], scope: str | None, seen: list[Seen], out: Path
) -> dict[str, str]:
    folder, labelled = source.image_folder, source.labelled
    # Without a list a label is the place of its folder, whatever the config calls it.
    folders = class_folders(folder) if labelled and not source.ann_file else ()
    lines = []
    for one in seen:
        if one.faults:
            continue
        path = os.path.relpath(one.entry.image, folder)
        if not labelled:
            lines.append(path)
        elif folders:
            lines.append(f'{path} {folders.index(Path(path).parts[0])}')
        else:
            lines.append(f'{path} {classes.index(one.entry.labels[0])}')
    write_lines(out / 'images.txt', lines)
    return {'ann_file': 'images.txt'}


def _multilabel(
    source: Source, classes: Sequence[str], scope: str | None, seen: list[Seen], out: Path
) -> dict[str, str]:
    content = read_json(source.ann_file)
    content['data_list'] = [
        image for image, one in zip(content['data_list'], seen, strict=True) if not one.faults
    ]
    (out / 'annotations.json').write_text(json.dumps(content))
    return {'ann_file': 'annotations.json'}


def _depth(
    source: Source, classes: Sequence[str], scope: str | None, seen: list[Seen], out: Path
) -> dict[str, str]:
    # mmseg's class lists folders: these hold links to what is left.
    for one in seen:
        for path in () if one.faults else (one.entry.image, one.entry.depth):
            link = out / os.path.relpath(path, source.root)
            if not link.resolve().is_relative_to(out.resolve()):
                raise DataError(f'{path} is not below data_root, {source.root}')
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.abspath(path))
    return {'data_root': '.'}


Writer = Callable[[Source, Sequence[str], str | None, list[Seen], Path], Mapping[str, str]]
WRITERS: dict[str, Writer] = {
    'coco': _coco,
    'voc': _voc,
    'seg': _seg,
    'depth': _depth,
    'folder': _folder,
    'multilabel': _multilabel,
}
