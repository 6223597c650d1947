"""Which models are in memory, with real threads and a loader that only pretends."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from antiphon.errors import EngineFailed
from antiphon.workers.speech import models as speech_models
from antiphon.workers.speech.models import BROKEN_SECONDS, Models

SECONDS = 10.0
SIZES = {"a": 40, "b": 40, "c": 40, "small": 10, "huge": 1000}
PATHS = {name: Path(name) for name in SIZES}


class Model:
    def __init__(self, name: str) -> None:
        self.name = name


class Loader:
    """Loads at once, unless its door is shut."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.alive: weakref.WeakSet[Model] = weakref.WeakSet()
        self.problems: dict[str, BaseException] = {}
        self.open = threading.Event()
        self.open.set()
        self.began = threading.Event()

    def __call__(self, path: Path) -> Model:
        self.loads.append(path.name)
        self.began.set()
        assert self.open.wait(SECONDS)
        if path.name in self.problems:
            raise self.problems[path.name]
        model = Model(path.name)
        self.alive.add(model)
        return model

    def bytes(self) -> int:
        gc.collect()
        return sum(SIZES[model.name] for model in self.alive)


def size(path: Path) -> int:
    return SIZES[path.name]


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def models(loader: Loader) -> Models[Model]:
    return Models(PATHS, 100, loader, size)


def use(models: Models[Model], *names: str) -> None:
    for name in names:
        with models.use(name) as model:
            assert model.name == name


def loaded(models: Models[Model]) -> tuple[str, ...]:
    """What is in memory, the least recently used one first."""
    return tuple(name for name, held in models._held.items() if held.model is not None)


class User:
    """A thread that uses a model until it is told to stop."""

    def __init__(self, models: Models[Model], name: str) -> None:
        self.has, self.stop = threading.Event(), threading.Event()
        self.problem: EngineFailed | None = None
        self._thread = threading.Thread(target=self._use, args=(models, name), daemon=True)
        self._thread.start()

    def _use(self, models: Models[Model], name: str) -> None:
        try:
            with models.use(name) as model:
                assert model.name == name
                self.has.set()
                assert self.stop.wait(SECONDS)
        except EngineFailed as problem:
            self.problem = problem

    def started(self) -> User:
        assert self.has.wait(SECONDS)
        return self

    def end(self) -> None:
        self.stop.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


def until_waiting(models: Models[Model], count: int) -> None:
    """Until so many stand in line for memory: their threads set no event while they wait."""
    deadline = time.monotonic() + SECONDS
    while len(models._line) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_model_is_loaded_when_it_is_first_used(loader: Loader, models: Models[Model]) -> None:
    assert loaded(models) == ()
    use(models, "a", "a", "a")
    assert (loaded(models), loader.loads) == (("a",), ["a"])


def test_the_least_recently_used_one_goes(loader: Loader, models: Models[Model]) -> None:
    use(models, "a", "b", "a", "c")
    assert loaded(models) == ("a", "c")
    use(models, "small", "b")
    assert loaded(models) == ("c", "small", "b")
    assert loader.bytes() == 90


def test_no_more_goes_than_must(models: Models[Model]) -> None:
    use(models, "a", "b", "small", "c")
    assert loaded(models) == ("b", "small", "c")


def test_an_unloaded_model_is_free_before_the_next_is_loaded(loader: Loader) -> None:
    most = 0

    def load(path: Path) -> Model:
        nonlocal most
        model = loader(path)
        most = max(most, loader.bytes())
        return model

    models = Models(PATHS, 80, load, size)
    for name in "abcabc":
        use(models, name)
    assert most == 80


def test_who_has_just_left_a_model_does_not_keep_it(loader: Loader, models: Models[Model]) -> None:
    use(models, "a")
    held = models._held["a"]  # As the frame of a thread that has given it back, and not gone on yet.
    use(models, "huge")
    assert held.users == 0
    assert loader.bytes() == SIZES["huge"]


def test_one_in_use_stays(models: Models[Model]) -> None:
    with models.use("a"):
        use(models, "b", "c", "b")
        assert loaded(models) == ("a", "b")


def test_what_is_lent_stays_and_waits_for_nobody(models: Models[Model]) -> None:
    user = User(models, "a").started()
    waiting = User(models, "huge")
    until_waiting(models, 1)
    with models.lent("a") as model:
        assert model.name == "a"
        user.end()
        assert not waiting.has.is_set()
    waiting.started().end()
    with pytest.raises(EngineFailed, match="unloaded"), models.lent("a"):
        pass


def test_one_alone_may_be_larger_than_the_budget(models: Models[Model]) -> None:
    use(models, "a", "b", "huge")
    assert loaded(models) == ("huge",)
    use(models, "small")
    assert loaded(models) == ("small",)


def test_two_at_once_are_one_load(loader: Loader, models: Models[Model]) -> None:
    loader.open.clear()
    users = [User(models, "a") for _ in range(4)]
    assert loader.began.wait(SECONDS)
    loader.open.set()
    for user in users:
        user.started()
    assert loader.loads == ["a"]
    for user in users:
        user.end()


def test_a_loaded_model_is_used_while_another_is_loaded(loader: Loader, models: Models[Model]) -> None:
    use(models, "a")
    loader.began.clear()
    loader.open.clear()
    slow = User(models, "b")
    assert loader.began.wait(SECONDS)
    use(models, "a")
    assert not slow.has.is_set()
    loader.open.set()
    slow.started().end()


