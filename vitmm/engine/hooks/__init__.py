"""One hook a file."""

from vitmm.engine.hooks.atomic_checkpoint import AtomicCheckpointHook
from vitmm.engine.hooks.channels_last import ChannelsLastHook
from vitmm.engine.hooks.compile import CompileHook
from vitmm.engine.hooks.draw_some import DrawSome
from vitmm.engine.hooks.epoch_seed import EpochSeedHook
from vitmm.engine.hooks.fewer_halts import FewerHaltsHook
from vitmm.engine.hooks.full_precision import FullPrecisionHook
from vitmm.engine.hooks.merge_lora import MergeLoRAHook
from vitmm.engine.hooks.progress import ProgressHook
from vitmm.engine.hooks.runtime_info import RuntimeInfoHook
from vitmm.engine.hooks.thaw import ThawHook

__all__ = [
    'AtomicCheckpointHook',
    'ChannelsLastHook',
    'CompileHook',
    'DrawSome',
    'EpochSeedHook',
    'FewerHaltsHook',
    'FullPrecisionHook',
    'MergeLoRAHook',
    'ProgressHook',
    'RuntimeInfoHook',
    'ThawHook',
]
