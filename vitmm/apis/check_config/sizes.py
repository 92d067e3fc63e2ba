"""Small images that a pipeline for large ones enlarges, where the data is on this machine."""

from vitmm.apis.check_config.case import Case
from vitmm.apis.small_images import advise, find_small_images, say_small
from vitmm.config.origin import COMMAND_LINE


def check_sizes(case: Case) -> None:
    """Compare the training images with the scale that they are brought to."""
    found = find_small_images(case.config)
    if found is None:
        return
    # One step further in, so that a hole is followed to the key that it names.
    key = ('train_dataloader', 'dataset', 'pipeline', *found.key, 0)
    if case.origins.find(key).file != COMMAND_LINE:  # or it is meant
        case.say('sizes', key, say_small(found), advise(case.config, found))