def test_who_finds_no_memory_waits_for_it(loader: Loader, models: Models[Model]) -> None:
    first, second = User(models, "a").started(), User(models, "b").started()
    third = User(models, "c")
    until_waiting(models, 1)
    assert not third.has.is_set() and loaded(models) == ("a", "b")
    second.end()
    third.started()
    assert loaded(models) == ("a", "c")
    first.end()
    third.end()


def test_who_waits_is_not_overtaken_by_those_whose_model_is_there(models: Models[Model]) -> None:
    """Else two lanes that take turns with one model would keep it for ever."""
    users = [User(models, "a").started(), User(models, "b").started()]
    waiting = User(models, "c")
    until_waiting(models, 1)
    late = User(models, "a")
    until_waiting(models, 2)
    assert not late.has.is_set()
    users[0].end()
    waiting.started()
    waiting.end()
    users[1].end()
    late.started().end()


def test_the_wait_for_memory_has_an_end(models: Models[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_models, "MEMORY_SECONDS", 0.05)
    with models.use("huge"):
        with pytest.raises(EngineFailed, match="memory"):
            use(models, "a")
        assert loaded(models) == ("huge",)
    use(models, "a")


def test_the_wait_for_a_load_has_an_end(
    loader: Loader, models: Models[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_models, "LOADING_SECONDS", 0.05)
    loader.open.clear()
    slow = User(models, "a")
    assert loader.began.wait(SECONDS)
    with pytest.raises(EngineFailed, match="being loaded"):
        use(models, "a")
    loader.open.set()
    slow.started().end()
    use(models, "a")


@pytest.mark.parametrize("problem", [RuntimeError("/secret/path"), MemoryError(), OSError(5, "secret")])
def test_one_that_cannot_be_loaded_leaves_the_others_alone(
    loader: Loader, caplog: pytest.LogCaptureFixture, problem: Exception
) -> None:
    now = 0.0
    models = Models(PATHS, 100, loader, size, clock=lambda: now)
    loader.problems["b"] = problem
    with models.use("a"):
        for _ in range(3):
            with pytest.raises(EngineFailed, match="cannot load") as failure:
                use(models, "b")
        use(models, "c", "a")
    assert loader.loads == ["a", "b", "c"]
    assert "secret" not in caplog.text + str(failure.value)
    del loader.problems["b"]
    now = BROKEN_SECONDS
    use(models, "b")
    assert loaded(models) == ("a", "b")


def test_all_who_wait_for_a_load_learn_that_it_failed(loader: Loader, models: Models[Model]) -> None:
    loader.problems["a"] = RuntimeError()
    loader.open.clear()
    users = [User(models, "a") for _ in range(3)]
    assert loader.began.wait(SECONDS)
    loader.open.set()
    for user in users:
        user.end()
        assert isinstance(user.problem, EngineFailed)
    assert (loader.loads, loaded(models)) == (["a"], ())
    use(models, "b", "c")


def test_what_breaks_a_load_off_is_passed_on(loader: Loader, models: Models[Model]) -> None:
    loader.problems["a"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        use(models, "a")
    use(models, "b")
    assert loaded(models) == ("b",)


@pytest.mark.parametrize("problem", [OSError(2, "secret"), ValueError("secret")])
def test_one_whose_size_is_unknown_cannot_be_loaded(loader: Loader, problem: Exception) -> None:
    def unknown(path: Path) -> int:
        if path.name == "a":
            raise problem
        return SIZES[path.name]

    models = Models(PATHS, 50, loader, unknown)
    use(models, "b")
    with pytest.raises(EngineFailed, match="cannot load"):
        use(models, "a")
    assert loaded(models) == ("b",)
    use(models, "c")


def test_a_name_that_is_not_served(models: Models[Model]) -> None:
    with pytest.raises(EngineFailed, match="does not serve"):
        use(models, "unknown")


def test_an_error_of_the_user_gives_the_model_back(models: Models[Model]) -> None:
    with pytest.raises(ZeroDivisionError), models.use("huge"):
        raise ZeroDivisionError
    use(models, "a", "b")
    assert loaded(models) == ("a", "b")


@pytest.mark.parametrize("seed", range(3))
def test_in_any_order_memory_suffices_and_all_are_served(loader: Loader, seed: int) -> None:
    lock, used = threading.Lock(), dict.fromkeys(SIZES, 0)
    models = Models(PATHS, 100, loader, size)
    loader.problems["small"] = RuntimeError()

    def work(number: int) -> None:
        chance = Random(100 * seed + number)
        for _ in range(60):
            name = chance.choice(["a", "b", "c", "huge", "small"])
            if name == "small":
                with pytest.raises(EngineFailed, match="cannot load"):
                    use(models, name)
                continue
            with models.use(name) as model:
                assert model.name == name
                with lock:
                    used[name] += 1
                    taken = [SIZES[one] for one, users in used.items() if users]
                    assert sum(taken) <= 100 or len(taken) == 1
                with lock:
                    used[name] -= 1

    with ThreadPoolExecutor(6) as threads:
        for ran in [threads.submit(work, number) for number in range(6)]:
            ran.result(3 * SECONDS)
    loader.problems.clear()  # An exception keeps the frames that it passed, and a model in them.
    assert loader.bytes() == sum(SIZES[name] for name in loaded(models))
    assert loader.loads.count("small") == 1
