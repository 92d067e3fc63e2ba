"""The page of the published recipes."""

import pytest
from support import PUBLISHED, load_tool


@pytest.fixture(scope='module')
def table():
    return load_tool('published_table')


def test_page_is_what_the_recipes_say(table):
    page = table.PAGE.read_text()
    assert page == table.make_page(), 'python tools/published_table.py writes it anew'
    rows = [line for line in page.splitlines() if '](../configs/' in line]
    assert len(rows) == len(PUBLISHED)
    assert all(sum(f'/{path.name})' in row for row in rows) == 1 for path in PUBLISHED)


def test_reads_what_a_recipe_says_of_itself(table, tmp_path):
    recipe = tmp_path / 'a.py'
    recipe.write_text(
        '"""A title.\n\nSource: https://x.y/z; a: b\nTarget: AP 1\nNote: one\ntwo\n"""\n'
    )
    assert table.read(recipe) == {
        'title': 'A title',
        'Source': 'https://x.y/z; a: b',
        'Target': 'AP 1',
        'Note': 'one two',
    }
