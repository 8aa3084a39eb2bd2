"""Windows of concurrent requests: which run next, and together."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.serving.window_queue import WindowQueue


@dataclass
class Text:
    name: str
    canceled: bool = False


def taken(queue, **options):
    """The names and the positions of the windows of each batch, until none is left."""
    batches = []
    while batch := queue.take(**options):
        batches.append([(window.owner.name, window.position) for window in batch])
    return batches


def test_a_short_text_passes_the_later_windows_of_a_long_one_that_came_first():
    queue = WindowQueue(token_budget=64)
    queue.add(Text("long"), [60, 60, 60], arrived=0.0)
    queue.add(Text("short"), [8], arrived=0.01)
    assert taken(queue) == [[("long", 0)], [("short", 0)], [("long", 1)], [("long", 2)]]


def test_a_long_text_proceeds_while_short_ones_arrive():
    queue = WindowQueue(token_budget=64)
    queue.add(Text("long"), [60, 60], arrived=0.0)
    for number in range(4):
        queue.add(Text(f"short {number}"), [60], arrived=0.03 * number)
    order = [name for batch in taken(queue) for name, _ in batch]
    assert order == ["long", "short 0", "short 1", "long", "short 2", "short 3"]


def test_texts_of_similar_length_share_a_batch_and_others_do_not():
    queue = WindowQueue(token_budget=1024)
    for name, tokens in [("a", 20), ("b", 22), ("c", 500), ("d", 24)]:
        queue.add(Text(name), [tokens], arrived=0.0)
    assert taken(queue) == [[("a", 0), ("b", 0), ("d", 0)], [("c", 0)]]


def test_later_windows_of_long_texts_run_in_small_batches():
    queue = WindowQueue(token_budget=1024)
    queue.add(Text("long"), [128] * 9, arrived=0.0)
    assert [len(batch) for batch in taken(queue)] == [8, 1]
    queue.add(Text("long"), [128] * 9, arrived=0.0)
    queue.take()
    assert len(queue) == 1


def test_idle_workers_share_what_waits():
    queue = WindowQueue(token_budget=1024)
    for name in "abcd":
        queue.add(Text(name), [30], arrived=0.0)
    assert [len(batch) for batch in taken(queue, workers=2)] == [2, 1, 1]


def test_a_canceled_text_is_not_taken():
    queue = WindowQueue(token_budget=64)
    gone, stays = Text("gone"), Text("stays")
    queue.add(gone, [10, 10], arrived=0.0)
    queue.add(stays, [10], arrived=1.0)
    gone.canceled = True
    assert taken(queue) == [[("stays", 0)]]
    assert (len(queue), queue.tokens, queue.due) == (0, 0, float("inf"))


@pytest.mark.parametrize("tokens", [1, 65, 100_000])
def test_a_window_above_the_budget_is_a_batch_of_its_own(tokens):
    queue = WindowQueue(token_budget=64)
    queue.add(Text("a"), [tokens], arrived=0.0)
    queue.add(Text("b"), [tokens], arrived=0.0)
    assert [len(batch) for batch in taken(queue)] == ([2] if tokens == 1 else [1, 1])


@given(
    texts=st.lists(st.tuples(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.floats(0, 2)), max_size=40),
    budget=st.integers(1, 600),
    workers=st.integers(1, 4),
)
@settings(max_examples=examples(200))
def test_every_window_is_taken_once_in_the_order_of_waiting_and_within_the_budget(texts, budget, workers):
    queue = WindowQueue(token_budget=budget)
    for number, (tokens, arrived) in enumerate(texts):
        queue.add(Text(str(number)), tokens, arrived=arrived)
    left = {(str(number), position) for number, (tokens, _) in enumerate(texts) for position in range(len(tokens))}
    assert queue.tokens == sum(sum(tokens) for tokens, _ in texts)
    later_ran = False
    while left:
        firsts = [texts[int(name)][1] for name, position in left if not position]
        due = min(firsts) if later_ran and firsts else queue.due
        batch = queue.take(workers=workers)
        leader = min(batch)
        assert leader.due == due
        later_ran = leader.position > 0
        longest = max(window.tokens for window in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
        names = {(window.owner.name, window.position) for window in batch}
        assert len(names) == len(batch)
        assert names <= left
        left -= names
    assert not queue.take()


def test_first_windows_have_every_second_batch_while_later_windows_wait_longest():
    """Long documents arrive faster than the model reads them."""
    queue = WindowQueue(token_budget=64)
    for number in range(2):
        queue.add(Text(f"long {number}"), [60, 60, 60], arrived=0.0)
    for number in range(3):
        queue.add(Text(f"short {number}"), [8], arrived=10.0)
    queue.add(Text("short 3"), [60], arrived=10.0)
    assert taken(queue) == [
        [("long 0", 0)],
        [("long 1", 0)],
        [("long 0", 1)],
        [("short 0", 0), ("short 1", 0), ("short 2", 0)],
        [("long 1", 1)],
        [("short 3", 0)],
        [("long 0", 2)],
        [("long 1", 2)],
    ]
