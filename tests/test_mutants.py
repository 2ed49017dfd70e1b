"""That tests/mutants.py can be run: every bug still has its one place in the program."""

import ast

import pytest

from tests.mutants import MUTANTS, files_of, places, sources


@pytest.fixture(scope="module")
def texts(repository):
    return sources(repository)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_can_be_put_in(mutant, texts, repository):
    [path] = places(mutant, texts)
    changed = texts[path].replace(mutant.old, mutant.new)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(texts[path]))
    assert files_of(repository, mutant.tests), "the tests for it have other names now"


def test_names_are_unique():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
