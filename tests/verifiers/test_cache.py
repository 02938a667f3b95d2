"""What was not used for longest is forgotten first, whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from verifiers.cache import BoundedCache


def test_what_was_not_used_for_longest_goes() -> None:
    cache = BoundedCache[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    cache.put("a", 4)
    assert (len(cache), cache.get("a")) == (2, 4)
    cache.clear()
    assert (len(cache), cache.get("a")) == (0, None)


def test_it_stays_within_its_size_whatever_many_threads_put_there() -> None:
    cache = BoundedCache[int, int](8)

    def work(start: int) -> None:
        for key in range(start, start + 200):
            cache.put(key % 50, key)
            assert cache.get((key + 25) % 50) is None or len(cache) <= 8

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(cache) == 8
