"""A recipe's file and the command line -> an MMEngine Config, its holes still open."""

import ast
import copy
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from vitmm.config.moved_data import move_data
from vitmm.config.yaml_file import SUFFIXES, as_python, like
from vitmm.errors import ConfigError, did_you_mean


def load_config(
    path: str | Path, data: str | None = None, options: Mapping[str, Any] | None = None
) -> Config:
    """Read a config file, swap its data set and merge the options of the command line.

    Args:
        path: a config file of ours or of any OpenMMLab codebase, in Python or YAML.
        data: the name of a file beside the recipe's own data set base
            (``configs/_base_/datasets/<task>/<name>.py``), or a path of such a file.
        options: ``{'model.backbone.model_name': 'resnet18'}``, as ``--cfg-options`` gives them.

    Raises:
        ConfigError: a file that is missing or does not parse, an unknown data set, an option
            that does not fit the config.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f'there is no config file {path}.{_near_files(path)}')
    with tempfile.TemporaryDirectory(prefix='vitmm-') as scratch:
        try:
            source = path if path.suffix not in SUFFIXES else as_python(path, Path(scratch))
            source = _swap_data(source, data, Path(scratch), path) if data else source
            loaded = Config.fromfile(source)
        except ConfigError:
            raise
        except Exception as error:  # a config is Python: anything can go wrong in it
            raise ConfigError(f'{path} cannot be read: {type(error).__name__}: {error}') from error
    # Under its own name, whatever file it was read from: work dirs are called after it.
    config = Config(loaded.to_dict(), filename=str(path))
    if options:
        merge_options(config, options, path)
    return config


def merge_options(config: Config, options: Mapping[str, Any], path: str | Path) -> None:
    """Merge ``--cfg-options`` into a config that was read from ``path``.

    A list is a tuple where the config has one: ``image_scale=96,96`` comes as a list. ``data_root``
    moves the data of a config without holes, too.

    Raises:
        ConfigError: an option that does not fit the config.
    """
    _open_aliases(config, options)
    _drop_model_kwargs(config, options)
    move_data(config, options)
    try:
        config.merge_from_dict({k: like(v, _said(config, k), k) for k, v in options.items()})
    except (KeyError, TypeError, IndexError, AssertionError, ValueError, AttributeError) as error:
        raise ConfigError(
            f'--cfg-options {" ".join(options)} does not fit {path}: {error}'
        ) from error
    if any(key.startswith('custom_imports') for key in options):
        import_modules_from_strings(**config.custom_imports)  # the file's own are imported


def _said(config: Config, key: str) -> Any:
    """What a config has under a dotted key, or None."""
    found: Any = config
    for part in key.split('.'):
        found = found.get(part) if isinstance(found, Mapping | Config) else None
    return found


def _open_aliases(config: Config, options: Mapping[str, Any]) -> None:
    """Where an option reaches into ``test_dataloader = '${val_dataloader}'``, make it a copy.

    Likewise further inside: ``train_dataloader.dataset.pipeline.2.prob``.
    """
    for option in options:
        place: Any = config
        for step in option.split('.')[:-1]:
            key = int(step) if isinstance(place, list) and step.isdigit() else step
            try:
                value = place[key]
                while isinstance(value, str) and value[:2] == '${' and value[2:-1] in config:
                    place[key] = copy.deepcopy(config[value[2:-1]])
                    value = place[key]  # a ConfigDict keeps a list of its own
            except (KeyError, IndexError, TypeError):
                break  # merging says what is wrong
            place = value


def _drop_model_kwargs(config: Config, options: Mapping[str, Any]) -> None:
    """A recipe's ``model_kwargs`` belong to the model that it names, and go when that goes."""
    backbone = config.get('model', {}).get('backbone', {})
    name = options.get('model.backbone.model_name', backbone.get('model_name'))
    if name != backbone.get('model_name') and backbone.get('model_kwargs'):
        dropped = backbone.pop('model_kwargs')
        if any(key.startswith('model.backbone.model_kwargs.') for key in options):
            backbone.model_kwargs = {}  # to merge into, _delete_ included
        note = f'{name} takes the place of {backbone.model_name}: model_kwargs={dropped} go.'
        print(note, file=sys.stderr)  # print_config's output is a config


def _near_files(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path('configs')
    kinds = ('.py', *SUFFIXES)
    return did_you_mean(str(path), (str(p) for p in folder.rglob('*') if p.suffix in kinds))


def _bases(path: Path) -> tuple[ast.Module, ast.Assign | None, list[str]]:
    """The parsed file, its ``_base_`` assignment, and the bases that this names."""
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'))
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
                value = ast.literal_eval(node.value)
                return tree, node, [value] if isinstance(value, str) else list(value)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f'{path} cannot be read: {error}') from error
    return tree, None, []


def _swap_data(recipe: Path, data: str, scratch: Path, name: Path) -> Path:
    """Write a copy of ``recipe`` whose data set base is another one.

    The recipe's own settings (a batch size, say) then apply to the new data set as they did to
    the old, which no merging of finished configs can do.
    """
    swapped, found = _copy_with_data(recipe.resolve(), data, scratch)
    if not found:
        raise ConfigError(
            f'--data {data}: {name} inherits from no file in a datasets/ folder, so there is '
            'nothing to swap. List one in its _base_.'
        )
    return swapped


def _copy_with_data(recipe: Path, data: str, scratch: Path) -> tuple[Path, bool]:
    tree, assignment, bases = _bases(recipe)
    found, absolute = False, []
    for base in bases:
        if '::' in base:  # another package's config
            absolute.append(base)
            continue
        file = (recipe.parent / base).resolve()
        if not file.is_file():
            raise ConfigError(f'{recipe} inherits from {base}, but there is no file {file}.')
        if 'datasets' in (file.parent.name, file.parent.parent.name):
            file, found = _find_data(data, file.parent), True
        elif file.suffix == '.py':
            file, inside = _copy_with_data(file, data, scratch)
            found |= inside
        absolute.append(str(file))
    if not found or assignment is None:
        return recipe, False
    assignment.value = ast.copy_location(
        ast.parse(repr(absolute), mode='eval').body, assignment.value
    )
    copy = scratch / f'{len(list(scratch.iterdir()))}_{recipe.name}'
    copy.write_text(ast.unparse(tree), encoding='utf-8')
    return copy, True


def _find_data(data: str, folder: Path) -> Path:
    names = sorted(file.stem for file in folder.glob('*.py'))
    if data in names:
        return folder / f'{data}.py'
    if data.endswith('.py') and Path(data).is_file():
        return Path(data).resolve()
    raise ConfigError(
        f"there is no data set '{data}' for this recipe.{did_you_mean(data, names)} "
        f'{folder.parent.name}/{folder.name} has: {", ".join(names)}; or give the path of a file '
        'of your own.'
    )
