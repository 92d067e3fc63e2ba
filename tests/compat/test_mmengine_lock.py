"""What fails to be built leaves MMEngine's lock to other threads."""

from threading import Thread

import pytest
from mmengine.utils import ManagerMixin


class Managed(ManagerMixin):
    def __init__(self, name='', fails=True):
        super().__init__(name)
        if fails:
            raise TypeError('on purpose')


@pytest.mark.parametrize('build', [lambda: Managed.get_instance('a'), Managed.get_current_instance])
def test_other_threads_go_on(build):
    with pytest.raises((TypeError, RuntimeError)):
        build()
    made = []
    thread = Thread(target=lambda: made.append(Managed.get_instance('b', fails=False)), daemon=True)
    thread.start()
    thread.join(10)
    assert [one.instance_name for one in made] == ['b']
    Managed._instance_dict.clear()
