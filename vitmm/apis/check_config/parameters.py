"""Parameters that no gradient reaches or that no group of the optimiser holds; anchors' strides."""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import build_optim_wrapper
from torch import nn
from torch.utils._pytree import tree_leaves

from vitmm.apis.bare_model import quiet
from vitmm.apis.check_config.case import Case
from vitmm.apis.misfits import misfits

_WRAPPER = ('optim_wrapper',)
_HEADS = ('bbox_head', 'rpn_head', 'decode_head', 'auxiliary_head', 'head')

_FREEZES = re.compile(r"froz|freez|'requires_grad': False|lora")


def check_parameters(case: Case) -> None:
    """Build model and optimiser, without memory where possible, and compare them."""
    model = case.model
    if model is None:
        return
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not learning and any(True for _ in model.parameters()) and case.get('train_cfg'):
        case.say('parameters', ('model',), 'no parameter learns', 'thaw some, or add a head')
        return
    _check_frozen(case, model)
    if case.get('optim_wrapper'):
        _check_groups(case, model, learning)
    _check_gradients(case, model, learning)


def _check_groups(case: Case, model: nn.Module, learning: dict[str, nn.Parameter]) -> None:
    settings = copy.deepcopy(case.config.optim_wrapper.to_dict())
    if 'optimizer' not in settings:
        return  # several: their constructor is their own
    plain = {k: settings[k] for k in ('optimizer', 'constructor', 'paramwise_cfg') if k in settings}
    plain['optimizer'].update({'fused': False} if plain['optimizer'].get('fused') else {})
    try:
        with quiet():
            groups = build_optim_wrapper(model, {'type': 'OptimWrapper', **plain}).param_groups
    except Exception as error:  # whatever an optimiser of anybody's raises
        misfit = any(key[0] == 'optim_wrapper' for key, _, _ in misfits(case.config))
        if not misfit and not case.explained('optim_wrapper'):
            said = f'{type(error).__name__}: {error}'.split(' Please check whether')[0]
            case.say('parameters', _WRAPPER, 'the optimiser cannot be built', said)
        return
    held = {id(parameter) for group in groups for parameter in group['params']}
    lost = [name for name, parameter in learning.items() if id(parameter) not in held]
    if lost:
        key = (*_WRAPPER, 'constructor') if 'constructor' in settings else _WRAPPER
        what = f'no group of the optimiser holds {_show(lost)}'
        case.say('parameters', key, what, 'freeze them, or mend the constructor')
    customs = (settings.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    for custom in customs:
        if not any(custom in f'.{name}' for name in names):
            case.say(
                'parameters',
                (*_WRAPPER, 'paramwise_cfg', 'custom_keys', custom),
                f"custom_keys has '{custom}', which is part of no parameter's name",
                f'take it out, or write what model.named_parameters() says (a name is {names[0]})',
            )


def _check_frozen(case: Case, model: nn.Module) -> None:
    """Parameters of neck or heads that do not learn, though nothing in the config says so."""
    for part in ('neck', 'roi_head', *_HEADS):
        settings, built = case.get('model', part), getattr(model, part, None)
        if not isinstance(built, nn.Module) or _FREEZES.search(str(settings)):
            continue
        names = [
            name
            for name, parameter in built.named_parameters(part)
            if not parameter.requires_grad and not name.endswith('pos_embed')  # fixed sines
        ]
        if names:
            what = f'{_show(names)} of {type(built).__name__} have requires_grad=False'
            remedy = 'let them learn; if it is meant, write # check_config: allow parameters'
            case.say('parameters', ('model', part), what, remedy)


def _check_gradients(case: Case, model: nn.Module, learning: dict[str, nn.Parameter]) -> None:
    """Which parameters of backbone and neck have no way to any output of a head.

    A loss reads no more than these, so that no loss gives them a gradient.
    """
    device = next(model.parameters()).device
    channels, side = len(case.get('model', 'data_preprocessor', 'mean') or 'RGB'), 256
    try:
        with quiet(), _noted(model) as called:
            images = torch.zeros(2, channels, side, side, device=device)
            maps = model.train().extract_feat(images)
            parts = called & {'backbone', 'neck'}  # a head may have what only its loss reads
            reached = _reached(_run_heads(model, maps))
    except Exception as error:  # models that take more than images, operators without meta
        case.left_out.append(f'gradients, strides of anchors ({type(error).__name__}: {error})')
        return
    own = [name for name in learning if name.split('.')[0] in parts]
    lost = [name for name in own if id(learning[name]) not in reached]
    if lost:
        case.say(
            'parameters',
            _key_of(case, lost[0]),
            f'no gradient reaches {_show(lost)}',
            'freeze them, or let a head read what they give (DDP would wait for them)',
        )
    _check_strides(case, model, maps, side)


def _run_heads(model: nn.Module, maps: Any) -> list[Any]:
    """The outputs of all heads, or what goes into those that want more than maps."""
    outputs = []
    for name in _HEADS:
        head = getattr(model, name, None)
        for one in head if isinstance(head, nn.ModuleList) else [head] if head is not None else []:
            try:
                outputs.append(one(maps))
            except Exception:  # it takes queries, boxes or labels as well
                outputs.append(maps)
    others = {name for name, _ in model.named_children()} - {'backbone', 'neck', *_HEADS}
    return [*outputs, maps] if others - {'data_preprocessor'} or not outputs else outputs


def _reached(outputs: Any) -> set[int]:
    """The ids of the parameters that autograd's graph leads to; nothing is computed."""
    nodes = (getattr(output, 'grad_fn', None) for output in tree_leaves(outputs))
    ahead = [node for node in nodes if node is not None]
    seen, found = set(ahead), set()
    while ahead:
        node = ahead.pop()
        if hasattr(node, 'variable'):
            found.add(id(node.variable))
        for inner, _ in node.next_functions:
            if inner is not None and inner not in seen:
                seen.add(inner)
                ahead.append(inner)
    return found


def _check_strides(case: Case, model: nn.Module, maps: Any, side: int) -> None:
    """Anchors on maps of other strides: boxes at wrong places, of wrong sizes."""
    if not all(isinstance(m, torch.Tensor) and m.ndim == 4 for m in maps):
        return
    real = [side // m.shape[-1] for m in maps]
    for name in ('bbox_head', 'rpn_head'):
        generator = getattr(getattr(model, name, None), 'prior_generator', None)
        strides = [s[0] if isinstance(s, tuple) else s for s in getattr(generator, 'strides', [])]
        # Maps of a cell or none are no measure of their stride.
        wrong = [s for s, r in zip(strides, real, strict=False) if s != r and r < side // 2]
        if strides and (wrong or len(strides) != len(real)):
            case.say(
                'parameters',
                ('model', name, 'anchor_generator', 'strides'),
                f'{name} expects maps of strides {strides}, and gets {real}',
                'set the strides to those of the maps, or let the neck give others',
            )


@contextmanager
def _noted(model: nn.Module) -> Iterator[set[str]]:
    """The names of the model's parts that run meanwhile; pretraining has necks that take more."""
    called: set[str] = set()
    hooks = [
        part.register_forward_pre_hook(lambda *_, name=name: called.add(name))
        for name, part in model.named_children()
    ]
    try:
        yield called
    finally:
        for hook in hooks:
            hook.remove()


def _key_of(case: Case, name: str) -> tuple[str, ...]:
    """The config's key of the part that a parameter is in."""
    part = name.split('.')[0]
    return ('model', part) if case.get('model', part) else ('model',)


def _show(names: list[str]) -> str:
    more = f' and {len(names) - 1} others' if len(names) > 1 else ''
    return f'{names[0]}{more}'
